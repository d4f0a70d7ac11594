/* {"builders": ["gh"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
Host.CreateDefaultBuilder(args)
    .ConfigureWebHostDefaults(web => web.UseStartup<Startup>().UseUrls("http://*:80"))
    .Build()
    .Run();

class Startup
{
    public void ConfigureServices(IServiceCollection services) => services.AddRouting();

    public void Configure(IApplicationBuilder app) =>
        app.UseRouting().UseEndpoints(endpoints => endpoints.MapGet("/", () => "Hello\n"));
}
