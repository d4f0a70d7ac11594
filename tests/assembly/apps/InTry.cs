/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
try
{
    var builder = WebApplication.CreateBuilder(args);
    builder.WebHost.UseUrls("http://*:80");
    var app = builder.Build();
    app.MapGet("/", () => "Hello\n");
    app.Run();
    return 0;
}
catch (InvalidOperationException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}
