/* {"builders": [], "passesArguments": null, "serves": true, "calls": [
    {"kind": "https", "api": "UseKestrel"},
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
new WebHostBuilder()
    .UseKestrel()
    .UseUrls("http://*:80")
    .UseContentRoot(Directory.GetCurrentDirectory())
    .Configure(app => app.Run(context => context.Response.WriteAsync("Hello\n")))
    .Build()
    .Run();
