/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenLocalhost", "target": "http LOCAL:80"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenLocalhost(80));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
