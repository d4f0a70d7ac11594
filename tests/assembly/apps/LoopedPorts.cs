/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel =>
{
    foreach (var port in new[] { 80, 81 })
    {
        kestrel.ListenAnyIP(port);
    }
});
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
