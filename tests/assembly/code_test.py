"""Real apps whose code asks for port 80: what --code=rewrite does for them, and the settings that findings name. Each
without portshim dies."""

import functools
import json
import shutil

import assembly_apps
import portshim_test
from kestrel import UNPRIVILEGED_UID, KestrelTest
from portshim_test import NetworkNamespace, Stage, as_uid

# One of each shape and builder that a setting moves.
MOVED = ("UseUrls", "UseUrlsJoined", "RunUrl", "RunAsyncUrl", "UrlsAdd", "UseSetting", "ListenAnyIP", "ListenAddress",
         "ListenEndPoint", "UseKestrel", "ConfigureOptions", "CapturedPort", "ClassicMain",
         "LocalFunction", "SharedListen", "SharedBuilder", "Slim", "GenericHost", "GenericHostMain",
         "GenericHostStartup", "LegacyHost", "LegacyHostTyped", "SingleFile", "ReadyToRun")
# The code sets what no setting reaches, or what a setting would lose.
NOT_MOVED = ("ListenOverUrls", "StaticReadonlyPort", "TopLevelAwait", "ListenProtocols", "ConditionalPort",
             "ParsedPort", "TcpListenerBeside", "Empty")

REWRITE_CODE = {"PORTSHIM": "rewrite", "PORTSHIM_CODE": "rewrite"}


@functools.cache
def apps() -> dict[str, assembly_apps.Assembly]:
    return {assembly.name: assembly for assembly in assembly_apps.assemblies()}


class CodeTest(KestrelTest):
    def setUp(self):
        super().setUp()
        self.namespace = NetworkNamespace(1024)
        self.stage = as_uid(UNPRIVILEGED_UID) | Stage(namespace=self.namespace)

    def command(self, name: str) -> tuple:
        """How the app is started."""
        assembly = apps()[name]
        folder = portshim_test.scratch() / name
        if not folder.exists():
            shutil.copytree(assembly.folder(), folder)
        path = folder / assembly.path().name
        return (path,) if assembly.form == "single-file" else ("dotnet", path)


class RewriteOfCode(CodeTest):
    def start_behind_portshim(self, name: str, *arguments: str, **variables: str):
        # What reads no file that changes needs no watcher, of which there are few for one user.
        environment = self.environment(DOTNET_hostBuilder__reloadConfigOnChange="false",
                                       DOTNET_ROOT=str(self.dotnet.resolve().parent), **variables)
        return self.start(self.binary, *self.command(name), *arguments, env=environment, stage=self.stage,
                          cwd=self.directory)

    def assert_serves(self, app, port: int) -> None:
        self.await_output(app, "Application started.")
        self.assertTrue(self.namespace.connects(port), f"nothing listens on {port}\n{app.so_far()}")
        status, _ = self.namespace.get(port, "/")
        self.assertEqual(status, 200)
        self.assertFalse(self.namespace.connects(80))
        app.kill()

    def test_what_a_setting_moves_serves_on_8080(self):
        for name in MOVED:
            with self.subTest(name):
                app = self.start_behind_portshim(name, **REWRITE_CODE)
                self.assert_serves(app, 8080)
                finding = self.assertFinding(app.so_far(), "PS111", "warning")
                self.assertIn("8080", finding.did)

    def test_without_it_they_die(self):
        for name in ("UseUrls", "RunUrl", "ListenAnyIP", "GenericHost", "LegacyHost"):
            with self.subTest(name):
                result = self.start_behind_portshim(name, PORTSHIM="rewrite").wait()
                self.assertNotEqual(result.code, 0)
                self.assertIn("Permission denied", result.stdout + result.stderr)

    def test_what_is_not_safe_is_left_alone(self):
        for name in NOT_MOVED:
            with self.subTest(name):
                app = self.start_behind_portshim(name, **REWRITE_CODE, PORTSHIM_LOG_LEVEL="info")
                result = app.wait()
                self.assertIn("Permission denied", result.stdout + result.stderr)
                self.assertNotIn("8080\n  next", result.stderr)


class Check(CodeTest):
    def check(self, name: str, *options: str, arguments: tuple[str, ...] = (), **variables: str) -> dict:
        result = self.run_to_end(name, options, arguments, variables)
        return json.loads(result.stdout)

    def run_to_end(self, name, options, arguments, variables):
        return self.start(self.binary, "--check=json", *options, *self.command(name), *arguments,
                          env=self.environment(DOTNET_ROOT=str(self.dotnet.resolve().parent), **variables),
                          stage=self.stage, cwd=self.directory).wait()

    def test_endpoints_of_code_are_listed_as_likely_and_are_no_reason_to_refuse(self):
        report = self.check("ListenAnyIP", "--mode=validate")
        self.assertEqual(report["verdict"], "start")
        [prediction] = report["predictions"]
        self.assertEqual((prediction["builder"], prediction["major"]), ("wab", 10))
        self.assertEqual([one["origin"] for one in prediction["endpoints"]], ["default"])
        [likely] = prediction["likely"]
        self.assertEqual((likely["bind"], likely["port"], likely["origin"]), ("any", 80, "code: Program.<Main>$"))

    def test_sockets_beside_kestrel_are_listed_as_likely(self):
        for name, listed in (("TcpListenerBeside", ("tcp", "0.0.0.0", 81)), ("UdpClientBeside", ("udp", "0.0.0.0", 53)),
                             ("SocketBeside", ("socket", "0.0.0.0", 82))):
            with self.subTest(name):
                [prediction] = self.check(name)["predictions"]
                [likely] = prediction["likely"]
                self.assertEqual((likely["scheme"], likely["address"], likely["port"]), listed)
                self.assertEqual([one["port"] for one in prediction["endpoints"]], [5000])

    def test_only_the_builder_that_the_code_uses_is_predicted(self):
        for name, builder in (("Slim", "slim"), ("GenericHost", "gh"), ("LegacyHost", "wh"), ("Empty", "empty"),
                              ("SharedBuilder", "wab"), ("SingleFile", "wab"), ("ReadyToRun", "wab")):
            with self.subTest(name):
                self.assertEqual([one["builder"] for one in self.check(name)["predictions"]], [builder])

    def test_with_code_off_nothing_is_read(self):
        report = self.check("ListenAnyIP", "--code=off")
        self.assertEqual([one["builder"] for one in report["predictions"]], ["wab", "slim", "gh", "wh"])
        self.assertEqual([one["likely"] for one in report["predictions"]], [[]] * 4)

    def test_arguments_that_the_builder_does_not_get_set_no_address(self):
        arguments = ("--urls", "http://+:81")
        for name, port in (("NoArguments", 5000), ("Plain", 81)):
            with self.subTest(name):
                [prediction] = self.check(name, arguments=arguments)["predictions"]
                self.assertEqual([one["port"] for one in prediction["endpoints"]], [port])

    def test_after_the_lever_the_code_is_likely_to_bind_nothing_low(self):
        report = self.check("UseUrls", "--mode=rewrite", "--code=rewrite")
        self.assertEqual([(one["name"], one["new"]) for one in report["edits"]],
                         [("Kestrel__Endpoints__Http__Url", "http://*:8080")])
        [after] = report["after"]
        self.assertEqual([one["port"] for one in after["endpoints"]], [8080])
        self.assertEqual(after["likely"], [])

    def test_a_configured_low_port_that_code_overrides_is_not_refused(self):
        self.assertEqual(self.check("UseUrls", "--mode=validate", ASPNETCORE_URLS="http://+:81")["verdict"], "start")
        self.assertEqual(self.check("Plain", "--mode=validate", ASPNETCORE_URLS="http://+:81")["verdict"], "refuse")


if __name__ == "__main__":
    portshim_test.main()
