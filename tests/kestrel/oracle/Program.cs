// Asks the real ASP.NET Core what it would bind, without binding anything: Kestrel's transport is replaced by one that
// notes each endpoint and succeeds.
//
// ORACLE_MODE=run (default): one case, with the real environment, arguments and current directory. One line of JSON on
// stdout; exit code 0, or 3 when the start failed. Further variables:
//   ORACLE_BUILDER   wab (default), slim, empty, gh, wh
//   ORACLE_CODE      JSON array of what the app's code does (AppCode.cs)
//   ORACLE_NOARGS=1  the builder gets no arguments
//   ORACLE_CERT=1    a default certificate set in code
//   ORACLE_DENY      low, all, inuse (RecordingTransport.cs)
//   ORACLE_REAL=1    keep the real transport
//   ORACLE_RETHROW=1 let exceptions escape, and keep the console logger
// ORACLE_MODE=batch: many cases (BatchMode.cs). ORACLE_MODE=parse: many addresses (ParseMode.cs).
using System.Text;
using System.Text.Json.Nodes;

namespace Oracle;

static class Program
{
    static int Main(string[] argv) => Variable("ORACLE_MODE") switch
    {
        "parse" => ParseMode.Run(),
        "batch" => BatchMode.Run(argv.Length > 0 ? File.OpenRead(argv[0]) : Console.OpenStandardInput()),
        _ => RunOne(argv),
    };

    static string Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    static int RunOne(string[] argv)
    {
        var one = new Case
        {
            Builder = Variable("ORACLE_BUILDER") ?? "wab",
            Argv = argv,
            NoArgs = Variable("ORACLE_NOARGS") == "1",
            Cert = Variable("ORACLE_CERT") == "1",
            Deny = Variable("ORACLE_DENY"),
            Real = Variable("ORACLE_REAL") == "1",
            Rethrow = Variable("ORACLE_RETHROW") == "1",
            Code = Variable("ORACLE_CODE") is { } code ? JsonNode.Parse(code).AsArray() : [],
        };
        var stdout = Console.OpenStandardOutput();
        if (!one.Rethrow) Console.SetOut(new StringWriter());
        var result = HostRun.Run(one).GetAwaiter().GetResult();
        stdout.Write(Encoding.UTF8.GetBytes(result.ToJsonString(Case.JsonOptions) + "\n"));
        stdout.Flush();
        return result["error"] == null ? 0 : 3;
    }
}
