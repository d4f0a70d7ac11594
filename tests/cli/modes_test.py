"""What each mode does about every source of ports, and what it leaves alone."""

import errno
import os
import shutil
import socket
import struct

import portshim_test
from fake_app import APP, LOW_PORTS_DENIED, PORT_80, REWRITE, UNPRIVILEGED_UID, FakeAppTest
from portshim_test import (ALL_CAPABILITIES, NET_BIND_SERVICE, NO_CAPABILITIES, NetworkNamespace, Result, Stage,
                           as_root, as_uid)

URL = ("http://+:80", "http://+:8080")
# Variable, its value, and what rewrite makes of it.
SOURCES = (
    *((name, *URL) for name in ("ASPNETCORE_URLS", "DOTNET_URLS", "URLS", "aspnetcore_urls", "AspNetCore_Urls",
                                "dotnet_urls", "urls", "Urls")),
    *((name, "80", "8080") for name in ("ASPNETCORE_HTTP_PORTS", "DOTNET_HTTP_PORTS", "HTTP_PORTS", "http_ports",
                                        "AspNetCore_Http_Ports")),
    *((name, "443", "8443") for name in ("ASPNETCORE_HTTPS_PORTS", "DOTNET_HTTPS_PORTS", "HTTPS_PORTS",
                                         "https_ports")),
    *((name, *URL) for name in ("Kestrel__Endpoints__Http__Url", "KESTREL__ENDPOINTS__HTTP__URL",
                                "kestrel__endpoints__http__url", "Kestrel:Endpoints:Http:Url",
                                "Kestrel:Endpoints__Http:Url", "ASPNETCORE_Kestrel__Endpoints__Http__Url",
                                "DOTNET_Kestrel__Endpoints__Http__Url", "Kestrel__Endpoints__A.b-c__Url")),
)
# Arguments of the app that set something, and what rewrite makes of them (kestrel.md: the command line provider).
ARGUMENTS = (
    (("--urls=http://+:80",), ("--urls=http://+:8080",)),
    (("--urls", "http://+:80"), ("--urls", "http://+:8080")),
    (("/urls=http://+:80",), ("/urls=http://+:8080",)),
    (("/urls", "http://+:80"), ("/urls", "http://+:8080")),
    (("urls=http://+:80",), ("urls=http://+:8080",)),
    (("--URLS", "http://+:80"), ("--URLS", "http://+:8080")),
    (("--Urls=http://a=b:80",), ("--Urls=http://a=b:8080",)),
    (("--http_ports", "80"), ("--http_ports", "8080")),
    (("--http_ports=80;81",), ("--http_ports=8080;8081",)),
    (("/HTTPS_PORTS=443",), ("/HTTPS_PORTS=8443",)),
    (("https_ports=443",), ("https_ports=8443",)),
    (("--Kestrel:Endpoints:Http:Url=http://+:80",), ("--Kestrel:Endpoints:Http:Url=http://+:8080",)),
    (("--kestrel:endpoints:http:url", "http://+:80"), ("--kestrel:endpoints:http:url", "http://+:8080")),
    (("kestrel:endpoints:http:url=http://+:80",), ("kestrel:endpoints:http:url=http://+:8080",)),
    (("a", "-k", "--urls", "http://+:80", "b"), ("a", "-k", "--urls", "http://+:8080", "b")),
    (("--x", "y", "--urls=http://+:80", "--z"), ("--x", "y", "--urls=http://+:8080", "--z")),
    (("--urls", "http://+:5000", "--urls", "http://+:80"), ("--urls", "http://+:5000", "--urls", "http://+:8080")),
)
# Arguments that look like one of those, and set nothing.
NO_SETTINGS = (
    ("--urls",),
    ("-urls", "http://+:80"),
    ("http://+:80",),
    ("urls", "http://+:80"),
    ("--verbose", "--urls", "http://+:80"),
    ("/data", "--urls", "http://+:80"),
    ("--", "--urls", "http://+:80"),
    ("--Kestrel__Endpoints__Http__Url=http://+:80",),
    ("--ASPNETCORE_URLS=http://+:80",),
    ("--urls", "http://+:80", "--urls", "http://+:5000"),
)


class ModesTest(FakeAppTest):
    def rewritten(self, env, *options: str, stage: Stage | None = None) -> tuple[Result, list[str]]:
        """The outcome of rewrite, and the values of the variables that COMMAND got, without PATH."""
        result = self.with_options(REWRITE, *options, env=env, stage=stage)
        self.assertEqual(result.code, 0, result)
        return result, [entry.split("=", 1)[1] for entry in result.probe.environment[1:]]

    def rewritten_urls(self, urls: str, *options: str, stage: Stage | None = None) -> str:
        return self.rewritten({"ASPNETCORE_URLS": urls}, *options, stage=stage)[1][0]

    def holding(self, namespace: NetworkNamespace, port: int) -> None:
        """Another process, as far as the shim can tell, listens on the port until the end of the test."""
        with namespace.entered():
            self.enterContext(socket.create_server(("0.0.0.0", port)))


class Control(ModesTest):
    def test_without_portshim_the_low_port_stays_and_cannot_be_bound(self):
        result = self.start(self.app / "dotnet", "--bind=:::80", stage=self.unprivileged,
                            env=self.entries(PORT_80)).wait()
        self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:80")
        self.assertEqual(result.probe.bind, errno.EACCES)

    def test_the_new_port_can_be_bound(self):
        result = self.start(self.app / "dotnet", "--bind=:::8080", stage=self.unprivileged, env=[]).wait()
        self.assertEqual(result.probe.bind, 0)

    def test_with_mode_off_the_low_port_stays(self):
        for options, env in (((), PORT_80), (("--mode=off",), {**PORT_80, "PORTSHIM": "rewrite"})):
            with self.subTest(options=options):
                result = self.with_options(*options, env=env)
                self.assertStarted(result, env)
                self.assertSilent(result)


class Example(ModesTest):
    def test_rewrite_says_what_was_wrong_why_what_it_did_and_what_comes_next(self):
        result = self.with_options(env={**PORT_80, "PORTSHIM": "rewrite"})
        self.assertStarted(result, {"ASPNETCORE_URLS": "http://+:8080", "PORTSHIM": "rewrite"})
        lines = result.stderr.splitlines()
        self.assertEqual(lines[:3], [
            "portshim: warning PS101: ASPNETCORE_URLS=http://+:80 asks for port 80, which uid 1654 cannot bind here",
            "  why:  CAP_NET_BIND_SERVICE is not effective for this process; net.ipv4.ip_unprivileged_port_start=1024",
            "  did:  ASPNETCORE_URLS=http://+:8080"])
        self.assertTrue(lines[3].startswith(
            "  next: send traffic, probes, HEALTHCHECK and self calls to 8080 (docker run -p HOST:8080, Service "
            "targetPort, WEBSITES_PORT); better, set ASPNETCORE_HTTP_PORTS=8080 in the image or chart"), lines[3])
        self.assertEqual(len(lines), 4)

    def test_validate_refuses_and_never_starts_dotnet(self):
        result = self.with_options(env={**PORT_80, "PORTSHIM": "validate"})
        self.assertEqual((result.code, result.stdout), (78, ""))
        finding = self.assertFinding(result, "PS101", "error")
        self.assertEqual(finding.what, "ASPNETCORE_URLS=http://+:80 asks for port 80, which uid 1654 cannot bind here")

    def test_where_the_host_allows_port_80_the_cause_says_so(self):
        result = self.with_options(REWRITE, env=PORT_80, stage=self.allowed)
        self.assertEqual(self.assertFinding(result, "PS101", "warning").why,
                         "this host allows it (net.ipv4.ip_unprivileged_port_start=0), Podman, CRI-O, ECS and "
                         "containerd 1 do not; PORTSHIM_FLOOR=kernel keeps port 80")


class EverySource(ModesTest):
    def environment(self, name: str, value: str) -> dict[str, str]:
        return {"FIRST": "1", name: value, "LAST": "2"}

    def assertNamed(self, result: Result, severity: str, name: str, value: str) -> portshim_test.Finding:
        finding = self.assertFinding(result, "PS101", severity)
        port = "443" if value == "443" else "80"
        self.assertTrue(finding.what.startswith(f"{name}={value} asks for port {port}, "), finding)
        # Nobody has read the app's code.
        self.assertIn("unless the app sets its ports in code", finding.next)
        return finding

    def test_off_says_nothing_and_changes_nothing(self):
        for name, value, _ in SOURCES:
            with self.subTest(name=name):
                env = self.environment(name, value)
                result = self.with_options("--mode=off", env=env)
                self.assertStarted(result, env)
                self.assertSilent(result)

    def test_explain_names_the_source_changes_nothing_and_starts(self):
        for name, value, _ in SOURCES:
            with self.subTest(name=name):
                env = self.environment(name, value)
                result = self.with_options("--mode=explain", env=env)
                self.assertStarted(result, env)
                self.assertNamed(result, "warning", name, value)

    def test_validate_names_the_source_and_refuses(self):
        for name, value, _ in SOURCES:
            with self.subTest(name=name):
                result = self.with_options("--mode=validate", env=self.environment(name, value))
                self.assertEqual((result.code, result.stdout), (78, ""), result)
                self.assertNamed(result, "error", name, value)

    def test_rewrite_edits_the_value_in_place_and_nothing_else(self):
        for name, value, moved in SOURCES:
            with self.subTest(name=name):
                result = self.with_options(REWRITE, env=self.environment(name, value))
                self.assertStarted(result, self.environment(name, moved))
                self.assertEqual(self.assertNamed(result, "warning", name, value).did, f"{name}={moved}")

    def test_high_ports_are_silent_in_every_mode(self):
        for name, _, moved in SOURCES:
            if moved == "8443":
                continue  # https without a certificate is a finding of its own
            for mode in ("explain", "validate", "rewrite"):
                with self.subTest(name=name, mode=mode):
                    env = self.environment(name, moved)
                    result = self.with_options(f"--mode={mode}", env=env)
                    self.assertStarted(result, env)
                    self.assertSilent(result)

    def test_names_that_dotnet_does_not_read_are_no_source(self):
        for name in ("MY_URLS", "ASPNETCORE_URL", "ASPNETCORE__URLS", "PORT", "ASPNETCORE_HTTP_PORT", "KESTREL_URLS",
                     "Kestrel_Endpoints_Http_Url", "Kestrel__Endpoints__Http__Protocol", "XURLS", "URLSX"):
            with self.subTest(name=name):
                env = self.environment(name, "http://+:80")
                result = self.with_options(REWRITE, env=env)
                self.assertEqual(result.probe.environment, self.entries(env))
                self.assertNotIn("PS101", result.stderr)

    def test_every_source_that_some_builder_uses_is_moved(self):
        # WebApplication takes DOTNET_URLS, the generic host ASPNETCORE_URLS, WebHost knows no ports.
        result, values = self.rewritten({"ASPNETCORE_URLS": "http://+:80", "DOTNET_URLS": "http://+:81"})
        self.assertEqual(values, ["http://+:8080", "http://+:8081"])
        self.assertEqual([finding.id for finding in result.findings], ["PS101", "PS101"])

        result, values = self.rewritten({"Kestrel__Endpoints__A__Url": "http://+:80",
                                         "Kestrel__Endpoints__B__Url": "http://+:81"})
        self.assertEqual(values, ["http://+:8080", "http://+:8081"])

    def test_what_no_builder_uses_is_left_alone(self):
        env = {"Kestrel__Endpoints__A__Url": "http://+:5000", "ASPNETCORE_URLS": "http://+:80", "HTTP_PORTS": "81"}
        for mode in ("validate", "rewrite"):
            with self.subTest(mode=mode):
                self.assertStarted(self.with_options(f"--mode={mode}", env=env), env)
        arguments = ("--urls", "http://+:5000")
        result = self.with_options(REWRITE, env=PORT_80, arguments=arguments)
        self.assertStarted(result, PORT_80, (*APP, *arguments))

    def test_the_image_default_beside_other_settings_is_silent(self):
        for env in ({"ASPNETCORE_HTTP_PORTS": "8080"},
                    {"ASPNETCORE_HTTP_PORTS": "8080", "ASPNETCORE_URLS": "http://+:5000"},
                    {"DOTNET_RUNNING_IN_CONTAINER": "true", "ASPNETCORE_HTTP_PORTS": "8080"}, {}):
            for mode in ("validate", "rewrite"):
                with self.subTest(env=env, mode=mode):
                    result = self.with_options(f"--mode={mode}", env=env)
                    self.assertStarted(result, env)
                    self.assertSilent(result)


class Arguments(ModesTest):
    def test_rewrite_edits_every_shape_in_place(self):
        for arguments, moved in ARGUMENTS:
            with self.subTest(arguments=arguments):
                result = self.with_options(REWRITE, arguments=arguments)
                self.assertStarted(result, {}, (*APP, *moved))
                self.assertFinding(result, "PS101", "warning")

    def test_explain_names_the_argument_and_changes_nothing(self):
        for arguments, moved in ARGUMENTS:
            with self.subTest(arguments=arguments):
                result = self.with_options("--mode=explain", arguments=arguments)
                self.assertStarted(result, {}, (*APP, *arguments))
                # Counted from COMMAND, which is 0.
                index = next(i for i, (old, new) in enumerate(zip(arguments, moved)) if old != new) + len(APP)
                self.assertTrue(self.assertFinding(result, "PS101").what.startswith(f"argv[{index}] "), result)

    def test_validate_refuses_every_shape(self):
        for arguments, _ in ARGUMENTS:
            with self.subTest(arguments=arguments):
                result = self.with_options("--mode=validate", arguments=arguments)
                self.assertEqual((result.code, result.stdout), (78, ""), result)

    def test_off_changes_no_shape(self):
        for arguments, _ in ARGUMENTS:
            with self.subTest(arguments=arguments):
                result = self.with_options(arguments=arguments)
                self.assertStarted(result, {}, (*APP, *arguments))
                self.assertSilent(result)

    def test_what_dotnet_does_not_take_for_a_setting_is_left_alone(self):
        for arguments in NO_SETTINGS:
            for mode in ("explain", "validate", "rewrite"):
                with self.subTest(arguments=arguments, mode=mode):
                    result = self.with_options(f"--mode={mode}", arguments=arguments)
                    self.assertStarted(result, {}, (*APP, *arguments))
                    self.assertNotIn("PS101", result.stderr)

    def test_a_short_switch_with_a_value_ends_the_app(self):
        for mode, code in (("explain", 0), ("validate", 78), ("rewrite", 0)):
            with self.subTest(mode=mode):
                result = self.with_options(f"--mode={mode}", arguments=("-k=v",))
                self.assertEqual(result.code, code, result)
                self.assertIn("The short switch '-k=v' is not defined in the switch mappings.",
                              self.assertFinding(result, "PS201").why)

    def test_arguments_are_found_behind_every_start_of_dotnet(self):
        for start in (("dotnet", "--roll-forward", "Major", "App.dll"), ("dotnet", "exec", "App.dll"),
                      ("dotnet", "exec", "--runtimeconfig", "App.runtimeconfig.json", "App.dll"),
                      ("dotnet", "--FX-VERSION", "10.0.0", "APP.DLL"), (self.app / "dotnet", self.app / "App.dll")):
            with self.subTest(start=start):
                if "APP.DLL" in start:
                    shutil.copy(self.app / "App.dll", self.app / "APP.DLL")
                result = self.run_shim(REWRITE, *start, "--urls", "http://+:80")
                self.assertStarted(result, {}, (*map(str, start), "--urls", "http://+:8080"))

    def test_an_apphost_is_a_dotnet_app(self):
        shutil.copy(self.probe, self.app / "App")
        result = self.run_shim(REWRITE, "./App", "--urls", "http://+:80")
        self.assertStarted(result, {}, ("./App", "--urls", "http://+:8080"))


class OtherCommands(ModesTest):
    def test_existing_variables_are_edited_in_place_and_arguments_are_not(self):
        arguments = ("--urls", "http://+:80", "App.dll", "--urls=http://+:80")
        for name, value, moved in SOURCES:
            with self.subTest(name=name):
                result = self.run_shim(REWRITE, self.probe, *arguments, env={name: value})
                self.assertStarted(result, {name: moved}, (str(self.probe), *arguments))

    def test_nothing_is_added_for_arguments(self):
        command = (str(self.probe), "dotnet", "App.dll", "--urls", "http://+:80")
        result = self.run_shim(REWRITE, *command)
        self.assertStarted(result, {}, command)

    def test_a_shell_passes_the_edited_variable_on(self):
        result = self.run_shim(REWRITE, "/bin/sh", "-c", "exec dotnet App.dll", env=PORT_80)
        self.assertIn("ASPNETCORE_URLS=http://+:8080", result.probe.environment)

    def test_explain_and_validate_work_too(self):
        result = self.run_shim("--mode=explain", self.probe, env=PORT_80)
        self.assertStarted(result, PORT_80, (str(self.probe),))
        self.assertFinding(result, "PS101", "warning")
        result = self.run_shim("--mode=validate", self.probe, env=PORT_80)
        self.assertEqual((result.code, result.stdout), (78, ""))
        self.assertFinding(result, "PS101", "error")


class WhatBindsNothing(ModesTest):
    def assertLeftAlone(self, *command: str) -> None:
        for mode in ("explain", "validate", "rewrite"):
            with self.subTest(command=command, mode=mode):
                result = self.run_shim(f"--mode={mode}", *command, env=PORT_80)
                self.assertStarted(result, PORT_80, command)
                self.assertSilent(result)

    def test_dotnet_without_an_app_is_left_alone(self):
        for words in ((), ("--info",), ("--list-runtimes",), ("build",), ("tool", "list"), ("publish", "App.csproj"),
                      ("ef", "database", "update", "--urls", "http://+:80")):
            self.assertLeftAlone("dotnet", *words)

    def test_an_app_without_aspnetcore_is_left_alone(self):
        self.add_assembly("Console", "Microsoft.NETCore.App")
        self.assertLeftAlone("dotnet", "Console.dll", "--urls", "http://+:80")

    def test_an_app_with_it_is_not(self):
        self.assertEqual(self.with_options("--mode=validate", env=PORT_80).code, 78)


class Floor(ModesTest):
    def user(self, port_start: int, **how) -> Stage:
        return as_uid(UNPRIVILEGED_UID, **how) | Stage(port_start=port_start)

    def test_the_floor_decides_what_is_moved(self):
        for floor, port_start, old, new in (
                ("portable", 0, 80, 8080), ("portable", 1024, 80, 8080), ("portable", 0, 1023, 9023),
                ("portable", 0, 1024, 1024), ("portable", 2000, 1999, 9999), ("portable", 2000, 2000, 2000),
                ("portable", 0, 0, 0), ("kernel", 0, 80, 80), ("kernel", 0, 1, 1), ("kernel", 80, 80, 80),
                ("kernel", 81, 80, 8080), ("kernel", 1024, 80, 8080), ("kernel", 2000, 1999, 9999),
                ("0", 0, 80, 80), ("80", 0, 80, 80), ("81", 0, 80, 8080), ("9000", 0, 8080, 16080),
                ("9000", 1024, 9000, 9000), ("9000", 0, 80, 9000), ("60000", 0, 59000, 60000),
                ("65535", 0, 80, 65535), ("portable", 9000, 80, 9000)):
            with self.subTest(floor=floor, port_start=port_start, port=old):
                result, values = self.rewritten({"ASPNETCORE_URLS": f"http://+:{old}"}, f"--floor={floor}",
                                                stage=self.user(port_start))
                self.assertEqual(values, [f"http://+:{new}"])
                if old == new:
                    self.assertSilent(result)
                else:
                    self.assertFinding(result, "PS101", "warning")

    def test_validate_refuses_what_is_below_the_floor_and_nothing_else(self):
        for floor, port_start, port, code in (("portable", 0, 80, 78), ("kernel", 0, 80, 0), ("kernel", 1024, 80, 78),
                                              ("0", 0, 80, 0), ("9000", 0, 8999, 78), ("9000", 0, 9000, 0)):
            with self.subTest(floor=floor, port_start=port_start, port=port):
                result = self.with_options("--mode=validate", f"--floor={floor}", stage=self.user(port_start),
                                           env={"ASPNETCORE_URLS": f"http://+:{port}"})
                self.assertEqual(result.code, code, result)

    def test_what_the_kernel_denies_above_a_floor_of_ones_own_is_refused_by_validate(self):
        """Certain to fail: the trial bind says so, whatever the floor is."""
        result = self.with_options("--mode=validate", "--floor=0", env=PORT_80)
        self.assertEqual((result.code, result.stdout), (78, ""), result)

    def test_an_ambient_capability_keeps_port_80(self):
        stage = self.user(1024, ambient=NET_BIND_SERVICE)
        for floor in ("portable", "kernel", "0"):
            for mode in ("explain", "validate", "rewrite"):
                with self.subTest(floor=floor, mode=mode):
                    result = self.with_options(f"--mode={mode}", f"--floor={floor}", env=PORT_80, stage=stage)
                    self.assertStarted(result, PORT_80)
                    self.assertSilent(result)

    def test_a_number_is_the_floor_of_those_with_the_capability_too(self):
        for stage in (self.user(0, ambient=NET_BIND_SERVICE), as_root() | Stage(port_start=LOW_PORTS_DENIED)):
            with self.subTest(stage=stage):
                self.assertEqual(self.rewritten_urls("http://+:80", "--floor=1024", stage=stage), "http://+:8080")

    def test_a_capability_in_the_bounding_set_alone_does_not_help(self):
        self.assertEqual(self.rewritten_urls("http://+:80", stage=self.user(1024, bounding=NET_BIND_SERVICE)),
                         "http://+:8080")

    def test_a_file_capability_of_command_keeps_port_80_unless_no_new_privileges_takes_it(self):
        # struct vfs_cap_data of linux/capability.h: revision 2 with the effective flag, then permitted, inheritable.
        capability = struct.pack("<5I", 0x02000001, NET_BIND_SERVICE, 0, 0, 0)
        os.setxattr(self.app / "dotnet", "security.capability", capability)
        bounded = self.user(1024, bounding=NET_BIND_SERVICE)
        result = self.start(self.app / "dotnet", "--bind=:::80", stage=bounded).wait()
        if result.code != 0 or result.probe.bind != 0:
            portshim_test.skip("needs a file system that honours file capabilities")
        self.assertEqual(self.rewritten_urls("http://+:80", stage=bounded), "http://+:80")
        self.assertEqual(self.rewritten_urls("http://+:80", stage=bounded | Stage(no_new_privileges=True)),
                         "http://+:8080")

    def test_root_keeps_port_80_with_the_capability_and_loses_it_without(self):
        for bounding, expected in ((ALL_CAPABILITIES, "http://+:80"), (NET_BIND_SERVICE, "http://+:80"),
                                   (NO_CAPABILITIES, "http://+:8080"),
                                   (ALL_CAPABILITIES & ~NET_BIND_SERVICE, "http://+:8080")):
            with self.subTest(bounding=hex(bounding)):
                stage = as_root(bounding=bounding) | Stage(namespace=self.denying)
                self.assertEqual(self.rewritten_urls("http://+:80", stage=stage), expected)

    def test_root_without_the_capability_is_told_so(self):
        result = self.with_options(REWRITE, env=PORT_80,
                                   stage=as_root(bounding=NO_CAPABILITIES) | Stage(namespace=self.denying))
        finding = self.assertFinding(result, "PS101", "warning")
        self.assertEqual(finding.what, "ASPNETCORE_URLS=http://+:80 asks for port 80, which uid 0 cannot bind here")
        self.assertIn("CAP_NET_BIND_SERVICE is not effective", finding.why)


class NewPort(ModesTest):
    def test_only_the_port_of_the_text_changes(self):
        for old, new in (("http://*:80", "http://*:8080"), ("http://+:80/", "http://+:8080/"),
                         ("http://+", "http://+:8080"), ("http://+/", "http://+:8080/"),
                         ("HTTP://Example.COM:80/", "HTTP://Example.COM:8080/"),
                         ("http://[::]:80", "http://[::]:8080"), ("http://[::1]", "http://[::1]:8080"),
                         ("http://0.0.0.0:80", "http://0.0.0.0:8080"),
                         ("http://127.0.0.1:080", "http://127.0.0.1:8080"),
                         ("http://localhost:80", "http://localhost:8080"), ("http://+:+80", "http://+:8080"),
                         ("http://fe80::abcd", "http://fe80::abcd:8080"), ("http://+:443", "http://+:8443"),
                         ("http://+:80;", "http://+:8080;"), (";http://+:80;;", ";http://+:8080;;"),
                         ("http://+:5000;http://+:80", "http://+:5000;http://+:8080"),
                         ("http://unix:/run/k.sock;http://+:80", "http://unix:/run/k.sock;http://+:8080"),
                         ("http://+:0;http://+:80", "http://+:0;http://+:8080"),
                         ("http://unix:/run/k.sock", "http://unix:/run/k.sock"), ("http://+:0", "http://+:0")):
            with self.subTest(urls=old):
                self.assertEqual(self.rewritten_urls(old), new)

    def test_endpoints_with_the_same_old_port_get_the_same_new_port(self):
        self.assertEqual(self.rewritten_urls("http://127.0.0.1:80;http://[::1]:80"),
                         "http://127.0.0.1:8080;http://[::1]:8080")
        # DOTNET_URLS hides the other from one builder and is hidden by it from another.
        _, values = self.rewritten({"ASPNETCORE_URLS": "http://+:80", "DOTNET_URLS": "http://+:80"})
        self.assertEqual(values, ["http://+:8080", "http://+:8080"])

    def test_a_moved_item_that_the_list_binds_already_is_dropped(self):
        for old, new in (("http://+:80;http://+:8080;https://+:8443", "http://+:8080;https://+:8443"),
                         ("http://*:80;http://+:8080", "http://+:8080"),
                         ("http://+:8080;http://name:80", "http://+:8080"),
                         ("http://+:8080;http://127.0.0.1:80", "http://+:8080")):
            with self.subTest(urls=old):
                self.assertEqual(self.rewritten_urls(old), new)
        self.assertEqual(self.rewritten({"ASPNETCORE_HTTP_PORTS": "80;81;8080"})[1], ["8081;8080"])

    def test_the_next_free_port_is_taken_where_schemes_differ(self):
        self.assertEqual(self.rewritten_urls("http://+:80;https://+:8080"), "http://+:8081;https://+:8080")

    def test_the_next_free_port_is_taken_where_the_other_is_an_endpoint_of_its_own(self):
        _, values = self.rewritten({"Kestrel__Endpoints__A__Url": "http://+:80",
                                    "Kestrel__Endpoints__B__Url": "http://+:8080"})
        self.assertEqual(values, ["http://+:8081", "http://+:8080"])

    def test_a_port_that_is_dodged_is_dodged_everywhere(self):
        _, values = self.rewritten({"ASPNETCORE_URLS": "http://+:80;https://+:8080", "DOTNET_URLS": "http://+:80"})
        self.assertEqual(values, ["http://+:8081;https://+:8080", "http://+:8081"])

    def test_duplicates_that_were_there_before_are_reported_and_not_repaired(self):
        env = {"ASPNETCORE_URLS": "http://+:8080;http://*:8080"}
        for mode in ("explain", "rewrite"):
            with self.subTest(mode=mode):
                result = self.with_options(f"--mode={mode}", env=env)
                self.assertStarted(result, env)
                self.assertIn("8080", self.assertFinding(result, "PS105", "error").what)
        self.assertEqual(self.with_options("--mode=validate", env=env).code, 78)

    def test_a_map_to_a_port_below_the_floor_gives_way_to_the_first_free_port(self):
        for mapping, expected in (("80:81", "http://+:8080"), ("80:1023", "http://+:8080"),
                                  ("80:1024", "http://+:1024")):
            with self.subTest(mapping=mapping):
                self.assertEqual(self.rewritten_urls("http://+:80", f"--map={mapping}"), expected)

    def test_a_map_names_the_new_port_and_such_a_move_is_info(self):
        result, values = self.rewritten(PORT_80, "--map=80:5000,443:5001")
        self.assertEqual(values, ["http://+:5000"])
        self.assertSilent(result)
        result, _ = self.rewritten(PORT_80, "--map=80:5000", "--log-level=info")
        self.assertFinding(result, "PS101", "info")
        result, values = self.rewritten({"ASPNETCORE_URLS": "http://+:443"}, "--map=80:5000")
        self.assertEqual(values, ["http://+:8443"])
        self.assertFinding(result, "PS101", "warning")

    def test_the_new_port_of_a_map_is_not_dropped_into_an_endpoint_with_another_scheme(self):
        self.assertEqual(self.rewritten_urls("http://+:80;https://+:5000", "--map=80:5000"),
                         "http://+:5001;https://+:5000")

    def test_a_new_port_that_is_taken_is_said_and_not_dodged(self):
        namespace = NetworkNamespace(LOW_PORTS_DENIED)
        self.holding(namespace, 8080)
        result, values = self.rewritten(PORT_80, stage=as_uid(UNPRIVILEGED_UID) | Stage(namespace=namespace))
        self.assertEqual(values, ["http://+:8080"])
        finding = self.assertFinding(result, "PS102")
        self.assertIn("8080", finding.what)
        self.assertIn("PORTSHIM_MAP=80:", finding.next)
        result, values = self.rewritten(PORT_80, "--map=80:5000",
                                        stage=as_uid(UNPRIVILEGED_UID) | Stage(namespace=namespace))
        self.assertEqual(values, ["http://+:5000"])
        self.assertSilent(result)

    def test_where_the_new_port_is_taken_and_the_kernel_allows_the_old_one_it_stays(self):
        namespace = NetworkNamespace(0)
        self.holding(namespace, 8080)
        result, values = self.rewritten(PORT_80, stage=as_uid(UNPRIVILEGED_UID) | Stage(namespace=namespace))
        self.assertEqual(values, ["http://+:80"])
        self.assertIn("PORTSHIM_MAP=80:", self.assertFinding(result, "PS102", "warning").next)


class Keep(ModesTest):
    def test_where_the_low_port_works_it_is_kept_and_the_new_one_added(self):
        for name, old, new in (("ASPNETCORE_URLS", "http://+:80", "http://+:80;http://+:8080"),
                               ("URLS", "http://*:80/;http://+:5000", "http://*:80/;http://*:8080/;http://+:5000"),
                               ("ASPNETCORE_HTTP_PORTS", "80", "80;8080"), ("HTTP_PORTS", "80;81", "80;8080;81;8081")):
            with self.subTest(name=name):
                result, values = self.rewritten({name: old}, "--keep", "--log-level=info", stage=self.allowed)
                self.assertEqual(sorted(values[0].split(";")), sorted(new.split(";")))
                self.assertFinding(result, "PS103", "info")

    def test_the_examples_are_exact(self):
        _, values = self.rewritten(PORT_80, "--keep", stage=self.allowed)
        self.assertEqual(values, ["http://+:80;http://+:8080"])
        _, values = self.rewritten({"ASPNETCORE_HTTP_PORTS": "80"}, "--keep", stage=self.allowed)
        self.assertEqual(values, ["80;8080"])

    def test_where_the_kernel_denies_it_the_port_is_moved(self):
        result, values = self.rewritten(PORT_80, "--keep")
        self.assertEqual(values, ["http://+:8080"])
        self.assertFinding(result, "PS101", "warning")

    def test_where_the_new_port_cannot_be_added_nothing_is_changed_and_that_is_said(self):
        env = {"Kestrel__Endpoints__A__Url": "http://+:80"}
        result, _ = self.rewritten(env, "--keep", stage=self.allowed)
        self.assertStarted(result, env)
        self.assertIn("8080", self.assertFinding(result, "PS104", "warning").what)

        namespace = NetworkNamespace(0)
        self.holding(namespace, 8080)
        result, _ = self.rewritten(PORT_80, "--keep", stage=as_uid(UNPRIVILEGED_UID) | Stage(namespace=namespace))
        self.assertStarted(result, PORT_80)
        self.assertIn("PORTSHIM_MAP=80:", self.assertFinding(result, "PS104", "warning").next)

    def test_only_rewrite_keeps(self):
        for mode, code in (("explain", 0), ("validate", 78)):
            with self.subTest(mode=mode):
                result = self.with_options(f"--mode={mode}", "--keep", env=PORT_80, stage=self.allowed)
                self.assertEqual(result.code, code, result)
                self.assertFinding(result, "PS101")


class Expand(ModesTest):
    def test_variables_are_filled_in(self):
        env = {"P": "5000", "HOST": "127.0.0.1", "EMPTY": ""}
        for name, old, new in (("ASPNETCORE_URLS", "http://+:$P", "http://+:5000"),
                               ("ASPNETCORE_URLS", "http://${HOST}:${P}", "http://127.0.0.1:5000"),
                               ("URLS", "http://+:${NOT:-6000}", "http://+:6000"),
                               ("URLS", "http://+:${EMPTY:-6000}", "http://+:6000"),
                               ("URLS", "http://+:${P:-6000}", "http://+:5000"),
                               ("HTTP_PORTS", "$P", "5000"), ("ASPNETCORE_HTTP_PORTS", "$P;6000", "5000;6000"),
                               ("Kestrel__Endpoints__A__Url", "http://+:${P}", "http://+:5000"),
                               ("ASPNETCORE_URLS", "http://+:${LOW:-80}", "http://+:8080")):
            with self.subTest(name=name, value=old):
                result, values = self.rewritten({name: old, **env}, "--expand", "--log-level=info")
                self.assertEqual(values, [new, *env.values()])
                self.assertFinding(result, "PS204", "info")

    def test_arguments_are_filled_in(self):
        result = self.with_options(REWRITE, "--expand", env={"P": "5000"}, arguments=("--urls", "http://+:$P"))
        self.assertStarted(result, {"P": "5000"}, (*APP, "--urls", "http://+:5000"))

    def test_other_variables_are_not_filled_in(self):
        env = {"P": "5000", "MESSAGE": "$P ${P}", "ASPNETCORE_ENVIRONMENT": "$P", "ASPNETCORE_URLS": "http://+:8080"}
        result = self.with_options(REWRITE, "--expand", env=env)
        self.assertStarted(result, env)

    def test_only_rewrite_fills_in(self):
        env = {"ASPNETCORE_URLS": "http://+:$P", "P": "5000"}
        self.assertStarted(self.with_options("--mode=explain", "--expand", env=env), env)
        self.assertStarted(self.with_options("--mode=off", "--expand", env=env), env)


class Repair(ModesTest):
    CASES = (("ASPNETCORE_URLS", '"http://+:8080"', "http://+:8080"), ("URLS", "'http://+:8080'", "http://+:8080"),
             ("ASPNETCORE_URLS", " http://+:8080", "http://+:8080"),
             ("ASPNETCORE_URLS", '"http://+:80"', "http://+:8080"), ("DOTNET_URLS", " 'http://+:80' ", "http://+:8080"),
             ("ASPNETCORE_URLS", "http://+:5000; http://+:8080", "http://+:5000;http://+:8080"),
             ("Kestrel__Endpoints__A__Url", '"http://+:80"', "http://+:8080"))

    def test_white_space_and_quotes_that_would_end_the_app_are_taken_out_by_rewrite(self):
        for name, old, new in self.CASES:
            with self.subTest(name=name, value=old):
                result, values = self.rewritten({name: old})
                self.assertEqual(values, [new])
                self.assertTrue(self.assertFinding(result, "PS202", "warning").what.startswith(f"{name}={old} "))

    def test_explain_says_that_they_end_the_app_and_changes_nothing(self):
        for name, old, _ in self.CASES:
            with self.subTest(name=name, value=old):
                result = self.with_options("--mode=explain", env={name: old})
                self.assertStarted(result, {name: old})
                self.assertFinding(result, "PS201")

    def test_validate_refuses_what_ends_every_builder(self):
        result = self.with_options("--mode=validate", env={"ASPNETCORE_URLS": '"http://+:8080"'})
        self.assertEqual((result.code, result.stdout), (78, ""), result)
        self.assertFinding(result, "PS201", "error")

    def test_what_cannot_be_repaired_is_said_and_started(self):
        env = {"ASPNETCORE_URLS": "nonsense"}
        result = self.with_options(REWRITE, env=env)
        self.assertStarted(result, env)
        finding = self.assertFinding(result, "PS201", "error")
        self.assertIn("Invalid url: 'nonsense'", finding.why)


class SeverityOverBuilders(ModesTest):
    """No code is read: the app may be of any builder."""

    def test_a_low_port_of_one_builder_counts(self):
        # WebHost alone does not read URLS.
        env = {"ASPNETCORE_URLS": "http://+:80", "URLS": "http://+:5000"}
        self.assertFinding(self.with_options("--mode=explain", env=env), "PS101", "warning")
        self.assertEqual(self.with_options("--mode=validate", env=env).code, 78)
        _, values = self.rewritten(env)
        self.assertEqual(values, ["http://+:8080", "http://+:5000"])

    def test_a_failure_is_an_error_only_if_it_ends_every_builder(self):
        for env, severity, code in (({"ASPNETCORE_URLS": "nonsense"}, "error", 78),
                                    ({"URLS": "nonsense"}, "warning", 0),
                                    ({"ASPNETCORE_URLS": "nonsense", "URLS": "http://+:5000"}, "info", 0)):
            with self.subTest(env=env):
                result = self.with_options("--mode=explain", env=env)
                self.assertStarted(result, env)
                self.assertFinding(result, "PS201", severity)
                result = self.with_options("--mode=validate", "--log-level=info", env=env)
                self.assertEqual(result.code, code, result)
                self.assertFinding(result, "PS201", severity)


class Placeholder(ModesTest):
    def test_a_placeholder_that_nobody_filled_in_is_named_and_its_port_moved(self):
        for text in ("${PORT}", "$PORT", "{port}", "%PORT%", "<port>", "#{port}#", "$(PORT)"):
            with self.subTest(text=text):
                result, values = self.rewritten({"ASPNETCORE_URLS": f"http://+:{text}"})
                self.assertEqual(values, ["http://+:8080"])
                finding = self.assertFinding(result, "PS107", "warning")
                self.assertIn(f"'{text}'", finding.why)
                self.assertIn("port 80", finding.what)
                self.assertFinding(result, "PS101", "warning")

    def test_explain_names_it_and_changes_nothing(self):
        env = {"ASPNETCORE_URLS": "http://+:${PORT}"}
        result = self.with_options("--mode=explain", env=env)
        self.assertStarted(result, env)
        self.assertFinding(result, "PS107", "warning")

    def test_a_port_with_a_query_is_named_without_it(self):
        for query in ("secret", "a=b secret"):
            with self.subTest(query=query):
                result, values = self.rewritten({"ASPNETCORE_URLS": f"http://+:80?{query}"})
                self.assertEqual(values, ["http://+:8080"])
                self.assertIn("'80?***'", self.assertFinding(result, "PS107", "warning").why)

    def test_a_port_that_is_no_number_is_named(self):
        for urls in ("http://+:8080,8081", "http://+:"):
            with self.subTest(urls=urls):
                result, values = self.rewritten({"ASPNETCORE_URLS": urls})
                self.assertEqual(values, ["http://+:8080"])
                self.assertFinding(result, "PS107", "warning")


class Doubles(ModesTest):
    def test_a_name_that_occurs_twice_is_edited_at_every_occurrence(self):
        env = ["ASPNETCORE_URLS=http://+:80", "X=1", "ASPNETCORE_URLS=http://+:80"]
        self.assertStarted(self.with_options(REWRITE, env=env),
                           ["ASPNETCORE_URLS=http://+:8080", "X=1", "ASPNETCORE_URLS=http://+:8080"])

    def test_no_occurrence_keeps_a_low_port(self):
        _, values = self.rewritten(["ASPNETCORE_URLS=http://+:80", "ASPNETCORE_URLS=http://+:81"])
        self.assertEqual(values[0], "http://+:8080")
        self.assertNotIn(values[1], ("http://+:80", "http://+:81"))

    def test_other_spellings_are_reported_and_none_keeps_a_low_port(self):
        result, values = self.rewritten({"ASPNETCORE_URLS": "http://+:80", "aspnetcore_urls": "http://+:81"})
        self.assertEqual(values, ["http://+:8080", "http://+:8081"])
        finding = self.assertFinding(result, "PS203", "warning")
        self.assertIn("ASPNETCORE_URLS and aspnetcore_urls", finding.what)


class Messages(ModesTest):
    def test_user_info_is_masked_and_kept(self):
        result, values = self.rewritten({"ASPNETCORE_URLS": "http://user:secret@host:80"})
        self.assertEqual(values, ["http://user:secret@host:8080"])
        self.assertNotIn("secret", result.stderr)
        self.assertEqual(self.assertFinding(result, "PS101").did, "ASPNETCORE_URLS=http://***@host:8080")

    def test_control_characters_are_escaped(self):
        result, values = self.rewritten({"ASPNETCORE_URLS": "http://a\n\x1b[2J\u202e:80"})
        self.assertEqual(values, ["http://a\n\x1b[2J\u202e:8080"])
        self.assertEqual(self.assertFinding(result, "PS101").did,
                         "ASPNETCORE_URLS=http://a\\n\\u001b[2J\\u202e:8080")

    def test_bytes_that_are_no_utf8_are_shown_as_u_fffd(self):
        result, _ = self.rewritten([b"ASPNETCORE_URLS=http://a\xff:80"])
        self.assertEqual(self.assertFinding(result, "PS101").did, "ASPNETCORE_URLS=http://a\ufffd:8080")

    def test_long_values_are_cut_at_256_bytes_and_kept(self):
        result, values = self.rewritten({"ASPNETCORE_URLS": f"http://{1000 * 'x'}:80"})
        self.assertEqual(values, [f"http://{1000 * 'x'}:8080"])
        self.assertEqual(self.assertFinding(result, "PS101").did, f"ASPNETCORE_URLS=http://{249 * 'x'}...")


class ByteForByte(ModesTest):
    ENVIRONMENT = [b"B=2", b"A=1", b"B=3", b"no equals sign", b"=x", b"\xff\xfe=\n\x01", b"EMPTY=", b"HTTP_PROXY=\t ",
                   b"ASPNETCORE_URLS=http://+:80", b"LONG=" + 100000 * b"x", b"kestrel__endpoints=", b"Z=\xc3\xa9"]
    ARGUMENTS = (b"", b"\xff", b"a b", b"--x", b"--y=\n", b"http://+:80")

    def assertGiven(self, result: Result, environment: list[bytes]) -> None:
        probe = result.probe
        self.assertEqual([os.fsencode(entry) for entry in probe.environment[1:]], environment)
        self.assertEqual([os.fsencode(word) for word in probe.argv], [b"dotnet", b"App.dll", *self.ARGUMENTS])

    def test_environment_and_arguments_are_handed_over_as_they_are(self):
        for mode in ("off", "explain"):
            with self.subTest(mode=mode):
                result = self.with_options(f"--mode={mode}", env=self.ENVIRONMENT, arguments=self.ARGUMENTS)
                self.assertGiven(result, self.ENVIRONMENT)

    def test_rewrite_changes_the_one_value_alone(self):
        moved = [entry.replace(b"http://+:80", b"http://+:8080") for entry in self.ENVIRONMENT]
        self.assertNotEqual(moved, self.ENVIRONMENT)
        self.assertGiven(self.with_options(REWRITE, env=self.ENVIRONMENT, arguments=self.ARGUMENTS), moved)

    def test_an_empty_environment_stays_empty(self):
        for mode in ("off", "explain", "rewrite"):
            with self.subTest(mode=mode):
                result = self.portshim(f"--mode={mode}", self.probe, env=[], stage=self.unprivileged)
                self.assertEqual((result.code, result.probe.environment), (0, []))

    def test_the_exit_code_is_commands_own(self):
        for mode in ("off", "explain", "validate", "rewrite"):
            with self.subTest(mode=mode):
                self.assertEqual(self.run_shim(f"--mode={mode}", self.probe, "--exit=42").code, 42)


if __name__ == "__main__":
    portshim_test.main()
