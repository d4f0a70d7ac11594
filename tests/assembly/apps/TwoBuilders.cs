/* {"builders": ["wab", "gh"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"},
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:81"}]} */
var host = args.Contains("--generic")
    ? Host.CreateDefaultBuilder(args)
        .ConfigureWebHostDefaults(web => web.UseUrls("http://*:81").Configure(_ => { }))
        .Build()
    : Application(args);
host.Run();

static IHost Application(string[] args)
{
    var builder = WebApplication.CreateBuilder(args);
    builder.WebHost.UseUrls("http://*:80");
    var app = builder.Build();
    app.MapGet("/", () => "Hello\n");
    return app;
}
