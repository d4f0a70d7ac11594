/* {"builders": ["gh"], "passesArguments": false, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
await Host.CreateDefaultBuilder()
    .ConfigureWebHostDefaults(web =>
    {
        web.UseUrls("http://*:80");
        web.Configure(app => app.Run(context => context.Response.WriteAsync("Hello\n")));
    })
    .RunConsoleAsync();
