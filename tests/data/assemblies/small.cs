// The source of small.dll, which has something of everything that metadata.h reads. It was made with the SDK's compiler:
//
//   dotnet SDK/Roslyn/bincore/csc.dll -noconfig -nostdlib -unsafe -optimize -deterministic -debug- -nowin32manifest
//     -r:PACKS/Microsoft.NETCore.App.Ref/VERSION/ref/net10.0/System.Runtime.dll -out:small.dll small.cs
using System;
using System.Collections.Generic;

namespace Small.Space
{
    public class Outer<T>
    {
        public class Inner
        {
            public T Value;
            public static string Text = "a literal, \u00e9, \ud83d\ude00, \ud800 alone";
            public Dictionary<string, List<T>[]> Map(ref int number, T[,] matrix, Action<Inner> action) { action(this); return null; }
        }
    }

    static class Program
    {
        static unsafe delegate*<int, void> pointer = &Take;
        static void Take(int number) { Text(number); }

        static string Text(int number)
        {
            switch (number)
            {
                case 0: return "zero";
                case 1: return "one";
                case 2: return Name<Outer<int>.Inner>(null);
                case 3: throw new ArgumentException("three");
                default: return new Outer<long>.Inner().Value.ToString();
            }
        }

        static string Name<T>(T value) { return typeof(T).Name + value; }

        static void Main(string[] arguments)
        {
            long large = 0x123456789abcdef;
            double real = 1.5;
            for (int i = 0; i < arguments.Length; ++i)
            {
                try { Text(i * 1000 - 5); large += i; real *= large; }
                catch (Exception exception) { GC.KeepAlive(exception.Message + real + (Func<int, string>)Text); }
            }
        }
    }
}
