/* {"builders": ["wh"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "https", "api": "UseKestrel"},
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"}]} */
using Microsoft.AspNetCore;

namespace Shop;

public static class Program
{
    public static void Main(string[] args) => BuildWebHost(args).Run();

    public static IWebHost BuildWebHost(string[] args) =>
        WebHost.CreateDefaultBuilder<Startup>(args).UseKestrel(kestrel => kestrel.ListenAnyIP(80)).Build();
}

class Startup
{
    public void ConfigureServices(IServiceCollection services) => services.AddRouting();

    public void Configure(IApplicationBuilder app) =>
        app.UseRouting().UseEndpoints(endpoints => endpoints.MapGet("/", () => "Hello\n"));
}
