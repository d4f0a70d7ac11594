/* {"builders": [], "passesArguments": null, "calls": []} */
var builder = Host.CreateApplicationBuilder(args);
builder.Services.AddHostedService<Idle>();
builder.Build().Run();

class Idle : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stop) => Task.Delay(Timeout.Infinite, stop);
}
