/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "address", "api": "Run", "value": "http://+:80"}]} */
var app = WebApplication.Create(args);
app.MapGet("/", () => "Hello\n");
app.Run("http://+:80");
