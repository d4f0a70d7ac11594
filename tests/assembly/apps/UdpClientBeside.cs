/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "socket", "api": "UdpClient", "target": "http 0.0.0.0:53"}]} */
using System.Net.Sockets;

var builder = WebApplication.CreateBuilder(args);
using var client = new UdpClient(53);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
