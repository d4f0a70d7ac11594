/* {"builders": ["gh"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80",
     "method": "Shop.Program.CreateHostBuilder"}]} */
namespace Shop;

public class Program
{
    public static void Main(string[] args) => CreateHostBuilder(args).Build().Run();

    public static IHostBuilder CreateHostBuilder(string[] args) =>
        Host.CreateDefaultBuilder(args)
            .ConfigureWebHostDefaults(web =>
            {
                web.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(80));
                web.UseStartup<Startup>();
            });
}

class Startup
{
    public void ConfigureServices(IServiceCollection services) => services.AddRouting();

    public void Configure(IApplicationBuilder app) =>
        app.UseRouting().UseEndpoints(endpoints => endpoints.MapGet("/", () => "Hello\n"));
}
