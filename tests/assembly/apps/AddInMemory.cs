/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "configuration", "api": "AddInMemoryCollection", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Urls"] = "http://*:80" });
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
