/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel((context, kestrel) =>
    kestrel.ListenAnyIP(context.HostingEnvironment.IsDevelopment() ? 5080 : 80));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
