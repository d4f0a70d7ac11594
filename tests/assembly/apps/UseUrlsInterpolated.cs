/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
var port = Random.Shared.Next(80, 81);
builder.WebHost.UseUrls($"http://*:{port}");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
