/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "Listen", "target": "http 127.0.0.1:80"}]} */
using System.Net;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(new IPEndPoint(IPAddress.Loopback, 80)));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
