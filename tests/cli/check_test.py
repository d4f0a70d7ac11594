"""--check: the whole prediction on stdout, as text and as JSON, and nothing is started."""

import json
import os
import pty
import shutil
import socket
import subprocess

import portshim_test
from fake_app import APP, LOW_PORTS_ALLOWED, LOW_PORTS_DENIED, PORT_80, REWRITE, UNPRIVILEGED_UID, FakeAppTest
from portshim_test import NET_BIND_SERVICE, NetworkNamespace, Result, Stage, as_root, as_uid, started_by_another

MODES = ("off", "explain", "validate", "rewrite")
BUILDERS = ("wab", "slim", "gh", "wh")

# The shape of the object: a type, a set of allowed values, a list of one shape, or members by name. NULLABLE adds null.
ENDPOINT = {"scheme": {"http", "https"}, "bind": {"any", "localhost", "ip", "unix"}, "address": (str, None),
            "port": (int, None), "origin": str,
            "verdict": {"ok", "low", "denied", "taken", "unavailable", "unknown"}}
FAILURE = {"type": str, "message": str, "certain": bool}
PREDICTION = {"builder": {*BUILDERS, "empty"}, "major": int, "endpoints": [ENDPOINT], "likely": [ENDPOINT],
              "failure": (FAILURE, None)}
SHAPE = {
    "version": str, "mode": set(MODES), "verdict": {"start", "refuse"},
    "identity": {"uid": int, "gid": int, "netBindService": bool, "unprivilegedPortStart": int, "floor": int},
    "notes": [str],
    "app": {"kind": {"dotnet", "apphost", "other"}, "assembly": (str, None), "aspNetCore": (bool, None),
            "major": (int, None)},
    "predictions": [PREDICTION],
    "edits": [{"kind": {"set", "remove", "argument"}, "name": str, "old": (str, None), "new": (str, None)}],
    "after": [PREDICTION],
    "findings": [{"id": str, "severity": {"debug", "info", "warning", "error"}, "what": str, "why": str, "did": str,
                  "next": str}],
}


def misfits(value, shape, where: str = "") -> list[str]:
    """Where the value has not that shape. Members may be added, none may be missing."""
    if isinstance(shape, tuple):
        return [] if value is None else misfits(value, shape[0], where)
    if isinstance(shape, type):
        return [] if type(value) is shape else [f"{where}: {value!r} is no {shape.__name__}"]
    if isinstance(shape, set):
        return [] if value in shape else [f"{where}: {value!r} is none of {sorted(shape)}"]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [text for i, item in enumerate(value) for text in misfits(item, shape[0], f"{where}[{i}]")]
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    missing = [f"{where}.{name}: missing" for name in shape if name not in value]
    return missing + [text for name, one in shape.items() if name in value
                      for text in misfits(value[name], one, f"{where}.{name}")]


class CheckTest(FakeAppTest):
    def check_result(self, *options: str, command=APP, env=(), stage: Stage | None = None) -> Result:
        """`portshim --check=json OPTIONS COMMAND`, checked for what is true of every outcome."""
        result = self.run_shim("--check=json", *options, *command, env=env, stage=stage)
        self.assertSilent(result)
        self.assertEqual(misfits(result.json, SHAPE), [], result)
        self.assertEqual(result.code, {"start": 0, "refuse": 78}[result.json["verdict"]])
        return result

    def check(self, *options: str, **how) -> dict:
        return self.check_result(*options, **how).json

    def endpoints(self, env, **how) -> list[dict]:
        """The endpoints of WebApplication."""
        report = self.check(env=env, **how)
        return bound(next(one for one in report["predictions"] if one["builder"] == "wab"))

    def predicted(self, report: dict) -> list[tuple[str, int]]:
        return sorted((one["builder"], one["major"]) for one in report["predictions"])


def every(builders, majors) -> list[tuple[str, int]]:
    return sorted((builder, major) for builder in builders for major in majors)


def bound(prediction: dict) -> list[dict]:
    """Its endpoints without the verdicts on them."""
    return [{name: value for name, value in one.items() if name != "verdict"} for one in prediction["endpoints"]]


def endpoint(port: int | None, origin: str, scheme: str = "http", bind: str = "any",
             address: str | None = None) -> dict:
    return {"scheme": scheme, "bind": bind, "address": address, "port": port, "origin": origin}


class Control(CheckTest):
    def test_without_check_the_app_is_started(self):
        result = self.with_options(REWRITE, env=PORT_80)
        self.assertStarted(result, {"ASPNETCORE_URLS": "http://+:8080"})

    def test_without_portshim_the_low_port_stays(self):
        result = self.start(self.app / "dotnet", *APP[1:], argv0="dotnet", env=self.entries(PORT_80)).wait()
        self.assertStarted(result, PORT_80)

    def test_the_shape_can_be_missed(self):
        report = self.check(env=PORT_80)
        del report["identity"]["floor"]
        report["app"]["major"] = "10"
        report["predictions"][0]["endpoints"][0]["port"] = True
        report["verdict"] = None
        self.assertEqual(len(misfits(report, SHAPE)), 4)


class Output(CheckTest):
    def test_json_is_one_object_and_nothing_else_on_either_stream(self):
        result = self.run_shim("--check=JSON", REWRITE, "--log-level=debug", *APP, env=PORT_80)
        self.assertSilent(result)
        report, end = json.JSONDecoder().raw_decode(result.stdout)
        self.assertEqual(result.stdout[end:], "\n")
        self.assertEqual((report["mode"], report["verdict"]), ("rewrite", "start"))

    def test_every_field_has_its_type_whatever_is_predicted(self):
        for env in (PORT_80, {}, {"ASPNETCORE_URLS": "nonsense"}, {"ASPNETCORE_HTTPS_PORTS": "443"},
                    {"Kestrel__Endpoints__A__Url": "http://unix:/run/k.sock", "PORTSHIM_FLOOR": "nonsense"},
                    ["ASPNETCORE_URLS=http://+:80\xff", "X"], {"ASPNETCORE_URLS": "http://[::1]:80;http://1.2.3.4:0"}):
            for mode in MODES:
                for command in (APP, ("dotnet", "build"), ("nowhere",), ("/bin/sh",)):
                    with self.subTest(env=env, mode=mode, command=command):
                        self.assertEqual(self.check(f"--mode={mode}", env=env, command=command)["mode"], mode)

    def test_text_that_is_no_utf8_is_still_json(self):
        report = self.check(REWRITE, env=[b"ASPNETCORE_URLS=http://\xff\xfe:80"])
        self.assertEqual(report["edits"][0]["old"], "http://��:80")

    def test_json_is_not_bent_by_its_text(self):
        report = self.check(REWRITE, env={"ASPNETCORE_URLS": "http://\"\\\n\u2028é:80"})
        self.assertEqual(report["edits"][0]["old"], "http://\"\\\n\u2028é:80")

    def test_text_says_the_same_for_people(self):
        # The emulated binary is another machine's than dotnet.
        of_dotnet = "; 1 warning: it may end at start, see PS407" if portshim_test.EMULATOR else ""
        verdict = f"\nverdict:   start{of_dotnet}\n"
        for form in ("--check", "--check=text", "--check=TEXT"):
            with self.subTest(form=form):
                result = self.run_shim(form, REWRITE, *APP, env=PORT_80)
                self.assertEqual(result.code, 0)
                self.assertSilent(result)
                for part in ("rewrite", "uid 1654", "ASPNETCORE_URLS", "http://+:8080", "PS101", verdict):
                    self.assertIn(part, result.stdout)
        result = self.run_shim("--check", *APP, env=PORT_80)
        self.assertEqual(result.code, 78)
        self.assertIn("verdict:   refuse", result.stdout)

    def test_text_is_read_in_half_a_minute(self):
        result = self.run_shim("--check", REWRITE, *APP, env={"ASPNETCORE_URLS": "http://+:80;http://127.0.0.1:5000"})
        head, _, tail = result.stdout.partition("findings, as a start says them:\n")
        self.assertEqual(head.splitlines(), [
            "mode:      rewrite",
            "identity:  uid 1654, gid 1654, without CAP_NET_BIND_SERVICE; net.ipv4.ip_unprivileged_port_start=1024",
            "floor:     1024: without the capability the host allows no lower port",
            "app:       dotnet App.dll",
            "framework: ASP.NET Core 10",
            "builder:   not known (the app's code makes no host that portshim knows): wab, slim, gh, wh are predicted",
            "endpoints, unless the app sets its ports in code:",
            "  whatever builder and version the app uses:",
            "    http ANY:80          low: denied here  ASPNETCORE_URLS",
            "    http 127.0.0.1:5000  ok here           ASPNETCORE_URLS",
            "changes:",
            "  set ASPNETCORE_URLS: 'http://+:80;http://127.0.0.1:5000' becomes "
            "'http://+:8080;http://127.0.0.1:5000'",
            "endpoints after them:",
            "  whatever builder and version the app uses:",
            "    http ANY:8080        ok here  ASPNETCORE_URLS",
            "    http 127.0.0.1:5000  ok here  ASPNETCORE_URLS"])
        self.assertTrue(tail.endswith("\nverdict:   start\n"), tail)

    def run_plainly(self, *words, stdout, **env: str) -> subprocess.CompletedProcess:
        """As whoever runs the tests, on that stdout."""
        return subprocess.run(started_by_another(self.binary, *words, *APP), cwd=self.app, stdout=stdout, stderr=subprocess.PIPE,
                              env={"PATH": str(self.app), **env}, check=False)

    def terminal_output(self, **env: str) -> str:
        ours, theirs = pty.openpty()
        try:
            self.run_plainly("--check", stdout=theirs, **env)
        finally:
            os.close(theirs)
        text = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the end, as Linux tells it of a terminal
                break
            if not piece:
                break
            text += piece
        os.close(ours)
        return text.decode()

    def test_text_has_colour_on_a_terminal_that_wants_it(self):
        self.assertIn("\x1b[32mok here\x1b[0m", self.terminal_output(TERM="xterm"))
        for env in ({"TERM": "dumb"}, {}, {"TERM": "xterm", "NO_COLOR": "1"}):
            with self.subTest(env=env):
                text = self.terminal_output(**env)
                self.assertIn("verdict:", text)
                self.assertNotIn("\x1b", text)
        self.assertNotIn("\x1b", self.run_shim("--check", *APP, env={"TERM": "xterm"}).stdout)

    def test_a_report_that_cannot_be_written_is_a_failure(self):
        for words in (("--check",), ("--check=json",), ("--help",), ("--version",)):
            with self.subTest(words=words), open("/dev/full", "wb") as full:
                result = self.run_plainly(*words, stdout=full)
                self.assertEqual(result.returncode, 125)
                [finding] = portshim_test.parse_findings(result.stderr.decode())
                self.assertEqual((finding.id, finding.severity), ("PS908", "error"))
                self.assertIn("No space left on device", finding.why)

    def test_user_info_of_urls_is_masked(self):
        result = self.run_shim("--check=json", REWRITE, *APP, "--urls=http://user:secret@+:81",
                               env={"ASPNETCORE_URLS": "http://user:secret@+:80", "URLS": "ftp://user:secret@x"})
        self.assertNotIn("secret", result.stdout)
        self.assertEqual([(one["old"], one["new"]) for one in result.json["edits"] if one["kind"] == "argument"],
                         [("--urls=http://***@+:81", "--urls=http://***@+:8081")])

    def test_nothing_is_started(self):
        witness = self.directory / "witness"
        self.directory.chmod(0o777)
        script = ("/bin/sh", "-c", f"echo started > {witness}")
        for form in ("--check", "--check=json"):
            for mode in MODES:
                with self.subTest(form=form, mode=mode):
                    self.run_shim(form, f"--mode={mode}", *script)
                    self.assertFalse(witness.exists())
        self.assertEqual(self.run_shim(*script).code, 0)
        self.assertTrue(witness.exists())

    def test_check_is_no_variable(self):
        self.assertStarted(self.with_options(env={"PORTSHIM_CHECK": "json"}), {"PORTSHIM_CHECK": "json"})


class Verdict(CheckTest):
    def verdicts(self, **how) -> list[str]:
        return [self.check(f"--mode={mode}", **how)["verdict"] for mode in MODES]

    def test_a_low_port_is_refused_but_where_rewrite_moves_it(self):
        self.assertEqual(self.verdicts(env=PORT_80), ["refuse", "refuse", "refuse", "start"])

    def test_a_high_port_starts_in_every_mode(self):
        for env in ({"ASPNETCORE_URLS": "http://+:8080"}, {"ASPNETCORE_HTTP_PORTS": "8080"}, {}):
            with self.subTest(env=env):
                self.assertEqual(self.verdicts(env=env), 4 * ["start"])

    def test_a_certain_failure_is_refused_in_every_mode(self):
        self.assertEqual(self.verdicts(env={"ASPNETCORE_URLS": "nonsense"}), 4 * ["refuse"])

    def test_an_invalid_variable_is_refused_in_every_mode(self):
        self.assertEqual(self.verdicts(env={"PORTSHIM_FLOOR": "nonsense"}), 4 * ["refuse"])

    def test_the_mode_is_that_of_the_variable_too(self):
        report = self.check(env={**PORT_80, "PORTSHIM": "rewrite"})
        self.assertEqual((report["mode"], report["verdict"]), ("rewrite", "start"))

    def test_off_shows_what_explain_would(self):
        off, explain = self.check(env=PORT_80), self.check("--mode=explain", env=PORT_80)
        self.assertEqual(off.pop("mode"), "off")
        self.assertEqual(explain.pop("mode"), "explain")
        self.assertEqual(off, explain)

    def test_a_low_port_that_keep_leaves_counts_as_not_low(self):
        report = self.check(REWRITE, "--keep", env={"Kestrel__Endpoints__A__Url": "http://+:80"}, stage=self.allowed)
        self.assertEqual((report["verdict"], report["edits"]), ("start", []))

    def test_the_verdict_is_what_validate_does(self):
        for env in (PORT_80, {"ASPNETCORE_URLS": "http://+:8080"}, {"ASPNETCORE_URLS": "nonsense"},
                    {"PORTSHIM_KEEP": "2"}, {"ASPNETCORE_HTTPS_PORTS": "8443"},
                    {"ASPNETCORE_URLS": "nonsense", "URLS": "http://+:8080"},
                    {"ASPNETCORE_URLS": "http://+:8080;http://*:8080"}):
            with self.subTest(env=env):
                code = self.with_options("--mode=validate", env=env).code
                self.assertEqual(self.check_result("--mode=validate", env=env).code, code)


class Identity(CheckTest):
    def test_identity_is_that_of_command(self):
        ambient = as_uid(1234, gid=5678, ambient=NET_BIND_SERVICE)
        for stage, floor, expected in (
                (as_uid(1234, gid=5678) | Stage(port_start=LOW_PORTS_DENIED), "portable",
                 (1234, 5678, False, 1024, 1024)),
                (as_uid(1234) | Stage(port_start=LOW_PORTS_ALLOWED), "portable", (1234, 1234, False, 0, 1024)),
                (as_uid(1234) | Stage(port_start=LOW_PORTS_ALLOWED), "kernel", (1234, 1234, False, 0, 0)),
                (as_uid(1234) | Stage(port_start=2000), "portable", (1234, 1234, False, 2000, 2000)),
                (as_uid(1234) | Stage(port_start=500), "kernel", (1234, 1234, False, 500, 500)),
                (ambient | Stage(port_start=LOW_PORTS_DENIED), "portable", (1234, 5678, True, 1024, 0)),
                (ambient | Stage(port_start=LOW_PORTS_DENIED), "9000", (1234, 5678, True, 1024, 9000)),
                (as_root() | Stage(port_start=LOW_PORTS_DENIED), "portable", (0, 0, True, 1024, 0)),
                (as_root(bounding=0) | Stage(port_start=LOW_PORTS_DENIED), "portable", (0, 0, False, 1024, 1024))):
            with self.subTest(stage=stage, floor=floor):
                identity = self.check(f"--floor={floor}", stage=stage)["identity"]
                self.assertEqual(tuple(identity[name] for name in ("uid", "gid", "netBindService",
                                                                   "unprivilegedPortStart", "floor")), expected)


class Assume(CheckTest):
    """--assume: this image there."""

    def identity_of(self, assume: str, **how) -> tuple:
        identity = self.check(f"--assume={assume}", **how)["identity"]
        return tuple(identity[name] for name in ("uid", "gid", "netBindService", "unprivilegedPortStart", "floor"))

    def test_each_part_takes_the_place_of_what_is_here(self):
        root = as_root() | Stage(namespace=self.denying)
        for assume, stage, expected in (
                ("uid=1654,gid=1654,caps=none,start=1024", root, (1654, 1654, False, 1024, 1024)),
                ("uid=1654", root, (1654, 0, False, 1024, 1024)),
                ("caps=none", root, (0, 0, False, 1024, 1024)),
                ("start=0", root, (0, 0, True, 0, 0)),
                ("gid=5", None, (UNPRIVILEGED_UID, 5, False, 1024, 1024)),
                ("caps=net_bind_service", None, (UNPRIVILEGED_UID, UNPRIVILEGED_UID, True, 1024, 0)),
                ("caps=all", None, (UNPRIVILEGED_UID, UNPRIVILEGED_UID, True, 1024, 0)),
                ("start=80", None, (UNPRIVILEGED_UID, UNPRIVILEGED_UID, False, 80, 1024)),
                ("uid=0", as_uid(UNPRIVILEGED_UID, bounding=NET_BIND_SERVICE) | Stage(namespace=self.denying),
                 (0, UNPRIVILEGED_UID, True, 1024, 0)),
                ("uid=0", None, (0, UNPRIVILEGED_UID, False, 1024, 1024))):
            with self.subTest(assume=assume, stage=stage):
                self.assertEqual(self.identity_of(assume, stage=stage), expected)

    def test_it_decides_what_is_low(self):
        root = as_root() | Stage(namespace=self.denying)
        self.assertEqual(self.check(env=PORT_80, stage=root)["verdict"], "start")
        self.assertEqual(self.check("--assume=uid=1654", env=PORT_80, stage=root)["verdict"], "refuse")
        self.assertEqual(self.check("--assume=caps=net_bind_service", env=PORT_80)["verdict"], "start")
        self.assertEqual(self.check("--assume=start=0", "--floor=kernel", env=PORT_80)["verdict"], "start")
        self.assertEqual(self.check("--assume=start=0", env=PORT_80)["verdict"], "refuse")

    def test_no_trial_bind_decides(self):
        """What holds a port here says nothing of there."""
        namespace = NetworkNamespace(LOW_PORTS_DENIED)
        with namespace.entered():
            self.enterContext(socket.create_server(("0.0.0.0", 8080)))
        stage, env = as_uid(UNPRIVILEGED_UID) | Stage(namespace=namespace), {"ASPNETCORE_URLS": "http://+:8080"}
        for options, verdict in (((), "taken"), (("--assume=uid=1654",), "ok")):
            with self.subTest(options=options):
                [first, *_] = self.check(*options, env=env, stage=stage)["predictions"]
                self.assertEqual([one["verdict"] for one in first["endpoints"]], [verdict])

    def test_what_it_cannot_judge_is_said_in_one_line(self):
        text = self.run_shim("--check", "--assume=uid=1000,start=80", *APP).stdout
        self.assertIn("identity:  uid 1000 (assumed), gid 1654, without CAP_NET_BIND_SERVICE; "
                      "net.ipv4.ip_unprivileged_port_start=80 (assumed)\n", text)
        self.assertIn("note:      which files can be read was judged as uid 1654, gid 1654, not as uid 1000, "
                      "gid 1654\n", text)
        self.assertNotIn("which files", self.run_shim("--check", "--assume=uid=1654,start=80", *APP).stdout)

    def test_what_is_no_assumption_is_a_wrong_command_line(self):
        for assume in ("uid=root", "caps=some", "start=65536", "nonsense", "uid=1,"):
            with self.subTest(assume=assume):
                result = self.run_shim("--check", f"--assume={assume}", *APP)
                self.assertRefused(result, 125, f"--assume={assume} is not valid (valid: one or more of uid=N, gid=N, "
                                   "caps=none|all|net_bind_service, start=PORT, each once, as uid=1654,caps=none)")

    def test_it_goes_with_check_only(self):
        self.assertRefused(self.run_shim("--assume=uid=1", *APP), 125, "--assume goes with --check only")


class App(CheckTest):
    def app_of(self, *command: str) -> tuple:
        app = self.check(command=command)["app"]
        return app["kind"], app["assembly"], app["aspNetCore"], app["major"]

    def test_every_kind_of_command_is_told_apart(self):
        shutil.copy(self.probe, self.app / "App")
        self.add_assembly("Console", "Microsoft.NETCore.App")
        self.add_assembly("Eight", version="8.0.21")
        self.add_assembly("Bare", None)
        for command, expected in ((APP, ("dotnet", "App.dll", True, 10)),
                                  (("dotnet", "exec", "Eight.dll"), ("dotnet", "Eight.dll", True, 8)),
                                  (("dotnet", "Console.dll"), ("dotnet", "Console.dll", False, None)),
                                  (("dotnet", "Bare.dll"), ("dotnet", "Bare.dll", None, None)),
                                  (("dotnet", "build"), ("dotnet", None, False, None)),
                                  (("/bin/sh", "-c", "dotnet App.dll"), ("other", None, None, None)),
                                  (("nowhere",), ("other", None, None, None))):
            with self.subTest(command=command):
                self.assertEqual(self.app_of(*command), expected)
        kind, assembly, is_web, major = self.app_of("./App")
        self.assertEqual((kind, is_web, major), ("apphost", True, 10))
        self.assertTrue(assembly.endswith("App.dll"), assembly)

    def test_command_need_not_exist(self):
        for command in (("nowhere",), ("/nowhere/dotnet", "App.dll"), ("/nowhere/app", "--urls", "http://+:80")):
            with self.subTest(command=command):
                self.assertEqual(self.run_shim(*command).code, 127)
                report = self.check(command=command, env={"ASPNETCORE_URLS": "http://+:8080"})
                self.assertEqual(report["verdict"], "start")
                self.assertEqual([(one["id"], one["severity"]) for one in report["findings"]], [("PS401", "warning")])

    def test_what_keeps_command_from_being_executed_is_foreseen(self):
        script = self.write("script", "#!/no/such/interpreter\n", 0o755)
        windows = self.write("windows", "#!/bin/sh\r\n", 0o755)
        plain = self.write("plain", "x", 0o644)
        for command, id, code in ((script, "PS405", 127), (windows, "PS406", 127), (plain, "PS403", 126)):
            with self.subTest(command=command):
                self.assertEqual(self.run_shim(command).code, code)
                report = self.check(command=(command,))
                self.assertEqual([(one["id"], one["severity"]) for one in report["findings"]], [(id, "warning")])
                self.assertEqual(report["verdict"], "start", "it may be made for another machine")

    def test_what_binds_nothing_has_no_predictions_of_ports_and_starts(self):
        report = self.check(command=("dotnet", "build"), env=PORT_80)
        self.assertEqual((report["verdict"], report["findings"], report["edits"]), ("start", [], []))
        self.assertEqual([one["endpoints"] for one in report["predictions"] if one["endpoints"]], [])


class Predictions(CheckTest):
    def test_a_known_version_is_predicted_for_every_builder(self):
        for version, expected in (("10.0.0", every(BUILDERS, (10,))), ("9.0.4", every(BUILDERS, (9,))),
                                  ("8.0.0", every(BUILDERS, (8,))), ("7.0.0", every(("wab", "gh", "wh"), (7,))),
                                  ("6.0.36", every(("wab", "gh", "wh"), (6,)))):
            with self.subTest(version=version):
                self.add_assembly("App", version=version)
                self.assertEqual(self.predicted(self.check(env=PORT_80)), expected)

    def test_an_unknown_version_is_predicted_for_8_9_and_10(self):
        self.add_assembly("Bare", None)
        for command in (("nowhere",), ("/bin/sh",), ("dotnet", "Bare.dll"), ("dotnet", "Missing.dll")):
            with self.subTest(command=command):
                self.assertEqual(self.predicted(self.check(command=command, env=PORT_80)), every(BUILDERS, (8, 9, 10)))

    def test_endpoints_are_in_the_order_of_their_binds(self):
        urls = ("http://+:5000;http://localhost:5001/;http://127.0.0.1:5002;http://[::1]:5003;"
                "http://unix:/run/k.sock;http://*:0;http://0.0.0.0:5004;http://[fe80::0001]:5005")
        origin = "ASPNETCORE_URLS"
        self.assertEqual(self.endpoints({origin: urls}), [
            endpoint(5000, origin), endpoint(5001, origin, bind="localhost"),
            endpoint(5002, origin, bind="ip", address="127.0.0.1"), endpoint(5003, origin, bind="ip", address="::1"),
            endpoint(None, origin, bind="unix", address="/run/k.sock"), endpoint(0, origin),
            endpoint(5004, origin, bind="ip", address="0.0.0.0"),
            endpoint(5005, origin, bind="ip", address="fe80::1")])

    def test_endpoints_end_at_the_failure(self):
        self.assertEqual(self.endpoints({"URLS": "http://+:5000;nonsense;http://+:5001"}), [endpoint(5000, "URLS")])

    def test_the_origin_is_a_variable_an_argument_or_the_default(self):
        self.assertEqual(self.endpoints({"aspnetcore_http_ports": "5000;5001"}),
                         [endpoint(5000, "aspnetcore_http_ports"), endpoint(5001, "aspnetcore_http_ports")])
        self.assertEqual(self.endpoints({"Kestrel__Endpoints__B__Url": "http://+:5001",
                                         "Kestrel__Endpoints__A__Url": "http://+:5000"}),
                         [endpoint(5000, "Kestrel__Endpoints__A__Url"), endpoint(5001, "Kestrel__Endpoints__B__Url")])
        for arguments, origin in ((("--urls=http://+:5000",), "argv[2]"),
                                  (("x", "--urls", "http://+:5000"), "argv[4]")):
            with self.subTest(arguments=arguments):
                self.assertEqual(self.endpoints({}, command=(*APP, *arguments)), [endpoint(5000, origin)])
        self.assertEqual(self.endpoints({}), [endpoint(5000, "default", bind="localhost")])

    def test_builders_differ_where_dotnets_do(self):
        report = self.check(env={"ASPNETCORE_URLS": "http://+:5000", "DOTNET_URLS": "http://+:5001",
                                 "URLS": "", "HTTP_PORTS": "5002"})
        ports = {one["builder"]: [each["port"] for each in one["endpoints"]] for one in report["predictions"]}
        self.assertEqual(ports, {"wab": [5002], "slim": [5002], "gh": [5000], "wh": [5000]})

    def test_a_failure_has_dotnets_type_and_text(self):
        for urls, type_, message in (
                ("nonsense", "System.FormatException", "Invalid url: 'nonsense'"),
                ("ftp://+:5000", "System.InvalidOperationException",
                 "Unrecognized scheme in server address 'ftp://+:5000'. Only 'http://' and 'https://' are supported.")):
            with self.subTest(urls=urls):
                for one in self.check(env={"ASPNETCORE_URLS": urls})["predictions"]:
                    self.assertEqual(one["failure"], {"type": type_, "message": message, "causes": [], "certain": True})

    def test_a_failure_that_code_could_prevent_is_not_certain(self):
        for one in self.check(env={"ASPNETCORE_URLS": "https://+:8443"})["predictions"]:
            with self.subTest(builder=one["builder"]):
                self.assertFalse(one["failure"]["certain"])
                self.assertEqual(one["endpoints"], [])

    def test_ports_behind_such_a_failure_are_still_moved(self):
        report = self.check(REWRITE, env={"ASPNETCORE_URLS": "https://+:443;http://+:80"})
        self.assertEqual([edit["new"] for edit in report["edits"]], ["https://+:8443;http://+:8080"])

    def test_nothing_is_likely_as_long_as_no_code_is_read(self):
        self.assertEqual([one["likely"] for one in self.check(env=PORT_80)["predictions"]], 4 * [[]])


class Edits(CheckTest):
    def test_a_variable_is_set(self):
        report = self.check(REWRITE, env={"X": "1", **PORT_80})
        self.assertEqual(report["edits"], [{"kind": "set", "name": "ASPNETCORE_URLS", "old": "http://+:80",
                                            "new": "http://+:8080"}])

    def test_an_argument_is_changed(self):
        for arguments, name, old, new in (
                (("--urls", "http://+:80"), "argv[3]", "http://+:80", "http://+:8080"),
                (("--urls=http://+:80",), "argv[2]", "--urls=http://+:80", "--urls=http://+:8080")):
            with self.subTest(arguments=arguments):
                report = self.check(REWRITE, command=(*APP, *arguments))
                self.assertEqual(report["edits"], [{"kind": "argument", "name": name, "old": old, "new": new}])

    def test_there_are_edits_in_rewrite_only(self):
        for mode in ("off", "explain", "validate"):
            with self.subTest(mode=mode):
                report = self.check(f"--mode={mode}", env=PORT_80)
                self.assertEqual(report["edits"], [])
                self.assertEqual(report["after"], report["predictions"])

    def test_after_is_the_prediction_with_the_edits_applied(self):
        report = self.check(REWRITE, env=PORT_80)
        self.assertEqual([bound(one) for one in report["predictions"]], 4 * [[endpoint(80, "ASPNETCORE_URLS")]])
        self.assertEqual([bound(one) for one in report["after"]], 4 * [[endpoint(8080, "ASPNETCORE_URLS")]])
        self.assertEqual([one["builder"] for one in report["after"]],
                         [one["builder"] for one in report["predictions"]])

    def test_the_edits_are_what_rewrite_does(self):
        env = {"ASPNETCORE_URLS": '"http://+:80"', "DOTNET_URLS": "http://+:81", "HTTPS_PORTS": "443", "URLS": ""}
        report = self.check(REWRITE, env=env)
        expected = dict(env)
        for edit in report["edits"]:
            self.assertEqual((edit["kind"], edit["old"]), ("set", env[edit["name"]]))
            expected[edit["name"]] = edit["new"]
        self.assertNotEqual(expected, env)
        self.assertStarted(self.with_options(REWRITE, env=env), expected)

    def test_a_variable_that_is_nothing_but_white_space_is_removed(self):
        env = {"ASPNETCORE_URLS": " ", "X": "1"}
        report = self.check(REWRITE, env=env)
        self.assertEqual(report["edits"], [{"kind": "remove", "name": "ASPNETCORE_URLS", "old": " ", "new": None}])
        self.assertEqual(report["verdict"], "start")
        self.assertStarted(self.with_options(REWRITE, env=env), {"X": "1"})


class Findings(CheckTest):
    def test_findings_are_those_of_the_log(self):
        for mode in ("explain", "rewrite"):
            with self.subTest(mode=mode):
                logged = self.with_options(f"--mode={mode}", env=PORT_80).findings
                findings = self.check(f"--mode={mode}", env=PORT_80)["findings"]
                self.assertEqual(findings, [{"id": one.id, "severity": one.severity, "what": one.what, "why": one.why,
                                             "did": one.did, "next": one.next} for one in logged])

    def test_findings_are_all_there_whatever_the_log_level(self):
        report = self.check(REWRITE, "--map=80:5000", "--log-level=error", env=PORT_80)
        self.assertEqual([(one["id"], one["severity"]) for one in report["findings"]], [("PS101", "info")])

    def listening(self, port: int) -> Stage:
        namespace = NetworkNamespace(LOW_PORTS_DENIED)
        with namespace.entered():
            self.enterContext(socket.create_server(("0.0.0.0", port)))
        return as_uid(UNPRIVILEGED_UID) | Stage(namespace=namespace)

    def test_a_new_port_in_use_is_a_warning(self):
        report = self.check(REWRITE, env=PORT_80, stage=self.listening(8080))
        self.assertIn(("PS102", "warning"), [(one["id"], one["severity"]) for one in report["findings"]])
        self.assertEqual(report["verdict"], "start")

    def test_an_address_in_use_is_a_warning_since_the_app_may_be_running_already(self):
        report = self.check(env={"ASPNETCORE_URLS": "http://+:8080"}, stage=self.listening(8080))
        self.assertIn("warning", [one["severity"] for one in report["findings"] if "8080" in one["what"]])
        self.assertEqual(report["verdict"], "start")


if __name__ == "__main__":
    portshim_test.main()
