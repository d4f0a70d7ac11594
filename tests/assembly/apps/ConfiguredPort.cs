/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
var port = builder.Configuration.GetValue("Shop:Port", 80);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(port));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
