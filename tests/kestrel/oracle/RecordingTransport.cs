using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Connections;

namespace Oracle;

// Stands for the socket transport: notes each endpoint and succeeds, or refuses it.
sealed class RecordingTransport : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    public sealed record Attempt(string Kind, EndPoint EndPoint, string Text, bool Bound);

    // low: ports 1 to 1023 give EACCES; all: everything does; inuse: everything gives EADDRINUSE.
    public string Deny;
    public readonly List<Attempt> Attempts = [];
    public bool HasAttempts => Attempts.Count > 0;

    public bool CanBind(EndPoint endpoint) => endpoint is IPEndPoint or UnixDomainSocketEndPoint or FileHandleEndPoint; // as the real one

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken token = default)
    {
        var refused = Deny is "all" or "inuse" || (Deny == "low" && endpoint is IPEndPoint { Port: > 0 and < 1024 });
        Attempts.Add(new(KindOf(endpoint), endpoint, endpoint + (refused ? " !" : ""), !refused));
        if (refused && Deny == "inuse") throw new AddressInUseException("Address already in use", new SocketException(98));
        if (refused) throw new SocketException(13);
        return new(new Listener(endpoint));
    }

    // [::]:port of the wildcard and of a literal [::] are the same here: only the caller tells them apart.
    static string KindOf(EndPoint endpoint)
    {
        foreach (var frame in new StackTrace(false).GetFrames())
        {
            var type = frame.GetMethod()?.DeclaringType;
            if (type?.DeclaringType != null) type = type.DeclaringType;
            if (type?.Name == "AnyIPListenOptions") return "ANY";
            if (type?.Name == "LocalhostListenOptions") return "LOCAL";
        }
        return endpoint switch { UnixDomainSocketEndPoint => "UNIX", FileHandleEndPoint => "HANDLE", _ => "IP" };
    }

    // "http ANY:8080", "http LOCAL:5000", "https 127.0.0.1:1", "http [::1]:1", "http unix:/p"; refused ones end in
    // " DENIED" and have the scheme "?". `addresses` are those that Kestrel says it bound, in order; an endpoint whose
    // protocols leave nothing to bind is among them.
    public JsonArray Describe(string[] addresses)
    {
        var endpoints = new JsonArray();
        var next = 0;
        for (var i = 0; i < Attempts.Count; i++)
        {
            var attempt = Merge(ref i);
            while (attempt.Bound && next < addresses.Length && !IsAddressOf(attempt, addresses[next])) next++;
            var scheme = attempt.Bound && next < addresses.Length ? addresses[next++].Split(':')[0] : "?";
            var what = attempt.Kind switch
            {
                "ANY" or "LOCAL" => $"{attempt.Kind}:{((IPEndPoint)attempt.EndPoint).Port}",
                "UNIX" => "unix:" + attempt.EndPoint,
                _ => attempt.EndPoint.ToString(),
            };
            endpoints.Add($"{scheme} {what}{(attempt.Bound ? "" : " DENIED")}");
        }
        return endpoints;
    }

    static bool IsAddressOf(Attempt attempt, string address) => attempt.Kind switch
    {
        "LOCAL" => address.Contains("localhost:") && address.EndsWith(":" + ((IPEndPoint)attempt.EndPoint).Port),
        "UNIX" => address.EndsWith("://unix:" + attempt.EndPoint),
        _ => address.EndsWith("://" + attempt.EndPoint),
    };

    // localhost is two attempts, and so is a wildcard whose first one was refused.
    Attempt Merge(ref int i)
    {
        var attempt = Attempts[i];
        if (i + 1 == Attempts.Count || Attempts[i + 1].Kind != attempt.Kind) return attempt;
        if (attempt.Kind == "LOCAL") return attempt with { Bound = attempt.Bound | Attempts[++i].Bound };
        return attempt.Kind == "ANY" && !attempt.Bound ? Attempts[++i] : attempt;
    }

    sealed class Listener(EndPoint endpoint) : IConnectionListener
    {
        readonly TaskCompletionSource<ConnectionContext> end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public EndPoint EndPoint => endpoint;
        public ValueTask<ConnectionContext> AcceptAsync(CancellationToken token = default) => new(end.Task);

        public ValueTask UnbindAsync(CancellationToken token = default)
        {
            end.TrySetResult(null);
            return default;
        }

        public ValueTask DisposeAsync() => UnbindAsync();
    }
}
