/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"},
    {"kind": "setting", "api": "PreferHostingUrls", "key": "preferHostingUrls", "value": "true"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseUrls("http://*:80");
builder.WebHost.PreferHostingUrls(true);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
