/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": []} */
var builder = WebApplication.CreateBuilder(args);
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
