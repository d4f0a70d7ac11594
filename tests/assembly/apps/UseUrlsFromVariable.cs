/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseUrls(Environment.GetEnvironmentVariable("SHOP_URL") ?? "http://*:80");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
