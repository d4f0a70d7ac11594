/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "arguments": "80", "target": "http ANY:80", "hasOptions": false,
     "method": "Program.<Main>$"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(80));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
