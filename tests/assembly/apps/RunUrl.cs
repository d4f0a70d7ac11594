/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "address", "api": "Run", "value": "http://*:80"}]} */
var builder = WebApplication.CreateBuilder(args);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run("http://*:80");
