/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseSetting", "key": "urls", "value": "http://*:80"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseSetting(WebHostDefaults.ServerUrlsKey, "http://*:80");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
