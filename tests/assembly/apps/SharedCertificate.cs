/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": []} */
using Shop.Shared;

var builder = WebApplication.CreateBuilder(args);
builder.AddShopCertificate();
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
