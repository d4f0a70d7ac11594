"""Real apps whose code says which host they build and which ports they bind: tests/assembly/apps, built once by
assembly/apps_test.py.

NAME.cs is an app; NAME.Library.cs, where there is one, a project that it refers to. Each begins with a comment in JSON,
which says what portshim is to read out of its assembly:

    builders         short names as in hosting::to_string, in the order of hosting::Builder
    passesArguments  does the builder get the command line's arguments? null: it has none, or it is not known
    calls            in any order, each with the fields of code::Call that matter; "known" is true unless given, and so
                     is "hasOptions" false
    serves           started as it is and allowed its ports, it answers GET / with 200 on port 80, or on whatever the
                     settings say where its code says nothing
    publish          it is published in that form, see _FORMS; others are built, in Release and in Debug
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import portshim_test

SOURCES = portshim_test.SOURCE_DIR / "tests/assembly/apps"
# The folder that everything is built in.
ARTIFACTS = Path(os.environ.get("PORTSHIM_APPS") or portshim_test.SOURCE_DIR / "build/release/apps")
CONFIGURATIONS = ("Release", "Debug")

_LIBRARY = ".Library"
# How an app may be published, as MSBuild properties.
_FORMS = {
    "single-file": {"PublishSingleFile": True, "SelfContained": False},
    "ready-to-run": {"PublishReadyToRun": True, "SelfContained": False},
    "trimmed": {"PublishTrimmed": True, "SelfContained": True},
}


@dataclasses.dataclass(frozen=True)
class Assembly:
    """One project: an app, or the library of an app."""

    source: Path
    builders: list[str]
    passes_arguments: bool | None
    calls: list[dict]
    serves: bool
    form: str | None

    @property
    def name(self) -> str:
        return self.source.stem

    @property
    def is_library(self) -> bool:
        return self.name.endswith(_LIBRARY)

    @property
    def second_project(self) -> Path | None:
        """The source of the project that it refers to."""
        path = self.source.with_name(f"{self.name}{_LIBRARY}.cs")
        return path if path.exists() else None

    @property
    def project(self) -> Path:
        return ARTIFACTS / "projects" / self.name / f"{self.name}.csproj"

    def folder(self, configuration: str = "Release") -> Path:
        """Where it is, with all that it needs to be started."""
        if self.form is None:
            return ARTIFACTS / "bin" / self.name / configuration.lower()
        return ARTIFACTS / "publish" / self.name / f"{configuration.lower()}_linux-x64"

    def path(self, configuration: str = "Release") -> Path:
        """NAME.dll; of a single file that file."""
        return self.folder(configuration) / (self.name if self.form == "single-file" else f"{self.name}.dll")

    def configurations(self) -> tuple[str, ...]:
        return CONFIGURATIONS if self.form is None else CONFIGURATIONS[:1]

    @staticmethod
    def read(source: Path) -> Assembly:
        comment = re.match(r"/\*(.*?)\*/", source.read_text(), re.DOTALL)
        if comment is None:
            raise ValueError(f"{source} does not begin with a comment")
        fields = json.loads(comment[1])
        return Assembly(source, fields.pop("builders"), fields.pop("passesArguments"), fields.pop("calls"),
                        fields.pop("serves", False), fields.pop("publish", None), **fields)


def assemblies() -> list[Assembly]:
    return [Assembly.read(source) for source in sorted(SOURCES.glob("*.cs"))]


# ---------------------------------------------------------------------------------------------------------------------
# Building

_BUILD_PROPERTIES = """<Project>
  <PropertyGroup>
    <Nullable>enable</Nullable>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <EnableDefaultItems>false</EnableDefaultItems>
    <StaticWebAssetsEnabled>false</StaticWebAssetsEnabled>
    <DebugType>none</DebugType>
    <RunAnalyzers>false</RunAnalyzers>
    <!-- The legacy builders are among what apps use. -->
    <NoWarn>$(NoWarn);CS0618;ASPDEPR004;ASPDEPR008</NoWarn>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
</Project>
"""


def _project(assembly: Assembly) -> str:
    form = _FORMS[assembly.form] if assembly.form else {"UseAppHost": False}
    # Whichever SDK is installed builds them for its own version.
    properties: dict[str, object] = {"TargetFramework": "net$(BundledNETCoreAppTargetFrameworkVersion)"} | form
    if assembly.form:
        properties["RuntimeIdentifier"] = "linux-x64"
    if assembly.is_library:
        properties["OutputType"] = "Library"
    lines = "".join(f"<{name}>{str(value).lower() if isinstance(value, bool) else value}</{name}>"
                    for name, value in properties.items())
    reference = ""
    if assembly.second_project is not None:
        library = Assembly.read(assembly.second_project)
        reference = f'<ProjectReference Include="{library.project}" />'
    return (f'<Project Sdk="Microsoft.NET.Sdk.Web">\n  <PropertyGroup>{lines}</PropertyGroup>\n'
            f'  <ItemGroup><Compile Include="{assembly.source}" />{reference}</ItemGroup>\n</Project>\n')


def _traversal(all_of_them: Iterable[Assembly]) -> str:
    """Builds or publishes every project."""
    items = "".join(f'    <{"Built" if one.form is None else "Published"} Include="{one.project}" />\n'
                    for one in all_of_them)
    builds = "".join(f'    <MSBuild Projects="@(Built)" Properties="Configuration={configuration}"'
                     ' BuildInParallel="true" />\n' for configuration in CONFIGURATIONS)
    return (f'<Project>\n  <ItemGroup>\n{items}  </ItemGroup>\n  <Target Name="Build">\n{builds}'
            '    <MSBuild Projects="@(Published)" Properties="Configuration=Release" Targets="Publish"'
            ' BuildInParallel="true" />\n  </Target>\n</Project>\n')


def _write(path: Path, text: str) -> None:
    """Leaves a file alone that says the same, so that nothing is built again for it."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def build() -> None:
    """Builds all of them. HOME is a folder of its own, so that nothing of the user's is read or written."""
    dotnet = portshim_test.require_dotnet(sdk=True)
    home = ARTIFACTS / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"HOME": str(home), "DOTNET_CLI_HOME": str(home), "DOTNET_NOLOGO": "1",
                                "DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false"}
    projects = assemblies()
    _write(ARTIFACTS / "projects/Directory.Build.props", _BUILD_PROPERTIES)
    for one in projects:
        _write(one.project, _project(one))
    solution, traversal = ARTIFACTS / "projects/apps.slnx", ARTIFACTS / "projects/apps.proj"
    _write(solution, "<Solution>\n" + "".join(f'  <Project Path="{one.project}" />\n' for one in projects)
           + "</Solution>\n")
    _write(traversal, _traversal(projects))
    # One compiler server of our own for all of them, which takes a tenth of the time; no other build servers, which
    # would outlive the test.
    server = f"portshim-apps-{os.getpid()}"
    try:
        for command in (["restore", solution], ["build", traversal, "--no-restore"]):
            subprocess.run([dotnet, *command, "--nologo", "--verbosity", "minimal", "-m:2", "-nodeReuse:false",
                            "--artifacts-path", ARTIFACTS, "-p:UseRazorBuildServer=false", "-p:UseSharedCompilation=true",
                            f"-p:SharedCompilationId={server}"], env=environment, check=True)
    finally:
        subprocess.run([dotnet, _compiler_server(dotnet, environment), "-shutdown", f"-pipename:{server}"],
                       env=environment, check=False)


def _compiler_server(dotnet: Path, environment: dict[str, str]) -> Path:
    """The compiler server of the SDK that `dotnet` chooses here."""
    version = subprocess.run([dotnet, "--version"], env=environment, check=True, capture_output=True, text=True).stdout
    listing = subprocess.run([dotnet, "--list-sdks"], env=environment, check=True, capture_output=True, text=True).stdout
    folder = re.search(rf"^{re.escape(version.strip())} \[(.*)\]$", listing, re.MULTILINE)
    assert folder is not None, listing
    return Path(folder[1]) / version.strip() / "Roslyn/bincore/VBCSCompiler.dll"
