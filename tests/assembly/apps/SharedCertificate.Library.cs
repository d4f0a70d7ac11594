/* {"builders": [], "passesArguments": null, "calls": [
    {"kind": "certificate", "api": "set_ServerCertificate"}]} */
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Shop.Shared;

public static class BuilderExtensions
{
    public static void AddShopCertificate(this WebApplicationBuilder builder)
    {
        using var key = RSA.Create();
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var certificate = request.CreateSelfSigned(DateTimeOffset.Now, DateTimeOffset.Now.AddDays(1));
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.ConfigureHttpsDefaults(https => https.ServerCertificate = certificate));
    }
}
