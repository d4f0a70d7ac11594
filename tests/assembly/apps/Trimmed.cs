/* {"builders": ["slim"], "passesArguments": true, "publish": "trimmed", "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"},
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:81"}]} */
var builder = WebApplication.CreateSlimBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(80)).UseUrls("http://*:81");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
