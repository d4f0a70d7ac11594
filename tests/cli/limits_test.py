"""Large, hostile and secret input, and a system that refuses what portshim asks for: the app starts all the same."""

import dataclasses
import json
import os
import resource
import subprocess
import time
import unicodedata
from functools import partial

import portshim_test
from portshim_test import NetworkNamespace, PortshimTest, Result, Stage, as_uid, in_network_namespace
from stages import in_mount_namespace, mount_tmpfs, prepared

MODES = ("off", "explain", "validate", "rewrite")
CHECKS = ("--check", "--check=json")

# MAX_ARG_STRLEN of linux/binfmts.h: 32 pages for one string with its NUL.
LONGEST_STRING = 32 * os.sysconf("SC_PAGE_SIZE") - 1


def denied_low_port() -> Stage:
    return as_uid(1654) | in_network_namespace(port_start=1024)


class Large(PortshimTest):
    def test_the_longest_variable_and_argument_arrive_whole(self):
        variable = b"LONG=".ljust(LONGEST_STRING, b"x")
        argument = b"a" * LONGEST_STRING
        for mode in MODES:
            with self.subTest(mode=mode):
                report = self.portshim(f"--mode={mode}", self.probe, argument, env=[variable]).probe
                self.assertEqual([os.fsencode(entry) for entry in report.environment], [variable])
                self.assertEqual(os.fsencode(report.argv[1]), argument)

    def test_negative_control_one_byte_more_is_not_taken_by_the_kernel(self):
        with self.assertRaises(subprocess.SubprocessError):
            self.portshim(self.probe, env=[b"LONG=".ljust(LONGEST_STRING + 1, b"x")])

    def test_the_longest_value_is_read_and_edited(self):
        # White space would be repaired, empty items are passed over by .NET too.
        value = "http://+:80".ljust(LONGEST_STRING - len("ASPNETCORE_URLS=") - 2, ";")
        result = self.portshim("--mode=rewrite", self.probe, env={"ASPNETCORE_URLS": value}, stage=denied_low_port())
        self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), value.replace(":80", ":8080"))
        self.assertLess(len(result.stderr), 4096)

    def test_a_hundred_thousand_variables_arrive_in_order_and_soon(self):
        """Fewer in emulation: QEMU compares each with all others."""
        count = 10_000 if self.is_slow else 100_000
        environment = [f"V{number}={number % 7}" for number in range(count)]
        environment[count * 7 // 10] = "ASPNETCORE_URLS=http://+:80"
        stage = denied_low_port() | Stage(limits=((resource.RLIMIT_STACK, (64 << 20, 64 << 20)),))
        for mode in "off", "explain", "rewrite":
            with self.subTest(mode=mode):
                begin = time.monotonic()
                report = self.portshim(f"--mode={mode}", self.probe, env=environment, stage=stage).probe
                self.assertLess(time.monotonic() - begin, 20)
                expected = [entry.replace(":80", ":8080") if mode == "rewrite" and "URLS" in entry else entry
                            for entry in environment]
                self.assertTrue(report.environment == expected, "the environment has changed")

    def test_an_edit_that_makes_one_string_too_long_is_given_up(self):
        environment = ["ASPNETCORE_URLS=http://+:80".ljust(LONGEST_STRING, ";"), "OTHER=1"]
        result = self.portshim("--mode=rewrite", self.probe, env=environment, stage=denied_low_port())
        self.assertUntouched(result, environment)

    def test_edits_that_make_the_whole_too_large_are_given_up(self):
        # fs/exec.c, bprm_stack_limits: a quarter of the stack's limit.
        namespace = NetworkNamespace(port_start=1024)
        stage = (as_uid(1654) | Stage(namespace=namespace) |
                 Stage(limits=((resource.RLIMIT_STACK, (1 << 20, 1 << 20)),)))
        # Each port gets two digits more, which is more than what portshim's own command line takes.
        urls = ";".join(f"http://+:{port}" for port in range(10, 99))

        def environment(mode: str, size: int) -> list[str]:
            return [f"PORTSHIM={mode}", "A=" + "x" * 90_000, "B=" + "x" * 90_000,
                    "ASPNETCORE_URLS=" + urls, "C=" + "x" * size]

        def starts(size: int) -> bool:
            try:
                return self.portshim(self.probe, env=environment("explain", size), stage=stage).code == 0
            except subprocess.SubprocessError:  # execve of portshim itself answered E2BIG
                return False

        largest, too_large = 100, LONGEST_STRING + 60_000
        self.assertTrue(starts(largest))
        while too_large - largest > 1:
            middle = (largest + too_large) // 2
            largest, too_large = (middle, too_large) if starts(middle) else (largest, middle)
        self.assertLess(largest, LONGEST_STRING - 2, "it is the limit of the whole that was found")
        tight = environment("rewrite", largest)  # as long a word as explain
        self.assertUntouched(self.portshim(self.probe, env=tight, stage=stage), tight)
        roomy = environment("rewrite", largest - 1000)
        result = self.portshim(self.probe, env=roomy, stage=stage)
        self.assertNotIn("PS414", result.stderr)
        self.assertIn("http://+:8010", result.probe.variable("ASPNETCORE_URLS"))

    def assertUntouched(self, result: Result, environment: list[str]) -> None:
        """That E2BIG was told, and that the app got what it would have got without portshim."""
        finding = self.assertFinding(result, "PS414", "error")
        self.assertIn("too large", finding.what)
        self.assertIn("as they were", finding.did)
        self.assertEqual(result.code, 0)
        self.assertTrue(result.probe.environment == environment, "the environment has changed")


class Hostile(PortshimTest):
    FORBIDDEN = "\x1b[31m \a \b \x7f \x85 \u2028 \u2029 \u202e \u2066 \u200f \u061c \r\nportshim: error PS999: forged"

    def messages(self) -> list[tuple[str, Result]]:
        """What is said about the forbidden characters in all places that come into messages."""
        forbidden = self.FORBIDDEN.encode() + b"\xff\xc3("
        low_port = b"http://+:80/" + forbidden
        stage = denied_low_port()
        script = self.write("start.sh", b"#!/no/" + forbidden.replace(b"\r\n", b"").replace(b" ", b"") + b"\n", 0o755)
        runs = (("command", [forbidden], []), ("path of command", [b"/no/" + forbidden], []),
                ("PATH", ["nosuch"], [b"PATH=/no/" + forbidden]), ("interpreter", [script], []),
                ("value", [self.probe], [b"ASPNETCORE_URLS=" + low_port]),
                ("port", [self.probe], [b"ASPNETCORE_HTTP_PORTS=80;" + forbidden]),
                ("placeholder", [self.probe], [b"ASPNETCORE_URLS=http://+:$" + forbidden]),
                ("invalid setting", [self.probe], [b"PORTSHIM_FLOOR=" + forbidden]),
                ("option", [b"--mode=" + forbidden, self.probe], []),
                ("unknown option", [b"--" + forbidden, self.probe], []),
                ("assembly", ["dotnet", forbidden + b".dll"], [f"PATH={self.put_dotnet()}"]),
                ("argument", ["dotnet", "App.dll", b"--urls=" + low_port], [f"PATH={self.put_dotnet()}"]))
        return [(name, self.portshim("--log-level=debug", *words, env=[*environment, "PORTSHIM=rewrite"], stage=stage,
                                     cwd=self.directory)) for name, words, environment in runs]

    def put_dotnet(self) -> str:
        self.write("App.dll", b"MZ")
        self.write("App.runtimeconfig.json", "{}")
        return str(self.write("bin/dotnet", self.probe.read_bytes(), 0o755).parent)

    def test_control_characters_bidi_and_invalid_utf8_come_out_escaped(self):
        for name, result in self.messages():
            with self.subTest(place=name):
                text = os.fsencode(result.stderr).decode("utf-8", errors="strict")
                self.assertRegex(text, r"\\u001b|\\r|\\u0007", "the value is in the message")
                for character in set(text) - {"\n"}:
                    self.assertNotIn(unicodedata.category(character), ("Cc", "Zl", "Zp"), repr(character))
                    self.assertNotIn(unicodedata.bidirectional(character),
                                     ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"), repr(character))
                self.assertFalse(set(text) & set("\u200e\u200f\u061c"))
                self.assertNotIn("PS999", [finding.id for finding in result.findings])

    def test_check_prints_valid_utf8_without_control_characters(self):
        value = b"http://+:80/" + self.FORBIDDEN.encode() + b"\xff"
        for check in CHECKS:
            with self.subTest(check=check):
                result = self.portshim(check, self.probe, env=[b"ASPNETCORE_URLS=" + value], stage=denied_low_port())
                text = os.fsencode(result.stdout).decode("utf-8", errors="strict")
                self.assertFalse(set(text) & set("\x1b\a\b\x7f\r\x85\u2028\u202e\u2066"), result)

    def test_a_message_has_at_most_256_bytes_of_a_value(self):
        long = "z" * 5000
        for name, words, environment in (
                ("command", [long], {}), ("path", ["/no/" + long], {}), ("PATH", ["nosuch"], {"PATH": "/no/" + long}),
                ("value", [self.probe], {"ASPNETCORE_URLS": "http://+:80;http://" + long}),
                ("setting", [self.probe], {"PORTSHIM_FLOOR": long}), ("option", ["--" + long, self.probe], {}),
                ("umlauts", ["nosuch"], {"PATH": "/no/" + "\u00fc" * 5000})):
            with self.subTest(place=name):
                result = self.portshim("--mode=rewrite", *words, env=environment, stage=denied_low_port())
                self.assertTrue(result.findings, result)
                self.assertNotIn("z" * 257, result.stderr)
                self.assertNotIn("\u00fc" * 129, result.stderr)

    def test_negative_control_a_value_of_256_bytes_is_whole(self):
        result = self.portshim("z" * 250)
        self.assertIn("z" * 250, result.stderr)


class Secrets(PortshimTest):
    def outputs(self, words: list, environment: dict[str, str]) -> dict[str, Result]:
        """All that portshim says in all modes, checks and log formats."""
        stage = denied_low_port().with_namespace()
        options = {" ".join(some): some for some in (
            *(["--mode=" + mode, "--log-level=debug", "--log-format=" + log] for mode in MODES
              for log in ("text", "json", "systemd")),
            *([check, "--mode=" + mode] for check in CHECKS for mode in ("explain", "validate", "rewrite")))}
        self.write("dotnet", b"#!/bin/sh\nexit 0\n", 0o755)
        self.write("App.dll", b"MZ")
        self.write("App.runtimeconfig.json", '{"runtimeOptions":{"framework":{"name":"Microsoft.AspNetCore.App",'
                                             '"version":"10.0.0"}}}')
        env = {**environment, "PATH": self.directory}
        return {name: self.portshim(*some, "dotnet", "App.dll", *words, env=env, stage=stage, cwd=self.directory)
                for name, some in options.items()}

    def assertNowhere(self, secret: str, outputs: dict[str, Result]) -> None:
        for name, result in outputs.items():
            with self.subTest(options=name):
                self.assertNotIn(secret, result.stdout)
                self.assertNotIn(secret, result.stderr)

    def test_the_password_of_a_certificate_is_never_said(self):
        secret = "hunter2correct"
        environment = {"ASPNETCORE_URLS": "http://+:80;https://+:443",
                       "Kestrel__Certificates__Default__Path": "/no/such.pfx",
                       "Kestrel__Certificates__Default__Password": secret,
                       "ASPNETCORE_Kestrel__Certificates__Default__Password": secret,
                       "KESTREL__CERTIFICATES__DEFAULT__PASSWORD": secret,
                       "Kestrel__Endpoints__Https__Url": "https://+:443",
                       "Kestrel__Endpoints__Https__Certificate__Password": secret}
        self.assertNowhere(secret, self.outputs([], environment))
        words = [f"--Kestrel:Certificates:Default:Password={secret}", "--urls=http://+:80",
                 "--Kestrel:Endpoints:Https:Certificate:Password", secret]
        self.assertNowhere(secret, self.outputs(words, {}))

    def test_user_info_and_query_of_an_address_are_masked_in_everything_that_people_read(self):
        # In JSON the values of edits and the texts of .NET's exceptions are data: exact.
        secret = "hunter2correct"
        url = f"http://user:{secret}@+:80"
        for words, environment in (([], {"ASPNETCORE_URLS": url}), ([], {"Kestrel__Endpoints__A__Url": url}),
                                   ([f"--urls={url}"], {}), (["--urls", url], {}),
                                   ([], {"ASPNETCORE_URLS": f"{url};http://a:{secret}/x@b:81"}),
                                   ([], {"ASPNETCORE_URLS": f"ftp://user:{secret}@+:80"}),
                                   *(([], {"ASPNETCORE_URLS": f"{url}{secret}"})
                                     for url in ("http://+:80?", "http://+:80#", "http://+:x?a=b ", "http://+:80?a='",
                                                 "http://+:80?a;b=", "http://+:80;b=", "+:80?", "+:80?a;"))):
            with self.subTest(words=words, environment=environment):
                outputs = self.outputs(words, environment)
                for name in [name for name in outputs if name.startswith("--check=json")]:
                    report = outputs[name].json
                    del report["edits"]
                    for prediction in report["predictions"] + report["after"]:
                        del prediction["failure"]
                    outputs[name] = dataclasses.replace(outputs[name], stdout=json.dumps(report))
                self.assertNowhere(secret, outputs)

    def test_no_other_variable_is_said(self):
        environment = {"ConnectionStrings__Default": "Password=hunter2correct", "HUNTER": "hunter2correct",
                       "ASPNETCORE_URLS": "http://+:80"}
        self.assertNowhere("hunter2correct", self.outputs(["--password", "hunter2correct"], environment))

    def test_negative_control_an_address_without_user_info_is_said(self):
        outputs = self.outputs([], {"ASPNETCORE_URLS": "http://hunter2correct:80"})
        self.assertIn("hunter2correct", outputs["--mode=rewrite --log-level=debug --log-format=text"].stderr)
        self.assertIn("hunter2correct", outputs["--check=json --mode=rewrite"].stdout)


class Refused(PortshimTest):
    ENVIRONMENT = {"ASPNETCORE_URLS": "http://+:80"}

    def assertMoved(self, result: Result) -> None:
        self.assertFinding(result, "PS101")
        self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:8080")

    @staticmethod
    def without_fork() -> Stage:
        # A uid of its own: the limit counts all processes of the user, those of other tests too.
        limits = ((resource.RLIMIT_NPROC, (1, 1)),)
        return as_uid(16540) | in_network_namespace(port_start=1024) | Stage(limits=limits)

    def test_a_trial_that_cannot_be_forked_keeps_nothing_from_starting(self):
        for mode in "explain", "rewrite":
            with self.subTest(mode=mode):
                result = self.portshim(f"--mode={mode}", self.probe, env=self.ENVIRONMENT, stage=self.without_fork())
                self.assertFinding(result, "PS101")
                expected = "http://+:8080" if mode == "rewrite" else "http://+:80"
                self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), expected)

    def test_negative_control_there_really_is_no_fork(self):
        result = self.start("/bin/sh", "-c", "(exit 0); echo forked", stage=self.without_fork()).wait()
        self.assertNotIn("forked", result.stdout)

    def test_few_descriptors_keep_nothing_from_starting(self):
        # QEMU needs one for itself.
        for count in (4, 5, 6) if self.is_slow else (3, 4, 5):
            with self.subTest(count=count):
                # Last, for the harness needs some itself.
                stage = prepared(last=[partial(resource.setrlimit, resource.RLIMIT_NOFILE, (count, count))])
                stage = stage | denied_low_port()
                self.assertMoved(self.portshim("--mode=rewrite", self.probe, env=self.ENVIRONMENT, stage=stage))

    def test_without_proc_the_app_starts(self):
        # Without a word about the bounding set: to narrow it the harness reads /proc.
        stage = (in_mount_namespace(partial(mount_tmpfs, "/proc")) |
                 Stage(uid=1654, gid=1654, groups=(), namespace=NetworkNamespace(port_start=1024)))
        for mode in MODES[:2]:
            with self.subTest(mode=mode):
                result = self.portshim(f"--mode={mode}", self.probe, env=self.ENVIRONMENT, stage=stage)
                self.assertEqual(result.probe.descriptors, {}, "there is no /proc")
                self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:80")
        self.assertMoved(self.portshim("--mode=rewrite", self.probe, env=self.ENVIRONMENT, stage=stage))
        for check in CHECKS:
            self.assertEqual(self.portshim(check, self.probe, stage=stage).code, 0)


if __name__ == "__main__":
    portshim_test.main()
