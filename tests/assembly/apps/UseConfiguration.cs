/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "configuration", "api": "AddJsonFile", "known": false},
    {"kind": "configuration", "api": "UseConfiguration", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
var hosting = new ConfigurationBuilder().AddJsonFile("hosting.json", optional: true).Build();
builder.WebHost.UseConfiguration(hosting);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
