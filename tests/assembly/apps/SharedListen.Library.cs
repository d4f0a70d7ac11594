/* {"builders": [], "passesArguments": null, "calls": [
    {"kind": "listen", "api": "ListenAnyIP", "target": "http ANY:80",
     "method": "Shop.Shared.BuilderExtensions.AddShopDefaults"}]} */
namespace Shop.Shared;

public static class BuilderExtensions
{
    public static WebApplicationBuilder AddShopDefaults(this WebApplicationBuilder builder)
    {
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenAnyIP(80));
        return builder;
    }
}
