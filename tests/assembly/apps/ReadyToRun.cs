/* {"builders": ["wab"], "passesArguments": true, "serves": true, "publish": "ready-to-run", "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(80));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
