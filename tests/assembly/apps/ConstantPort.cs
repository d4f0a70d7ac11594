/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"},
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:81"}]} */
var builder = WebApplication.CreateBuilder(args);
const int port = 80;
const string other = "81";
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(port));
builder.WebHost.UseUrls($"http://*:{other}");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
