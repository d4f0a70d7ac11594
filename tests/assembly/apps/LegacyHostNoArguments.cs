/* {"builders": ["wh"], "passesArguments": false, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
using Microsoft.AspNetCore;

WebHost.CreateDefaultBuilder()
    .UseUrls("http://*:80")
    .Configure(app => app.Run(context => context.Response.WriteAsync("Hello\n")))
    .Build()
    .Run();
