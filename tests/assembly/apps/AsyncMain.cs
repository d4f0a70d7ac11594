/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:81"},
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80"}]} */
static class Program
{
    static async Task Main(string[] args)
    {
        await Task.Yield();
        var builder = WebApplication.CreateBuilder(args);
        builder.WebHost.UseUrls("http://*:81");
        var ports = await PortsAsync();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(80));
        var app = builder.Build();
        app.MapGet("/", () => $"Hello {ports}\n");
        await app.RunAsync();
    }

    static async Task<int> PortsAsync()
    {
        await Task.Delay(1);
        return 2;
    }
}
