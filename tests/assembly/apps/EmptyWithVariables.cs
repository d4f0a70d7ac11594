/* {"builders": ["empty"], "passesArguments": false, "serves": true, "calls": [
    {"kind": "environment_variables", "api": "AddEnvironmentVariables"},
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
builder.Configuration.AddEnvironmentVariables();
builder.WebHost.UseKestrelCore();
builder.WebHost.UseUrls("http://*:80");
var app = builder.Build();
app.Run(context => context.Response.WriteAsync("Hello\n"));
app.Run();
