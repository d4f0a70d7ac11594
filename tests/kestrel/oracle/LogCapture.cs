namespace Oracle;

// Keeps warnings and what is worse, and everything that Kestrel's own category says.
sealed class LogCapture : ILoggerProvider
{
    public readonly List<string> Lines = [];
    public ILogger CreateLogger(string category) => new CategoryLogger(this, category);
    public void Dispose() { }

    sealed class CategoryLogger(LogCapture log, string category) : ILogger
    {
        public IDisposable BeginScope<T>(T state) => null;
        public bool IsEnabled(LogLevel level) => true;

        public void Log<T>(LogLevel level, EventId id, T state, Exception exception, Func<T, Exception, string> format)
        {
            if (level < LogLevel.Warning && category != "Microsoft.AspNetCore.Server.Kestrel") return;
            if (category.StartsWith("Microsoft.AspNetCore.DataProtection")) return;
            lock (log.Lines) log.Lines.Add($"{level}|{category}[{id.Id}]|{format(state, exception)}");
        }
    }
}
