/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "configuration", "api": "AddJsonFile", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
builder.Configuration.AddJsonFile("shop.json", optional: true);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
