"""Tests of the command line with an app that is none: its `dotnet` is the probe, which says what it was given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import portshim_test
from portshim_test import SOURCE_DIR, NetworkNamespace, PortshimTest, Result, Stage, Text, as_uid

UNPRIVILEGED_UID = 1654  # user `app` of Microsoft's images
LOW_PORTS_DENIED = 1024  # net.ipv4.ip_unprivileged_port_start of Podman, CRI-O, ECS, containerd 1
LOW_PORTS_ALLOWED = 0  # of Docker, containerd 2

APP = ("dotnet", "App.dll")
PORT_80 = {"ASPNETCORE_URLS": "http://+:80"}
REWRITE = "--mode=rewrite"


class FakeAppTest(PortshimTest):
    """`app` is a folder with `dotnet`, App.dll and App.runtimeconfig.json, in PATH and the working directory of every
    COMMAND. Unless a test says otherwise, COMMAND is a user without capabilities on a host that denies low ports."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        portshim_test.require_root()
        cls.denying, cls.allowing = NetworkNamespace(LOW_PORTS_DENIED), NetworkNamespace(LOW_PORTS_ALLOWED)
        cls.unprivileged = as_uid(UNPRIVILEGED_UID) | Stage(namespace=cls.denying)
        cls.allowed = as_uid(UNPRIVILEGED_UID) | Stage(namespace=cls.allowing)

    def setUp(self) -> None:
        super().setUp()
        self.app = self.directory / "app"
        self.app.mkdir()
        shutil.copy(self.probe, self.app / "dotnet")
        self.add_assembly("App")

    def add_assembly(self, name: str, framework: str | None = "Microsoft.AspNetCore.App",
                     version: str = "10.0.0") -> Path:
        """NAME.dll and its runtimeconfig.json; without a framework the latter is left out."""
        # A real assembly, whose code says nothing of hosts or ports.
        assembly = self.write(f"app/{name}.dll", (SOURCE_DIR / "tests/data/assemblies/small.dll").read_bytes())
        if framework is not None:
            self.write(f"app/{name}.runtimeconfig.json",
                       json.dumps({"runtimeOptions": {"framework": {"name": framework, "version": version}}}))
        return assembly

    def entries(self, env: Mapping[str, Text] | Sequence[Text]) -> list[Text]:
        """The whole environment: PATH, then what the test names."""
        named = [f"{name}={value}" for name, value in env.items()] if isinstance(env, Mapping) else list(env)
        return [f"PATH={self.app}", *named]

    def run_shim(self, *words: Text, env: Mapping[str, Text] | Sequence[Text] = (), stage: Stage | None = None,
                 **how) -> Result:
        """`portshim WORDS`."""
        return self.portshim(*words, env=self.entries(env), stage=stage or self.unprivileged, cwd=self.app, **how)

    def with_options(self, *options: Text, env: Mapping[str, Text] | Sequence[Text] = (), stage: Stage | None = None,
                     arguments: Sequence[Text] = ()) -> Result:
        """`portshim OPTIONS dotnet App.dll ARGUMENTS`."""
        return self.run_shim(*options, *APP, *arguments, env=env, stage=stage)

    def assertStarted(self, result: Result, env: Mapping[str, Text] | Sequence[Text],
                      argv: Sequence[Text] = APP) -> None:
        """That COMMAND got exactly this."""
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.probe.argv, list(argv), result)
        self.assertEqual(result.probe.environment, self.entries(env), result)

    def assertRefused(self, result: Result, code: int, what: str, next: str | None = None) -> None:
        """That nothing was started, for one reason, which is an error."""
        self.assertEqual((result.code, result.stdout), (code, ""), result)
        self.assertEqual([(finding.severity, finding.what) for finding in result.findings], [("error", what)], result)
        if next is not None:
            self.assertEqual(result.findings[0].next, next)
