// Parses each YAML file that is named with the types of the Kubernetes API, strictly: a field that the API does not know is
// an error. One line for each file: its objects as a JSON array, or "invalid: WHY"; exit code 1 if one is invalid.
using k8s;

var failed = false;
foreach (var file in args)
{
    try
    {
        var objects = KubernetesYaml.LoadAllFromString(File.ReadAllText(file), strict: true);
        Console.WriteLine($"[{string.Join(',', objects.Select(o => KubernetesJson.Serialize(o)))}]");
    }
    catch (Exception exception)
    {
        failed = true;
        Console.WriteLine($"invalid: {exception.GetBaseException().Message.ReplaceLineEndings(" ")}");
    }
}
return failed ? 1 : 0;
