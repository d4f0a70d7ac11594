using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Oracle;

// One JSON string per line in, one JSON object per line out: what BindingAddress.Parse returns (scheme, host, port,
// pathBase, unix, pipe) and what AddressBinder.ParseAddress makes of it (https, kind ANY, LOCAL, IP, UNIX or PIPE, ip, p,
// path), or "error" and "at", the one of the two that threw. ORACLE_BLOCK=1 answers each line at once.
static class ParseMode
{
    delegate ListenOptions ParseAddress(string address, out bool https);

    static readonly ParseAddress Parse = typeof(KestrelServer).Assembly
        .GetType("Microsoft.AspNetCore.Server.Kestrel.Core.Internal.AddressBinder")
        .GetMethod("ParseAddress", BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public)
        .CreateDelegate<ParseAddress>();

    static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static int Run()
    {
        using var reader = new StreamReader(Console.OpenStandardInput(), Encoding.UTF8, false, 1 << 18);
        var stdout = Console.OpenStandardOutput();
        var blockSize = int.TryParse(Environment.GetEnvironmentVariable("ORACLE_BLOCK"), out var size) && size > 0 ? size : 4096;
        var lines = new List<string>(blockSize);
        while (true)
        {
            lines.Clear();
            while (lines.Count < blockSize && reader.ReadLine() is { } line) lines.Add(line);
            if (lines.Count == 0) return 0;
            foreach (var answer in lines.AsParallel().AsOrdered().Select(Answer)) stdout.Write(answer);
            stdout.Flush();
        }
    }

    static byte[] Answer(string line)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, WriterOptions))
        {
            json.WriteStartObject();
            WriteAnswer(json, JsonSerializer.Deserialize<string>(line));
            json.WriteEndObject();
        }
        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    static void WriteAnswer(Utf8JsonWriter json, string address)
    {
        var stage = "BindingAddress";
        try
        {
            WriteParts(json, BindingAddress.Parse(address));
            stage = "AddressBinder";
            var options = Parse(address, out var https);
            json.WriteBoolean("https", https);
            WriteEndpoint(json, options);
        }
        catch (Exception exception)
        {
            json.WriteString("error", exception.GetType().Name + ": " + exception.Message);
            json.WriteString("at", stage);
        }
    }

    static void WriteParts(Utf8JsonWriter json, BindingAddress parts)
    {
        json.WriteString("scheme", parts.Scheme);
        json.WriteString("host", parts.Host);
        json.WriteNumber("port", parts.Port);
        json.WriteString("pathBase", parts.PathBase);
        if (parts.IsUnixPipe) json.WriteString("unix", parts.UnixPipePath);
        if (parts.IsNamedPipe) json.WriteString("pipe", parts.NamedPipeName);
    }

    static void WriteEndpoint(Utf8JsonWriter json, ListenOptions options)
    {
        switch (options.GetType().Name, options.EndPoint)
        {
            case ("AnyIPListenOptions", IPEndPoint any): WriteAddress(json, "ANY", null, any.Port); break;
            case ("LocalhostListenOptions", IPEndPoint local): WriteAddress(json, "LOCAL", null, local.Port); break;
            case (_, IPEndPoint ip): WriteAddress(json, "IP", ip.Address.ToString(), ip.Port); break;
            case (_, UnixDomainSocketEndPoint): WritePath(json, "UNIX", options.SocketPath); break;
            case (_, NamedPipeEndPoint pipe): WritePath(json, "PIPE", pipe.PipeName); break;
            default: json.WriteString("kind", options.EndPoint.GetType().Name); break;
        }
    }

    static void WriteAddress(Utf8JsonWriter json, string kind, string ip, int port)
    {
        json.WriteString("kind", kind);
        if (ip != null) json.WriteString("ip", ip);
        json.WriteNumber("p", port);
    }

    static void WritePath(Utf8JsonWriter json, string kind, string path)
    {
        json.WriteString("kind", kind);
        json.WriteString("path", path);
    }
}
