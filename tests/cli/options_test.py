"""The command line and the variables: every option, every form of a value, every mistake."""

import json
import os
import pty
import re
import subprocess

import portshim_test
from fake_app import APP, PORT_80, REWRITE, FakeAppTest
from portshim_test import SOURCE_DIR, Result, started_by_another

MODES = ("off", "explain", "validate", "rewrite")
ON = ("1", "true", "yes", "on", "TRUE", "Yes", "oN")
OFF = ("0", "false", "no", "off", "FALSE", "No", "oFF")
VARIABLES = {"mode": "PORTSHIM", "floor": "PORTSHIM_FLOOR", "map": "PORTSHIM_MAP", "keep": "PORTSHIM_KEEP",
             "expand": "PORTSHIM_EXPAND", "code": "PORTSHIM_CODE", "log-format": "PORTSHIM_LOG_FORMAT",
             "log-level": "PORTSHIM_LOG_LEVEL", "termination-log": "PORTSHIM_TERMINATION_LOG",
             "init": "PORTSHIM_INIT", "grace": "PORTSHIM_GRACE", "group": "PORTSHIM_GROUP",
             "signal-map": "PORTSHIM_SIGNAL_MAP", "exit-map": "PORTSHIM_EXIT_MAP", "user": "PORTSHIM_USER",
             "keep-net-bind": "PORTSHIM_KEEP_NET_BIND", "guard": "PORTSHIM_GUARD"}
VALID = {"mode": "off, explain, validate, rewrite", "floor": "portable, kernel, or a port 0..65535",
         "map": "OLD:NEW pairs of ports 1..65535, each OLD once, as 80:8080,443:8443", "keep": "off, on",
         "expand": "off, on", "code": "report, off, rewrite", "log-format": "auto, text, systemd, json",
         "log-level": "warning, info, error, debug", "check": "text, json"}
VALUE = {"mode": "rewrite", "floor": "kernel", "map": "80:5000", "code": "off", "log-format": "text",
         "log-level": "info"}


def forms(option: str, value: str) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    """The ways to give an option a value: words before COMMAND, and the environment."""
    ways: list[tuple[tuple[str, ...], dict[str, str]]] = [((f"--{option}={value}",), {}),
                                                          ((), {VARIABLES[option]: value})]
    if option in VALUE:
        ways.append(((f"--{option}", value), {}))
    return ways


class OptionsTest(FakeAppTest):
    def observed_mode(self, result: Result) -> str:
        """The mode, by what became of port 80."""
        if result.code == 78:
            self.assertEqual(result.stdout, "")
            self.assertFinding(result, "PS101", "error")
            return "validate"
        self.assertEqual(result.code, 0, result)
        moved = result.probe.variable("ASPNETCORE_URLS") != "http://+:80"
        if not result.findings:
            self.assertFalse(moved)
            return "off"
        self.assertFinding(result, "PS101", "warning")
        return "rewrite" if moved else "explain"

    def urls(self, *options: str, **how) -> str | None:
        """What becomes of ASPNETCORE_URLS=http://+:80 in rewrite."""
        env = {**PORT_80, "PORTSHIM": "rewrite", **how.pop("env", {})}
        result = self.with_options(*options, env=env, **how)
        self.assertEqual(result.code, 0, result)
        return result.probe.variable("ASPNETCORE_URLS")


class Control(OptionsTest):
    def test_without_portshim_the_low_port_stays(self):
        result = self.start(self.app / "dotnet", "App.dll", argv0="dotnet", stage=self.unprivileged, cwd=self.app,
                            env=self.entries({**PORT_80, "PORTSHIM": "rewrite"})).wait()
        self.assertStarted(result, {**PORT_80, "PORTSHIM": "rewrite"})
        self.assertSilent(result)


class Mode(OptionsTest):
    def test_the_default_is_off(self):
        self.assertEqual(self.observed_mode(self.with_options(env=PORT_80)), "off")

    def test_every_mode_by_every_form_in_any_case(self):
        for mode in MODES:
            for value in (mode, mode.upper(), mode.title()):
                for options, env in forms("mode", value):
                    with self.subTest(options=options, env=env):
                        result = self.with_options(*options, env={**PORT_80, **env})
                        self.assertEqual(self.observed_mode(result), mode, result)

    def test_a_boolean_is_off_or_rewrite(self):
        for values, mode in ((ON, "rewrite"), (OFF, "off")):
            for value in values:
                for options, env in forms("mode", value):
                    with self.subTest(options=options, env=env):
                        result = self.with_options(*options, env={**PORT_80, **env})
                        self.assertEqual(self.observed_mode(result), mode, result)

    def test_off_prints_nothing_whatever_the_other_variables_say(self):
        env = {**PORT_80, "PORTSHIM_FLOOR": "nonsense", "PORTSHIM_LOG_LEVEL": "debug"}
        result = self.with_options("--mode=off", env=env)
        self.assertSilent(result)
        self.assertStarted(result, env)


class Floor(OptionsTest):
    def test_every_floor_by_every_form_in_any_case(self):
        for value, expected in (("portable", "http://+:8080"), ("PORTABLE", "http://+:8080"),
                                ("kernel", "http://+:80"), ("Kernel", "http://+:80"), ("0", "http://+:80"),
                                ("80", "http://+:80"), ("81", "http://+:8080"), ("65535", "http://+:65535")):
            for options, env in forms("floor", value):
                with self.subTest(options=options, env=env):
                    self.assertEqual(self.urls(*options, env=env, stage=self.allowed), expected)

    def test_the_default_is_portable(self):
        self.assertEqual(self.urls(stage=self.allowed), "http://+:8080")


class Map(OptionsTest):
    def test_a_map_names_the_new_port_by_every_form(self):
        for value, expected in (("80:5000", "http://+:5000"), ("443:5001,80:5000", "http://+:5000"),
                                ("443:5001", "http://+:8080")):
            for options, env in forms("map", value):
                with self.subTest(options=options, env=env):
                    self.assertEqual(self.urls(*options, env=env), expected)

    def test_an_empty_map_is_valid_and_wins_over_the_variable(self):
        for options in (("--map=",), ("--map", "")):
            with self.subTest(options=options):
                self.assertEqual(self.urls(*options, env={"PORTSHIM_MAP": "80:5000"}), "http://+:8080")

    def test_what_is_no_map_is_invalid(self):
        for value in ("80", "80:", ":80", "0:80", "80:0", "80:65536", "a:b", "80:81,80:82", "80:81,", "80:81;90:91"):
            with self.subTest(value=value):
                self.assertRefused(self.with_options(f"--map={value}"), 125,
                                   f"--map={value} is not valid (valid: {VALID['map']})")


class Switches(OptionsTest):
    SWITCHES = {"keep": ("http://+:80", "http://+:80;http://+:8080", "http://+:8080"),
                "expand": ("http://+:${P}", "http://+:5000", "http://+:8080")}

    def switched(self, switch: str, *options: str, env: dict[str, str]) -> bool:
        """Whether the switch is on, by what becomes of the urls."""
        urls, when_on, when_off = self.SWITCHES[switch]
        result = self.urls(*options, env={"ASPNETCORE_URLS": urls, "P": "5000", **env}, stage=self.allowed)
        self.assertIn(result, (when_on, when_off))
        return result == when_on

    def test_the_default_is_off(self):
        for switch in self.SWITCHES:
            with self.subTest(switch=switch):
                self.assertFalse(self.switched(switch, env={}))

    def test_a_switch_alone_is_on(self):
        for switch in self.SWITCHES:
            for variables in ({}, {VARIABLES[switch]: "off"}):
                with self.subTest(switch=switch, variables=variables):
                    self.assertTrue(self.switched(switch, f"--{switch}", env=variables))

    def test_a_boolean_has_four_spellings_each_in_any_case(self):
        for switch in self.SWITCHES:
            for values, is_on in ((ON, True), (OFF, False)):
                for value in values:
                    for options, env in forms(switch, value):
                        with self.subTest(options=options, env=env):
                            self.assertEqual(self.switched(switch, *options, env=env), is_on)

    def test_the_word_behind_a_switch_is_command(self):
        for switch in ("--keep", "--expand", "--check"):
            with self.subTest(switch=switch):
                result = self.run_shim(switch, "off", *APP)
                if switch == "--check":
                    self.assertIn("it may start one later", result.stdout)
                else:
                    self.assertEqual(result.code, 127, result)
                    self.assertIn("'off'", self.assertFinding(result, "PS401", "error").what)


class WhereOptionsEnd(OptionsTest):
    def test_options_end_at_the_first_word_that_is_none(self):
        arguments = ("--urls", "x", "--mode=rewrite", "--", "--check", "--version")
        self.assertStarted(self.with_options(arguments=arguments), {}, (*APP, *arguments))

    def test_two_dashes_end_options_and_are_not_passed_on(self):
        result = self.run_shim(REWRITE, "--", *APP, env=PORT_80)
        self.assertEqual(self.observed_mode(result), "rewrite")
        self.assertEqual(result.probe.argv, list(APP))

    def test_behind_two_dashes_everything_is_command(self):
        result = self.run_shim("--", "--version")
        self.assertEqual(result.code, 127, result)
        self.assertIn("'--version'", self.assertFinding(result, "PS401", "error").what)

    def test_only_the_first_two_dashes_are_taken(self):
        self.assertStarted(self.run_shim("--", *APP, "--", "x"), {}, (*APP, "--", "x"))

    def test_a_required_value_is_the_next_word_whatever_it_begins_with(self):
        for option in VALUE:
            for word in ("--", "--keep", "-x"):
                with self.subTest(option=option, word=word):
                    what = f"--{option}={word} is not valid (valid: {VALID[option]})"
                    self.assertRefused(self.with_options(f"--{option}", word), 125, what)

    def test_without_command_nothing_can_be_started(self):
        for words in ((), ("--",), (REWRITE,), (REWRITE, "--"), ("--keep",), ("--check",)):
            with self.subTest(words=words):
                self.assertRefused(self.run_shim(*words), 125, "no COMMAND: there is nothing to start",
                                   "portshim [OPTIONS] [--] COMMAND [ARG...]; portshim --help explains them")


class WrongCommandLine(OptionsTest):
    def test_a_wrong_command_line_says_what_it_did_in_every_mode(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                result = self.with_options("--bogus", env={"PORTSHIM": mode})
                self.assertEqual((result.code, result.stdout), (125, ""), result)
                self.assertEqual(result.stderr,
                                 "portshim: error PS902: unknown option --bogus; portshim --help lists the options\n"
                                 "  did:  nothing was started\n"
                                 "  next: options of COMMAND itself go behind COMMAND\n")

    def test_an_unknown_option_names_the_nearest(self):
        for word, shown, nearest in (("--modee=x", "--modee", "--mode"), ("--mod", "--mod", "--mode"),
                                     ("--flor=1", "--flor", "--floor"), ("-mode=rewrite", "-mode", "--mode"),
                                     ("--log-fromat=text", "--log-fromat", "--log-format"),
                                     ("--Check", "--Check", "--check"), ("--versoin", "--versoin", "--version")):
            with self.subTest(word=word):
                self.assertRefused(self.with_options(word), 125, f"unknown option {shown}; did you mean {nearest}?",
                                   "options of COMMAND itself go behind COMMAND")

    def test_an_unknown_option_that_is_near_to_none_points_to_the_help(self):
        for word in ("--bogus", "--urls=http://+:80", "-v", "--environment=Production"):
            with self.subTest(word=word):
                self.assertRefused(self.with_options(word), 125,
                                   f"unknown option {word.split('=')[0]}; portshim --help lists the options")

    def test_an_option_given_twice_is_an_error(self):
        twice = [(f"--{option}={value}", f"--{option}", value) for option, value in VALUE.items()]
        twice += [("--keep", "--keep=off"), ("--expand=on", "--expand=on"), ("--check", "--check=json"),
                  ("--help", "--help"), ("--version", "--version")]
        for words in twice:
            with self.subTest(words=words):
                option = words[0].split("=")[0]
                self.assertRefused(self.with_options(*words), 125, f"{option} is given twice", "give it once")

    def test_an_unknown_value_names_the_valid_ones_and_the_nearest(self):
        for option, value, hint in (("mode", "rewrit", "; did you mean rewrite?"), ("mode", "bogus", ""),
                                    ("floor", "kernal", "; did you mean kernel?"), ("floor", "65536", ""),
                                    ("floor", "-1", ""), ("floor", "80a", ""), ("keep", "maybe", ""),
                                    ("expand", "offf", "; did you mean off?"),
                                    ("code", "raport", "; did you mean report?"), ("log-format", "xml", ""),
                                    ("log-format", "jsno", "; did you mean json?"),
                                    ("log-level", "warn", ""), ("check", "jsn", "; did you mean json?")):
            with self.subTest(option=option, value=value):
                result = self.with_options(f"--{option}={value}")
                self.assertRefused(result, 125, f"--{option}={value} is not valid (valid: {VALID[option]}){hint}",
                                   "correct the value")

    def test_a_missing_value_names_the_valid_ones(self):
        for option in VALUE:
            with self.subTest(option=option):
                self.assertRefused(self.run_shim(f"--{option}"), 125,
                                   f"--{option} needs a value (valid: {VALID[option]})", f"write --{option}=VALUE")

    def test_an_empty_value_is_valid_for_the_map_alone(self):
        for option in ("mode", "floor", "keep", "expand", "code", "log-format", "log-level", "check"):
            with self.subTest(option=option):
                self.assertRefused(self.with_options(f"--{option}="), 125,
                                   f"--{option}= is not valid (valid: {VALID[option]})")

    def test_help_and_version_take_no_value(self):
        for option in ("--help", "--version"):
            with self.subTest(option=option):
                self.assertRefused(self.run_shim(f"{option}=on"), 125, f"{option} takes no value",
                                   "leave the value out")


class Variables(OptionsTest):
    def test_the_command_line_wins_over_the_variable(self):
        for variable in MODES:
            for option in MODES:
                with self.subTest(variable=variable, option=option):
                    result = self.with_options(f"--mode={option}", env={**PORT_80, "PORTSHIM": variable})
                    self.assertEqual(self.observed_mode(result), option, result)

    def test_a_variable_whose_option_is_given_is_not_even_read(self):
        for option, value in (*VALUE.items(), ("keep", "off"), ("expand", "off")):
            with self.subTest(option=option):
                env = {"PORTSHIM": "validate", VARIABLES[option]: "nonsense"}
                self.assertEqual(self.with_options(f"--{option}={value}", env=env).code, 0)

    def test_an_empty_variable_counts_as_unset(self):
        empty = {variable: "" for variable in VARIABLES.values()}
        self.assertEqual(self.observed_mode(self.with_options(env=PORT_80 | empty)), "off")
        result = self.with_options(REWRITE, env=PORT_80 | empty, stage=self.allowed)
        self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:8080")
        self.assertEqual([finding.id for finding in result.findings], ["PS101"])

    def test_unknown_variables_are_ignored(self):
        env = {"PORTSHIM": "validate", "PORTSHIM_PORT": "tcp://10.0.0.1:80", "PORTSHIM_SERVICE_HOST": "10.0.0.1",
               "PORTSHIM_PORT_80_TCP": "tcp://10.0.0.1:80", "PORTSHIM_MODE": "nonsense", "PORTSHIM_": "x",
               "PORTSHIM_CHECK": "json", "PORTSHIM_HELP": "on", "PORTSHIM_VERSION": "on", "portshim": "nonsense"}
        result = self.with_options(env=env)
        self.assertStarted(result, env)
        self.assertSilent(result)

    INVALID = (("PORTSHIM_FLOOR", "x", "floor", "portable"), ("PORTSHIM_MAP", "80", "map", "the default"),
               ("PORTSHIM_KEEP", "maybe", "keep", "off"), ("PORTSHIM_EXPAND", "2", "expand", "off"),
               ("PORTSHIM_LOG_FORMAT", "xml", "log-format", "auto"),
               ("PORTSHIM_LOG_LEVEL", "loud", "log-level", "the default"))

    def test_an_invalid_variable_is_an_error_its_default_is_used_and_the_app_starts(self):
        for variable, value, option, used in self.INVALID:
            for mode in ("explain", "rewrite"):
                with self.subTest(variable=variable, mode=mode):
                    result = self.with_options(env={**PORT_80, "PORTSHIM": mode, variable: value}, stage=self.allowed)
                    self.assertEqual(self.observed_mode(result), mode, result)
                    finding = self.assertFinding(result, "PS901", "error")
                    self.assertEqual(finding.what, f"{variable}={value} is not valid (valid: {VALID[option]})")
                    self.assertEqual(finding.did, f"{used} is used instead")
                    self.assertEqual(finding.next, f"correct or remove {variable}")

    def test_under_validate_an_invalid_variable_is_refused(self):
        for variable, value, _, _ in self.INVALID:
            with self.subTest(variable=variable):
                result = self.with_options(env={"PORTSHIM": "validate", variable: value})
                self.assertEqual((result.code, result.stdout), (78, ""), result)
                self.assertEqual([finding.id for finding in result.findings], ["PS901"])

    def test_an_invalid_portshim_is_explain(self):
        result = self.with_options(env={**PORT_80, "PORTSHIM": "rewrit"})
        self.assertEqual(self.observed_mode(result), "explain")
        finding = self.assertFinding(result, "PS901", "error")
        self.assertEqual(finding.what, f"PORTSHIM=rewrit is not valid (valid: {VALID['mode']}); did you mean rewrite?")
        self.assertEqual(finding.did, "explain is used instead")

    def test_control_characters_of_a_value_are_escaped_and_long_values_cut(self):
        result = self.with_options(env={"PORTSHIM": "\x1b[2J\nportshim: error PS101: forged" + 300 * "x"})
        self.assertNotIn("\x1b", result.stderr)
        self.assertEqual([finding.id for finding in result.findings], ["PS901"])
        self.assertNotIn(257 * "x", result.stderr)


class Information(OptionsTest):
    def test_help_lists_every_option_with_its_variable(self):
        result = self.run_shim("--help")
        self.assertEqual(result.code, 0)
        self.assertSilent(result)
        self.assertTrue(result.stdout.startswith("usage: portshim [OPTIONS] [--] COMMAND [ARG...]\n"))
        for option, variable in VARIABLES.items():
            self.assertRegex(result.stdout, rf"(?m)^--{option} +{variable} ")
        for option in ("check", "install", "pid", "assume", "help", "version"):
            self.assertRegex(result.stdout, rf"(?m)^--{option} ")
        listed = re.findall(r"(?m)^--([a-z-]+)", result.stdout)
        self.assertEqual(set(listed), {*VARIABLES, "check", "install", "pid", "assume", "help", "version"})

    def test_help_names_every_exit_code_and_fits_100_columns(self):
        text = self.run_shim("--help").stdout
        for code in (78, 125, 126, 127):
            self.assertRegex(text, rf"(?m)^  {code} +\w")
        self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_version_is_the_projects(self):
        version = re.search(r"project\(portshim VERSION (\S+)", (SOURCE_DIR / "CMakeLists.txt").read_text())[1]
        result = self.run_shim("--version")
        self.assertEqual((result.code, result.stdout, result.stderr), (0, f"portshim {version}\n", ""))

    def test_neither_starts_command(self):
        for option, start in (("--help", "usage: portshim"), ("--version", "portshim ")):
            with self.subTest(option=option):
                result = self.with_options(option, env={"PORTSHIM_USER": "app", "PORTSHIM": "nonsense"})
                self.assertEqual((result.code, result.stderr), (0, ""), result)
                self.assertTrue(result.stdout.startswith(start))


class LogLevel(OptionsTest):
    def severities(self, *options: str, env: dict[str, str]) -> set[str]:
        return {finding.severity for finding in self.with_options(*options, env=env).findings}

    def test_each_level_shows_itself_and_what_is_worse(self):
        # An info finding is a move that --map names; a warning one that it does not; an error an invalid variable.
        env = {**PORT_80, "PORTSHIM_MAP": "80:5000", "PORTSHIM_KEEP": "nonsense"}
        warning = {**PORT_80, "PORTSHIM_KEEP": "nonsense"}
        for level, mapped, unmapped in (("error", {"error"}, {"error"}), ("warning", {"error"}, {"error", "warning"}),
                                        ("info", {"error", "info"}, {"error", "warning"}),
                                        ("debug", {"error", "info"}, {"error", "warning"})):
            for value in (level, level.upper()):
                for options, variables in forms("log-level", value):
                    with self.subTest(options=options, variables=variables):
                        self.assertEqual(self.severities(REWRITE, *options, env=env | variables), mapped)
                        self.assertEqual(self.severities(REWRITE, *options, env=warning | variables), unmapped)

    def test_the_default_is_warning_in_rewrite(self):
        self.assertEqual(self.severities(REWRITE, env={**PORT_80, "PORTSHIM_MAP": "80:5000"}), set())
        self.assertEqual(self.severities(REWRITE, env=PORT_80), {"warning"})

    def test_the_default_is_info_in_explain_and_warning_in_validate(self):
        # Only WebHost, which does not read URLS, meets the bad address.
        env = {"ASPNETCORE_URLS": "nonsense", "URLS": "http://+:8080"}
        self.assertEqual(self.severities("--mode=explain", env=env), {"info"})
        self.assertEqual(self.severities("--mode=validate", env=env), set())
        self.assertEqual(self.severities("--mode=validate", "--log-level=info", env=env), {"info"})


class LogFormat(OptionsTest):
    FORMATTER = "Logging__Console__FormatterName"

    def observed_format(self, result: Result) -> str:
        self.assertEqual(result.code, 0, result)
        if result.stderr.startswith("portshim: warning PS101: ASPNETCORE_URLS=http://+:80 "):
            self.assertRegex(result.stderr, r"\n  why:  .*\n  did:  .*\n  next: .*\n$")
            return "text"
        self.assertEqual(result.stderr.count("\n"), 1, result)
        if result.stderr.startswith("<4>portshim[101] ASPNETCORE_URLS=http://+:80 "):
            self.assertRegex(result.stderr, r" why: .* did: .* next: .*\n$")
            return "systemd"
        self.assertEqual(json.loads(result.stderr)["EventId"], 101)
        return "json"

    def test_every_format_by_every_form_in_any_case(self):
        for name in ("text", "systemd", "json"):
            for value in (name, name.upper()):
                for options, env in forms("log-format", value):
                    with self.subTest(options=options, env=env):
                        # Whatever the app's own logger does.
                        env = {**PORT_80, self.FORMATTER: "json" if name == "text" else "simple", **env}
                        self.assertEqual(self.observed_format(self.with_options(REWRITE, *options, env=env)), name)

    def test_auto_is_the_default_and_follows_the_apps_console_logger(self):
        for formatter, expected in (("json", "json"), ("systemd", "systemd"), ("simple", "text"), ("JSON", "json"),
                                    ("custom", "text"), ("", "text"), (None, "text")):
            for options in ((), ("--log-format=auto",), ("--log-format", "AUTO")):
                with self.subTest(formatter=formatter, options=options):
                    env = PORT_80 if formatter is None else {**PORT_80, self.FORMATTER: formatter}
                    self.assertEqual(self.observed_format(self.with_options(REWRITE, *options, env=env)), expected)

    def test_the_name_of_the_formatters_variable_has_any_case(self):
        env = {**PORT_80, self.FORMATTER.upper(): "json"}
        self.assertEqual(self.observed_format(self.with_options(REWRITE, env=env)), "json")

    def test_json_has_the_fields_of_dotnets_formatter(self):
        result = self.with_options(REWRITE, "--log-format=json", env=PORT_80)
        text = self.with_options(REWRITE, env=PORT_80).findings[0]
        entry = json.loads(result.stderr)
        message = f"{text.what} why: {text.why} did: {text.did} next: {text.next}"
        self.assertEqual(entry, {
            "EventId": 101, "LogLevel": "Warning", "Category": "portshim", "Message": message,
            "State": {"Message": message, "Id": "PS101", "What": text.what, "Why": text.why, "Did": text.did,
                      "Next": text.next, "{OriginalFormat}": "{What} why: {Why} did: {Did} next: {Next}"}})

    def test_a_wrong_command_line_is_reported_in_the_format_too(self):
        for name, start in (("systemd", "<3>portshim[902] unknown option --bogus"), ("json", '{"EventId":902,')):
            for env in ({"PORTSHIM_LOG_FORMAT": name}, {self.FORMATTER: name}):
                with self.subTest(env=env):
                    result = self.with_options("--bogus", env=env)
                    self.assertEqual(result.code, 125)
                    self.assertTrue(result.stderr.startswith(start), result)


class Colour(OptionsTest):
    RED, YELLOW, PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"

    def on_terminal(self, *words: str, env: dict[str, str]) -> str:
        """What portshim writes to stderr when that is a terminal."""
        master, slave = pty.openpty()
        with os.fdopen(master, "rb", buffering=0) as terminal:
            subprocess.run(started_by_another(self.binary, *words), cwd=self.app,
                           env=dict(entry.split("=", 1) for entry in self.entries(env)), stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=slave, timeout=60, check=False)
            os.write(slave, b"END")  # so that there is something to read even if portshim said nothing
            os.close(slave)
            text = b""
            while not text.endswith(b"END"):
                text += terminal.read(65536)
        return text.removesuffix(b"END").decode().replace("\r\n", "\n")

    # A number is the floor of everyone, of this terminal's user too.
    WARN = ("--mode=explain", "--floor=1024", *APP)

    def test_on_a_terminal_severity_and_id_are_coloured(self):
        env = {**PORT_80, "TERM": "xterm"}
        text = self.on_terminal(*self.WARN, env=env)
        self.assertTrue(text.startswith(f"portshim: {self.YELLOW}warning PS101{self.PLAIN}: ASPNETCORE_URLS="), text)
        self.assertEqual(text.count("\x1b"), 2, text)
        text = self.on_terminal("--bogus", env=env)
        self.assertTrue(text.startswith(f"portshim: {self.RED}error PS902{self.PLAIN}: unknown option"), text)

    def test_an_empty_no_color_counts_as_unset(self):
        self.assertIn(self.YELLOW, self.on_terminal(*self.WARN, env={**PORT_80, "TERM": "xterm", "NO_COLOR": ""}))

    def test_no_color_a_dumb_terminal_and_other_formats_have_no_colour(self):
        for env in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "xterm", "NO_COLOR": "0"}, {"TERM": "dumb"}, {},
                    {"TERM": "xterm", "PORTSHIM_LOG_FORMAT": "json"},
                    {"TERM": "xterm", "PORTSHIM_LOG_FORMAT": "systemd"}):
            with self.subTest(env=env):
                text = self.on_terminal(*self.WARN, env={**PORT_80, **env})
                self.assertIn("asks for port 80", text)
                self.assertNotIn("\x1b", text)

    def test_what_is_no_terminal_has_no_colour(self):
        result = self.run_shim(*self.WARN, env={**PORT_80, "TERM": "xterm"})
        self.assertFinding(result, "PS101", "warning")
        self.assertNotIn("\x1b", result.stderr)


if __name__ == "__main__":
    portshim_test.main()
