/* {"builders": ["wab"], "passesArguments": true, "calls": [
    {"kind": "setting", "api": "UseUrls", "key": "urls", "value": "http://*:80"}]} */
namespace Shop.Shared;

public static class ShopApplication
{
    public static WebApplication Create(string[] args)
    {
        var builder = WebApplication.CreateBuilder(args);
        builder.WebHost.UseUrls("http://*:80");
        return builder.Build();
    }
}
