"""Starts of real apps with which nothing is wrong: what images and platforms set, who runs them, and what people
configure. Portshim has no warning for any of them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import assembly_apps
import portshim_test
from kestrel import UNPRIVILEGED_UID
from portshim_test import NET_BIND_SERVICE, Stage, as_root, as_uid
from stages import in_mount_namespace, mount_read_only_root, mount_tmpfs


@dataclasses.dataclass(frozen=True)
class Start:
    """`{}` in a value is the app's folder, which is the working directory unless `directory` says otherwise."""

    name: str
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    command: tuple[str, ...] = ("dotnet", "aspnetapp.dll")
    directory: str = "{}"
    stage: Stage = Stage()
    prepare: Callable[[Path], object] = lambda folder: None
    code: str | None = None  # the app of tests/assembly/apps; else aspnetapp
    says_so: bool = True  # it logs that it has started

    def __or__(self, other: Start) -> Start:
        """Both: what the right one says wins."""
        return dataclasses.replace(self, name=f"{self.name}, {other.name}",
                                   variables={**self.variables, **other.variables}, stage=self.stage | other.stage)


# ---------------------------------------------------------------------------------------------------------------------
# What images and platforms set

_MICROSOFT = {"APP_UID": "1654", "ASPNETCORE_HTTP_PORTS": "8080", "DOTNET_RUNNING_IN_CONTAINER": "true"}
IMAGES = tuple(Start(name, variables=variables) for name, variables in {
    "aspnet": {**_MICROSOFT, "DOTNET_VERSION": "10.0.0", "ASPNET_VERSION": "10.0.0"},
    "alpine": {**_MICROSOFT, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "true"},
    "sdk": {**_MICROSOFT, "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false", "DOTNET_NOLOGO": "true",
            "DOTNET_USE_POLLING_FILE_WATCHER": "true", "NUGET_XMLDOC_MODE": "skip"},
    "ubi": {"ASPNETCORE_URLS": "http://*:8080", "DOTNET_RUNNING_IN_CONTAINER": "true",
            "DOTNET_APP_PATH": "/opt/app-root/app", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "false"},
    "nothing set": {},
    "Kubernetes": {**_MICROSOFT, "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443",
                   "PORTSHIM_PORT": "tcp://10.96.12.1:80", "PORTSHIM_SERVICE_HOST": "10.96.12.1",
                   "KUBERNETES_PORT": "tcp://10.96.0.1:443", "HOSTNAME": "app-7d4b9c-x2x8v"},
    "App Service": {**_MICROSOFT, "PORT": "8080", "WEBSITE_HOSTNAME": "app.example.net", "WEBSITES_PORT": "8080",
                    "WEBSITE_SITE_NAME": "app", "DOTNET_GCHeapHardLimitPercent": "50"},
    "Cloud Run": {"PORT": "8080", "K_SERVICE": "app", "ASPNETCORE_URLS": "http://0.0.0.0:8080",
                  "DOTNET_gcServer": "0", "DOTNET_TieredPGO": "0"},
    "agents": {**_MICROSOFT, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "CORECLR_ENABLE_PROFILING": "0",
               "OTEL_SERVICE_NAME": "app", "DOTNET_DiagnosticPorts": "", "DOTNET_DbgEnableMiniDump": "0"},
    "Dapr": {**_MICROSOFT, "DAPR_HTTP_PORT": "3500", "DAPR_GRPC_PORT": "50001"},
    "Compose": {**_MICROSOFT, "ASPNETCORE_ENVIRONMENT": "Development", "DOTNET_USE_POLLING_FILE_WATCHER": "1",
                "ConnectionStrings__Default": "Host=db;Port=80;Username=app;Password=secret", "TZ": "Europe/Berlin",
                "LANG": "C.UTF-8", "DOTNET_EnableDiagnostics": "0"},
}.items())


# ---------------------------------------------------------------------------------------------------------------------
# Who runs them, and with which limits

def _limited(which: int, soft: int, hard: int | None = None) -> Stage:
    return Stage(limits=((which, (soft, soft if hard is None else hard)),))


_USER = as_uid(UNPRIVILEGED_UID)
USERS = (
    Start("app", stage=_USER, variables={"HOME": "/home/app"}),
    Start("root", stage=as_root(), variables={"HOME": "/root"}),
    Start("root without capabilities", stage=as_root(bounding=0), variables={"HOME": "/root"}),
    Start("random uid of group 0", stage=as_uid(1000680000, gid=0), variables={"HOME": "/"}),
    Start("nonroot without HOME", stage=as_uid(65532), variables={"HOME": None}),
    Start("with groups", stage=as_uid(10001, gid=10001, groups=(0, 2000)), variables={"HOME": "/nonexistent"}),
    Start("no new privileges", stage=_USER | Stage(no_new_privileges=True), variables={"HOME": "/tmp"}),
    Start("may bind low ports", stage=as_uid(UNPRIVILEGED_UID, ambient=NET_BIND_SERVICE)),
    Start("capability that no user gets", stage=as_uid(UNPRIVILEGED_UID, bounding=NET_BIND_SERVICE)),
    Start("umask 077", stage=_USER | Stage(umask=0o077)),
    Start("1024 open files", stage=_USER | _limited(resource.RLIMIT_NOFILE, 1024)),
    Start("a low soft limit", stage=_USER | _limited(resource.RLIMIT_NOFILE, 64, 4096)),
    Start("many open files", stage=_USER | _limited(resource.RLIMIT_NOFILE, 20000)),
    Start("4096 processes", stage=as_uid(61655) | _limited(resource.RLIMIT_NPROC, 4096)),
    Start("no core files", stage=_USER | _limited(resource.RLIMIT_CORE, 0)),
    Start("root with 4 processes", stage=as_root() | _limited(resource.RLIMIT_NPROC, 4)),
    Start("files up to 1 GiB", stage=_USER | _limited(resource.RLIMIT_FSIZE, 1 << 30)),
    Start("8 GiB of address space", stage=_USER | _limited(resource.RLIMIT_AS, 8 << 30)),
    Start("1 GiB of data", stage=_USER | _limited(resource.RLIMIT_DATA, 1 << 30)),
    Start("1 MiB of stack", stage=_USER | _limited(resource.RLIMIT_STACK, 1 << 20)),
    Start("nothing locked", stage=_USER | _limited(resource.RLIMIT_MEMLOCK, 0)),
    Start("SIGHUP ignored", stage=_USER | Stage(ignored=(signal.SIGHUP, signal.SIGPIPE))),
)


# ---------------------------------------------------------------------------------------------------------------------
# What people configure

_COMMENTS = """// What the template writes, with comments and a comma too many.
{
  "Logging": { "LogLevel": { "Default": "Information", /* less noise */ "Microsoft.AspNetCore": "Warning",
                             "Microsoft.Hosting.Lifetime": "Information" } },
  "AllowedHosts": "*",
}
"""
_LOGGING = {"Logging": {"LogLevel": {"Default": "Warning", "Microsoft.Hosting.Lifetime": "Information"}}}
_CERTIFICATES = "Kestrel__Certificates__Default__"
_PEM = {_CERTIFICATES + "Path": "localhost.pem", _CERTIFICATES + "KeyPath": "localhost.key"}


def _urls(text: str) -> dict[str, str]:
    return {"ASPNETCORE_URLS": text}


def _endpoints(**urls: str) -> str:
    return json.dumps({"Kestrel": {"Endpoints": {name: {"Url": url} for name, url in urls.items()}}})


def _make_writable(name: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        (folder / name).mkdir()
        (folder / name).chmod(0o777)

    return make


def _make_certificates(folder: Path) -> None:
    """localhost.pem with its key, the same key with a password, and both as localhost.pfx with a password; beside them
    a folder that everybody may write to."""
    _make_writable("run")(folder)
    kept = portshim_test.scratch() / "certificates"
    if not kept.exists():
        openssl = portshim_test.require_program("openssl")
        kept.mkdir()
        for command in ("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout localhost.key "
                        "-out localhost.pem", "rsa -in localhost.key -aes256 -passout pass:secret -out secret.key",
                        "pkcs12 -export -in localhost.pem -inkey localhost.key -passout pass:secret "
                        "-out localhost.pfx"):
            subprocess.run([openssl, *command.split()], cwd=kept, check=True, capture_output=True)
    for path in kept.iterdir():
        copy = folder / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o644)


def _fill_store(folder: Path) -> None:
    """The certificate is in the user's store, as a file without a password."""
    _make_certificates(folder)
    store = folder / "home/.dotnet/corefx/cryptography/x509stores/my"
    store.mkdir(parents=True)
    subprocess.run([portshim_test.require_program("openssl"), *"pkcs12 -export -in localhost.pem -inkey localhost.key "
                    "-passout pass: -out".split(), store / "localhost.pfx"], cwd=folder, check=True, capture_output=True)
    (store / "localhost.pfx").chmod(0o644)


def _replace_by_links(folder: Path) -> None:
    """As Kubernetes mounts a ConfigMap: what is seen is a link to a link."""
    (folder / "..data").mkdir()
    (folder / "..data/appsettings.json").write_text(_COMMENTS)
    (folder / "appsettings.json").symlink_to("..data/appsettings.json")


def _settings() -> Iterator[Start]:
    for name, variables in {
            "as it is": {}, "port 0": _urls("http://127.0.0.1:0"), "any": _urls("http://+:8081"),
            "star": _urls("http://*:8081"), "IPv4": _urls("http://0.0.0.0:8081"), "IPv6": _urls("http://[::]:8081"),
            "IPv6 loopback": _urls("http://[::1]:8081"), "localhost": _urls("http://localhost:8081"),
            "a name": _urls("http://app.example.net:8081"), "a slash": _urls("http://+:8081/"),
            "upper case": _urls("HTTP://LOCALHOST:8081"),
            "several": _urls("http://+:8081;http://127.0.0.1:8082;http://[::1]:8082"),
            "an empty item": _urls("http://+:8081;"), "unix socket": _urls("http://unix:{}/run/k.sock"),
            "unix socket and port": _urls("http://unix:{}/run/k.sock;http://+:8081"),
            "abstract name": _urls("http://unix:{}/run/" + 40 * "k"),
            "ports": {"ASPNETCORE_HTTP_PORTS": "8081;8082"}, "DOTNET_URLS": {"DOTNET_URLS": "http://+:8081"},
            "URLS": {"URLS": "http://+:8081"}, "unprefixed ports": {"HTTP_PORTS": "8081"},
            "empty URLS": {"ASPNETCORE_URLS": "", "ASPNETCORE_HTTP_PORTS": "8081"},
            "an endpoint": {"Kestrel__Endpoints__Http__Url": "http://+:8081"},
            "HTTP/2 alone": {"Kestrel__Endpoints__Grpc__Url": "http://+:8081",
                             "Kestrel__Endpoints__Grpc__Protocols": "Http2"},
            "Staging": {"ASPNETCORE_ENVIRONMENT": "Staging"}, "Development": {"DOTNET_ENVIRONMENT": "Development"},
            "both environments": {"DOTNET_ENVIRONMENT": "Production", "ASPNETCORE_ENVIRONMENT": "Staging"},
            "invariant": {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
            "with cultures": {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "false", "LANG": "de_DE.UTF-8"},
            "JSON log": {"Logging__Console__FormatterName": "json"},
            "a console with all settings": {
                "Logging__Console__LogToStandardErrorThreshold": "Error", "Logging__Console__MaxQueueLength": "100",
                "Logging__Console__QueueFullMode": "DropWrite", "Logging__CaptureScopes": "false",
                "Logging__Console__FormatterOptions__SingleLine": "true",
                "Logging__Console__FormatterOptions__ColorBehavior": "Disabled",
                "Logging__Console__FormatterOptions__JsonWriterOptions__Indented": " False "},
            "a heap of 256 MiB": {"DOTNET_GCHeapHardLimit": "0x10000000"},
            "hosting startup": {"ASPNETCORE_HOSTINGSTARTUPASSEMBLIES": "aspnetapp; Microsoft.AspNetCore"},
            "forwarded headers": {"ASPNETCORE_FORWARDEDHEADERS_ENABLED": "true"},
            "no reload": {"DOTNET_hostBuilder__reloadConfigOnChange": "false"},
            "ephemeral diagnostics": {"DOTNET_EnableDiagnostics": "0", "TMPDIR": "/nonexistent"},
            "TMPDIR": {"TMPDIR": "/tmp"}, "no W^X": {"DOTNET_EnableWriteXorExecute": "0"},
            "server GC": {"DOTNET_gcServer": "1", "DOTNET_GCHeapCount": "2"},
            "roll forward": {"DOTNET_ROLL_FORWARD": "LatestMajor"},
            "startup assembly": {"ASPNETCORE_PREVENTHOSTINGSTARTUP": "true"},
            "https port without https": {"ASPNETCORE_HTTPS_PORT": "443"},
            "log levels": {"Logging__LogLevel__Default": " information ", "Logging__LogLevel__System": "2",
                           "Logging__Console__LogLevel__Default": "Trace,information"},
            "reload": {"DOTNET_hostBuilder__reloadConfigOnChange": " True "},
            "additional deps.json that is missing": {"DOTNET_ADDITIONAL_DEPS": "/nope.deps.json:/etc/passwd"},
            "lower case": {"aspnetcore_urls": "http://+:8081", "ASPNETCORE_URLS": None},
            "Services with such names": {"HTTP_PORT": "tcp://10.96.0.7:80", "KESTREL_PORT": "tcp://10.96.0.8:80",
                                         "URLS_SERVICE_HOST": "10.96.0.9", "DOTNET_PORT": "tcp://10.96.0.10:80"},
    }.items():
        yield Start(name, variables=variables, prepare=_make_writable("run"))
    for name, files in {
            "comments": {"appsettings.json": _COMMENTS}, "byte order mark": {"appsettings.json": "\ufeff" + _COMMENTS},
            "logging": {"appsettings.json": json.dumps(_LOGGING)}, "empty object": {"appsettings.json": "{}"},
            "two files": {"appsettings.json": json.dumps(_LOGGING), "appsettings.Production.json": _COMMENTS},
            "urls of a file": {"appsettings.json": json.dumps({"Urls": "http://+:8081"})},
            "endpoints of a file": {"appsettings.json": _endpoints(Http="http://*:8081", Admin="http://127.0.0.1:9090")},
            "of the app's name": {"aspnetapp.settings.json": json.dumps(_LOGGING)},
            "connection string": {"appsettings.json": json.dumps(
                {"ConnectionStrings": {"Default": "Server=tcp:db,1433;User Id=app;Password=secret"}})},
    }.items():
        yield Start(name, files=files)
    yield Start("ConfigMap", prepare=_replace_by_links)
    yield Start("an unused broken file", files={"appsettings.Other.json": "{ bad"})
    for name, variables in {
            "https": {**_PEM, **_urls("https://+:8443")},
            "https and http": {**_PEM, "ASPNETCORE_HTTPS_PORTS": "8443"},
            "key with a password": {**_PEM, **_urls("https://+:8443"), _CERTIFICATES + "KeyPath": "secret.key",
                                    _CERTIFICATES + "Password": "secret"},
            "pfx": {_CERTIFICATES + "Path": "{}/localhost.pfx", _CERTIFICATES + "Password": "secret",
                    **_urls("https://+:8443;http://+:8081")},
            "pfx by prefix": {"ASPNETCORE_" + _CERTIFICATES + "Path": "localhost.pfx",
                              "ASPNETCORE_" + _CERTIFICATES + "Password": "secret", **_urls("https://localhost:8443")},
            "https endpoint": {"Kestrel__Endpoints__Https__Url": "https://+:8443",
                               "Kestrel__Endpoints__Https__Certificate__Path": "localhost.pem",
                               "Kestrel__Endpoints__Https__Certificate__KeyPath": "localhost.key",
                               "Kestrel__Endpoints__Https__SslProtocols__0": "Tls12"},
            "a certificate that nobody needs": {**_PEM, **_urls("http://+:8081")},
            "https on a unix socket": {**_PEM, **_urls("https://unix:{}/run/k.sock")},
    }.items():
        # With a certificate .NET needs a home directory, which none of these users has in /etc/passwd.
        yield Start(name, variables={"HOME": "/", **variables}, prepare=_make_certificates)
    yield Start("certificate of the user's store", prepare=_fill_store, variables={
        "HOME": "{}/home", _CERTIFICATES + "Subject": "localhost", _CERTIFICATES + "AllowInvalid": "true",
        **_urls("https://+:8443")})
    for arguments in (("--urls", "http://+:8081"), ("--urls=http://127.0.0.1:8081",), ("--http_ports", "8081"),
                      ("--environment", "Staging"), ("--contentRoot", "{}"), ("--webroot", "{}"), ("a", "b"),
                      ("/urls", "http://+:8081"), ("--Kestrel:Endpoints:A:Url=http://+:8081",), ("--verbose",)):
        yield Start(" ".join(arguments), arguments)


def _cover_shared_memory() -> None:
    mount_tmpfs("/dev/shm", noexec=True, size="64k")


def _places() -> Iterator[Start]:
    """Where and how it is started."""
    yield Start("dotnet exec", command=("dotnet", "exec", "aspnetapp.dll"))
    yield Start("host options", command=("dotnet", "--roll-forward", "Major", "aspnetapp.dll"))
    yield Start("runtimeconfig named", command=("dotnet", "exec", "--runtimeconfig", "aspnetapp.runtimeconfig.json",
                                                "--depsfile", "aspnetapp.deps.json", "aspnetapp.dll"))
    yield Start("absolute path", command=("dotnet", "{}/aspnetapp.dll"), directory="/")
    yield Start("elsewhere", command=("dotnet", "{}/aspnetapp.dll"), directory="/tmp")
    yield Start("dotted path", command=("dotnet", "./aspnetapp.dll"))
    yield Start("apphost", command=("./aspnetapp",))
    yield Start("apphost by its path", command=("{}/aspnetapp",), directory="/")
    yield Start("apphost by a link", command=("./link",), prepare=lambda folder: (folder / "link").symlink_to("aspnetapp"))
    yield Start("apphost with another name", command=("./server",),
                prepare=lambda folder: (folder / "aspnetapp").rename(folder / "server"))
    yield Start("dll by a link", command=("dotnet", "link.dll"),
                prepare=lambda folder: (folder / "link.dll").symlink_to("aspnetapp.dll"))
    yield Start("no deps.json", prepare=lambda folder: (folder / "aspnetapp.deps.json").unlink())
    yield Start("no web root", prepare=lambda folder: None, variables={"ASPNETCORE_WEBROOT": "{}"})
    yield Start("web root that can be made", variables={"ASPNETCORE_WEBROOT": "{}/run/www"}, prepare=_make_writable("run"))
    yield Start("read-only root", stage=in_mount_namespace(mount_read_only_root))
    yield Start("noexec tmp", stage=in_mount_namespace(_cover_shared_memory))


def _code() -> Iterator[Start]:
    """Apps whose code sets ports, which are low ones, as those who may bind them."""
    allowed = itertools.cycle((as_root(), as_uid(UNPRIVILEGED_UID, ambient=NET_BIND_SERVICE)))
    for assembly in assembly_apps.assemblies():
        if not assembly.serves or assembly.is_library:
            continue
        path = assembly.path()
        yield Start(f"code of {assembly.name}", code=assembly.name, stage=next(allowed),
                    command=(f"./{path.name}",) if assembly.form == "single-file" else ("dotnet", path.name),
                    says_so="empty" not in assembly.builders)


def _make_package_of_library(folder: Path) -> None:
    """A package's assembly lies beside the app as that of a project does; only the kind that deps.json names differs."""
    path = folder / "SharedCertificate.deps.json"
    deps = json.loads(path.read_text())
    [library] = [name for name in deps["libraries"] if name.startswith("SharedCertificate.Library/")]
    deps["libraries"][library]["type"] = "package"
    path.write_text(json.dumps(deps))


def _certificates_of_code() -> Iterator[Start]:
    """No certificate is configured."""
    https = Start("https", variables={**_urls("https://+:8443"), "HOME": "/"}, stage=_USER)
    for name in "HttpsDefaults", "SharedCertificate":
        yield dataclasses.replace(https, name=f"certificate of {name}", code=name, command=("dotnet", f"{name}.dll"))
    yield dataclasses.replace(https, name="certificate of a package", code="SharedCertificate",
                              command=("dotnet", "SharedCertificate.dll"), prepare=_make_package_of_library)


def starts() -> Iterator[Start]:
    """Images and users take turns, so that each meets many settings."""
    images, users = itertools.cycle(IMAGES), itertools.cycle(USERS)
    for one in (*_settings(), *_places(), *_settings()):
        yield _combined(next(images) | next(users), one)
    for one in (*_code(), *_certificates_of_code()):
        yield _combined(next(images), one)


def _combined(who: Start, one: Start) -> Start:
    # A stage with steps of its own comes first.
    return dataclasses.replace(one, name=f"{one.name} ({who.name})", variables={**who.variables, **one.variables},
                               stage=one.stage | who.stage)
