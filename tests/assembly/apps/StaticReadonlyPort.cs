/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"},
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:81"}]} */
WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(Ports.Http)).UseUrls(Ports.Url);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();

static class Ports
{
    public static readonly int Http = 80;
    public static readonly string Url = "http://*:81";
}
