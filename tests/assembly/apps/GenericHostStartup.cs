/* {"builders": ["gh"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80",
     "method": "Startup.ConfigureServices"}]} */
using Microsoft.AspNetCore.Server.Kestrel.Core;

Host.CreateDefaultBuilder(args).ConfigureWebHostDefaults(web => web.UseStartup<Startup>()).Build().Run();

class Startup(IConfiguration configuration)
{
    public void ConfigureServices(IServiceCollection services) =>
        services.AddRouting().Configure<KestrelServerOptions>(kestrel => kestrel.ListenAnyIP(80));

    public void Configure(IApplicationBuilder app) =>
        app.Run(context => context.Response.WriteAsync($"Hello {configuration["Name"]}\n"));
}
