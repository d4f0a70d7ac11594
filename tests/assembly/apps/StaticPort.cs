/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "known": false}]} */
Ports.Http = args.Length + 80;
WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(Ports.Http));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();

static class Ports
{
    public static int Http = 8080;
}
