/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenLocalhost", "target": "http LOCAL:5080"},
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel((context, kestrel) =>
{
    if (context.HostingEnvironment.IsDevelopment())
    {
        kestrel.ListenLocalhost(5080);
        return;
    }

    kestrel.ListenAnyIP(80);
});
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
