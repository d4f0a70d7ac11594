using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Oracle;

// One start of an app.
sealed class Case
{
    public string Builder;
    public string[] Argv;
    public JsonArray Code;
    public string Deny;
    public bool NoArgs, Cert, Real, Rethrow;

    public static readonly JsonSerializerOptions JsonOptions = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    // `directory` is what {DIR} stands for.
    public static Case Read(JsonObject json, string directory) => new()
    {
        Builder = (string)json["builder"] ?? "wab",
        Argv = json["argv"] is JsonArray words ? [.. words.Select(word => ((string)word).Replace("{DIR}", directory))] : [],
        NoArgs = (bool?)json["noargs"] ?? false,
        Cert = (bool?)json["cert"] ?? false,
        Deny = (string)json["deny"],
        Code = json["code"] as JsonArray ?? [],
    };

    // Makes the case's files: text, {"base64": bytes}, {"link": target}, {"directory": true} or {"fifo": true}.
    public static void MakeFiles(JsonObject files, string directory)
    {
        foreach (var (name, what) in files)
        {
            var path = Path.Combine(directory, name);
            Directory.CreateDirectory(Path.GetDirectoryName(path));
            if (what is not JsonObject kind) File.WriteAllBytes(path, new UTF8Encoding(false).GetBytes((string)what));
            else if (kind["base64"] is { } bytes) File.WriteAllBytes(path, Convert.FromBase64String((string)bytes));
            else if (kind["link"] is { } target) File.CreateSymbolicLink(path, (string)target);
            else if (kind["directory"] != null) Directory.CreateDirectory(path);
            else if (kind["fifo"] != null) MakeFifo(path);
            else throw new InvalidDataException($"{name}: {what}");
        }
    }

    static void MakeFifo(string path)
    {
        const uint ReadableByAll = 0x1A4; // 0644
        if (mkfifo(path, ReadableByAll) != 0) throw new IOException("mkfifo " + path);
    }

    [DllImport("libc")]
    static extern int mkfifo([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint mode);
}
