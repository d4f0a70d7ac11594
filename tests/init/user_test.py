"""--user and --keep-net-bind: who COMMAND runs as, beside gosu and setpriv, and what is refused."""

import dataclasses
import errno
import os
import re
import signal
from functools import partial
from pathlib import Path

import portshim_test
from portshim_test import (ALL_CAPABILITIES, NET_BIND_SERVICE, NO_CAPABILITIES, PortshimTest, Process, Result, Stage,
                           as_root, as_uid, in_network_namespace, require_program)
from stages import bind_mount, in_mount_namespace, in_user_namespace, map_ids, prepared, with_death_signal

MODES = ("off", "explain", "validate", "rewrite")
PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
games:x:5:60:games:/usr/games:/usr/sbin/nologin
app:x:1654:1654::/home/app:/bin/sh
2000:x:42:43::/digits:/bin/sh
"""
GROUP = """root:x:0:
daemon:x:1:
adm:x:4:daemon,app
audio:x:29:app
users:x:100:games
app:x:1654:
"""
SETID = 1 << 6 | 1 << 7  # CAP_SETGID, CAP_SETUID


@dataclasses.dataclass(frozen=True)
class Row:
    """What a text means: the matrix of gosu's documentation, and what it leaves open."""

    spec: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


MATRIX = (
    Row("0", 0, 0, home="/root"), Row("root", 0, 0, home="/root"), Row("0:0", 0, 0, home="/root"),
    Row("root:root", 0, 0, home="/root"), Row("0:root", 0, 0, home="/root"), Row("root:0", 0, 0, home="/root"),
    Row("0:1000", 0, 1000, home="/root"), Row("root:1000", 0, 1000, home="/root"),
    Row("1000", 1000, 0), Row("1000:1000", 1000, 1000), Row("1000:root", 1000, 0), Row("1000:daemon", 1000, 1),
    Row("1:1", 1, 1, home="/usr/sbin"), Row("1", 1, 1, (4,), "/usr/sbin"), Row("daemon", 1, 1, (4,), "/usr/sbin"),
    Row("daemon:daemon", 1, 1, home="/usr/sbin"), Row("daemon:root", 1, 0, home="/usr/sbin"),
    Row("games", 5, 60, (100,), "/usr/games"), Row("games:daemon", 5, 1, home="/usr/games"),
    Row("games:100", 5, 100, home="/usr/games"), Row("1654:29", 1654, 29, home="/home/app"),
    Row("app:", 1654, 1654, (4, 29), "/home/app"), Row("01654", 1654, 1654, (4, 29), "/home/app"),
    Row("app", 1654, 1654, (4, 29), "/home/app"), Row("1654", 1654, 1654, (4, 29), "/home/app"),
    Row("2147483647:2147483647", 2147483647, 2147483647),
)
NOBODY = ("4294967296", "4294967295", "2147483648", "-1", "0x0", " 0", "app:4294967296", "app:-1", "app:0x0", "app: 0",
          "nobody", "1654:nobody", "a:b:c")
# gosu means something by these: root, the caller, or a group of the caller's; and 2000 is an id to it.
NOBODY_HERE = ("+0", "app:+0", ":", ":app", "app:app:app")


class UserTest(PortshimTest):
    def etc(self, passwd: str | bytes | None = PASSWD, group: str | bytes | None = GROUP) -> Stage:
        """/etc with these files and no others."""
        folder = self.directory / "etc"
        folder.mkdir(exist_ok=True)
        for name, text in (("passwd", passwd), ("group", group)):
            if text is not None:
                self.write(f"etc/{name}", text)
        return in_mount_namespace(partial(bind_mount, folder, "/etc"))

    def root(self, **files) -> Stage:
        return self.etc(**files) | Stage(uid=0, gid=0, groups=(7, 8))

    def ask(self, *options: str, **how) -> Result:
        return self.portshim(*options, self.probe, **how if "stage" in how else {**how, "stage": self.root()})

    def assertRefused(self, result: Result, code: int, id: str, what: str = "") -> portshim_test.Finding:
        """That nothing was started, with this finding and no other."""
        self.assertEqual((result.code, result.stdout), (code, ""), result)
        self.assertEqual([finding.id for finding in result.findings], [id], result)
        self.assertIn(what, result.findings[0].what)
        return result.findings[0]

    def assertIs(self, status: dict[str, str], uid: int, gid: int, groups: tuple[int, ...] = ()) -> None:
        """Real, effective, saved and file system ids, and the groups."""
        self.assertEqual(status["Uid"], " ".join(4 * [str(uid)]))
        self.assertEqual(status["Gid"], " ".join(4 * [str(gid)]))
        self.assertEqual(tuple(map(int, status["Groups"].split())), groups)

    def assertCapabilities(self, status: dict[str, str], mask: int, **other: int) -> None:
        """All sets but those that are named otherwise."""
        sets = {name: int(value, 16) for name, value in status.items() if name.startswith("Cap")}
        self.assertEqual(sets, dict.fromkeys(sets, mask) | other)


class Matrix(UserTest):
    def test_each_text_gives_the_ids_groups_and_home_that_it_gives_to_gosu(self):
        gosu = require_program("gosu")
        for row in MATRIX:
            with self.subTest(row.spec):
                result = self.ask("--user", row.spec, env={"HOME": "/old", "A": "1"})
                self.assertEqual(result.code, 0, result)
                self.assertSilent(result)
                self.assertIs(result.probe.status, row.uid, row.gid, row.groups)
                self.assertEqual(result.probe.environment, [f"HOME={row.home}", "A=1"])
                other = self.start(gosu, row.spec, self.probe, env={"HOME": "/old"}, stage=self.root()).wait()
                self.assertEqual(other.probe.status, result.probe.status)
                self.assertEqual(other.probe.variable("HOME"), row.home)

    def test_the_process_is_as_setpriv_makes_it(self):
        setpriv = require_program("setpriv")
        for row in MATRIX:
            if row.uid == 0:
                continue  # there setpriv asks for what is in effect
            with self.subTest(row.spec):
                groups = ("--groups", ",".join(map(str, row.groups))) if row.groups else ("--clear-groups",)
                other = self.start(setpriv, f"--reuid={row.uid}", f"--regid={row.gid}", *groups, self.probe,
                                   stage=self.root()).wait()
                self.assertEqual(self.ask("--user", row.spec).probe.status, other.probe.status)

    def test_the_variable_means_the_same(self):
        for row in MATRIX:
            with self.subTest(row.spec):
                result = self.ask(env={"PORTSHIM_USER": row.spec})
                self.assertIs(result.probe.status, row.uid, row.gid, row.groups)

    def test_what_names_nobody_is_a_wrong_command_line_and_as_a_variable_refused(self):
        gosu = require_program("gosu")
        for spec in NOBODY + NOBODY_HERE:
            with self.subTest(spec):
                self.assertRefused(self.ask("--user", spec), 125, "PS520", f"--user={spec}")
                self.assertRefused(self.ask(env={"PORTSHIM_USER": spec}), 78, "PS520", f"PORTSHIM_USER={spec}")
                other = self.start(gosu, spec, self.probe, stage=self.root()).wait()
                self.assertEqual(other.code == 0, spec in NOBODY_HERE, "gosu has it so")

    def test_digits_that_are_a_name_are_that_user(self):
        self.assertIs(self.ask("--user=2000").probe.status, 42, 43)

    def test_the_nearest_name_is_shown(self):
        self.assertIn("did you mean app?", self.assertRefused(self.ask("--user=ap"), 125, "PS520").what)
        self.assertIn("did you mean daemon?", self.assertRefused(self.ask("--user=app:deamon"), 125, "PS520").what)

    def test_an_empty_user_is_a_mistake_and_an_empty_variable_unset(self):
        self.assertRefused(self.ask("--user="), 125, "PS902")
        self.assertIs(self.ask(env={"PORTSHIM_USER": ""}).probe.status, 0, 0, (7, 8))


class Files(UserTest):
    def test_without_them_ids_are_taken(self):
        stage = self.root(passwd=None, group=None)
        self.assertIs(self.ask("--user=1654", stage=stage).probe.status, 1654, 0)
        self.assertIs(self.ask("--user=1654:7", stage=stage).probe.status, 1654, 7)
        finding = self.assertRefused(self.ask("--user=app", stage=stage), 125, "PS520")
        self.assertIn("only ids are of use here", finding.why)

    def test_eight_megabytes_with_odd_lines_are_read_to_the_end(self):
        many = "".join(f"user{i}:x:{i}:{i}::/home/user{i}:/bin/sh\n" for i in range(100000, 280000))
        self.assertGreater(len(many), 8 << 20)
        odd = "+::::::\n-app::::::\n+@netgroup\n#app:x:0:0::/:\napp\napp:x::0::/:\napp:x:4294967296:0::/:\n"
        passwd = odd + f"long:x:9:9:{'x' * (1 << 20)}:/long:/bin/sh\n" + many + "app:x:1654:1654::/home/app:/bin/sh"
        groups = "+:::\n" + "".join(f"g{i}:x:{i}:a,b\n" for i in range(100000, 105000)) + "last:x:29:x,app"
        result = self.ask("--user=app", stage=self.root(passwd=passwd, group=groups))
        self.assertIs(result.probe.status, 1654, 1654, (29,))

    def test_windows_line_ends_and_nul_bytes_are_survived(self):
        passwd = b"app:x:0:0::/\0:/bin/sh\napp\0:x:0:0::/:\r\n" + PASSWD.replace("\n", "\r\n").encode()
        result = self.ask("--user=app", stage=self.root(passwd=passwd, group=GROUP.replace("\n", "\r\n")))
        self.assertIs(result.probe.status, 1654, 1654, (4, 29))

    def test_what_cannot_be_read_is_refused(self):
        stage = self.root()
        (self.directory / "etc/passwd").unlink()
        (self.directory / "etc/passwd").mkdir()
        finding = self.assertRefused(self.ask("--user=1654", stage=stage), 78, "PS520", "cannot be looked up")
        self.assertEqual(finding.why, "open /etc/passwd: Is a directory")

    def test_a_fifo_is_refused_and_not_waited_for(self):
        for name in "passwd", "group":
            with self.subTest(name=name):
                stage = self.root()
                fifo = self.directory / "etc" / name
                fifo.unlink()
                os.mkfifo(fifo)
                try:
                    finding = self.assertRefused(self.ask("--user=app", stage=stage, timeout=20), 78, "PS520")
                    self.assertIn(f"/etc/{name}", finding.why)
                finally:
                    fifo.unlink()  # what writes the next files would wait for a reader

    def test_as_root_nothing_else_is_opened(self):
        strace = require_program("strace")
        if self.is_sanitized:
            return  # the sanitizers' runtime opens files of its own
        output = self.directory / "trace"
        for options in (), ("--init",):
            with self.subTest(options=options):
                result = self.start(strace, "-f", "-s", "4096", "-o", output, self.binary, "--mode=rewrite", "--user=app",
                                    *options, self.probe, stage=self.root()).wait()
                self.assertIs(result.probe.status, 1654, 1654, (4, 29))
                calls = output.read_text().splitlines()[1:]
                changed = next(i for i, line in enumerate(calls) if re.search(r" setresuid\(1654, 1654, 1654\) += 0", line))
                paths = [match[1] for line in calls[:changed]
                         if (match := re.search(r' (?!getrandom)\w+\((?:AT_FDCWD, )?"([^"]+)"', line))]
                self.assertEqual(set(paths) - {"/proc/self/exe"}, {"/etc/passwd", "/etc/group"})
                behind = "\n".join(calls[changed:])
                self.assertIn(f'"{self.probe}"', behind)  # negative control: there is more to be opened


class Environment(UserTest):
    def test_the_signal_for_the_death_of_the_parent_stays(self):
        for options in (), ("--init",):
            with self.subTest(options=options):
                probe = self.ask("--user=app", *options, stage=with_death_signal(self.root(), signal.SIGUSR1)).probe
                self.assertIs(probe.status, 1654, 1654, (4, 29))
                self.assertEqual(probe.death_signal, signal.SIGUSR1)

    def test_home_is_changed_in_its_place_and_nothing_else(self):
        before = ["Z=1", "HOME=/a", "NO_EQUALS", "A=\xff", "HOME=/b", "HOMEX=1"]
        after = ["Z=1", "HOME=/home/app", "NO_EQUALS", "A=\xff", "HOME=/home/app", "HOMEX=1"]
        for mode in MODES:
            with self.subTest(mode=mode):
                result = self.ask(f"--mode={mode}", "--user=app", env=before)
                self.assertEqual(result.probe.environment, after)

    def test_home_is_added_behind_the_rest(self):
        self.assertEqual(self.ask("--user=app", env={"A": "1"}).probe.environment, ["A=1", "HOME=/home/app"])

    def test_predictions_see_it(self):
        # What extracts itself below HOME (PS427), and the identity of the prediction.
        result = self.portshim("--check=json", "--user=app", self.probe, env={"ASPNETCORE_URLS": "http://+:80"},
                               stage=self.root() | in_network_namespace(1024))
        self.assertEqual(result.json["identity"] | {"floor": None},
                         {"uid": 1654, "gid": 1654, "netBindService": False, "unprivilegedPortStart": 1024,
                          "floor": None})
        self.assertIn("PS101", [finding["id"] for finding in result.json["findings"]])


class Capabilities(UserTest):
    LOW_PORT = {"ASPNETCORE_URLS": "http://+:80"}
    BIND_80 = "--bind=0.0.0.0:80"

    def low_port(self, *options: str, env=None, stage: Stage | None = None) -> Result:
        stage = (stage or self.root()) | in_network_namespace(1024)
        return self.portshim("--mode=rewrite", *options, self.probe, self.BIND_80, env=self.LOW_PORT | (env or {}),
                             stage=stage)

    def test_nothing_but_the_bounding_set_is_left(self):
        inherited = self.root() | Stage(bounding=ALL_CAPABILITIES, ambient=1 << 1)
        for stage in self.root(), inherited:
            status = self.ask("--user=app", stage=stage).probe.status
            self.assertCapabilities(status, 0, CapBnd=int(status["CapBnd"], 16))
            self.assertNotEqual(int(status["CapBnd"], 16), 0)
            self.assertEqual(status["NoNewPrivs"], "0")

    def test_without_keep_net_bind_port_80_moves_and_is_denied(self):
        result = self.low_port("--user=app")
        self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:8080")
        self.assertEqual(result.probe.bind, errno.EACCES)
        self.assertIn("which uid 1654 cannot bind here", self.assertFinding(result, "PS101").what)

    def test_keep_net_bind_keeps_port_80_and_that_capability_alone(self):
        for options, env in ((("--user=app", "--keep-net-bind"), {}), (("--user=app", "--keep-net-bind", "--init"), {}),
                             ((), {"PORTSHIM_USER": "app", "PORTSHIM_KEEP_NET_BIND": "on"})):
            with self.subTest(options=options):
                result = self.low_port(*options, env=env)
                self.assertSilent(result)
                probe = result.probe
                self.assertEqual((probe.bind, probe.variable("ASPNETCORE_URLS")), (0, "http://+:80"))
                self.assertIs(probe.status, 1654, 1654, (4, 29))
                self.assertCapabilities(probe.status, NET_BIND_SERVICE)
                self.assertEqual(probe.status["NoNewPrivs"], "1")

    def test_keep_net_bind_is_predicted(self):
        for keep in False, True:
            result = self.portshim("--check=json", "--user=app", f"--keep-net-bind={'on' if keep else 'off'}",
                                   self.probe, stage=self.root() | in_network_namespace(1024))
            self.assertEqual((result.json["identity"]["netBindService"], result.json["identity"]["uid"]), (keep, 1654))

    def test_root_too_keeps_that_capability_alone(self):
        result = self.low_port("--user=root", "--keep-net-bind")
        self.assertEqual(result.probe.bind, 0)
        self.assertIs(result.probe.status, 0, 0)
        self.assertCapabilities(result.probe.status, NET_BIND_SERVICE)

    def test_where_the_bounding_set_lacks_it_that_is_said_and_the_floor_applies(self):
        stage = self.root() | Stage(bounding=SETID | 1 << 8)
        result = self.low_port("--user=app", "--keep-net-bind", stage=stage)
        self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:8080")
        self.assertIn("not in the bounding set", self.assertFinding(result, "PS522", "warning").why)
        self.assertFinding(result, "PS101", "warning")
        self.assertCapabilities(result.probe.status, 0)
        off = self.portshim("--user=app", "--keep-net-bind", self.probe, stage=stage)
        self.assertEqual([finding.id for finding in off.findings], ["PS522"])
        check = self.portshim("--check=json", "--user=app", "--keep-net-bind", self.probe, stage=stage)
        self.assertEqual([finding["id"] for finding in check.json["findings"]], ["PS522"])

    def test_without_cap_setpcap_the_bounding_set_stays_and_no_new_privileges_makes_it_void(self):
        bounding = SETID | NET_BIND_SERVICE
        result = self.low_port("--user=app", "--keep-net-bind", stage=self.root() | Stage(bounding=bounding))
        self.assertEqual(result.probe.bind, 0)
        self.assertCapabilities(result.probe.status, NET_BIND_SERVICE, CapBnd=bounding)
        self.assertEqual(result.probe.status["NoNewPrivs"], "1")

    def test_keep_net_bind_without_a_user_is_said_to_have_no_effect(self):
        for mode in "off", "explain":
            result = self.ask(f"--mode={mode}", "--keep-net-bind")
            self.assertEqual([finding.id for finding in result.findings], ["PS523"])
            self.assertEqual(result.probe.status["NoNewPrivs"], "0")


class InEffect(UserTest):
    """Naming who one is already: what the app starts, and what `docker exec` starts, inherit the variable."""

    def test_it_needs_no_privilege_and_changes_nothing(self):
        for spec in "app", "1654", "1654:1654", "app:app":
            for mode in MODES:
                with self.subTest(spec=spec, mode=mode):
                    env = {"PORTSHIM_USER": spec, "PORTSHIM": mode, "HOME": "/mine"}
                    result = self.ask(env=env, stage=self.etc() | as_uid(1654, groups=(5,)))
                    self.assertSilent(result)
                    self.assertEqual(result.probe.environment, [f"{name}={value}" for name, value in env.items()])
                    self.assertIs(result.probe.status, 1654, 1654, (5,))

    def test_a_uid_without_an_entry_is_in_effect_with_any_group(self):
        result = self.ask("--user=54321", stage=self.etc() | as_uid(54321))
        self.assertSilent(result)
        self.assertIs(result.probe.status, 54321, 54321)
        self.assertEqual(self.ask("--user=54321:0", stage=self.etc() | as_uid(54321)).code, 78)

    def test_root_without_capabilities_is_root(self):
        result = self.ask("--user=root:0", stage=self.etc() | as_root(bounding=NO_CAPABILITIES))
        self.assertIs(result.probe.status, 0, 0)

    def test_root_with_them_loses_its_supplementary_groups(self):
        self.assertIs(self.ask("--user=root:0").probe.status, 0, 0)
        self.assertIs(self.ask().probe.status, 0, 0, (7, 8))  # negative control

    def test_an_ambient_capability_stays(self):
        stage = self.etc() | as_uid(1654, ambient=NET_BIND_SERVICE) | in_network_namespace(1024)
        env = {"PORTSHIM_USER": "app", "PORTSHIM_KEEP_NET_BIND": "on"}
        result = self.portshim(self.probe, "--bind=0.0.0.0:80", env=env, stage=stage)
        self.assertSilent(result)
        self.assertEqual(result.probe.bind, 0)

    def test_portshim_inside_the_app_does_it_once_more(self):
        shell = require_program("sh")
        env = {"PORTSHIM_USER": "app", "PORTSHIM_KEEP_NET_BIND": "on"}
        result = self.portshim(shell, "-c", f"{self.binary} {self.probe}", env=env, stage=self.root())
        self.assertSilent(result)
        self.assertIs(result.probe.status, 1654, 1654, (4, 29))
        self.assertCapabilities(result.probe.status, NET_BIND_SERVICE)


class NotPermitted(UserTest):
    def test_nothing_is_started_in_any_mode_and_the_reason_is_left_behind(self):
        for mode in MODES:
            for options, env in ((("--user=root",), {}), ((), {"PORTSHIM_USER": "daemon"}), (("--init",),
                                                                                            {"PORTSHIM_USER": "1:1"})):
                with self.subTest(mode=mode, options=options):
                    log = self.write("log", "", 0o666)
                    result = self.ask(f"--mode={mode}", f"--termination-log={log}", *options, env=env,
                                      stage=self.etc() | as_uid(1654))
                    finding = self.assertRefused(result, 78, "PS521", "uid 1654 may not become uid")
                    self.assertIn("the container was not started as root", finding.why)
                    self.assertEqual(log.read_text(), f"portshim: error PS521: {finding.what}\n")

    def test_root_without_capabilities(self):
        for bounding, missing in ((0, "which are both missing"), (1 << 6, "CAP_SETUID is missing"),
                                  (1 << 7, "CAP_SETGID is missing")):
            with self.subTest(missing):
                stage = self.root() | Stage(bounding=bounding)
                finding = self.assertRefused(self.ask("--user=app", stage=stage), 78, "PS521")
                self.assertIn(missing, finding.why)
                self.assertIn("cap-drop ALL", finding.why)
                self.assertIn("docker run --user 1654:1654", finding.next)

    def test_these_two_capabilities_suffice(self):
        result = self.ask("--user=app", stage=self.root() | Stage(bounding=SETID))
        self.assertIs(result.probe.status, 1654, 1654, (4, 29))

    def test_help_version_install_and_a_running_process_need_no_user(self):
        stage = self.etc() | as_uid(1654)
        for options in ("--help",), ("--version",), (f"--install={self.directory}/x",), ("--check", "--pid=1"):
            with self.subTest(options=options):
                result = self.portshim(*options, env={"PORTSHIM_USER": "nobody"}, stage=stage)
                self.assertNotIn("PS52", result.stderr)

    def test_a_check_is_refused_too(self):
        for options in ("--check",), ("--check=json",):
            self.assertRefused(self.ask(*options, env={"PORTSHIM_USER": "nobody"}), 78, "PS520")

    def test_a_wrong_command_line_comes_first(self):
        self.assertRefused(self.ask("--nosuch", env={"PORTSHIM_USER": "nobody"}), 125, "PS902")


class UserNamespaces(UserTest):
    def test_an_id_that_is_not_mapped_is_refused(self):
        stage = in_user_namespace(0) | Stage(uid=0, gid=0, groups=())
        finding = self.assertRefused(self.ask("--user=1654:0", stage=stage), 78, "PS521")
        self.assertIn("has no such id", finding.why)

    def test_groups_that_may_not_be_set_are_named(self):
        stage = in_user_namespace(0) | Stage(uid=0, gid=0, groups=(0,))
        finding = self.assertRefused(self.ask("--user=1654:0", stage=stage), 78, "PS521")
        self.assertIn("/proc/self/setgroups says deny", finding.why)

    def test_its_only_user_is_in_effect(self):
        for groups in (), (0,):
            stage = in_user_namespace(0) | Stage(uid=0, gid=0, groups=groups)
            self.assertIs(self.ask("--user=0:0", stage=stage).probe.status, 0, 0, groups)

    def test_a_mapped_id_is_taken_and_a_port_kept(self):
        stage = prepared(last=(partial(map_ids, 100000, 65536),)) | Stage(uid=0, gid=0, groups=())
        result = self.ask("--user=1654:7", "--keep-net-bind", stage=stage)
        self.assertIs(result.probe.status, 1654, 7)
        self.assertCapabilities(result.probe.status, NET_BIND_SERVICE)
        self.assertRefused(self.ask("--user=65536:0", stage=stage), 78, "PS521")


class AsInit(UserTest):
    def supervised(self, *options: str) -> Process:
        process = self.start(self.binary, "--init", "--user=app", *options, require_program("sleep"), "600",
                             stage=self.root())
        self._await(lambda: self.children(process.pid), "started COMMAND", process, 60)
        return process

    @staticmethod
    def children(pid: int) -> list[int]:
        """Those that have become another program."""
        own = os.readlink(f"/proc/{pid}/exe")
        children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return [child for child in children if os.readlink(f"/proc/{child}/exe") != own]

    @staticmethod
    def status(pid: int) -> dict[str, str]:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}

    def test_the_parent_steps_down_too_and_can_still_signal_its_child(self):
        for options in (), ("--keep-net-bind",):
            with self.subTest(options=options):
                process = self.supervised(*options)
                child, = self.children(process.pid)
                for pid in process.pid, child:
                    status = self.status(pid)
                    self.assertIs(status, 1654, 1654, (4, 29))
                    self.assertEqual(int(status["CapPrm"], 16), NET_BIND_SERVICE if options else 0)
                    # Dumpable: its files in /proc are its own, for whoever looks at it as the same user.
                    self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 1654)
                process.send(signal.SIGTERM)
                self.assertEqual(process.wait().code, 128 + signal.SIGTERM)


class Nesting(UserTest):
    def test_a_user_of_the_inner_portshim_counts(self):
        result = self.portshim(self.binary, "--user=app", self.probe, stage=self.root())
        self.assertIs(result.probe.status, 1654, 1654, (4, 29))

    def test_the_same_user_twice_is_taken_once(self):
        result = self.portshim("--user=app", self.binary, "--user=app", self.probe, stage=self.root())
        self.assertIs(result.probe.status, 1654, 1654, (4, 29))
        self.assertSilent(result)

    def test_the_inner_one_cannot_take_back_what_the_outer_one_gave_up(self):
        for options in ("--user=app",), ():
            env = {} if options else {"PORTSHIM_USER": "app"}
            result = self.portshim(*options, self.binary, "--user=root", self.probe, env=env, stage=self.root())
            self.assertRefused(result, 78, "PS521", "uid 1654 may not become uid 0")


if __name__ == "__main__":
    portshim_test.main()
