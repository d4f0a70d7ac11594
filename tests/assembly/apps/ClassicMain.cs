/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80",
     "method": "Shop.Program.Main"}]} */
namespace Shop;

public class Program
{
    public static void Main(string[] args)
    {
        var builder = WebApplication.CreateBuilder(args);
        builder.WebHost.UseUrls("http://*:80");
        var app = builder.Build();
        app.MapGet("/", () => "Hello\n");
        app.Run();
    }
}
