/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"},
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:81"},
    {"kind": "setting", "api": "UseUrls", "known": false}]} */
var builder = WebApplication.CreateBuilder(args);
switch (builder.Environment.EnvironmentName)
{
    case "Production": builder.WebHost.UseUrls("http://*:80"); break;
    case "Staging": builder.WebHost.UseUrls("http://*:81"); break;
    default: builder.WebHost.UseUrls(args.Length > 0 ? "http://*:82" : "http://*:83"); break;
}

var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
