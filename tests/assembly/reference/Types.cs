using System.Collections.Immutable;
using System.Reflection.Metadata;

namespace Reference;

/// Full names of types, as metadata.h has them.
sealed class Types(MetadataReader reader) : ISignatureTypeProvider<string, object>
{
    public string Name(EntityHandle type) => type.Kind switch
    {
        HandleKind.TypeDefinition => GetTypeFromDefinition(reader, (TypeDefinitionHandle)type, 0),
        HandleKind.TypeReference => GetTypeFromReference(reader, (TypeReferenceHandle)type, 0),
        HandleKind.TypeSpecification => GetTypeFromSpecification(reader, null, (TypeSpecificationHandle)type, 0),
        _ => "",
    };

    public string GetTypeFromDefinition(MetadataReader _, TypeDefinitionHandle handle, byte kind)
    {
        var type = reader.GetTypeDefinition(handle);
        var outer = type.GetDeclaringType();
        return (outer.IsNil ? "" : Name(outer) + "+") + Qualified(type.Namespace, type.Name);
    }

    public string GetTypeFromReference(MetadataReader _, TypeReferenceHandle handle, byte kind)
    {
        var type = reader.GetTypeReference(handle);
        var isNested = type.ResolutionScope.Kind == HandleKind.TypeReference;
        return (isNested ? Name(type.ResolutionScope) + "+" : "") + Qualified(type.Namespace, type.Name);
    }

    public string GetTypeFromSpecification(MetadataReader _, object context, TypeSpecificationHandle handle, byte kind) =>
        reader.GetTypeSpecification(handle).DecodeSignature(this, context);

    public string GetPrimitiveType(PrimitiveTypeCode code) => "System." + code;
    public string GetSZArrayType(string element) => element + "[]";
    public string GetArrayType(string element, ArrayShape shape) => $"{element}[{new string(',', shape.Rank - 1)}]";
    public string GetPointerType(string element) => element + "*";
    public string GetByReferenceType(string element) => element + "&";
    public string GetPinnedType(string element) => element;
    public string GetModifiedType(string modifier, string type, bool isRequired) => type;
    public string GetGenericTypeParameter(object context, int index) => "!" + index;
    public string GetGenericMethodParameter(object context, int index) => "!!" + index;

    public string GetGenericInstantiation(string type, ImmutableArray<string> arguments) =>
        $"{type}<{string.Join(",", arguments)}>";

    public string GetFunctionPointerType(MethodSignature<string> signature) =>
        $"method {signature.ReturnType}*({string.Join(",", signature.ParameterTypes)})";

    string Qualified(StringHandle space, StringHandle name) =>
        (space.IsNil ? "" : reader.GetString(space) + ".") + reader.GetString(name);
}
