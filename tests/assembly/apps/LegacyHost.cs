/* {"builders": ["wh"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
using Microsoft.AspNetCore;

WebHost.CreateDefaultBuilder(args).UseUrls("http://*:80").UseStartup<Startup>().Build().Run();

class Startup
{
    public void ConfigureServices(IServiceCollection services) => services.AddRouting();

    public void Configure(IApplicationBuilder app) =>
        app.UseRouting().UseEndpoints(endpoints => endpoints.MapGet("/", () => "Hello\n"));
}
