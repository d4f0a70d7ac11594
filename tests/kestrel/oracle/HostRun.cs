using System.Net.Sockets;
using System.Reflection;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Oracle;

// Builds and starts one host as the case says, and tells what it bound, logged or threw:
// "environment", "bound" (RecordingTransport.Describe), "attempts", "addresses", "log", and when the start failed "error"
// (the exception chain, outermost first) and "phase" (build or start).
sealed class HostRun
{
    readonly Case one;
    readonly RecordingTransport transport;
    readonly LogCapture log = new();
    readonly JsonObject result = [];
    string phase = "build";
    IServerAddressesFeature addresses;
    IDisposable host;
    Func<Task> stop;

    HostRun(Case one)
    {
        this.one = one;
        transport = new RecordingTransport { Deny = one.Deny };
    }

    public static Task<JsonObject> Run(Case one) => new HostRun(one).Run();

    async Task<JsonObject> Run()
    {
        try
        {
            await Start(one.NoArgs ? null : one.Argv);
            phase = "ok";
        }
        catch (Exception exception) when (!one.Rethrow)
        {
            result["error"] = Chain(exception);
            result["phase"] = phase;
        }
        Report();
        await End();
        return result;
    }

    Task Start(string[] args) => one.Builder switch
    {
        "wab" => StartApplication(args == null ? WebApplication.CreateBuilder() : WebApplication.CreateBuilder(args)),
        "slim" => StartApplication(args == null ? WebApplication.CreateSlimBuilder() : WebApplication.CreateSlimBuilder(args)),
        "empty" => StartApplication(Empty(args)),
        "gh" => StartGenericHost(args == null ? Host.CreateDefaultBuilder() : Host.CreateDefaultBuilder(args)),
        "wh" => StartWebHost(args == null ? WebHost.CreateDefaultBuilder() : WebHost.CreateDefaultBuilder(args)),
        _ => throw new InvalidDataException("unknown builder " + one.Builder),
    };

    static WebApplicationBuilder Empty(string[] args)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { Args = args });
        builder.WebHost.UseKestrelCore();
        return builder;
    }

    async Task StartApplication(WebApplicationBuilder builder)
    {
        result["environment"] = builder.Environment.EnvironmentName;
        AddLogging(builder.Logging);
        AddServices(builder.Services);
        AppCode.ConfigureWebHost(builder.WebHost, one);
        AppCode.ConfigureManager(builder.Configuration, one);
        var app = builder.Build();
        (host, stop) = (app, () => app.StopAsync());
        AppCode.ConfigureApplication(app, one);
        addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>();
        phase = "start";
        await app.StartAsync();
    }

    async Task StartGenericHost(IHostBuilder builder)
    {
        builder.ConfigureAppConfiguration(sources => AppCode.AddSources(sources, one));
        builder.ConfigureLogging(AddLogging);
        builder.ConfigureWebHostDefaults(web =>
        {
            AppCode.ConfigureWebHost(web, one);
            web.Configure(app => AppCode.ConfigurePipeline(app, one));
        });
        builder.ConfigureServices(AddServices);
        var built = builder.Build();
        (host, stop) = (built, () => built.StopAsync());
        result["environment"] = built.Services.GetRequiredService<IHostEnvironment>().EnvironmentName;
        addresses = built.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>();
        AppCode.AddAddresses(addresses, one);
        phase = "start";
        await built.StartAsync();
    }

    async Task StartWebHost(IWebHostBuilder builder)
    {
        builder.ConfigureAppConfiguration(sources => AppCode.AddSources(sources, one));
        builder.ConfigureLogging(AddLogging);
        AppCode.ConfigureWebHost(builder, one);
        builder.Configure(app => AppCode.ConfigurePipeline(app, one));
        builder.ConfigureServices(AddServices);
        var built = builder.Build();
        (host, stop) = (built, () => built.StopAsync());
        result["environment"] = built.Services.GetRequiredService<IWebHostEnvironment>().EnvironmentName;
        addresses = built.ServerFeatures.Get<IServerAddressesFeature>();
        AppCode.AddAddresses(addresses, one);
        phase = "start";
        await built.StartAsync();
    }

    void AddServices(IServiceCollection services)
    {
        if (!one.Real) services.AddSingleton<IConnectionListenerFactory>(transport);
        services.AddSingleton<IHostLifetime, NoLifetime>();
    }

    void AddLogging(ILoggingBuilder logging)
    {
        if (one.Rethrow) return;
        logging.ClearProviders();
        logging.AddProvider(log);
        logging.SetMinimumLevel(LogLevel.Debug);
        logging.AddFilter<LogCapture>((_, _) => true);
    }

    void Report()
    {
        // Before the first bind the feature holds what was asked for, then what was bound.
        var nothingBound = phase == "start" && !transport.HasAttempts;
        string[] known = nothingBound ? [] : addresses?.Addresses.ToArray() ?? [];
        result["bound"] = transport.Describe(known);
        result["attempts"] = Array(transport.Attempts.Select(attempt => attempt.Text));
        if (phase == "ok") result["addresses"] = Array(known);
        if (log.Lines.Count > 0) result["log"] = Array(log.Lines);
    }

    async Task End()
    {
        // How the host ends is nobody's question, and one that did not start may throw.
        try
        {
            if (phase == "ok") await stop();
            if (host is IAsyncDisposable disposable) await disposable.DisposeAsync();
            else host?.Dispose();
        }
        catch (Exception)
        {
        }
    }

    static JsonArray Array(IEnumerable<string> texts) => [.. texts.Select(text => (JsonNode)text)];

    static JsonArray Chain(Exception exception)
    {
        var chain = new List<string>();
        AddChain(exception, chain);
        return Array(chain);
    }

    static void AddChain(Exception exception, List<string> chain)
    {
        for (; exception != null; exception = exception.InnerException)
        {
            if (exception is TargetInvocationException) continue; // of this program's own reflection
            var code = exception is SocketException socket ? $"({socket.NativeErrorCode})" : "";
            chain.Add($"{exception.GetType().FullName}{code}: {exception.Message}");
            if (exception is not AggregateException aggregate) continue;
            foreach (var inner in aggregate.InnerExceptions) AddChain(inner, chain);
            return;
        }
    }

    sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken token) => Task.CompletedTask;
        public Task StopAsync(CancellationToken token) => Task.CompletedTask;
    }
}
