/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
var builder = WebApplication.CreateBuilder(new WebApplicationOptions
{
    Args = args,
    ContentRootPath = AppContext.BaseDirectory,
});
builder.WebHost.UseUrls("http://*:80");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
