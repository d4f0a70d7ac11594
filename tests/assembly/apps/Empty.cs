/* {"builders": ["empty"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"}]} */
var builder = WebApplication.CreateEmptyBuilder(new() { Args = args });
builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenAnyIP(80));
var app = builder.Build();
app.Run(context => context.Response.WriteAsync("Hello\n"));
app.Run();
