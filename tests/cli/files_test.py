"""Settings files: which ones are read, what is predicted of those that .NET cannot read, and how low ports in them are
moved. What is expected of a file was seen of real ASP.NET Core 8 and 10."""

import dataclasses
import json
import os
import re
import resource
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import portshim_test
from fake_app import APP, REWRITE, UNPRIVILEGED_UID, FakeAppTest
from portshim_test import (NO_CAPABILITIES, Result, Stage, Text, as_root, as_uid, passed_on, require_program,
                           started_by_another)
from stages import prepared

MODES = ("off", "explain", "validate", "rewrite")
CHECKS = ("--check", "--check=json")
BUILDERS = ("wab", "slim", "gh", "wh")
SETTINGS = "appsettings.json"

LARGEST = 16 << 20  # bytes of a file that is read
DEEPEST = 64  # levels of System.Text.Json

PORT_80 = {"Urls": "http://+:80"}
PORT_80_TEXT = json.dumps(PORT_80)
MOVED = "URLS=http://+:8080"


def endpoints(**urls: str) -> dict:
    return {"Kestrel": {"Endpoints": {name: {"Url": url} for name, url in urls.items()}}}


def on_port(port: int) -> dict:
    """Settings that every builder heeds: WebHost takes Urls from elsewhere."""
    return endpoints(A=f"http://+:{port}")


@dataclasses.dataclass(frozen=True)
class Failure:
    """An exception; of the causes only how they begin, since texts of parsers end in line numbers."""

    type: str
    message: str
    causes: tuple[str, ...] = ()
    certain: bool = True


class FilesTest(FakeAppTest):
    """`self.app` is the directory of the app and the working directory, unless a test names another one."""

    def settings(self, content: Mapping | str | bytes, name: str = SETTINGS) -> Path:
        text = content if isinstance(content, (str, bytes)) else json.dumps(content)
        return self.write(f"app/{name}", text)

    def run_in(self, cwd: Path, *words: Text, env: Mapping[str, Text] | Sequence[Text] = (),
               stage: Stage | None = None, timeout: float = 60) -> Result:
        """`portshim WORDS` in that working directory."""
        return self.portshim(*words, env=self.entries(env), stage=stage or self.unprivileged, cwd=cwd, timeout=timeout)

    def check(self, *options: Text, env: Mapping[str, Text] | Sequence[Text] = (), command: Sequence[Text] = (),
              cwd: Path | None = None, stage: Stage | None = None) -> dict:
        """The report of `portshim --check=json OPTIONS COMMAND`; the app of this folder unless COMMAND is named."""
        words = ("--check=json", *options, *(command or ("dotnet", self.app / "App.dll")))
        result = self.run_in(cwd or self.app, *words, env=env, stage=stage)
        self.assertSilent(result)
        self.assertEqual(result.code, {"start": 0, "refuse": 78}[result.json["verdict"]], result)
        return result.json

    def ports(self, report: dict) -> dict[str, int | str | None]:
        """By builder, the one port that it binds, or the type of the exception that ends it."""
        out = {}
        for one in report["predictions"]:
            if one["failure"] is not None:
                out[one["builder"]] = one["failure"]["type"]
            else:
                self.assertEqual(len(one["endpoints"]), 1, one)
                out[one["builder"]] = one["endpoints"][0]["port"]
        return out

    def origin(self, report: dict, builder: str = "wab") -> str:
        return next(one for one in report["predictions"] if one["builder"] == builder)["endpoints"][0]["origin"]

    def assertFailure(self, report: dict, expected: Failure) -> None:
        """That it ends every builder."""
        self.assertEqual({one["builder"] for one in report["predictions"]}, set(BUILDERS))
        for one in report["predictions"]:
            seen = one["failure"]
            self.assertIsNotNone(seen, one)
            self.assertEqual((seen["type"], seen["certain"]), (expected.type, expected.certain), seen)
            self.assertIn(expected.message, seen["message"])
            self.assertEqual(len(seen["causes"]), len(expected.causes), seen)
            for cause, start in zip(seen["causes"], expected.causes):
                self.assertTrue(cause.startswith(start), cause)
            self.assertEqual(one["endpoints"], [])

    def assertOutcomes(self, validate: int, *, env: Mapping[str, Text] | Sequence[Text] = (),
                       cwd: Path | None = None, stage: Stage | None = None, timeout: float = 60) -> None:
        """That the app starts as it is in every mode but validate, whose exit code is given (--check has the same)."""
        how = {"env": env, "stage": stage, "timeout": timeout}
        command = ("dotnet", self.app / "App.dll")
        for mode in MODES:
            with self.subTest(mode=mode):
                result = self.run_in(cwd or self.app, f"--mode={mode}", *command, **how)
                if mode == "validate" and validate != 0:
                    self.assertEqual((result.code, result.stdout), (validate, ""), result)
                else:
                    self.assertStarted(result, env, ["dotnet", str(self.app / "App.dll")])
        for check in CHECKS:
            with self.subTest(check=check):
                result = self.run_in(cwd or self.app, check, "--mode=validate", *command, **how)
                self.assertSilent(result)
                self.assertEqual(result.code, validate, result)

    def rewritten(self, env: Mapping[str, Text] | Sequence[Text] = (), *options: Text, stage: Stage | None = None,
                  command: Sequence[Text] = APP) -> list[Text]:
        """The entries that rewrite adds behind the environment, which must come whole in front of them."""
        result = self.run_in(self.app, REWRITE, *options, *command, env=env, stage=stage)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.probe.argv, [str(word) for word in command])
        before = [os.fsdecode(entry) for entry in self.entries(env)]
        after = result.probe.environment
        self.assertEqual(after[:len(before)], before)
        return after[len(before):]


# ---------------------------------------------------------------------------------------------------------------------
# Kinds of files


def _link(target: Text) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(os.fsdecode(target))


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    path.chmod(0o666)


def _closed(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """The same, and nobody may read it."""
    def make_closed(path: Path) -> None:
        make(path)
        path.chmod(0)
    return make_closed


def _fifo(path: Path) -> None:
    os.mkfifo(path)
    path.chmod(0o666)


def _into_closed_folder(path: Path) -> None:
    folder = path.parent / "closed"
    folder.mkdir()
    (folder / "real.json").write_text("{}")
    folder.chmod(0o700)
    path.symlink_to("closed/real.json")


def _through_file(path: Path) -> None:
    (path.parent / "file").write_text("{}")
    path.symlink_to("file/real.json")


def _linked_folder(path: Path) -> None:
    (path.parent / "folder").mkdir()
    path.symlink_to("folder")


def _loop(path: Path) -> None:
    path.symlink_to("loop")
    (path.parent / "loop").symlink_to(path.name)


def _closed_folder(path: Path) -> None:
    _linked_folder(path)
    (path.parent / "folder").chmod(0)


def _text(content: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


NOT_FOUND = Failure("System.IO.FileNotFoundException", "Could not find file '{path}'.")
DENIED = Failure("System.UnauthorizedAccessException", "Access to the path '{path}' is denied.",
                 ("System.IO.IOException: Permission denied",))
NO_JSON = Failure("System.IO.InvalidDataException", "Failed to load configuration from file '{path}'.",
                  ("System.FormatException: Could not parse the JSON file.",
                   "System.Text.Json.JsonReaderException: "))
HANG = Failure("hang", "", certain=False)

FATAL = {
    "dangling link": (_link("nowhere"), NOT_FOUND),
    "link into a folder that is not there": (_link("nowhere/at/all"), NOT_FOUND),
    "link through a file": (_through_file, Failure("System.IO.DirectoryNotFoundException",
                                                   "Could not find a part of the path '{path}'.")),
    "link with a name that is too long": (_link("n" * 300), Failure(
        "System.IO.PathTooLongException",
        "The path '{path}' is too long, or a component of the specified path is too long.")),
    "link loop": (_loop, Failure("System.IO.IOException", "Too many levels of symbolic links : '{path}'")),
    "link into a closed folder": (_into_closed_folder, DENIED),
    "unreadable file": (_closed(_text("{}")), DENIED),
    "unreadable FIFO": (_closed(_fifo), DENIED),
    "unreadable socket": (_closed(_socket), DENIED),
    "socket": (_socket, Failure("System.IO.IOException", "No such device or address : '{path}'")),
    "link to /dev/null": (_link("/dev/null"), NO_JSON),
    "link to a file of the kernel": (_link("/proc/version"), NO_JSON),
    "empty file": (_text(""), NO_JSON),
    "no JSON": (_text("Urls = http://+:80"), NO_JSON),
    "JSON that ends too early": (_text('{"Urls": "http://+:80"'), NO_JSON),
    "JSON with something behind it": (_text('{"Urls": "http://+:80"}\0'), NO_JSON),
    "UTF-16 without a byte order mark": (_text('{"Urls": "http://+:80"}'.encode("utf-16-le")), NO_JSON),
    "JSON that is no object": (_text("[]"), Failure(NO_JSON.type, NO_JSON.message, (
        "System.FormatException: Top-level JSON element must be an object. Instead, 'Array' was found.",))),
    "a key that is there twice": (_text('{"Urls": "http://+:80", "urls": null}'), Failure(
        NO_JSON.type, NO_JSON.message, ("System.FormatException: A duplicate key 'urls' was found.",))),
}
ABSENT = {
    "no file": lambda path: None,
    "folder": Path.mkdir,
    "link to a folder": _linked_folder,
    "link to an unreadable folder": _closed_folder,
}


class Kinds(FilesTest):
    def place(self, make: Callable[[Path], object]) -> Path:
        """A new folder with that settings file."""
        shutil.rmtree(self.directory / "work", ignore_errors=True)
        path = self.directory / "work" / SETTINGS
        path.parent.mkdir()
        make(path)
        return path

    def test_what_ends_the_app_is_predicted_with_the_exception_of_net(self):
        for name, (make, failure) in FATAL.items():
            with self.subTest(kind=name):
                path = self.place(make)
                report = self.check(cwd=path.parent)
                expected = dataclasses.replace(failure, message=failure.message.format(path=path))
                self.assertFailure(report, expected)
                self.assertEqual(report["verdict"], "refuse")

    def test_what_ends_the_app_is_said_and_stops_it_in_validate_alone(self):
        for name, (make, failure) in FATAL.items():
            with self.subTest(kind=name):
                path = self.place(make)
                self.assertOutcomes(78, cwd=path.parent)
                for mode in MODES[1:]:
                    result = self.run_in(path.parent, f"--mode={mode}", "dotnet", self.app / "App.dll")
                    finding = self.assertFinding(result, "PS301", "error")
                    self.assertIn(str(path), finding.what)
                    self.assertIn(failure.type, finding.what)
                    self.assertEqual(len(result.findings), 1, result)

    def test_what_net_takes_for_absent_changes_nothing(self):
        for name, make in ABSENT.items():
            with self.subTest(kind=name):
                path = self.place(make)
                report = self.check(cwd=path.parent)
                self.assertEqual(self.ports(report), dict.fromkeys(BUILDERS, 5000))
                expected = [] if name == "no file" else [("PS323", "warning")]
                self.assertEqual((report["verdict"], [(one["id"], one["severity"]) for one in report["findings"]]),
                                 ("start", expected))
                self.assertOutcomes(0, cwd=path.parent)

    def test_a_fifo_keeps_the_app_waiting_and_portshim_does_not_wait(self):
        path = self.place(_fifo)
        report = self.check(cwd=path.parent)
        self.assertFailure(report, HANG)
        self.assertEqual(report["verdict"], "refuse")
        self.assertOutcomes(78, cwd=path.parent)

    def test_a_fifo_is_said(self):
        path = self.place(_fifo)
        for mode in MODES[1:]:
            with self.subTest(mode=mode):
                result = self.run_in(path.parent, f"--mode={mode}", "dotnet", self.app / "App.dll")
                self.assertIn(str(path), self.assertFinding(result, "PS301", "error").what)
        self.assertIn("PS301", [finding["id"] for finding in self.check(cwd=path.parent)["findings"]])

    def test_a_low_port_beside_a_fifo_is_moved(self):
        self.settings(PORT_80)
        os.mkfifo(self.app / "appsettings.Production.json")
        self.assertEqual(self.rewritten(), [MOVED])

    def test_links_to_files_are_followed_as_config_maps_need_it(self):
        # How the kubelet mounts a ConfigMap.
        def make(path: Path) -> None:
            (path.parent / "..2026").mkdir()
            (path.parent / "..2026" / SETTINGS).write_text(json.dumps(PORT_80))
            (path.parent / "..data").symlink_to("..2026")
            path.symlink_to(f"..data/{SETTINGS}")
        path = self.place(make)
        report = self.check(cwd=path.parent)
        self.assertEqual((self.ports(report)["wab"], self.origin(report)), (80, f"{SETTINGS}: Urls"))

    def test_every_settings_file_may_be_the_one_that_ends_the_app(self):
        for name, builders in (("appsettings.Production.json", BUILDERS), ("App.settings.json", ("wab", "gh")),
                               ("App.settings.Production.json", ("wab", "gh"))):
            with self.subTest(name=name):
                path = self.settings("{", name)
                report = self.check()
                failed = [one["builder"] for one in report["predictions"] if one["failure"] is not None]
                self.assertEqual(sorted(failed), sorted(builders))
                # Code may use a builder that does not read it.
                self.assertEqual(report["verdict"], "refuse" if builders == BUILDERS else "start")
                self.assertEqual([(finding["id"], finding["severity"]) for finding in report["findings"]],
                                 [("PS301", "error" if builders == BUILDERS else "warning")])
                path.unlink()

    def test_a_file_that_becomes_a_fifo_between_two_starts_is_read_anew(self):
        path = self.settings(PORT_80)
        self.assertEqual(self.rewritten(), [MOVED])
        path.unlink()
        os.mkfifo(path)
        self.assertEqual(self.rewritten(), [])
        path.unlink()
        self.settings({"Urls": "http://+:81"})
        self.assertEqual(self.rewritten(), ["URLS=http://+:8081"])


class Json(FilesTest):
    """One of a kind each; shim's unit tests have the grammar."""

    def port(self, content: Mapping | str | bytes) -> int | str | None:
        self.settings(content)
        return self.ports(self.check("--floor=0"))["wab"]

    def test_comments_trailing_commas_flat_keys_numbers_and_any_case_are_read(self):
        for content in ('{"Urls": "http://+:81",}', '/* x */ {"URLS": "http://+:81"} // end', '{"HTTP_PORTS": 81}',
                        '{"kestrel:endpoints:A:url": "http://+:81"}', '{"Kestrel": {"Endpoints": {"A": {"Url": "http'
                        '://\\u002b:81"}}}}', '{"Kestrel": {"Endpoints": [{"Url": "http://+:81"}]}}'):
            with self.subTest(content=content):
                self.assertEqual(self.port(content), 81)

    def test_byte_order_marks_tell_the_encoding(self):
        for encoding in ("utf-8-sig", "utf-16", "utf-32"):
            with self.subTest(encoding=encoding):
                self.assertEqual(self.port('{"Urls": "http://+:81"}'.encode(encoding)), 81)

    def test_an_empty_value_hides_lower_sources(self):
        for value in ("", None):
            with self.subTest(value=value):
                self.settings({"Urls": value})
                ports = self.ports(self.check(env={"ASPNETCORE_URLS": "http://+:8081"}))
                self.assertEqual(ports, {"wab": 5000, "slim": 5000, "gh": 8081, "wh": 8081})

    def test_64_levels_are_read_and_65_end_the_app(self):
        def nested(depth: int) -> str:
            return '{"Urls": "http://+:81", "x": ' + (depth - 1) * "[" + (depth - 1) * "]" + "}"

        self.assertEqual(self.port(nested(DEEPEST)), 81)
        self.settings(nested(DEEPEST + 1))
        path = self.app / SETTINGS
        self.assertFailure(self.check(), dataclasses.replace(NO_JSON, message=NO_JSON.message.format(path=path)))

    def test_any_depth_ends_the_app_and_not_portshim(self):
        for opening in ("[", '{"a":', '{"a":['):
            with self.subTest(opening=opening):
                self.settings(1_000_000 * opening)
                self.assertEqual(self.port(1_000_000 * opening), "System.IO.InvalidDataException")
                self.assertOutcomes(78)


# ---------------------------------------------------------------------------------------------------------------------
# Which files


class Names(FilesTest):
    def test_origins_name_file_and_key(self):
        self.settings({"Urls": "http://+:81"})
        self.assertEqual(self.origin(self.check()), f"{SETTINGS}: Urls")
        self.settings(on_port(81))
        self.assertEqual(self.origin(self.check(), "wh"), f"{SETTINGS}: Kestrel:Endpoints:A:Url")

    def test_origins_are_relative_below_the_working_directory_and_absolute_elsewhere(self):
        self.settings(on_port(81))
        root = {"ASPNETCORE_CONTENTROOT": str(self.app)}
        key = "Kestrel:Endpoints:A:Url"
        for cwd, expected in ((self.directory, f"app/{SETTINGS}: {key}"), (self.app, f"{SETTINGS}: {key}"),
                              (Path("/usr"), f"{self.app}/{SETTINGS}: {key}")):
            with self.subTest(cwd=cwd):
                self.assertEqual(self.origin(self.check(env=root, cwd=cwd)), expected)

    def test_everything_is_below_the_root_directory(self):
        self.settings(on_port(81))
        origin = self.origin(self.check(env={"ASPNETCORE_CONTENTROOT": str(self.app)}, cwd=Path("/")))
        self.assertEqual(origin, f"{self.app}/{SETTINGS}: Kestrel:Endpoints:A:Url".removeprefix("/"))

    def test_a_folder_whose_name_goes_on_is_not_below(self):
        (self.directory / "app2").mkdir()
        (self.directory / "app2" / SETTINGS).write_text(json.dumps(on_port(81)))
        origin = self.origin(self.check(env={"ASPNETCORE_CONTENTROOT": f"{self.directory}/app2"}))
        self.assertEqual(origin, f"{self.directory}/app2/{SETTINGS}: Kestrel:Endpoints:A:Url")

    def test_later_files_win(self):
        files = (SETTINGS, "appsettings.Production.json", "App.settings.json", "App.settings.Production.json")
        for port, name in enumerate(files, 5001):
            self.settings(on_port(port), name)
            with self.subTest(files=files[:port - 5000]):
                ports = self.ports(self.check())
                self.assertEqual(ports, dict.fromkeys(("wab", "gh"), port) |
                                 dict.fromkeys(("slim", "wh"), min(port, 5002)))

    def test_names_are_in_this_case_alone(self):
        for name in ("AppSettings.json", "appsettings.production.json", "app.settings.json", "hosting.json",
                     "hostsettings.json", ".appsettings.json", "appsettings.json.bak"):
            self.settings(on_port(81), name)
        self.assertEqual(self.ports(self.check()), dict.fromkeys(BUILDERS, 5000))

    def test_variables_without_prefix_and_arguments_beat_files_and_prefixed_variables_do_not(self):
        self.settings({"Urls": "http://+:81"})
        name = "Kestrel__Endpoints__A__Url"
        for env, arguments, expected in (
                ({"ASPNETCORE_URLS": "http://+:5001", "DOTNET_URLS": "http://+:5002"}, (), 81),
                ({"URLS": "http://+:5003"}, (), 5003), ({}, ("--urls=http://+:5004",), 5004),
                ({"URLS": "http://+:5003"}, ("--urls", "http://+:5004"), 5004),
                ({f"DOTNET_{name}": "http://+:5005"}, (), 5005), ({name: "http://+:5006"}, (), 5006)):
            with self.subTest(env=env, arguments=arguments):
                report = self.check("--floor=0", env=env, command=(*APP, *arguments))
                self.assertEqual(self.ports(report)["wab"], expected)
        self.settings(on_port(81))
        for env, expected in (({f"ASPNETCORE_{name}": "http://+:5005", f"DOTNET_{name}": "http://+:5005"}, 81),
                              ({name: "http://+:5006"}, 5006), ({"Kestrel:Endpoints:a:url": "http://+:5007"}, 5007)):
            with self.subTest(env=env):
                self.assertEqual(self.ports(self.check("--floor=0", env=env)), dict.fromkeys(BUILDERS, expected))

    def test_an_apphost_reads_the_files_of_its_own_name(self):
        shutil.copy(self.probe, self.app / "App")
        self.settings(on_port(81), "App.settings.json")
        self.settings(on_port(82), "dotnet.settings.json")
        report = self.check(command=[self.app / "App"])
        self.assertEqual(self.ports(report), {"wab": 81, "gh": 81, "slim": 5000, "wh": 5000})
        self.settings(on_port(80))
        (self.app / "App.settings.json").unlink()
        self.assertEqual(self.rewritten(command=["./App"]), ["Kestrel__Endpoints__A__Url=http://+:8080"])


class Application(FilesTest):
    """{App}.settings.json."""

    def builders_that_read_it(self, report: dict) -> set[tuple[str, int]]:
        return {(one["builder"], one["major"]) for one in report["predictions"] if one["endpoints"][0]["port"] == 81}

    def test_only_net_10_reads_it(self):
        self.settings(on_port(81), "App.settings.json")
        for version, expected in (("6.0.36", set()), ("7.0.0", set()), ("8.0.0", set()), ("9.0.9", set()),
                                  ("10.0.0", {("wab", 10), ("gh", 10)})):
            with self.subTest(version=version):
                self.add_assembly("App", version=version)
                self.assertEqual(self.builders_that_read_it(self.check()), expected)

    def test_where_the_version_is_not_known_net_10_is_one_of_several(self):
        self.settings(on_port(81), "Bare.settings.Production.json")
        self.add_assembly("Bare", None)
        report = self.check(command=("dotnet", "Bare.dll"))
        self.assertEqual({one["major"] for one in report["predictions"]}, {8, 9, 10})
        self.assertEqual(self.builders_that_read_it(report), {("wab", 10), ("gh", 10)})

    def test_its_name_is_that_of_the_assembly_without_dll(self):
        self.add_assembly("My.Web.App")
        self.settings(on_port(81), "My.Web.App.settings.json")
        for command in (("dotnet", "My.Web.App.dll"), ("dotnet", "exec", self.app / "My.Web.App.dll")):
            with self.subTest(command=command):
                self.assertEqual(self.builders_that_read_it(self.check(command=command)), {("wab", 10), ("gh", 10)})

    def test_web_application_takes_another_name_from_variables_and_arguments(self):
        for port, name in enumerate(("App", "One", "Two", "Three", "a_b"), 5001):
            self.settings(on_port(port), f"{name}.settings.json")
        one, two = {"ASPNETCORE_APPLICATIONNAME": "One"}, {"DOTNET_APPLICATIONNAME": "Two"}
        for env, arguments, expected in ((one, (), 5002), (two, (), 5003), ({**two, **one}, (), 5003),
                                         ({**one, **two}, ("--applicationName=Three",), 5004),
                                         ({"ASPNETCORE_APPLICATIONNAME": ""}, (), 5001),
                                         ({"APPLICATIONNAME": "One"}, (), 5001),
                                         ({"ASPNETCORE_APPLICATIONNAME": "a/b"}, (), 5005)):
            with self.subTest(env=env, arguments=arguments):
                ports = self.ports(self.check(env=env, command=(*APP, *arguments)))
                self.assertEqual(ports, {"wab": expected, "gh": 5001, "slim": 5000, "wh": 5000})

    def test_a_name_that_begins_with_a_dot_is_absent(self):
        self.settings(on_port(81), ".App.settings.json")
        self.assertEqual(self.builders_that_read_it(self.check(env={"ASPNETCORE_APPLICATIONNAME": ".App"})), set())


class HostLevel(FilesTest):
    """Values that decide which files are read: each builder weighs their sources in its own way."""

    def weighed(self, key: str, values: Mapping[str, str], **how) -> dict[str, int | str | None]:
        """By builder, the port that is bound with these values from `aspnetcore`, `dotnet`, `argument`, `plain`."""
        prefixes = {"aspnetcore": "ASPNETCORE_", "dotnet": "DOTNET_", "plain": ""}
        env = {prefixes[source] + key.upper(): value for source, value in values.items() if source != "argument"}
        arguments = [f"--{key}={value}" for source, value in values.items() if source == "argument"]
        command = ("dotnet", self.app / "App.dll", *arguments)
        return self.ports(self.check(env=env, command=command, **how))


class ContentRoot(HostLevel):
    WORK, APP, ONE, TWO, BELOW = 5001, 5002, 5003, 5004, 5005

    def setUp(self) -> None:
        super().setUp()
        for port, name in ((self.WORK, "work"), (self.APP, "app"), (self.ONE, "one"), (self.TWO, "two"),
                           (self.BELOW, "app/below")):
            self.write(f"{name}/{SETTINGS}", json.dumps(on_port(port)))
        self.work, self.one, self.two = (str(self.directory / name) for name in ("work", "one", "two"))

    def rooted(self, **values: str) -> dict[str, int | str | None]:
        return self.weighed("contentRoot", values, cwd=Path(self.work))

    def test_it_is_the_working_directory_where_nothing_is_said(self):
        everywhere = dict.fromkeys(BUILDERS, self.WORK)
        self.assertEqual(self.rooted(), everywhere)
        self.assertEqual(self.rooted(plain=self.one), everywhere)

    def test_each_source_names_it(self):
        everywhere = dict.fromkeys(BUILDERS, self.ONE)
        self.assertEqual(self.rooted(aspnetcore=self.one), everywhere)
        self.assertEqual(self.rooted(dotnet=self.one), everywhere | {"wh": self.WORK})
        self.assertEqual(self.rooted(argument=self.one), everywhere)

    def test_of_several_sources_each_builder_has_its_winner(self):
        one, two = self.ONE, self.TWO
        self.assertEqual(self.rooted(aspnetcore=self.one, dotnet=self.two),
                         {"wab": two, "slim": two, "gh": one, "wh": one})
        self.assertEqual(self.rooted(aspnetcore=self.one, argument=self.two),
                         {"wab": two, "slim": two, "gh": one, "wh": two})
        self.assertEqual(self.rooted(dotnet=self.one, argument=self.two), dict.fromkeys(BUILDERS, two))

    def test_an_empty_one_is_the_app_or_nothing(self):
        app, work = self.APP, self.WORK
        self.assertEqual(self.rooted(aspnetcore=""), {"wab": app, "slim": app, "gh": work, "wh": work})
        self.assertEqual(self.rooted(dotnet=""), {"wab": app, "slim": app, "gh": app, "wh": work})
        self.assertEqual(self.rooted(argument=""), dict.fromkeys(BUILDERS, app))
        self.assertEqual(self.rooted(aspnetcore="", dotnet=self.one),
                         {"wab": self.ONE, "slim": self.ONE, "gh": self.ONE, "wh": work})

    def test_a_relative_one_begins_at_the_app_and_not_at_the_working_directory(self):
        for root, expected in ((".", self.APP), ("./", self.APP), ("below", self.BELOW), ("../one", self.ONE),
                               ("below/../../two/", self.TWO), ("nowhere/..", self.APP)):
            with self.subTest(root=root):
                self.assertEqual(self.rooted(aspnetcore=root), dict.fromkeys(BUILDERS, expected))

    def test_a_relative_one_begins_at_the_app_of_a_relative_path_too(self):
        for cwd, dll in ((self.directory, "app/App.dll"), (self.app, "App.dll"), (self.app, "./App.dll"),
                         (self.app / "below", "../App.dll")):
            with self.subTest(cwd=cwd, dll=dll):
                report = self.check(env={"ASPNETCORE_CONTENTROOT": "below"}, command=("dotnet", dll), cwd=cwd)
                self.assertEqual(self.ports(report), dict.fromkeys(BUILDERS, self.BELOW))

    def test_every_spelling_of_variable_and_argument_is_read(self):
        for env, arguments in (({"aspnetcore_contentroot": self.one}, ()), ({}, ("--contentRoot", self.one)),
                               ({}, (f"--CONTENTROOT={self.one}",)), ({}, (f"/contentRoot={self.one}",)),
                               ({}, ("/contentRoot", self.one)), ({}, (f"contentroot={self.one}",))):
            with self.subTest(env=env, arguments=arguments):
                report = self.check(env=env, command=("dotnet", self.app / "App.dll", *arguments), cwd=Path(self.work))
                self.assertEqual(self.ports(report), dict.fromkeys(BUILDERS, self.ONE))

    def test_its_dots_slashes_and_links_are_resolved(self):
        (self.directory / "link").symlink_to("one")
        (self.directory / ".dotted").symlink_to("two")
        for root, expected in ((f"{self.one}/", self.ONE), (f"/{self.one}//.", self.ONE),
                               (f"{self.directory}/nowhere/../one", self.ONE), (f"{self.directory}/link", self.ONE),
                               (f"{self.directory}/.dotted", self.TWO)):
            with self.subTest(root=root):
                self.assertEqual(self.rooted(aspnetcore=root), dict.fromkeys(BUILDERS, expected))

    def assertEnds(self, root: str, shown: str) -> None:
        report = self.check(env={"ASPNETCORE_CONTENTROOT": root}, cwd=Path(self.work))
        self.assertEqual(report["verdict"], "refuse")
        for one in report["predictions"]:
            expected = ("System.IO.DirectoryNotFoundException", shown + "/")
            if one["builder"] == "wh":
                expected = ("System.ArgumentException",
                            f"The content root '{shown}' does not exist. (Parameter 'contentRootPath')")
            self.assertEqual((one["failure"]["type"], one["failure"]["message"]), expected)
        self.assertEqual({(one["id"], one["severity"]) for one in report["findings"]}, {("PS303", "error")})

    def test_one_that_is_no_directory_ends_the_app(self):
        closed = self.directory / "closed"
        (closed / "in").mkdir(parents=True)
        closed.chmod(0o700)
        (self.directory / "dangling").symlink_to("nowhere")
        for root in ("/nowhere", f"{self.work}/{SETTINGS}", f"{self.directory}/dangling", f"{closed}/in",
                     f"{self.one} "):
            with self.subTest(root=root):
                self.assertEnds(root, root)
                self.assertOutcomes(78, env={"ASPNETCORE_CONTENTROOT": root}, cwd=Path(self.work))
        self.assertEnds("work", f"{self.app}/work")

    def test_one_that_only_some_builders_read_is_no_reason_to_refuse(self):
        env = {"DOTNET_CONTENTROOT": "/nowhere"}
        report = self.check(env=env, cwd=Path(self.work))
        self.assertEqual(self.ports(report)["wh"], self.WORK)
        self.assertEqual([(one["id"], one["severity"]) for one in report["findings"]], [("PS303", "warning")])
        self.assertOutcomes(0, env=env, cwd=Path(self.work))

    def test_in_one_that_may_not_be_searched_files_are_absent(self):
        Path(self.one).chmod(0o600)
        self.assertEqual(self.rooted(aspnetcore=self.one), dict.fromkeys(BUILDERS, 5000))

    def test_one_that_may_be_searched_and_not_listed_is_read(self):
        Path(self.one).chmod(0o711)
        self.assertEqual(self.rooted(aspnetcore=self.one), dict.fromkeys(BUILDERS, self.ONE))

    def test_bytes_that_are_no_utf8_are_other_ones_to_net(self):
        # It decodes them to U+FFFD, and then there is no such directory.
        odd = os.fsencode(self.directory) + b"/\xff"
        os.mkdir(odd)
        with open(odd + b"/" + SETTINGS.encode(), "w", encoding="ascii") as file:
            json.dump(on_port(81), file)
        report = self.check(env={"ASPNETCORE_CONTENTROOT": odd})
        self.assertEqual(self.ports(report)["wab"], "System.IO.DirectoryNotFoundException")
        report = self.check(cwd=Path(os.fsdecode(odd)))
        self.assertEqual(self.ports(report)["wab"], "System.IO.DirectoryNotFoundException")


class EnvironmentName(HostLevel):
    PRODUCTION, ONE, TWO, EMPTY = 5001, 5002, 5003, 5004

    def setUp(self) -> None:
        super().setUp()
        for port, name in ((self.PRODUCTION, "Production"), (self.ONE, "One"), (self.TWO, "Two"), (self.EMPTY, "")):
            self.settings(on_port(port), f"appsettings.{name}.json")

    def named(self, **values: str) -> dict[str, int | str | None]:
        return self.weighed("environment", values)

    def test_it_is_production_where_nothing_is_said(self):
        everywhere = dict.fromkeys(BUILDERS, self.PRODUCTION)
        self.assertEqual(self.named(), everywhere)
        self.assertEqual(self.named(plain="One"), everywhere)

    def test_each_source_names_it(self):
        everywhere = dict.fromkeys(BUILDERS, self.ONE)
        self.assertEqual(self.named(aspnetcore="One"), everywhere)
        self.assertEqual(self.named(dotnet="One"), everywhere | {"wh": self.PRODUCTION})
        self.assertEqual(self.named(argument="One"), everywhere)

    def test_of_several_sources_each_builder_has_its_winner(self):
        one, two = self.ONE, self.TWO
        self.assertEqual(self.named(aspnetcore="One", dotnet="Two"), {"wab": two, "slim": two, "gh": one, "wh": one})
        self.assertEqual(self.named(aspnetcore="One", argument="Two"), {"wab": two, "slim": two, "gh": one, "wh": two})
        self.assertEqual(self.named(dotnet="One", argument="Two"), dict.fromkeys(BUILDERS, two))

    def test_an_empty_one_is_a_name_or_nothing(self):
        empty, production = self.EMPTY, self.PRODUCTION
        self.assertEqual(self.named(aspnetcore=""), {"wab": empty, "slim": empty, "gh": production, "wh": production})
        self.assertEqual(self.named(dotnet=""), {"wab": empty, "slim": empty, "gh": empty, "wh": production})
        self.assertEqual(self.named(argument=""), dict.fromkeys(BUILDERS, empty))

    def test_only_web_host_knows_the_names_of_earlier_days(self):
        for env, expected in (({"Hosting:Environment": "One"}, self.ONE), ({"ASPNET_ENV": "Two"}, self.TWO),
                              ({"Hosting:Environment": "One", "ASPNET_ENV": "Two"}, self.ONE),
                              ({"HOSTING:ENVIRONMENT": "One"}, self.PRODUCTION),
                              ({"ASPNETCORE_ENVIRONMENT": "", "ASPNET_ENV": "Two"}, self.TWO)):
            with self.subTest(env=env):
                self.assertEqual(self.ports(self.check(env=env))["wh"], expected)
        self.assertEqual(self.ports(self.check(env={"ASPNET_ENV": "Two"}))["wab"], self.PRODUCTION)

    def test_every_character_counts(self):
        names = ["Ünï", "a b", " ", "*", "?", "a|b", "$(x)", "${HOME}", "a\\b", "a:b", "é\n", "\t", '"', "'q'", "%41",
                 "~", ".", "..", "a..b", "PRODUCTION", "\ufffd", "\U0001f600", "x" * 230]
        for name in names:
            with self.subTest(name=name):
                self.settings(on_port(6000), f"appsettings.{name}.json")
                report = self.check(env={"ASPNETCORE_ENVIRONMENT": name})
                self.assertEqual(self.ports(report), dict.fromkeys(BUILDERS, 6000))
                self.assertEqual(self.origin(report), f"appsettings.{name}.json: Kestrel:Endpoints:A:Url")
                (self.app / f"appsettings.{name}.json").unlink()

    def test_a_name_that_is_too_long_for_a_file_reads_nothing(self):
        self.assertEqual(self.named(aspnetcore="x" * 300), dict.fromkeys(BUILDERS, 5000))
        self.assertEqual(self.named(aspnetcore="x/" * 3000), dict.fromkeys(BUILDERS, 5000))

    def test_slashes_make_a_path_inside_the_content_root(self):
        # ".." is worked out from the text alone.
        for port, (name, file) in enumerate((("a/b", "appsettings.a/b.json"), ("c//d", "appsettings.c/d.json"),
                                             ("x/../y", "y.json"), ("../z", "appsettings.../z.json"),
                                             ("/abs", "appsettings./abs.json")), 6000):
            with self.subTest(name=name):
                self.settings(on_port(port), file)
                self.assertEqual(self.named(aspnetcore=name), dict.fromkeys(BUILDERS, port))

    def test_what_lies_outside_the_content_root_or_is_hidden_reads_nothing(self):
        self.write("outside.json", json.dumps(on_port(6000)))
        self.settings(on_port(6000), "appsettings.a/.json")
        for name in ("x/../../outside", "x/../../../../../../../../../../etc/x", "a/"):
            with self.subTest(name=name):
                self.assertEqual(self.named(aspnetcore=name), dict.fromkeys(BUILDERS, 5000))

    def test_bytes_that_are_no_utf8_become_replacement_characters(self):
        self.settings(on_port(6000), "appsettings.\ufffd.json")
        report = self.check(env=[b"ASPNETCORE_ENVIRONMENT=\xff"])
        self.assertEqual(self.ports(report), dict.fromkeys(BUILDERS, 6000))


class NoFiles(FilesTest):
    """Who reads no settings files."""

    def test_an_app_without_asp_net_core_reads_none(self):
        self.settings("{")
        self.add_assembly("App", "Microsoft.NETCore.App")
        for command in (APP, ("dotnet", "build")):
            with self.subTest(command=command):
                report = self.check(command=command)
                self.assertEqual((report["verdict"], report["findings"], report["edits"]), ("start", [], []))
        self.assertOutcomes(0)

    def test_another_program_as_command_reads_none_that_are_known(self):
        self.settings(PORT_80)
        for command in ((self.probe, "App.dll"), ("/bin/sh", "-c", "dotnet App.dll"), ("dotnet", "run")):
            with self.subTest(command=command):
                report = self.check(REWRITE, command=command)
                self.assertEqual({one["endpoints"][0]["origin"] for one in report["predictions"]}, {"default"})
                self.assertEqual((report["verdict"], report["findings"], report["edits"]), ("start", [], []))
        self.assertEqual(self.rewritten(command=[self.probe]), [])

    def test_a_broken_file_is_nothing_to_another_program(self):
        self.settings("{")
        result = self.run_in(self.app, "--mode=validate", self.probe)
        self.assertEqual(result.code, 0, result)
        self.assertSilent(result)

    def test_off_says_nothing_of_any_file(self):
        for make in (_text("{"), _fifo, _loop):
            with self.subTest(make=make):
                make(self.app / SETTINGS)
                result = self.run_in(self.app, *APP)
                self.assertSilent(result)
                self.assertStarted(result, ())
                (self.app / SETTINGS).unlink()


# ---------------------------------------------------------------------------------------------------------------------
# Edits


class Edits(FilesTest):
    # What a careless copy of the environment would lose: doubles, entries without a name or '=', bytes, order.
    ODD = passed_on((b"Z=1", b"NOTHING", b"=x", b"A=\xff\xfe", b"DOUBLE=1", b"EMPTY=", b"DOUBLE=2",
                     b"ASPNETCORE_HTTP_PORTS=8080", b"URLS", b"MULTI=a\nb"))

    def test_a_low_port_is_moved_by_one_new_variable_at_the_end(self):
        for content, expected in (
                (PORT_80, MOVED), ({"HTTP_PORTS": "80"}, "HTTP_PORTS=8080"), ({"http_ports": 80}, "HTTP_PORTS=8080"),
                ({"Urls": "http://+:80;http://127.0.0.1:5000/"}, "URLS=http://+:8080;http://127.0.0.1:5000/"),
                (endpoints(Http="http://*:80"), "Kestrel__Endpoints__Http__Url=http://*:8080"),
                ({"Kestrel": {"Endpoints": [{"Url": "http://+:80"}]}}, "Kestrel__Endpoints__0__Url=http://+:8080"),
                ({"Urls": "http://+:${PORT}"}, MOVED)):
            with self.subTest(content=content):
                self.settings(content)
                env = [entry for entry in self.ODD if not entry.startswith(b"ASPNETCORE_")]
                self.assertEqual(self.rewritten(env), [expected])

    def test_the_report_calls_it_a_new_variable(self):
        self.settings(PORT_80)
        report = self.check(REWRITE, env=self.ODD)
        self.assertEqual(report["edits"], [{"kind": "set", "name": "URLS", "old": None, "new": "http://+:8080"}])
        after = {one["builder"]: one["endpoints"][0]["port"] for one in report["after"]}
        self.assertEqual(after, {"wab": 8080, "slim": 8080, "gh": 8080, "wh": 5000})
        self.assertEqual(report["verdict"], "start")

    def test_the_finding_names_file_key_and_variable(self):
        self.settings(PORT_80)
        result = self.run_in(self.app, REWRITE, *APP)
        finding = self.assertFinding(result, "PS101", "warning")
        self.assertIn(f"{SETTINGS}: Urls=http://+:80", finding.what)
        self.assertIn(MOVED, finding.did)
        self.assertIn(SETTINGS, finding.next)

    def test_endpoints_of_several_files_get_a_variable_each(self):
        self.settings(endpoints(Web="http://+:80", Api="http://+:5000"))
        self.settings(endpoints(Admin="http://+:81"), "appsettings.Production.json")
        self.assertEqual(sorted(self.rewritten(self.ODD)),
                         ["Kestrel__Endpoints__Admin__Url=http://+:8081", "Kestrel__Endpoints__Web__Url=http://+:8080"])

    def test_a_setting_that_a_later_file_overrides_is_left_alone(self):
        self.settings(PORT_80)
        self.settings({"Urls": "http://+:8081"}, "appsettings.Production.json")
        self.assertEqual(self.rewritten(), [])

    def test_names_of_endpoints_are_spelled_so_that_net_reads_them_back(self):
        for name, variable in (("", "Kestrel__Endpoints____Url"), ("é", "Kestrel__Endpoints__é__Url"),
                               ("a b", "Kestrel__Endpoints__a b__Url"), ("A-B.c", "Kestrel__Endpoints__A-B.c__Url"),
                               ("_x", "Kestrel__Endpoints___x__Url"), ("x_", "Kestrel:Endpoints:x_:Url")):
            with self.subTest(name=name):
                self.settings(endpoints(**{name: "http://+:80"}))
                self.assertEqual(self.rewritten(), [f"{variable}=http://+:8080"])

    def test_a_name_that_no_variable_can_have_is_told(self):
        for name in ("a=b", "a__b"):
            with self.subTest(name=name):
                self.settings(endpoints(**{name: "http://+:80"}))
                self.assertEqual(self.rewritten(self.ODD), [])
                self.assertFinding(self.run_in(self.app, REWRITE, *APP), "PS108", "error")
                self.assertEqual(self.check(REWRITE)["verdict"], "refuse")

    def test_a_value_that_no_variable_can_have_is_told(self):
        # .NET binds 80 and 5000; cut off at U+0000 the second one would be 80 too.
        self.settings({"Urls": "http://+:80;http://a\0b:5000"})
        self.assertEqual(self.rewritten(self.ODD), [])
        self.assertFinding(self.run_in(self.app, REWRITE, *APP), "PS108", "error")

    def test_u0000_in_what_is_replaced_does_not_matter(self):
        self.settings({"Urls": "http://+:80\0"})
        self.assertEqual(self.rewritten(), [MOVED])

    def test_what_only_some_builders_read_is_told_and_left_alone(self):
        # A variable is read by all of them: CreateSlimBuilder and WebHost would get another port than before.
        for content in (PORT_80, on_port(80)):
            with self.subTest(content=content):
                self.settings(content, "App.settings.json")
                self.assertEqual(self.rewritten(), [])
                self.assertFinding(self.run_in(self.app, REWRITE, *APP), "PS108", "error")

    def test_variables_and_arguments_are_changed_in_place_beside_a_file(self):
        self.settings(endpoints(A="http://+:80"))
        env = ["FIRST=1", "Kestrel__Endpoints__B__Url=http://+:81", "LAST=1"]
        result = self.run_in(self.app, REWRITE, *APP, "--Kestrel:Endpoints:C:Url=http://+:82", env=env)
        self.assertEqual(result.probe.environment,
                         self.entries(["FIRST=1", "Kestrel__Endpoints__B__Url=http://+:8081", "LAST=1",
                                       "Kestrel__Endpoints__A__Url=http://+:8080"]))
        self.assertEqual(result.probe.argv, [*APP, "--Kestrel:Endpoints:C:Url=http://+:8082"])

    def test_the_map_decides_where_it_goes(self):
        self.settings({"Urls": "http://+:80;http://+:443"})
        self.assertEqual(self.rewritten(self.ODD, "--map=80:5000"), ["URLS=http://+:5000;http://+:8443"])

    def test_placeholders_are_filled_in_where_that_is_wanted(self):
        self.settings({"Urls": "http://+:${PORT}"})
        self.assertEqual(self.rewritten({"PORT": "5001"}, "--expand"), ["URLS=http://+:5001"])
        self.assertEqual(self.rewritten({"PORT": "81"}, "--expand"), ["URLS=http://+:8081"])

    def test_white_space_that_would_end_the_app_is_taken_off(self):
        self.settings({"Urls": " http://+:8081 "})
        self.assertEqual(self.rewritten(self.ODD), ["URLS=http://+:8081"])

    def test_a_high_port_changes_nothing(self):
        for content in ({"Urls": "http://+:8081"}, on_port(5001), {}, {"Logging": {"LogLevel": {"Default": "None"}}}):
            with self.subTest(content=content):
                self.settings(content)
                self.assertEqual(self.rewritten(self.ODD), [])

    def test_explain_and_validate_add_nothing(self):
        self.settings(PORT_80)
        for mode in ("off", "explain", "validate"):
            with self.subTest(mode=mode):
                result = self.run_in(self.app, f"--mode={mode}", *APP, env=self.ODD)
                if mode == "validate":
                    self.assertEqual((result.code, result.stdout), (78, ""))
                else:
                    self.assertStarted(result, [os.fsdecode(entry) for entry in self.ODD])
        report = self.check("--mode=explain")
        self.assertEqual((report["edits"], report["predictions"]), ([], report["after"]))

    def test_a_variable_that_wins_already_is_changed_and_none_is_added(self):
        self.settings(PORT_80)
        result = self.run_in(self.app, REWRITE, *APP, env={"urls": "http://+:81", "Z": "1"})
        self.assertEqual(result.probe.environment, self.entries({"urls": "http://+:8081", "Z": "1"}))

    def test_the_file_itself_is_never_written(self):
        path = self.settings(PORT_80)
        before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(os.listdir(self.app)))
        self.rewritten()
        self.assertEqual((path.read_bytes(), path.stat().st_mtime_ns, sorted(os.listdir(self.app))), before)


class Keep(FilesTest):
    def test_lists_get_the_new_port_beside_the_low_one(self):
        for content, expected in ((PORT_80, "URLS=http://+:80;http://+:8080"),
                                  ({"HTTP_PORTS": "80"}, "HTTP_PORTS=80;8080")):
            with self.subTest(content=content):
                self.settings(content)
                self.assertEqual(self.rewritten((), "--keep", stage=self.allowed), [expected])

    def test_an_endpoint_cannot_have_two_ports_and_is_left_alone(self):
        self.settings(on_port(80))
        self.assertEqual(self.rewritten((), "--keep", stage=self.allowed), [])
        result = self.run_in(self.app, REWRITE, "--keep", *APP, stage=self.allowed)
        self.assertFinding(result, "PS104")
        self.assertEqual(self.check(REWRITE, "--keep", stage=self.allowed)["verdict"], "start")

    def test_where_the_kernel_denies_the_low_port_it_is_moved(self):
        self.settings(PORT_80)
        self.assertEqual(self.rewritten((), "--keep"), [MOVED])


# ---------------------------------------------------------------------------------------------------------------------
# What is said


class Validate(FilesTest):
    def code(self, content: Mapping | str, env: Mapping[str, str] | None = None, *options: str) -> int:
        self.settings(content)
        code = self.run_in(self.app, "--mode=validate", *options, *APP, env=env or {}).code
        self.assertEqual(self.run_in(self.app, "--mode=validate", "--check", *options, *APP, env=env or {}).code, code)
        return code

    def test_exit_codes(self):
        for content, env, expected in (
                ({"Urls": "http://+:8081"}, {}, 0), (PORT_80, {}, 78), (on_port(80), {}, 78),
                ({"HTTP_PORTS": "80"}, {}, 78), ({"HTTP_PORTS": "80"}, {"ASPNETCORE_URLS": "http://+:8080"}, 0),
                (PORT_80, {"URLS": "http://+:8080"}, 0), (PORT_80, {"ASPNETCORE_URLS": "http://+:8080"}, 78),
                (endpoints(A=""), {}, 78), (endpoints(A="nonsense"), {}, 78), ("{", {}, 78), ("", {}, 78), ({}, {}, 0),
                # WebHost does not read it.
                ({"Urls": "nonsense"}, {}, 0)):
            with self.subTest(content=content, env=env):
                self.assertEqual(self.code(content, env), expected)

    def test_a_floor_of_0_allows_what_the_kernel_does(self):
        self.settings(PORT_80)
        for floor, expected in (("kernel", 0), ("0", 0), ("portable", 78)):
            with self.subTest(floor=floor):
                result = self.run_in(self.app, "--mode=validate", f"--floor={floor}", *APP, stage=self.allowed)
                self.assertEqual(result.code, expected, result)


class NoEffect(FilesTest):
    """PS206."""

    def test_a_variable_that_a_file_beats_is_told(self):
        self.settings({"Urls": "http://+:8081"})
        report = self.check(env={"ASPNETCORE_URLS": "http://+:8080"})
        findings = [one for one in report["findings"] if one["id"] == "PS206"]
        self.assertEqual([one["severity"] for one in findings], ["info"])
        for part in ("ASPNETCORE_URLS", f"{SETTINGS}: Urls"):
            self.assertIn(part, findings[0]["what"])

    def test_it_is_worth_a_warning_where_the_file_has_a_low_port(self):
        self.settings(on_port(80))
        result = self.run_in(self.app, "--mode=explain", *APP, env={"ASPNETCORE_URLS": "http://+:8080"})
        self.assertIn("ASPNETCORE_URLS", self.assertFinding(result, "PS206", "warning").what)
        # Ports are the base image's: nobody was misled.
        result = self.run_in(self.app, "--mode=explain", *APP, env={"ASPNETCORE_HTTP_PORTS": "8080"})
        self.assertFinding(result, "PS206", "info")

    def test_what_wins_is_not_told(self):
        self.settings({"Urls": "http://+:8081"})
        for env in ({"URLS": "http://+:8080"}, {}, {"OTHER": "1"}):
            with self.subTest(env=env):
                self.assertNotIn("PS206", [one["id"] for one in self.check(env=env)["findings"]])


class Certificates(FilesTest):
    """PS302: Kestrel loads the default certificate even where nothing is https."""

    def report(self, path: Text, builder: str = "wab", env: Mapping[str, str] | None = None) -> tuple[str | None, dict]:
        self.settings({"Urls": "http://+:5001", "Kestrel": {"Certificates": {"Default": {"Path": os.fsdecode(path)}}}})
        report = self.check(env=env or {})
        failure = next(one for one in report["predictions"] if one["builder"] == builder)["failure"]
        return (f"{failure['type']}: {failure['message']}" if failure else None), report

    def test_one_that_cannot_be_read_ends_the_app(self):
        (self.app / "folder").mkdir()
        (self.app / "closed").mkdir(mode=0o700)
        self.write("app/secret.pfx", "x", 0o600)
        self.write("app/junk.pfx", "x")
        (self.app / "loop").symlink_to("loop")
        _closed(_fifo)(self.app / "fifo")
        denied = "System.UnauthorizedAccessException: Access to the path '{}' is denied."
        no_folder = "System.IO.DirectoryNotFoundException: Could not find a part of the path '{}'."
        for name, expected in (
                ("none.pfx", "System.IO.FileNotFoundException: Could not find file '{}'."), ("none/x.pfx", no_folder),
                ("junk.pfx/x", no_folder), ("folder", denied), ("secret.pfx", denied), ("closed/x", denied),
                ("fifo", denied), ("loop", "System.IO.IOException: Too many levels of symbolic links : '{}'"),
                ("junk.pfx", "System.Security.Cryptography.CryptographicException: ASN1 corrupted data.")):
            for path in (name, self.app / name):
                with self.subTest(path=path):
                    failure, report = self.report(path)
                    self.assertEqual(failure, expected.format(self.app / name))
                    # CreateSlimBuilder loads none.
                    self.assertEqual(report["verdict"], "start")
                    self.assertEqual([(one["id"], one["severity"]) for one in report["findings"]],
                                     [("PS302", "warning")])
                    if "denied" in expected and name != "folder":
                        self.assertIn(f"the certificate's file must be readable by uid {UNPRIVILEGED_UID}:",
                                      report["findings"][0]["next"])

    def test_an_empty_one_has_a_text_of_each_version(self):
        self.write("app/empty.pfx", "")
        cryptographic = "System.Security.Cryptography.CryptographicException: "
        for version, expected in (("8.0.0", "ASN1 corrupted data."),
                                  ("10.0.0", "Error occurred during a cryptographic operation.")):
            with self.subTest(version=version):
                self.add_assembly("App", version=version)
                self.assertEqual(self.report("empty.pfx")[0], cryptographic + expected)

    def pem(self, label: str, body: str = "AAAA") -> str:
        return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"

    def test_what_is_cut_off_or_something_else_ends_the_app(self):
        certificate = self.pem("CERTIFICATE")
        for content, ends in (
                (self.pem("PRIVATE KEY"), True), (certificate[:-10], True), (self.pem("CERTIFICATE", "AA\\nAA"), True),
                (b"0", True), (b"0\x05\x02\x01\x03", True), (b"0\x82\x01\x00\x02\x01\x03", True), (b"0\x82\x01", True),
                (certificate, False), ("a note\n" + certificate, False), (self.pem("PRIVATE KEY") + certificate, False),
                (self.pem("X509 CERTIFICATE"), False), (b"0\x03\x02\x01\x03", False), (b"0\x03\x02\x01\x03\0", False),
                (b"0\x81\x02\x30\0", False), (b"0\x80\x02\x01\x03", False)):
            with self.subTest(content=content):
                self.write("app/x", content)
                failure = self.report("x")[0]
                self.assertEqual(failure is not None and failure.split(":")[0].endswith("CryptographicException"), ends)

    def with_key(self, key: str | bytes, **others: str) -> str | None:
        """How the start ends with this content of the key's file."""
        self.write("app/x.key", key)
        names = {"KeyPath": "x.key", **others}
        return self.report("x.pem", env={f"Kestrel__Certificates__Default__{name}": value
                                         for name, value in names.items()})[0]

    def test_a_key_that_is_none_ends_the_app(self):
        self.write("app/x.pem", self.pem("CERTIFICATE"))
        key = self.pem("PRIVATE KEY")
        unsupported, denied = "System.ArgumentException: No supported key formats", "System.UnauthorizedAccessException: "
        for content in ("", "x", self.pem("CERTIFICATE"), key[:-10], self.pem("PRIVATE KEY", "AA\\nAA"), b"0\x82\x01",
                        self.pem("OPENSSH PRIVATE KEY")):
            with self.subTest(content=content):
                self.assertTrue(self.with_key(content).startswith(unsupported))
        for content in (key, self.pem("RSA PRIVATE KEY"), self.pem("EC PRIVATE KEY"), self.pem("CERTIFICATE") + key,
                        key.encode("utf-16")):
            with self.subTest(content=content):
                self.assertIsNone(self.with_key(content))
        self.assertTrue(self.with_key(key, KeyPath="").startswith(denied))
        self.assertIn("x/none.key", self.with_key(key, KeyPath="x/none.key"))

    def test_who_is_to_read_a_key_and_how_kubernetes_gives_it_is_said(self):
        self.write("app/x.pem", self.pem("CERTIFICATE"))
        self.write("app/secret.key", self.pem("PRIVATE KEY"), 0o600)
        names = {"Kestrel__Certificates__Default__KeyPath": "secret.key"}
        self.assertEqual(self.report("x.pem", env=names)[1]["findings"][0]["next"],
                         f"the key file must be readable by uid {UNPRIVILEGED_UID}: chmod or chown it; in Kubernetes set "
                         "securityContext.fsGroup or the volume's defaultMode")

    def test_only_a_key_that_is_encrypted_goes_with_a_password(self):
        self.write("app/x.pem", self.pem("CERTIFICATE"))
        encrypted = self.pem("ENCRYPTED PRIVATE KEY")
        self.assertIn("An encrypted key was found", self.with_key(encrypted))
        self.assertIsNone(self.with_key(encrypted, Password="x"))
        for password in "", "x":
            self.assertIn("No supported key formats", self.with_key(self.pem("PRIVATE KEY"), Password=password))

    def test_a_pfx_has_no_key_beside_it(self):
        self.write("app/x.pem", b"0\x03\x02\x01\x03")
        self.assertEqual(self.with_key(self.pem("PRIVATE KEY")),
                         "System.InvalidOperationException: The provided key file is missing or invalid.")

    def test_an_https_endpoint_needs_the_key(self):
        """PS322, which code may prevent. Without https nothing is said."""
        self.write("app/x.pem", self.pem("CERTIFICATE") + self.pem("PRIVATE KEY"))
        path = {"Kestrel__Certificates__Default__Path": "x.pem"}
        own = {"Kestrel__Endpoints__A__Url": "https://+:5001", "Kestrel__Endpoints__A__Certificate__Path": "x.pem"}
        for env in {"URLS": "https://+:5001", **path}, {"URLS": "https://localhost:5001", **path}, own:
            with self.subTest(env=env):
                report = self.check(env={"HOME": "/", **env})
                self.assertEqual(report["verdict"], "start")
                self.assertEqual([(one["id"], one["severity"]) for one in report["findings"]], [("PS322", "warning")])
        self.assertEqual(self.check(env={"URLS": "http://+:5001", **path})["findings"], [])

    def test_relative_paths_begin_at_the_content_root(self):
        self.write("other/x.pfx", b"\x30\x80")
        self.write("other/" + SETTINGS, json.dumps({"Kestrel": {"Certificates": {"Default": {"Path": "x.pfx"}}}}))
        report = self.check(env={"ASPNETCORE_CONTENTROOT": str(self.directory / "other")})
        self.assertEqual(self.ports(report), dict.fromkeys(BUILDERS, 5000))
        self.assertEqual(self.report("x.pfx")[0], "System.IO.FileNotFoundException: Could not find file "
                                                  f"'{self.app}/x.pfx'.")

    def test_a_fifo_or_a_device_keeps_nothing_waiting(self):
        _fifo(self.app / "fifo")
        for path in ("fifo", "/dev/zero", "/dev/tty", "/proc/self/mem"):
            with self.subTest(path=path):
                failure, report = self.report(path)
                # Of this file the kernel reads nothing.
                expected = "System.IO.IOException: " if path == "/proc/self/mem" else "hang: "
                self.assertTrue(failure.startswith(expected), failure)
                self.assertEqual([(one["id"], one["severity"]) for one in report["findings"]], [("PS302", "warning")])
                self.assertOutcomes(0)

    def test_a_pipe_that_was_inherited_and_an_empty_device_are_no_hang(self):
        self.assertIn("CryptographicException", self.report("/dev/null")[0])
        variables = self.entries({"Kestrel__Certificates__Default__Path": "/dev/stdin"})
        words = started_by_another(self.binary, "--check=json", "dotnet", "App.dll")
        piped = self.start("/bin/sh", "-c", 'echo | "$0" "$@"', *words, env=variables, stage=self.unprivileged,
                           cwd=self.app).wait()
        self.assertEqual({one["failure"] for one in piped.json["predictions"] if one["builder"] != "slim"}, {None})

    def test_a_subject_depends_on_the_users_store(self):
        self.settings({"Kestrel": {"Certificates": {"Default": {"Subject": "example.org"}}}})
        home = self.directory / "home"
        store = home / ".dotnet/corefx/cryptography/x509stores/my"
        home.mkdir()
        home.chmod(0o755)

        def failure(home: Text) -> dict | None:
            report = self.check(env={"HOME": home})
            return next(one for one in report["predictions"] if one["builder"] == "wab")["failure"]

        self.assertFalse(failure("relative")["certain"])
        self.assertTrue(failure(home)["certain"], "there is no such folder")
        store.mkdir(parents=True)
        (store / "README").touch()
        self.assertTrue(failure(home)["certain"])
        (store / "0123.pfx").touch()
        self.assertIsNone(failure(home))


class Secrets(FilesTest):
    SECRET = "hunter2correct"

    def outputs(self, **how) -> dict[str, Result]:
        options = {" ".join(some): some for some in (
            *(["--mode=" + mode, "--log-level=debug", "--log-format=" + log] for mode in MODES
              for log in ("text", "json", "systemd")),
            *([check, "--mode=" + mode] for check in CHECKS for mode in MODES))}
        return {name: self.run_in(self.app, *some, *APP, **how) for name, some in options.items()}

    def assertNowhere(self, outputs: Mapping[str, Result]) -> None:
        for name, result in outputs.items():
            with self.subTest(options=name):
                # The probe reports everything that it was given.
                stdout = result.stdout if name.startswith("--check") else ""
                self.assertNotIn(self.SECRET, stdout + result.stderr)

    def content(self) -> dict:
        secret = self.SECRET
        return {"ConnectionStrings": {"Default": f"Server=db;Password={secret}"}, "ApiKey": secret,
                "Urls": "http://+:80;https://+:443", secret: "a key",
                "Kestrel": {"Certificates": {"Default": {"Path": "none.pfx", "Password": secret}},
                            "Endpoints": {"A": {"Url": "https://+:443", "Certificate": {"Path": "none.pfx",
                                                                                        "Password": secret}}}}}

    def test_nothing_but_addresses_and_paths_is_ever_said(self):
        content = self.content()
        self.settings(content)
        self.assertNowhere(self.outputs())
        del content["Kestrel"]
        self.settings(content)
        self.assertNowhere(self.outputs())

    def test_every_file_keeps_its_secrets(self):
        for name in ("appsettings.Production.json", "App.settings.json", "App.settings.Production.json"):
            with self.subTest(name=name):
                self.settings(self.content(), name)
                self.assertNowhere(self.outputs())
                (self.app / name).unlink()

    def test_a_file_with_a_mistake_in_it_keeps_its_secrets(self):
        secret = self.SECRET
        for content in (f'{{"Password": "{secret}" "Urls": ""}}', f'{{"Password": {secret}}}',
                        f'{{"Password": n{secret}}}', f'{{"Password": t{secret}}}', f'{{"Password": "{secret}',
                        f'{{"Password": \'{secret}\'}}', f'{{"Password": "{secret}", "password": "{secret}"}}',
                        f'{{"Password": "{secret}\\ud800"}}', f'"{secret}"', secret, f'{{"P": 1{secret}}}',
                        f'{{"Password": "{secret}\n"}}', f'{{"P": 1 /* {secret}', f'{{"P": nul, "x": "{secret}"}}'):
            with self.subTest(content=content):
                self.settings(content)
                self.assertNowhere(self.outputs())

    def test_the_user_info_of_an_address_is_masked_in_what_people_read(self):
        for content in ({"Urls": f"http://user:{self.SECRET}@+:80"}, endpoints(A=f"http://u:{self.SECRET}@+:80"),
                        {"Urls": f"ftp://user:{self.SECRET}@+:80"}):
            with self.subTest(content=content):
                self.settings(content)
                outputs = self.outputs()
                self.assertNowhere({name: result for name, result in outputs.items() if "=json" not in name})

    def test_control_characters_in_files_come_out_escaped(self):
        forged = "\x1b[31m\r\nportshim: error PS999: forged\u2028\u202e"
        for content in ({"Urls": f"http://+:80/{forged}"}, endpoints(**{forged: "http://+:80"}),
                        {forged: 1, forged.upper(): 2}, f'{{"x": n{forged}}}',
                        {"Kestrel": {"Certificates": {"Default": {"Path": f"/no/{forged}"}}}}):
            with self.subTest(content=content):
                self.settings(content)
                for mode in MODES[1:]:
                    result = self.run_in(self.app, f"--mode={mode}", "--log-level=debug", *APP)
                    self.assertFalse(set(result.stderr) & set("\x1b\r\u2028\u202e"), result)
                    self.assertNotIn("PS999", [finding.id for finding in result.findings])
                self.check()

    def test_negative_control_an_address_is_said(self):
        self.settings({"Urls": f"http://{self.SECRET}:80"})
        outputs = self.outputs()
        self.assertIn(self.SECRET, outputs["--mode=rewrite --log-level=debug --log-format=text"].stderr)
        self.assertIn(self.SECRET, outputs["--check=json --mode=rewrite"].stdout)


# ---------------------------------------------------------------------------------------------------------------------
# Size, and a system that refuses


class Large(FilesTest):
    def padded(self, size: int) -> str:
        """Settings with port 80 in a file of that many bytes."""
        start, end = '{"Urls": "http://+:80", "x": "', '"}'
        return start + (size - len(start) - len(end)) * "x" + end

    def test_a_file_of_17_mib_is_not_read_and_the_app_starts(self):
        path = self.settings(self.padded(17 << 20))
        self.assertOutcomes(0)
        for mode in MODES[1:]:
            with self.subTest(mode=mode):
                result = self.run_in(self.app, f"--mode={mode}", *APP)
                self.assertIn(str(path), self.assertFinding(result, "PS304", "warning").what)
        self.assertEqual(self.ports(self.check()), dict.fromkeys(BUILDERS, 5000))

    def test_the_largest_file_is_read_whole_and_one_byte_more_is_not(self):
        self.settings(self.padded(LARGEST))
        self.assertEqual(self.rewritten(), [MOVED])
        self.settings(self.padded(LARGEST + 1))
        self.assertEqual(self.rewritten(), [])
        self.assertFinding(self.run_in(self.app, REWRITE, *APP), "PS304")

    def test_16_mib_of_any_json_keep_nothing_from_starting(self):
        """One for a slow binary."""
        size = LARGEST // 16 if self.is_slow else LARGEST
        for name, content in (("blanks", PORT_80_TEXT.ljust(size)),
                              ("elements", '{"Urls": "http://+:80", "x": [' + (size // 2 - 100) * "1," + "1]}"),
                              ("objects", '{"Urls": "http://+:80", "x": [' + (size // 3 - 100) * "{}," + "1]}"),
                              ("comments", PORT_80_TEXT + (size // 4 - 100) * "/**/"),
                              ("escapes", '{"Urls": "http://+:80", "x": "' + (size // 6 - 100) * "\\u00e9" + '"}')):
            with self.subTest(name=name):
                self.settings(content)
                self.assertEqual(self.rewritten(), [MOVED])

    def many(self, port: int) -> int:
        """Forty thousand endpoints; fewer for a slow binary."""
        count = 2_000 if self.is_slow else 40_000
        self.settings(endpoints(**{f"E{i}": f"http://127.{i >> 16}.{i >> 8 & 255}.{i & 255}:{port}"
                                   for i in range(count)}))
        return count

    def test_forty_thousand_endpoints_are_predicted(self):
        count = self.many(8080)
        for mode in ("explain", "rewrite"):
            with self.subTest(mode=mode):
                self.assertStarted(self.run_in(self.app, f"--mode={mode}", *APP, timeout=100), ())
        result = self.run_in(self.app, "--check=json", *APP, timeout=100)
        self.assertEqual([len(one["endpoints"]) for one in result.json["predictions"]], 4 * [count])

    def test_forty_thousand_endpoints_with_low_ports_keep_nothing_from_starting(self):
        self.many(80)
        for mode in ("explain", "rewrite"):
            with self.subTest(mode=mode):
                result = self.run_in(self.app, f"--mode={mode}", *APP, timeout=100)
                if self.is_slow and mode == "rewrite":
                    self.assertEqual(result.code, 0)
                    continue
                # So many variables are more than the kernel takes: what starts is the app as it is.
                self.assertStarted(result, ())

    def test_an_edit_that_is_too_long_for_the_kernel_is_given_up(self):
        longest = 32 * os.sysconf("SC_PAGE_SIZE") - 1  # MAX_ARG_STRLEN of linux/binfmts.h
        self.settings({"Urls": "http://+:80".ljust(longest, ";")})
        result = self.run_in(self.app, REWRITE, *APP, env=["Z=1"])
        self.assertFinding(result, "PS414", "error")
        self.assertStarted(result, ["Z=1"])


class Refused(FilesTest):
    def test_few_descriptors_keep_nothing_from_starting(self):
        self.settings(PORT_80)
        # The sanitizers' library needs one, and so does QEMU.
        for count in (4, 5, 6) if self.is_slow else (3, 4, 5):
            # Last, for the harness needs some itself.
            stage = prepared(last=[partial(resource.setrlimit, resource.RLIMIT_NOFILE, (count, count))])
            stage = stage | self.unprivileged
            for mode in ("off", "explain", "rewrite"):
                with self.subTest(count=count, mode=mode):
                    result = self.run_in(self.app, f"--mode={mode}", *APP, stage=stage)
                    self.assertEqual(result.code, 0, result)
                    before = self.entries(())
                    self.assertIn(result.probe.environment, [before, before + [MOVED]])
            for check in CHECKS:
                self.assertIn(self.run_in(self.app, check, *APP, stage=stage).code, (0, 78))

    def gone(self) -> Stage:
        """In a working directory that was deleted."""
        folder = self.directory / "gone"

        def enter_and_remove() -> None:
            folder.mkdir()
            os.chdir(folder)
            folder.rmdir()
        return prepared(enter_and_remove) | self.unprivileged

    def in_gone(self, *words: Text, env: Mapping[str, Text] | Sequence[Text] = ()) -> Result:
        return self.portshim(*words, "dotnet", self.app / "App.dll", env=self.entries(env), stage=self.gone())

    def test_a_deleted_working_directory_keeps_nothing_from_starting(self):
        for mode in ("off", "explain", "rewrite"):
            with self.subTest(mode=mode):
                result = self.in_gone(f"--mode={mode}")
                self.assertEqual((result.code, result.probe.cwd), (0, ""), result)

    def test_a_deleted_working_directory_ends_the_app(self):
        report = self.in_gone("--check=json").json
        self.assertEqual(self.ports(report), dict.fromkeys(BUILDERS, "System.IO.FileNotFoundException"))

    def test_of_a_deleted_working_directory_the_cause_alone_is_said(self):
        """That the dll is not there is a consequence."""
        for assembly in "App.dll", self.app / "App.dll":
            with self.subTest(assembly=assembly):
                result = self.portshim("--mode=validate", "dotnet", assembly, env=self.entries({}), stage=self.gone())
                self.assertEqual((result.code, [finding.id for finding in result.findings]), (78, ["PS303"]), result)
                self.assertIn("the working directory, which was deleted, ends the app", result.findings[0].what)

    def test_in_a_deleted_working_directory_web_application_reads_the_content_root_that_is_named(self):
        self.settings(on_port(81))
        report = self.in_gone("--check=json", env={"ASPNETCORE_CONTENTROOT": str(self.app)}).json
        self.assertEqual(self.ports(report)["wab"], 81)

    def test_a_working_directory_that_may_not_be_searched_has_no_files(self):
        work = self.directory / "work"
        work.mkdir()
        (work / SETTINGS).write_text(PORT_80_TEXT)
        work.chmod(0)

        # It is entered as root, as a container runtime does.
        stage = prepared(partial(os.chdir, work)) | self.unprivileged
        for mode in MODES:
            with self.subTest(mode=mode):
                result = self.portshim(f"--mode={mode}", "dotnet", self.app / "App.dll", env=self.entries(()),
                                       stage=stage)
                self.assertStarted(result, (), ["dotnet", str(self.app / "App.dll")])
        report = self.portshim("--check=json", "dotnet", self.app / "App.dll", env=self.entries(()), stage=stage).json
        self.assertEqual(self.ports(report), dict.fromkeys(BUILDERS, 5000))

    def test_what_root_may_read_is_not_what_the_user_may_read(self):
        self.settings(PORT_80).chmod(0o600)
        root = as_root() | Stage(namespace=self.denying)
        self.assertEqual(self.ports(self.check("--floor=0", stage=root))["wab"], 80)
        self.assertEqual(self.ports(self.check())["wab"], "System.UnauthorizedAccessException")
        # Root without capabilities is a user like others, and this file is root's own.
        bare = as_root(bounding=NO_CAPABILITIES) | Stage(namespace=self.denying)
        self.assertEqual(self.ports(self.check("--floor=0", stage=bare))["wab"], 80)

    def test_a_group_may_read_it(self):
        path = self.settings(PORT_80)
        os.chown(path, 0, 2000)
        path.chmod(0o040)
        for groups, expected in (((2000,), 80), ((), "System.UnauthorizedAccessException")):
            with self.subTest(groups=groups):
                stage = as_uid(UNPRIVILEGED_UID, groups=groups) | Stage(namespace=self.denying)
                self.assertEqual(self.ports(self.check(stage=stage))["wab"], expected)


# ---------------------------------------------------------------------------------------------------------------------
# System calls


@dataclasses.dataclass(frozen=True)
class Opened:
    path: str
    flags: frozenset[str]


class SystemCalls(FilesTest):
    FILES = (SETTINGS, "appsettings.Production.json", "App.settings.json", "App.settings.Production.json")

    def setUp(self) -> None:
        super().setUp()
        for name, port in zip(self.FILES, (80, 5001, 5002, 5003)):
            self.settings(endpoints(**{f"E{port}": f"http://+:{port}"}), name)

    def opened(self, *words: Text, env: Mapping[str, Text] | Sequence[Text] = (), code: int = 0) -> list[Opened]:
        """The settings files that portshim opens on its way to COMMAND, one entry for each time."""
        strace = require_program("strace")
        output = self.directory / "trace"
        # Root after --cap-drop ALL: strace can write its file, and port 80 is denied.
        stage = as_root(bounding=NO_CAPABILITIES) | Stage(namespace=self.denying)
        words = ("-f", "-s", "4096", "-o", output, *started_by_another(self.binary, *words))
        result = self.start(strace, *words, env=self.entries(env), stage=stage, cwd=self.app).wait()
        self.assertEqual(result.code, code, result)
        trace = output.read_text()
        # Up to the last exec, which is COMMAND; --check and a refusal have only the first.
        execs = [match.start() for match in re.finditer(r"^\d+ +execve\(", trace, re.MULTILINE)]
        trace = trace[:execs[-1]] if len(execs) > 1 else trace
        calls = re.findall(r'^\d+ +open(?:at)?\((?:AT_FDCWD, )?"([^"]*)", ([A-Z_|]+)', trace, re.MULTILINE)
        return [Opened(path, frozenset(flags.split("|"))) for path, flags in calls if path.endswith(".json") and
                "settings" in path]

    def test_each_file_is_opened_once_without_waiting_and_closed_on_exec(self):
        for words, code in ((("--mode=explain", *APP), 0), ((REWRITE, *APP), 0), (("--mode=validate", *APP), 78),
                            (("--check", *APP), 78), (("--check=json", REWRITE, *APP), 0)):
            if self.is_sanitized and words[0] not in ("--mode=explain", REWRITE):
                continue  # it ends by itself, and the leak check then cannot work under strace
            with self.subTest(words=words):
                opened = self.opened(*words, code=code)
                self.assertEqual(sorted(one.path for one in opened), sorted(str(self.app / name)
                                                                            for name in self.FILES))
                for one in opened:
                    self.assertLessEqual({"O_RDONLY", "O_NONBLOCK", "O_CLOEXEC"}, one.flags)

    def test_each_file_is_opened_once_where_spellings_versions_and_paths_make_many_predictions(self):
        self.add_assembly("Bare", None)
        env = {"URLS": "http://+:81", "urls": "http://+:82", "ASPNETCORE_CONTENTROOT": str(self.app),
               "DOTNET_CONTENTROOT": f"{self.app}/../app/"}
        opened = self.opened(REWRITE, "dotnet", "Bare.dll", env=env)
        self.assertEqual(sorted(one.path for one in opened), sorted(str(self.app / name) for name in self.FILES[:2]))

    def test_what_is_no_regular_file_is_not_opened(self):
        for make in (_fifo, _socket, Path.mkdir):
            with self.subTest(make=make):
                path = self.app / SETTINGS
                path.unlink(missing_ok=True)
                make(path)
                self.assertNotIn(str(path), [one.path for one in self.opened("--mode=explain", *APP)])
                path.rmdir() if path.is_dir() else path.unlink()

    def test_off_opens_none(self):
        self.assertEqual(self.opened("--mode=off", *APP), [])

    def test_an_app_without_asp_net_core_and_another_program_open_none(self):
        self.add_assembly("App", "Microsoft.NETCore.App")
        for words in (APP, ("dotnet", "build"), (self.probe,)):
            with self.subTest(words=words):
                self.assertEqual(self.opened(REWRITE, *words), [])

    def test_no_descriptor_of_a_file_reaches_the_app(self):
        result = self.run_in(self.app, REWRITE, *APP)
        self.assertEqual(set(result.probe.descriptors), {0, 1, 2}, result)


if __name__ == "__main__":
    portshim_test.main()
