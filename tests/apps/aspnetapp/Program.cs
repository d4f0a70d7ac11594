// A small ASP.NET Core app as people put it into containers: a greeting, a health check, and /Environment, which says
// what the process was given and which addresses Kestrel listens on.
using System.Collections;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddHealthChecks();

var app = builder.Build();
app.MapHealthChecks("/healthz");
app.MapGet("/", () => "Hello from ASP.NET Core\n");
app.MapGet("/Environment", (IServer server) => new
{
    Framework = RuntimeInformation.FrameworkDescription,
    UserId = UserId(),
    ProcessId = Environment.ProcessId,
    Addresses = server.Features.Get<IServerAddressesFeature>()?.Addresses ?? [],
    Arguments = args,
    Variables = Variables(),
});
// Is the end of a process that the app starts seen?
app.MapGet("/Child", () =>
{
    using var child = Process.Start("/bin/true");
    return child.WaitForExit(TimeSpan.FromSeconds(10));
});
app.Run();

// The effective uid: second of the four ids in the Uid line of proc_pid_status(5).
static int UserId() =>
    int.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith("Uid:")).Split('\t')[2]);

static SortedDictionary<string, string?> Variables()
{
    var variables = new SortedDictionary<string, string?>(StringComparer.Ordinal);
    foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
    {
        variables[(string)entry.Key] = (string?)entry.Value;
    }
    return variables;
}
