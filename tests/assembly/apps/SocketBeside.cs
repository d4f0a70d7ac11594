/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "socket", "api": "Bind", "target": "http 0.0.0.0:82"}]} */
using System.Net;
using System.Net.Sockets;

var builder = WebApplication.CreateBuilder(args);
using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
socket.Bind(new IPEndPoint(IPAddress.Any, 82));
socket.Listen();
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
