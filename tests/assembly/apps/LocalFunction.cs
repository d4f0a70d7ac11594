/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"}]} */
using Microsoft.AspNetCore.Server.Kestrel.Core;

var app = Create(args);
app.MapGet("/", () => "Hello\n");
app.Run();

static WebApplication Create(string[] arguments)
{
    var builder = WebApplication.CreateBuilder(arguments);
    builder.WebHost.ConfigureKestrel(Configure);
    return builder.Build();
}

static void Configure(KestrelServerOptions kestrel) => kestrel.ListenAnyIP(80);
