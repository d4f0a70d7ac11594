/* {"builders": ["wab"], "passesArguments": true, "serves": true, "calls": [
    {"kind": "certificate", "api": "set_ServerCertificate"}]} */
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureHttpsDefaults(https =>
{
    using var key = RSA.Create();
    var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
    https.ServerCertificate = request.CreateSelfSigned(DateTimeOffset.Now, DateTimeOffset.Now.AddDays(1));
}));
var app = builder.Build();
app.MapGet("/", () => "Hello\n");
app.Run();
