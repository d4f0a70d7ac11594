/* {"builders": ["slim"], "passesArguments": false, "serves": true, "calls": [
    {"kind": "https", "api": "UseKestrelHttpsConfiguration"},
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
var builder = WebApplication.CreateSlimBuilder();
builder.WebHost.UseKestrelHttpsConfiguration();
builder.WebHost.UseUrls("http://*:80");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
