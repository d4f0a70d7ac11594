/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "https", "api": "UseKestrel"},
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseKestrel(kestrel => kestrel.ListenAnyIP(80));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
