/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "Listen", "target": "http 0.0.0.0:80", "hasOptions": true},
    {"kind": "listen", "api": "ListenLocalhost", "target": "http LOCAL:81", "hasOptions": true}]} */
using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.Listen(IPAddress.Any, 80, listen => listen.Protocols = HttpProtocols.Http1);
    kestrel.ListenLocalhost(81, listen => listen.UseConnectionLogging());
});
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
