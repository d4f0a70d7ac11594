// Binds ports in the ways that code has, where no setting reaches them: `bindapp SHAPE:PORT...`. Kestrel answers GET / with
// "Hello", TCP sockets greet with "220", UDP sockets send back what they get. Says what each socket got.
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

var shapes = args.Select(word => word.Split(':')).Select(parts => (Name: parts[0], Port: int.Parse(parts[1]))).ToList();
var endpoints = new List<(string Name, int Port)>();
string? url = null;
var builder = WebApplication.CreateBuilder();

foreach (var (name, port) in shapes)
{
    switch (name)
    {
        case "TcpListener": Greet(name, new TcpListener(IPAddress.Any, port)); break;
        case "TcpListenerDual": Greet(name, TcpListener.Create(port)); break;
        case "Socket": Listen(name, new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp), IPAddress.Any, port); break;
        case "SocketV6": Listen(name, new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp), IPAddress.IPv6Loopback, port); break;
        case "SocketDual": Listen(name, new Socket(SocketType.Stream, ProtocolType.Tcp), IPAddress.IPv6Any, port); break;
        case "SocketMapped": Listen(name, new Socket(SocketType.Stream, ProtocolType.Tcp), IPAddress.Parse("::ffff:127.0.0.1"), port); break;
        case "UdpClient": Echo(name, new UdpClient(port)); break;
        case "UdpClientV6": Echo(name, new UdpClient(port, AddressFamily.InterNetworkV6)); break;
        case "Process": Process.Start(Environment.ProcessPath!, [typeof(Program).Assembly.Location, $"TcpListener:{port}"]); break;
        case "UseUrls": builder.WebHost.UseUrls($"http://*:{port}"); endpoints.Add((name, port)); break;
        case "Run": url = $"http://+:{port}"; break;
        default: endpoints.Add((name, port)); break;
    }
}
builder.WebHost.ConfigureKestrel(kestrel =>
{
    foreach (var (name, port) in endpoints)
    {
        switch (name)
        {
            case "ListenAnyIP": kestrel.ListenAnyIP(port); break;
            case "ListenLocalhost": kestrel.ListenLocalhost(port); break;
            case "ListenLoopback": kestrel.Listen(IPAddress.Loopback, port); break;
            case "ListenAny": kestrel.Listen(IPAddress.Any, port); break;
            case "UseUrls": break;
            default: throw new ArgumentException(name);
        }
    }
});
if (endpoints.Count == 0 && url == null) builder.WebHost.UseUrls("http://127.0.0.1:0");
var app = builder.Build();
app.MapGet("/", () => "Hello");
app.MapGet("/bind/{port}", (int port) =>
{
    Greet("later", new TcpListener(IPAddress.Loopback, port));
    return "bound";
});
app.MapGet("/call/{port}", async (int port) =>
{
    using var client = new HttpClient();
    try { return await client.GetStringAsync($"http://localhost:{port}/"); }
    catch (HttpRequestException exception) { return exception.Message; }
});
app.Run(url);

static void Greet(string name, TcpListener listener)
{
    listener.Start();
    Serve(name, listener.Server);
}

static void Listen(string name, Socket socket, IPAddress address, int port)
{
    var asked = new IPEndPoint(address, port);
    socket.Bind(asked);
    socket.Listen();
    Serve(name, socket);
}

static void Serve(string name, Socket socket)
{
    Console.WriteLine($"{name} has {socket.LocalEndPoint}");
    new Thread(() =>
    {
        while (true)
        {
            using var client = socket.Accept();
            client.Send("220 bindapp ready\r\n"u8);
        }
    }) { IsBackground = true }.Start();
}

static void Echo(string name, UdpClient client)
{
    Console.WriteLine($"{name} has {client.Client.LocalEndPoint}");
    new Thread(() =>
    {
        while (true)
        {
            IPEndPoint? sender = null;
            var data = client.Receive(ref sender);
            client.Send(data, data.Length, sender);
        }
    }) { IsBackground = true }.Start();
}
