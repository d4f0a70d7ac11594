/* {"builders": ["wab"], "passesArguments": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"},
    {"kind": "listen", "api": "ListenAnyIP", "hasOptions": true}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.ListenAnyIP(80);
    kestrel.ListenAnyIP(443, listen => listen.UseHttps());
});
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
