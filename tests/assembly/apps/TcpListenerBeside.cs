/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "socket", "api": "TcpListener", "target": "http 0.0.0.0:81"}]} */
using System.Net;
using System.Net.Sockets;

var builder = WebApplication.CreateBuilder(args);
var listener = new TcpListener(IPAddress.Any, 81);
listener.Start();
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
