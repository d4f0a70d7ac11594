using System.Net;
using System.Reflection;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Oracle;

// What the app's own code does: a list of ["Operation", argument...], carried out in order at the place in Main where
// apps do it. ["UseUrls", url..] ["UseSetting", key, value] ["PreferHostingUrls", bool] ["ListenAnyIP", port]
// ["ListenLocalhost", port] ["Listen", ip, port] ["ListenHttps", ip, port] ["ListenUnixSocket", path]
// ["UseKestrelListenAnyIP", port] ["KestrelConfigure"] ["KestrelConfigureNone"] ["KestrelConfigureAnyIP", port]
// ["UseKestrelHttpsConfiguration"] ["UseConfigurationJson", file] ["UseConfigurationEnv"] ["ConfigSet", key, value]
// ["AddInMemory", key, value] ["AddEnvironmentVariables", prefix?] ["AddJsonFile", file] ["ClearSources"]
// ["AppUrlsAdd", url] ["AppUrlsClear"] ["AppRun", url] ["ConfigureFeatureAdd", url]
static class AppCode
{
    static IEnumerable<(string Name, JsonArray Arguments)> Operations(Case one) =>
        one.Code.Select(operation => ((string)operation[0], (JsonArray)operation));

    static readonly Lazy<X509Certificate2> Certificate = new(() =>
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=oracle", key, HashAlgorithmName.SHA256);
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
    });

    public static void ConfigureWebHost(IWebHostBuilder web, Case one)
    {
        if (one.Cert)
        {
            web.ConfigureKestrel(kestrel => kestrel.ConfigureHttpsDefaults(https => https.ServerCertificate = Certificate.Value));
        }
        foreach (var (name, arguments) in Operations(one)) ConfigureWebHost(web, name, arguments);
    }

    static void ConfigureWebHost(IWebHostBuilder web, string name, JsonArray a)
    {
        switch (name)
        {
            case "UseUrls": web.UseUrls([.. a.Skip(1).Select(url => (string)url)]); break;
            case "UseSetting": web.UseSetting((string)a[1], (string)a[2]); break;
            case "PreferHostingUrls": web.PreferHostingUrls((bool)a[1]); break;
            case "ListenAnyIP": web.ConfigureKestrel(kestrel => kestrel.ListenAnyIP((int)a[1])); break;
            case "ListenLocalhost": web.ConfigureKestrel(kestrel => kestrel.ListenLocalhost((int)a[1])); break;
            case "Listen": web.ConfigureKestrel(kestrel => kestrel.Listen(EndPoint(a))); break;
            case "ListenHttps": web.ConfigureKestrel(kestrel => kestrel.Listen(EndPoint(a), listen => listen.UseHttps(Certificate.Value))); break;
            case "ListenUnixSocket": web.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket((string)a[1])); break;
            case "UseKestrelListenAnyIP": web.UseKestrel(kestrel => kestrel.ListenAnyIP((int)a[1])); break;
            case "KestrelConfigure":
                web.ConfigureKestrel((context, kestrel) => kestrel.Configure(context.Configuration.GetSection("Kestrel")));
                break;
            case "KestrelConfigureNone": web.ConfigureKestrel(kestrel => kestrel.Configure()); break;
            case "KestrelConfigureAnyIP": web.ConfigureKestrel(kestrel => kestrel.Configure().AnyIPEndpoint((int)a[1])); break;
            case "UseKestrelHttpsConfiguration": web.UseKestrelHttpsConfiguration(); break;
            case "UseConfigurationJson":
                var builder = new ConfigurationBuilder().SetBasePath(Directory.GetCurrentDirectory());
                web.UseConfiguration(builder.AddJsonFile((string)a[1]).Build());
                break;
            case "UseConfigurationEnv": web.UseConfiguration(new ConfigurationBuilder().AddEnvironmentVariables().Build()); break;
        }
    }

    static IPEndPoint EndPoint(JsonArray a) => new(IPAddress.Parse((string)a[1]), (int)a[2]);

    public static void ConfigureManager(ConfigurationManager manager, Case one)
    {
        foreach (var (name, a) in Operations(one)) if (name == "ConfigSet") manager[(string)a[1]] = (string)a[2];
        AddSources(manager, one);
    }

    public static void AddSources(IConfigurationBuilder builder, Case one)
    {
        foreach (var (name, a) in Operations(one))
        {
            switch (name)
            {
                case "AddInMemory": builder.AddInMemoryCollection(new Dictionary<string, string> { [(string)a[1]] = (string)a[2] }); break;
                case "AddEnvironmentVariables" when a.Count > 1: builder.AddEnvironmentVariables((string)a[1]); break;
                case "AddEnvironmentVariables": builder.AddEnvironmentVariables(); break;
                case "AddJsonFile": builder.AddJsonFile((string)a[1], optional: true); break;
                case "ClearSources": builder.Sources.Clear(); break;
            }
        }
    }

    public static void ConfigureApplication(WebApplication app, Case one)
    {
        foreach (var (name, a) in Operations(one))
        {
            switch (name)
            {
                case "AppUrlsAdd": app.Urls.Add((string)a[1]); break;
                case "AppUrlsClear": app.Urls.Clear(); break;
                case "AppRun": Listen.Invoke(app, [(string)a[1]]); break; // what app.Run(url) does before it runs
            }
        }
    }

    static readonly MethodInfo Listen = typeof(WebApplication).GetMethod("Listen", BindingFlags.NonPublic | BindingFlags.Instance);

    // What app.Urls and app.Run(url) are, for the builders without WebApplication.
    public static void AddAddresses(IServerAddressesFeature feature, Case one)
    {
        foreach (var (name, a) in Operations(one)) if (name is "AppUrlsAdd" or "AppRun") feature.Addresses.Add((string)a[1]);
    }

    public static void ConfigurePipeline(IApplicationBuilder app, Case one)
    {
        var addresses = app.ServerFeatures.Get<IServerAddressesFeature>().Addresses;
        foreach (var (name, a) in Operations(one)) if (name == "ConfigureFeatureAdd") addresses.Add((string)a[1]);
    }
}
