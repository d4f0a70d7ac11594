/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": []} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseSetting("shutdownTimeoutSeconds", "5");
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
