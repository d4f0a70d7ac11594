/* {"builders": ["wab"], "passesArguments": false, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
builder.WebHost.UseUrls("http://*:80");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
