/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://+:80;http://localhost:8081"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseUrls("http://+:80;http://localhost:8081");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
