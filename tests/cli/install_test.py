"""--install: the binary copies itself, whole or not at all, and says so in one line."""

import errno
import os
import re
import resource
import shutil
import socket
import stat
from functools import partial
from pathlib import Path

import portshim_test
import stages
from fake_app import APP, FakeAppTest
from portshim_test import NO_CAPABILITIES, SOURCE_DIR, PortshimTest, Result, Stage, as_root, as_uid

TEMPORARY = ".portshim."
VERSION = re.search(r"project\(portshim VERSION (\S+)", (SOURCE_DIR / "CMakeLists.txt").read_text())[1]


class InstallTest(PortshimTest):
    """`tools` is an empty directory that every user may write to, as an emptyDir is."""

    def setUp(self) -> None:
        super().setUp()
        self.tools = self.directory / "tools"
        self.tools.mkdir()
        self.tools.chmod(0o777)

    def install(self, path, **how) -> Result:
        return self.portshim(f"--install={path}", **how)

    def assertInstalled(self, result: Result, target: Path | str, shown: Path | str | None = None) -> None:
        """That a whole copy is at the target, which the first line says."""
        target = Path(target)
        line = f"portshim: info PS906: installed {shown or target} (portshim {VERSION})\n"
        self.assertEqual((result.code, result.stdout), (0, ""), result)
        self.assertTrue(result.stderr.startswith(line), result)
        more = result.stderr.removeprefix(line)
        self.assertEqual("begins with 'portshim'" in more, not target.name.startswith("portshim"), result)
        self.assertEqual(target.read_bytes(), self.binary.read_bytes())
        status = target.lstat()
        self.assertTrue(stat.S_ISREG(status.st_mode))
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o755)
        self.assertEqual(self.temporaries(target.parent), [])

    def assertRefused(self, result: Result, target: Path | str, why: str) -> None:
        """That one message says why, and nothing is left behind."""
        self.assertEqual((result.code, result.stdout), (78, ""), result)
        self.assertEqual(len(result.findings), 1, result)
        finding = self.assertFinding(result, "PS907", "error")
        self.assertEqual(finding.what, f"--install could not copy portshim to {target}")
        self.assertEqual(finding.why, why)
        self.assertEqual(finding.did, "nothing was changed (exit code 78)")
        self.assertNotEqual(finding.next, "")
        self.assertEqual(self.temporaries(self.tools), [])

    @staticmethod
    def temporaries(folder: Path) -> list[str]:
        return [name for name in os.listdir(folder) if name.startswith(TEMPORARY)]


class Target(InstallTest):
    def test_a_file_gets_the_name_that_is_given(self):
        self.assertInstalled(self.install(self.tools / "shim"), self.tools / "shim")

    def test_the_path_may_be_the_next_word(self):
        self.assertInstalled(self.portshim("--install", self.tools / "shim"), self.tools / "shim")

    def test_in_a_directory_it_is_called_portshim(self):
        for path in self.tools, f"{self.tools}/":
            with self.subTest(path=path):
                self.assertInstalled(self.install(path), self.tools / "portshim")
                (self.tools / "portshim").unlink()

    def test_a_relative_path_is_relative_to_the_working_directory(self):
        for path, shown in (".", "./portshim"), ("./", "./portshim"), ("shim", "shim"), ("../tools/x", "../tools/x"):
            with self.subTest(path=path):
                self.assertInstalled(self.install(path, cwd=self.tools), self.tools / Path(shown).name, shown)

    def test_the_copy_is_portshim_and_can_install_itself_further(self):
        self.install(self.tools / "one")
        result = self.start(self.tools / "one", "--version", argv0="portshim").wait()
        self.assertEqual((result.code, result.stdout), (0, f"portshim {VERSION}\n"))
        result = self.start(self.tools / "one", f"--install={self.tools}/two", argv0="portshim").wait()
        self.assertInstalled(result, self.tools / "two")

    def test_the_copy_starts_an_app(self):
        self.install(self.tools)
        result = self.start(self.tools / "portshim", self.probe, "a", env=["A=1"]).wait()
        self.assertEqual((result.probe.argv, result.probe.environment), ([str(self.probe), "a"], ["A=1"]))


class Existing(InstallTest):
    """What is at the target before."""

    def test_an_older_file_is_replaced_and_who_has_it_open_keeps_it(self):
        old = self.write("tools/shim", "old", 0o600)
        with old.open() as reader:
            self.assertInstalled(self.install(old), old)
            self.assertEqual(reader.read(), "old")

    def test_a_copy_that_is_running_is_replaced(self):
        running = self.start(shutil.copy("/bin/sleep", self.tools / "shim"), "infinity")
        # The control: it cannot be written to.
        with self.assertRaises(OSError) as caught:
            os.open(self.tools / "shim", os.O_WRONLY)
        self.assertEqual(caught.exception.errno, errno.ETXTBSY)
        self.assertInstalled(self.install(self.tools / "shim"), self.tools / "shim")
        self.assertTrue(running.is_running())

    def test_the_running_binary_itself_is_replaced_by_the_same(self):
        self.install(self.tools)
        own = self.tools / "portshim"
        self.assertInstalled(self.start(own, f"--install={own}").wait(), own)

    def test_a_link_is_replaced_and_what_it_leads_to_stays(self):
        real = self.write("real", "real")
        (self.tools / "shim").symlink_to(real)
        self.assertInstalled(self.install(self.tools / "shim"), self.tools / "shim")
        self.assertEqual(real.read_text(), "real")

    def test_a_link_to_a_directory_is_that_directory(self):
        (self.directory / "link").symlink_to(self.tools)
        self.assertInstalled(self.install(self.directory / "link"), self.tools / "portshim",
                             self.directory / "link/portshim")

    def test_devices_fifos_sockets_and_directories_are_refused_also_behind_a_link(self):
        os.mkfifo(self.tools / "fifo")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.tools / "socket"))
        (self.tools / "portshim").mkdir()
        (self.tools / "link").symlink_to("/dev/null")
        (self.tools / "to-fifo").symlink_to("fifo")
        for path, what in (("fifo", "is a FIFO"), ("socket", "is a socket"), ("link", "is a device"),
                           ("to-fifo", "is a FIFO")):
            with self.subTest(path=path):
                before = (self.tools / path).lstat().st_ino
                self.assertRefused(self.install(self.tools / path), self.tools / path, f"{self.tools / path} {what}")
                self.assertEqual((self.tools / path).lstat().st_ino, before)
        target = self.tools / "portshim"
        self.assertRefused(self.install(self.tools), target, f"{target} is a directory")
        self.assertRefused(self.install("/dev/null"), "/dev/null", "/dev/null is a device")


class Refusals(InstallTest):
    def test_a_missing_directory_is_not_made(self):
        for path, target in (("missing/shim", "missing/shim"), ("missing/", "missing/portshim")):
            with self.subTest(path=path):
                result = self.install(f"{self.tools}/{path}")
                self.assertRefused(result, self.tools / target,
                                   f"create a file in {self.tools}/missing: No such file or directory")
        self.assertEqual(os.listdir(self.tools), [])

    def test_a_file_is_no_directory(self):
        self.write("tools/file", "")
        self.assertRefused(self.install(f"{self.tools}/file/"), self.tools / "file/portshim",
                           f"create a file in {self.tools}/file: Not a directory")

    def test_a_directory_of_somebody_else(self):
        self.tools.chmod(0o755)
        result = self.install(self.tools, stage=as_uid(1654))
        self.assertRefused(result, self.tools / "portshim", f"create a file in {self.tools}: Permission denied")
        self.assertIn("fsGroup", result.findings[0].next)

    def test_a_read_only_file_system(self):
        stage = stages.in_mount_namespace(partial(stages.mount_tmpfs, self.tools, read_only=True))
        result = self.install(self.tools, stage=stage)
        self.assertRefused(result, self.tools / "portshim", f"create a file in {self.tools}: Read-only file system")

    def test_a_full_disk_keeps_the_old_file_and_no_part_of_the_new_one(self):
        # Less than the binary. The file system is another process's: it must outlive the one that is tested.
        owner = self.start("/bin/sleep", "infinity", stage=stages.in_mount_namespace(
            partial(stages.mount_tmpfs, self.tools, size="1m")))
        tools = Path(f"/proc/{owner.pid}/root{self.tools}")
        (tools / "portshim").write_text("old")
        self.assertRefused(self.install(tools), tools / "portshim", f"write {tools}/portshim: No space left on device")
        self.assertEqual(os.listdir(tools), ["portshim"])
        self.assertEqual((tools / "portshim").read_text(), "old")

    def test_a_limit_on_the_size_of_files_is_a_reason_and_no_signal(self):
        stage = Stage(limits=((resource.RLIMIT_FSIZE, (4096, 4096)),))
        old = self.write("tools/portshim", "old")
        self.assertRefused(self.install(self.tools, stage=stage), old, f"write {old}: File too large")
        self.assertEqual(old.read_text(), "old")


class Surroundings(InstallTest):
    def test_every_umask_gives_mode_0755(self):
        for umask in 0, 0o022, 0o077, 0o777:
            with self.subTest(umask=oct(umask)):
                result = self.install(self.tools / f"{umask}", stage=Stage(umask=umask))
                self.assertInstalled(result, self.tools / f"{umask}")

    def test_any_user_may_install_and_owns_the_file(self):
        portshim_test.require_root()
        for stage, uid in ((as_uid(1654), 1654), (as_uid(65534), 65534), (as_root(bounding=NO_CAPABILITIES), 0)):
            with self.subTest(uid=uid):
                result = self.install(self.tools / f"{uid}", stage=stage | Stage(no_new_privileges=True))
                self.assertInstalled(result, self.tools / f"{uid}")
                self.assertEqual((self.tools / f"{uid}").stat().st_uid, uid)

    def test_every_mode_installs_and_invalid_variables_do_not_matter(self):
        for mode in "off", "explain", "validate", "rewrite", "nonsense":
            with self.subTest(mode=mode):
                env = {"PORTSHIM": mode, "PORTSHIM_FLOOR": "nonsense", "PORTSHIM_USER": "app"}
                self.assertInstalled(self.install(self.tools / mode, env=env), self.tools / mode)

    def test_the_line_follows_format_and_level(self):
        result = self.install(self.tools, env={"PORTSHIM_LOG_FORMAT": "systemd"})
        self.assertEqual(result.stderr, f"<6>portshim[906] installed {self.tools}/portshim (portshim {VERSION})\n")
        result = self.install(self.tools, env={"PORTSHIM_LOG_LEVEL": "warning"})
        self.assertEqual((result.code, result.stderr), (0, ""))


class Beside(FakeAppTest):
    def test_a_command_or_check_beside_it_is_a_wrong_command_line_and_nothing_is_copied(self):
        target = self.directory / "copy"
        for words, what in (((f"--install={target}", *APP), "COMMAND"), ((f"--install={target}", "--", *APP), "COMMAND"),
                            ((f"--install={target}", "--check"), "--check"),
                            (("--check", self.binary, f"--install={target}"), "--check")):
            with self.subTest(words=words):
                self.assertRefused(self.run_shim(*words), 125, f"--install starts nothing and takes no {what}")
                self.assertFalse(target.exists())

    def test_without_a_path_it_is_a_wrong_command_line(self):
        valid = "(valid: the path of a file or a directory)"
        self.assertRefused(self.run_shim("--install"), 125, f"--install needs a value {valid}")
        self.assertRefused(self.run_shim("--install="), 125, f"--install= is not valid {valid}")

    def test_under_another_name_it_is_an_argument_of_the_app(self):
        target = self.directory / "copy"
        result = self.run_shim(f"--install={target}", argv0="dotnet")
        self.assertEqual(result.probe.argv, ["dotnet", f"--install={target}"])
        self.assertFalse(target.exists())


if __name__ == "__main__":
    portshim_test.main()
