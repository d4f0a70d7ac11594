/* {"builders": ["wab"], "passesArguments": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"},
    {"kind": "listen", "api": "ListenUnixSocket", "target": "http unix:/tmp/portshim-apps.sock"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.ListenAnyIP(80);
    kestrel.ListenUnixSocket("/tmp/portshim-apps.sock");
});
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
