using System.Globalization;
using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Text;

namespace Reference;

/// The text of one assembly.
sealed class Dump
{
    /// Literals beyond are not read by portshim (metadata.h, kLongestText).
    const int LongestText = 32768;

    static readonly OpCode?[] OneByte = new OpCode?[0x100];
    static readonly OpCode?[] TwoBytes = new OpCode?[0x100];

    readonly PEReader _image;
    readonly MetadataReader _reader;
    readonly Types _types;
    readonly StringBuilder _out = new();
    readonly Dictionary<EntityHandle, string> _members = [];

    static Dump()
    {
        foreach (var field in typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static))
        {
            var code = (OpCode)field.GetValue(null);
            // The prefixes prefix1 to prefix7 stand for bytes that no instruction begins with.
            if (code.OpCodeType != OpCodeType.Nternal)
                (code.Size == 1 ? OneByte : TwoBytes)[code.Value & 0xff] = code;
        }
        // System.Reflection.Emit does not know `no.` (III.2.2), whose operand is one byte like unaligned.'s.
        TwoBytes[0x19] = OpCodes.Unaligned;
    }

    public static byte[] Of(PEReader image) => new Dump(image).Write();

    Dump(PEReader image)
    {
        _image = image;
        _reader = image.GetMetadataReader();
        _types = new Types(_reader);
    }

    byte[] Write()
    {
        Line($"entry {_image.PEHeaders.CorHeader.EntryPointTokenOrRelativeVirtualAddress:x8}",
            (_image.PEHeaders.CorHeader.Flags & CorFlags.NativeEntryPoint) == 0);
        foreach (var handle in _reader.AssemblyReferences)
            Line($"reference {_reader.GetString(_reader.GetAssemblyReference(handle).Name)}");
        foreach (var handle in _reader.MemberReferences)
            Line($"member {Member(handle)}{SignatureOf(_reader.GetMemberReference(handle))}");
        for (var row = 1; row <= _reader.GetTableRowCount(TableIndex.MethodSpec); ++row)
            WriteSpecification(MetadataTokens.MethodSpecificationHandle(row));
        foreach (var handle in _reader.FieldDefinitions)
            Line($"field {Member(handle)}");
        foreach (var handle in _reader.MethodDefinitions)
            WriteMethod(handle);
        return Encoding.UTF8.GetBytes(_out.ToString());
    }

    void Line(string text, bool wanted = true)
    {
        if (wanted)
            _out.Append(text).Append('\n');
    }

    void WriteSpecification(MethodSpecificationHandle handle)
    {
        var arguments = _reader.GetMethodSpecification(handle).DecodeSignature(_types, null);
        Line($"specification {Member(handle)}<{string.Join(",", arguments)}>");
    }

    static string Text(MethodSignature<string> signature) =>
        $" {(signature.Header.IsInstance ? "instance " : "")}{signature.ReturnType}({string.Join(",", signature.ParameterTypes)})";

    string SignatureOf(MemberReference member) =>
        member.GetKind() == MemberReferenceKind.Method ? Text(member.DecodeMethodSignature(_types, null)) : "";

    string Member(EntityHandle handle)
    {
        if (!_members.TryGetValue(handle, out var text))
            _members[handle] = text = MakeMember(handle);
        return text;
    }

    string MakeMember(EntityHandle handle)
    {
        switch (handle.Kind)
        {
            case HandleKind.MethodSpecification:
                return Member(_reader.GetMethodSpecification((MethodSpecificationHandle)handle).Method);
            case HandleKind.MemberReference:
                var reference = _reader.GetMemberReference((MemberReferenceHandle)handle);
                return $"{_types.Name(reference.Parent)}::{_reader.GetString(reference.Name)}";
            case HandleKind.FieldDefinition:
                var field = _reader.GetFieldDefinition((FieldDefinitionHandle)handle);
                return $"{_types.Name(field.GetDeclaringType())}::{_reader.GetString(field.Name)}";
            case HandleKind.MethodDefinition:
                var method = _reader.GetMethodDefinition((MethodDefinitionHandle)handle);
                return $"{_types.Name(method.GetDeclaringType())}::{_reader.GetString(method.Name)}";
            default:
                return "?";
        }
    }

    void WriteMethod(MethodDefinitionHandle handle)
    {
        var method = _reader.GetMethodDefinition(handle);
        Line($"method {Member(handle)}{Text(method.DecodeSignature(_types, null))}");
        var isIL = (method.ImplAttributes & MethodImplAttributes.CodeTypeMask) == MethodImplAttributes.IL;
        if (method.RelativeVirtualAddress == 0 || !isIL)
            return;
        var code = _image.GetMethodBody(method.RelativeVirtualAddress).GetILReader();
        while (code.RemainingBytes > 0)
            if (!WriteInstruction(ref code))
                break;
    }

    /// False where the bytes are no instruction.
    bool WriteInstruction(ref BlobReader code)
    {
        var first = code.ReadByte();
        var found = first == 0xfe ? TwoBytes[code.ReadByte()] : OneByte[first];
        if (found is not { } opcode)
        {
            Line("  no instruction");
            return false;
        }
        switch (opcode.OperandType)
        {
            case OperandType.InlineString:
                WriteLiteral(code.ReadInt32());
                break;
            case OperandType.InlineMethod:
                Line($"  {opcode.Value & 0xffff:x} {Member(MetadataTokens.EntityHandle(code.ReadInt32()))}");
                break;
            case OperandType.InlineSwitch:
                var count = code.ReadInt32();
                var end = code.Offset + 4 * count;
                for (var i = 0; i < count; ++i)
                    Line($"  case {end + code.ReadInt32()}");
                break;
            case OperandType.InlineBrTarget:
                var distance = code.ReadInt32();
                Line($"  to {code.Offset + distance}");
                break;
            case OperandType.ShortInlineBrTarget:
                var shortDistance = code.ReadSByte();
                Line($"  to {code.Offset + shortDistance}");
                break;
            case OperandType.InlineI:
                Line($"  constant {code.ReadInt32()}");
                break;
            case OperandType.ShortInlineI:
                Line($"  constant {(opcode == OpCodes.Ldc_I4_S ? code.ReadSByte() : code.ReadByte())}");
                break;
            case OperandType.InlineI8:
            case OperandType.InlineR:
                Line($"  constant {code.ReadInt64()}");
                break;
            case OperandType.InlineNone:
                break;
            default:
                code.Offset += SizeOf(opcode.OperandType);
                break;
        }
        return true;
    }

    static int SizeOf(OperandType operand) => operand switch
    {
        OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        _ => 4,
    };

    void WriteLiteral(int token)
    {
        var text = _reader.GetUserString((UserStringHandle)MetadataTokens.Handle(token));
        Line($"  \"{(text.Length > LongestText ? "too long" : text)}\"");
    }
}
