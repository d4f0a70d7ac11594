/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"},
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:9000"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel((context, kestrel) =>
{
    kestrel.Limits.MaxConcurrentConnections = 80;
    kestrel.AddServerHeader = false;
    kestrel.ListenAnyIP(80);
    kestrel.ListenAnyIP(9000);
});
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
