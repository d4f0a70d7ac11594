/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"},
    {"kind": "address", "api": "RunAsync", "value": "http://*:81"}]} */
await Task.Yield();
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(80));
await using var app = builder.Build();
app.MapGet("/", () => "Hello\n");
await app.RunAsync("http://*:81");
