// What System.Reflection.Metadata reads in assemblies, as text that metadata_dump.cc writes too.
//
//   reference hash <LIST      for each path of LIST: the hash of its text, "refused" or "none", a tab, and the path
//   reference text PATH       its text
using System.Reflection.PortableExecutable;
using System.Text;

namespace Reference;

static class Program
{
    static int Main(string[] arguments)
    {
        using var output = new BufferedStream(Console.OpenStandardOutput());
        if (arguments is ["text", var path])
        {
            output.Write(Read(path).Text);
            return 0;
        }
        if (arguments is not ["hash"])
            return 2;
        while (Console.In.ReadLine() is { } line)
            output.Write(Encoding.UTF8.GetBytes($"{Summary(Read(line))}\t{line}\n"));
        return 0;
    }

    static string Summary((string State, byte[] Text) read) => read.State ?? Fnv1a(read.Text).ToString("x16");

    static (string State, byte[] Text) Read(string path)
    {
        try
        {
            using var image = new PEReader(File.OpenRead(path), PEStreamOptions.PrefetchEntireImage);
            return image.HasMetadata ? (null, Dump.Of(image)) : ("none", []);
        }
        catch (BadImageFormatException exception)
        {
            return ("refused", Encoding.UTF8.GetBytes(exception.ToString()));
        }
    }

    /// FNV-1a, 64 bits.
    static ulong Fnv1a(byte[] text)
    {
        var hash = 0xcbf29ce484222325UL;
        foreach (var value in text)
            hash = unchecked((hash ^ value) * 0x100000001b3UL);
        return hash;
    }
}
