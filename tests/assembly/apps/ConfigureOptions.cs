/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"}]} */
using Microsoft.AspNetCore.Server.Kestrel.Core;

var builder = WebApplication.CreateBuilder(args);
builder.Services.Configure<KestrelServerOptions>(kestrel => kestrel.ListenAnyIP(80));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
