/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "Listen", "target": "http 0.0.0.0:80"},
    {"kind": "listen", "api": "Listen", "target": "http 127.0.0.1:81"},
    {"kind": "listen", "api": "Listen", "target": "http 127.0.0.1:82"},
    {"kind": "listen", "api": "Listen", "target": "http [::1]:83"},
    {"kind": "listen", "api": "Listen", "target": "http [::]:84"}]} */
using System.Net;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.Listen(IPAddress.Any, 80);
    kestrel.Listen(IPAddress.Loopback, 81);
    kestrel.Listen(IPAddress.Parse("127.0.0.1"), 82);
    kestrel.Listen(IPAddress.IPv6Loopback, 83);
    kestrel.Listen(IPAddress.IPv6Any, 84);
});
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
