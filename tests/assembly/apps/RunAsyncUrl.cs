/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "address", "api": "RunAsync", "value": "http://*:80"}]} */
var builder = WebApplication.CreateBuilder(args);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
await app.RunAsync("http://*:80");
