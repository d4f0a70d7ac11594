/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": []} */
using Shop.Shared;

var builder = WebApplication.CreateBuilder(args);
builder.AddShopDefaults();
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
