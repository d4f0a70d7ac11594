/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel =>
    kestrel.ListenAnyIP(int.Parse(Environment.GetEnvironmentVariable("SHOP_PORT") ?? "80")));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
