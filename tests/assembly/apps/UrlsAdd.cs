/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "address", "api": "Urls.Add", "value": "http://*:80"},
    {"kind": "address", "api": "Urls.Add", "value": "http://localhost:8081"}]} */
var builder = WebApplication.CreateBuilder(args);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Urls.Add("http://*:80");
app.Urls.Add("http://localhost:8081");
app.Run();
