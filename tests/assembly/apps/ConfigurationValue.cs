/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "set_Item", "key": "Urls", "value": "http://*:80"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.Configuration["Urls"] = "http://*:80";
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
