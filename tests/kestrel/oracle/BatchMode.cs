using System.Collections;
using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;

namespace Oracle;

// One line of JSON per case in, one per result out, all in this process:
// {"id", "builder", "env": [[name, value]..], "argv": [..], "files": {name: see Case.MakeFiles}, "code": [..], "cert",
// "noargs", "deny", "cwd"}. Each case has a new directory, {DIR} in env, argv and results, and its own environment: what
// it names and three variables of this file. {BASE} in results is the directory of this app.
static class BatchMode
{
    public static int Run(Stream input)
    {
        using var reader = new StreamReader(input);
        using var stdout = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), 1 << 16);
        var root = Directory.CreateTempSubdirectory("oracle-").FullName;
        var count = 0;
        while (reader.ReadLine() is { } line)
        {
            if (line.Length == 0) continue;
            stdout.WriteLine(RunOne(JsonNode.Parse(line).AsObject(), root, Path.Combine(root, "c" + count++)));
            if (count % 200 == 0) GC.Collect();
        }
        Directory.SetCurrentDirectory("/");
        Directory.Delete(root, true);
        return 0;
    }

    static string RunOne(JsonObject json, string root, string directory)
    {
        Directory.CreateDirectory(directory);
        if (json["files"] is JsonObject files) Case.MakeFiles(files, directory);
        var cwd = Path.Combine(directory, (string)json["cwd"] ?? "");
        Directory.CreateDirectory(cwd);
        SetEnvironment(json["env"] as JsonArray ?? [], root, directory);
        Directory.SetCurrentDirectory(cwd);

        var result = new JsonObject { ["id"] = json["id"]?.DeepClone() };
        foreach (var (key, value) in Start(Case.Read(json, directory))) result[key] = value?.DeepClone();

        Directory.SetCurrentDirectory(root);
        Directory.Delete(directory, true);
        return result.ToJsonString(Case.JsonOptions).Replace(directory, "{DIR}").Replace(AppContext.BaseDirectory.TrimEnd('/'), "{BASE}");
    }

    static JsonObject Start(Case one)
    {
        var stdout = Console.Out;
        var console = new StringWriter();
        Console.SetOut(console);
        try
        {
            var result = HostRun.Run(one).GetAwaiter().GetResult();
            if (console.GetStringBuilder().Length > 0) result["console"] = console.ToString();
            return result;
        }
        finally
        {
            Console.SetOut(stdout);
        }
    }

    static void SetEnvironment(JsonArray variables, string home, string directory)
    {
        foreach (DictionaryEntry old in Environment.GetEnvironmentVariables()) Environment.SetEnvironmentVariable((string)old.Key, null);
        Set("HOME", home); // where no development certificate is
        Set("DOTNET_USE_POLLING_FILE_WATCHER", "1"); // inotify instances are few
        Set("DOTNET_hostBuilder__reloadConfigOnChange", "false");
        foreach (var pair in variables) Set((string)pair[0], ((string)pair[1]).Replace("{DIR}", directory));
    }

    // Environment.SetEnvironmentVariable(name, "") deletes the variable before .NET 9; what it calls does not.
    static readonly MethodInfo SetBelow = typeof(object).Assembly.GetType("Interop+Kernel32")?
        .GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)
        .FirstOrDefault(method => method.Name == "SetEnvironmentVariable" && method.GetParameters().Length == 2
            && method.GetParameters()[0].ParameterType == typeof(string));

    static void Set(string name, string value)
    {
        if (value.Length == 0 && Environment.Version.Major < 9) SetBelow.Invoke(null, [name, ""]);
        else Environment.SetEnvironmentVariable(name, value);
        if (Environment.GetEnvironmentVariable(name) != value) throw new InvalidOperationException($"cannot set {name}");
    }
}
