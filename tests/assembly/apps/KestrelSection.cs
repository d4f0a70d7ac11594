/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "kestrel_section", "api": "Configure"}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel((context, kestrel) => kestrel.Configure(context.Configuration.GetSection("Kestrel")));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
