/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "arguments": "http://*:80", "key": "urls",
     "value": "http://*:80", "method": "Program.<Main>$"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseUrls("http://*:80");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
