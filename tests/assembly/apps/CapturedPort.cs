/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"}]} */
var builder = WebApplication.CreateBuilder(args);
var port = 80;
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(port));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
