"""COMMAND: how it is found, what is said and which exit code there is when it cannot be started, and portshim under
another name, inside another portshim, and set-uid."""

import os
import shutil
import struct
import tempfile
from functools import partial
from pathlib import Path

import portshim_test
from portshim_test import (NET_BIND_SERVICE, NO_CAPABILITIES, Finding, PortshimTest, Result, Stage, as_root, as_uid,
                           in_network_namespace, require_root)
from stages import bind_mount, in_mount_namespace, mount_tmpfs

MODES = ("off", "explain", "validate", "rewrite")

ASSEMBLY = portshim_test.SOURCE_DIR / "tests/data/assemblies/small.dll"  # a real one

# elf.h
EM_X86_64, EM_AARCH64, PT_INTERP = 62, 183, 3


def container_user() -> Stage:
    """A user who may not bind port 80."""
    return as_uid(1654) | in_network_namespace(port_start=1024)


def set_file_capability(path: Path, permitted: int, effective: bool = True) -> None:
    """As setcap does (struct vfs_cap_data, revision 2, linux/capability.h)."""
    low, high = permitted & 0xFFFFFFFF, permitted >> 32
    os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000000 | effective, low, 0, high, 0))


def with_machine(program: bytes, machine: int) -> bytes:
    """The ELF program with another e_machine."""
    return program[:18] + struct.pack("<H", machine) + program[20:]


def with_loader(program: bytes, loader: bytes) -> bytes:
    """The dynamic 64-bit ELF program with another PT_INTERP, which must not be longer."""
    table, = struct.unpack_from("<Q", program, 32)
    entry_size, count = struct.unpack_from("<HH", program, 54)
    for entry in range(table, table + entry_size * count, entry_size):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", program, entry)
        if kind == PT_INTERP:
            assert len(loader) < size
            return program[:offset] + loader.ljust(size, b"\0") + program[offset + size:]
    raise AssertionError("not a dynamic program")


class LaunchTest(PortshimTest):
    def folder(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def put_probe(self, name: str) -> Path:
        """A copy of the probe at that place in `directory`."""
        return self.write(name, self.probe.read_bytes(), 0o755)

    def put_portshim(self, name: str) -> Path:
        """A copy of the binary at that place in `directory`."""
        return self.write(name, self.binary.read_bytes(), 0o755)

    def put_link(self, name: str, target: Path | str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
        return path

    def assertFails(self, result: Result, code: int, id: str, *words: str) -> Finding:
        """That nothing was started, and that this one finding says why, with these words in its first two lines."""
        self.assertEqual(result.code, code, result)
        self.assertEqual(result.stdout, "")
        self.assertEqual([finding.id for finding in result.findings], [id], result)
        finding = self.assertFinding(result, id, "error")
        for word in words:
            self.assertIn(word, f"{finding.what}\n{finding.why}")
        return finding


class LookUp(LaunchTest):
    def test_the_first_program_in_path_is_started(self):
        self.folder("empty")
        self.put_probe("one/app")
        self.write("two/app", "#!/bin/sh\nexit 3\n", 0o755)
        for order, code in (("empty", "one", "two"), 0), (("two", "one"), 3), (("absent", "two"), 3):
            with self.subTest(order=order):
                path = ":".join(str(self.directory / name) for name in order)
                self.assertEqual(self.portshim("app", env={"PATH": path}).code, code)

    def test_the_program_keeps_the_name_by_which_it_was_called(self):
        self.put_probe("bin/app")
        result = self.portshim("app", "x", env={"PATH": self.directory / "bin"})
        self.assertEqual(result.probe.argv, ["app", "x"])

    def test_a_file_that_may_not_be_executed_is_passed_over(self):
        self.write("one/app", "text")
        self.folder("two/app")
        self.put_probe("three/app")
        path = ":".join(str(self.directory / name) for name in ("one", "two", "three"))
        self.assertEqual(self.portshim("app", env={"PATH": path}).probe.argv, ["app"])

    def test_an_empty_entry_of_path_is_the_working_directory(self):
        self.put_probe("app")
        for path in ("", ":/nonexistent", "/nonexistent:", "/nonexistent::/also"):
            with self.subTest(path=path):
                result = self.portshim("app", env={"PATH": path}, cwd=self.directory)
                self.assertEqual(result.probe.argv, ["app"])

    def test_the_working_directory_is_not_searched_otherwise(self):
        self.put_probe("app")
        finding = self.assertFails(self.portshim("app", env={"PATH": "/nonexistent"}, cwd=self.directory), 127,
                                   "PS401")
        self.assertIn("./app", finding.next)

    def test_a_name_with_a_slash_is_not_searched_for(self):
        self.put_probe("bin/here/app")
        self.put_probe("work/there/app")
        env = {"PATH": self.directory / "bin"}
        self.assertFails(self.portshim("here/app", env=env, cwd=self.directory / "work"), 127, "PS401")
        self.assertEqual(self.portshim("there/app", env=env, cwd=self.directory / "work").probe.argv, ["there/app"])

    def test_without_path_the_usual_folders_are_searched(self):
        self.assertEqual(self.portshim("true").code, 0)
        self.assertFails(self.portshim("no-such-program"), 127, "PS401", "/usr/local/bin, /usr/bin, /bin", "not set")

    def test_the_exit_code_is_that_of_command(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                self.assertEqual(self.portshim(f"--mode={mode}", self.probe, "--exit=3").code, 3)


class Failure(LaunchTest):
    def test_a_failure_is_told_in_every_mode(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                self.assertFails(self.portshim(f"--mode={mode}", "/no/such"), 127, "PS401", "/no/such", "/no does not")
                self.assertFails(self.portshim(f"--mode={mode}", "/tmp"), 126, "PS402", "/tmp", "directory")

    def test_negative_control_a_program_without_fault_is_started_without_a_finding(self):
        with self.assertRaises(AssertionError):
            self.assertFails(self.portshim(self.probe), 127, "PS401")

    def test_a_name_that_path_does_not_have_comes_with_the_folders_that_were_tried(self):
        result = self.portshim("nosuch", env={"PATH": "/nonexistent:/usr/bin"})
        self.assertFails(result, 127, "PS401", "'nosuch'", "looked in /nonexistent, /usr/bin",
                         "PATH=/nonexistent:/usr/bin")

    def test_a_mistyped_path_comes_with_the_near_name(self):
        self.put_probe("MyApp")
        finding = self.assertFails(self.portshim(self.directory / "MyAp"), 127, "PS401", "holds no MyAp")
        self.assertIn(f"did you mean {self.directory}/MyApp?", finding.next)

    def test_a_path_through_a_file_is_not_found(self):
        file = self.write("file", "")
        self.assertFails(self.portshim(file / "app"), 127, "PS401", f"{file} is no directory")

    def test_an_empty_name_and_one_that_is_too_long_are_not_found(self):
        self.assertFails(self.portshim("--", ""), 127, "PS401")
        self.assertFails(self.portshim("a" * 256), 127, "PS401", "too long")
        self.assertFails(self.portshim("/" + "a/" * 2500), 127, "PS401", "too long")

    def test_a_command_that_is_two_words_in_one_is_told(self):
        finding = self.assertFails(self.portshim("dotnet-app App.dll", env={"PATH": "/bin"}), 127, "PS401")
        self.assertIn("word", finding.next)

    def test_a_directory_is_no_program(self):
        self.assertFails(self.portshim(self.directory), 126, "PS402", "directory")
        self.folder("bin/app")
        self.assertFails(self.portshim("app", env={"PATH": self.directory / "bin"}), 126, "PS402",
                         f"{self.directory}/bin/app is a directory")

    def test_a_file_without_execute_permission_comes_with_mode_and_owner(self):
        file = self.write("app", "#!/bin/sh\n", 0o644)
        finding = self.assertFails(self.portshim(file), 126, "PS403", "mode 0644", f"owner uid {os.getuid()}")
        self.assertIn(f"chmod +x {file}", finding.next)

    def test_a_program_that_only_its_owner_may_execute_is_told(self):
        require_root()
        self.put_probe("app").chmod(0o700)
        self.assertFails(self.portshim(self.directory / "app", stage=as_uid(1654)), 126, "PS403", "mode 0700",
                         "owner uid 0", "uid 1654")

    def test_a_folder_that_may_not_be_searched_is_the_cause(self):
        require_root()
        self.put_probe("closed/app")
        (self.directory / "closed").chmod(0o700)
        self.assertFails(self.portshim(self.directory / "closed/app", stage=as_uid(1654)), 126, "PS403",
                         f"{self.directory}/closed: mode 0700")

    def test_an_assembly_as_command_comes_with_the_hint_to_use_dotnet(self):
        for mode in (0o644, 0o755):
            with self.subTest(mode=oct(mode)):
                assembly = self.write("App.dll", b"MZ\x90\0", mode)
                result = self.portshim(assembly)
                self.assertEqual(result.code, 126)
                self.assertIn(f"dotnet {assembly}", result.findings[0].next)

    def test_a_noexec_mount_is_the_cause(self):
        volume = self.folder("volume")
        stage = in_mount_namespace(partial(mount_tmpfs, volume, noexec=True),
                                   partial(shutil.copy, self.probe, volume / "app"))
        for who in Stage(), as_uid(1654):
            with self.subTest(who=who):
                self.assertFails(self.portshim(volume / "app", stage=stage | who), 126, "PS404", "noexec",
                                 str(volume / "app"))

    def test_the_same_mount_without_noexec_starts_it(self):
        volume = self.folder("volume")
        stage = in_mount_namespace(partial(mount_tmpfs, volume), partial(shutil.copy, self.probe, volume / "app"))
        self.assertEqual(self.portshim(volume / "app", stage=stage).probe.argv, [str(volume / "app")])

    def test_a_missing_interpreter_is_named(self):
        for line in "#!/no/bash", "#! /no/bash", "#!/no/bash -e":
            with self.subTest(line=line):
                script = self.write("start.sh", f"{line}\n", 0o755)
                self.assertFails(self.portshim(script), 127, "PS405", str(script), "/no/bash does not exist")

    def test_the_interpreter_of_an_interpreter_is_named(self):
        outer, inner = self.directory / "outer", self.write("inner", "#!/no/bash\n", 0o755)
        self.write("outer", f"#!{inner}\n", 0o755)
        self.assertFails(self.portshim(outer), 127, "PS405", f"{inner} begins with #!/no/bash")

    def test_an_interpreter_that_may_not_be_executed_is_told(self):
        interpreter = self.write("interpreter", "text", 0o644)
        script = self.write("start.sh", f"#!{interpreter}\n", 0o755)
        self.assertFails(self.portshim(script), 126, "PS403", "interpreter", str(interpreter), "mode 0644")

    def test_a_carriage_return_in_the_first_line_is_told_and_escaped(self):
        script = self.write("start.sh", "#!/bin/sh\r\nexit 0\r\n", 0o755)
        finding = self.assertFails(self.portshim(script), 127, "PS406", "CR LF", "/bin/sh\\r")
        self.assertIn("LF", finding.next)

    def test_a_script_without_a_first_line_is_not_given_to_a_shell(self):
        for content in "exit 0\n", "", "\ufeff#!/bin/sh\nexit 0\n", "#!\n":
            with self.subTest(content=content):
                self.assertFails(self.portshim(self.write("start.sh", content, 0o755)), 126, "PS419", "start.sh")

    def test_a_program_for_another_machine_is_told_with_both_machines(self):
        here, = struct.unpack_from("<H", self.probe.read_bytes(), 18)
        other, names = (EM_AARCH64, ("arm64", "x86-64")) if here == EM_X86_64 else (EM_X86_64, ("x86-64", "arm64"))
        program = self.write("app", with_machine(self.probe.read_bytes(), other), 0o755)
        finding = self.assertFails(self.portshim(program), 126, "PS407", *names)
        self.assertIn("--platform", finding.next)

    def test_a_missing_loader_is_told_with_the_library_that_the_program_was_built_for(self):
        dynamic = Path("/bin/true").read_bytes()
        for loader, library in (b"/no/ld-musl-x.so.1", "musl"), (b"/no/ld-linux-x.so.2", "glibc"), (b"/no/ld", ""):
            with self.subTest(loader=loader):
                program = self.write("app", with_loader(dynamic, loader), 0o755)
                self.assertFails(self.portshim(program), 127, "PS408", str(program), loader.decode(), library)

    def test_a_link_that_leads_nowhere_is_told_with_its_target(self):
        link = self.put_link("app", "gone")
        self.assertFails(self.portshim(link), 127, "PS409", f"{link} is a link to {self.directory}/gone")
        chain = self.put_link("chain", link)
        self.assertFails(self.portshim(chain), 127, "PS409", "2 links", f"{self.directory}/gone")

    def test_a_link_in_path_that_leads_nowhere_is_the_cause(self):
        link = self.put_link("bin/app", "/no/such")
        self.assertFails(self.portshim("app", env={"PATH": self.directory / "bin"}), 127, "PS409", str(link),
                         "/no/such")

    def test_a_link_to_itself_is_told(self):
        link = self.put_link("app", "app")
        result = self.portshim(link)
        self.assertFails(result, 127, "PS409", str(link), "leads back to itself")

    def test_a_file_capability_outside_the_bounding_set_is_the_cause(self):
        require_root()
        program = self.put_probe("app")
        set_file_capability(program, NET_BIND_SERVICE)
        for who in as_uid(1654), as_root(bounding=NO_CAPABILITIES):
            with self.subTest(who=who):
                finding = self.assertFails(self.portshim(program, stage=who), 126, "PS410", str(program),
                                           "NET_BIND_SERVICE", "bounding set")
                self.assertIn("setcap -r", finding.next)

    def test_a_file_capability_inside_the_bounding_set_is_given(self):
        require_root()
        program = self.put_probe("app")
        set_file_capability(program, NET_BIND_SERVICE)
        report = self.portshim(program, stage=as_uid(1654, bounding=NET_BIND_SERVICE)).probe
        self.assertEqual(int(report.status["CapEff"], 16), NET_BIND_SERVICE)


class DotnetApps(LaunchTest):
    """What is said before dotnet is started; here `dotnet` is the probe."""

    def setUp(self):
        super().setUp()
        self.env = {"PATH": self.folder("bin")}
        self.put_probe("bin/dotnet")

    def run_app(self, mode: str, *words: str) -> Result:
        return self.portshim(f"--mode={mode}", "dotnet", *words, env=self.env, cwd=self.directory)

    def put_app(self, name: str) -> None:
        self.write(f"{name}.dll", ASSEMBLY.read_bytes())
        framework = '{"runtimeOptions":{"framework":{"name":"Microsoft.AspNetCore.App","version":"10.0.0"}}}'
        self.write(f"{name}.runtimeconfig.json", framework)

    def test_a_missing_assembly_is_told_with_the_apps_that_are_there(self):
        self.put_app("MyApp")
        for mode in "explain", "rewrite":
            with self.subTest(mode=mode):
                result = self.run_app(mode, "MyAp.dll")
                finding = self.assertFinding(result, "PS411", "error")
                self.assertIn("MyAp.dll", finding.what)
                self.assertIn("MyApp.dll", finding.why)
                self.assertEqual(result.probe.argv, ["dotnet", "MyAp.dll"])
        self.assertFails(self.run_app("validate", "MyAp.dll"), 78, "PS411", "MyApp.dll")

    def test_a_missing_runtimeconfig_is_told(self):
        self.write("App.dll", ASSEMBLY.read_bytes())
        for mode in "explain", "rewrite":
            with self.subTest(mode=mode):
                result = self.run_app(mode, "App.dll")
                self.assertIn("App.runtimeconfig.json", self.assertFinding(result, "PS412", "error").what)
                self.assertEqual(result.probe.argv, ["dotnet", "App.dll"])
        self.assertFails(self.run_app("validate", "App.dll"), 78, "PS412", "App.runtimeconfig.json")

    def test_nothing_is_said_about_an_app_that_is_whole_or_in_mode_off(self):
        self.put_app("App")
        for mode in "rewrite", "validate", "off":
            with self.subTest(mode=mode):
                self.assertSilent(self.run_app(mode, "App.dll"))
        self.assertSilent(self.run_app("off", "Missing.dll"))

    def test_the_kind_of_command_is_as_its_words_and_its_file_say(self):
        self.put_app("App")
        self.put_probe("App")
        self.put_link("Linked", "App")
        self.put_probe("Alone")
        self.write("start.sh", "#!/bin/sh\n", 0o755)
        # command, kind, assembly, whether it is an ASP.NET Core app
        for command, kind, assembly, is_web in (
                (["dotnet", "App.dll"], "dotnet", "App.dll", True),
                (["dotnet", "exec", "App.dll"], "dotnet", "App.dll", True),
                (["dotnet", "--roll-forward", "Major", "App.dll"], "dotnet", "App.dll", True),
                ([self.directory / "bin/dotnet", "App.dll"], "dotnet", "App.dll", True),
                (["dotnet", "--info"], "dotnet", None, False),
                (["dotnet", "build"], "dotnet", None, False),
                (["dotnet"], "dotnet", None, False),
                (["./App"], "apphost", "App.dll", True),
                (["./Linked"], "apphost", "App.dll", True),
                (["./Alone"], "other", None, None),
                (["./start.sh"], "other", None, None),
                (["/no/such"], "other", None, None)):
            with self.subTest(command=command):
                result = self.portshim("--check=json", *command, env=self.env, cwd=self.directory)
                app = result.json["app"]
                self.assertEqual((app["kind"], app["aspNetCore"]), (kind, is_web), app)
                self.assertEqual(app["assembly"] and Path(app["assembly"]).name, assembly)

    def test_an_app_on_the_plain_runtime_binds_nothing(self):
        self.write("Tool.dll", b"MZ")
        framework = '{"runtimeOptions":{"framework":{"name":"Microsoft.NETCore.App","version":"10.0.0"}}}'
        self.write("Tool.runtimeconfig.json", framework)
        result = self.portshim("--check=json", "dotnet", "Tool.dll", env=self.env, cwd=self.directory)
        self.assertIs(result.json["app"]["aspNetCore"], False)

    def test_what_binds_nothing_is_never_refused(self):
        self.env["ASPNETCORE_URLS"] = "http://+:80"
        for command in ["--info"], ["build"], []:
            with self.subTest(command=command):
                result = self.portshim("--mode=validate", "dotnet", *command, env=self.env, stage=container_user())
                self.assertSilent(result)
                self.assertEqual(result.probe.argv, ["dotnet", *command])


class WithoutDotnet(LaunchTest):
    """The folders where .NET may be are the machine's own: only a mount namespace can show others."""

    def setUp(self):
        super().setUp()
        require_root("to create a mount namespace")

    def machine(self, *, registered: Path | None = None, share: Path | None = None) -> Stage:
        """A machine that has .NET only where /etc/dotnet/install_location says, or in /usr/share/dotnet."""
        root = Path(tempfile.mkdtemp(dir=self.directory))
        for folder in "etc/dotnet", "share/dotnet":
            (root / folder).mkdir(parents=True)
        if registered is not None:
            (root / "etc/dotnet/install_location").write_text(f"{registered}\n")
        if share is not None:
            shutil.copy(share, root / "share/dotnet/dotnet")
        steps = [partial(bind_mount, root / "etc", "/etc"), partial(bind_mount, root / "share", "/usr/share")]
        for folder in "/usr/lib/dotnet", "/usr/lib64/dotnet":
            if Path(folder).is_dir():
                steps.append(partial(mount_tmpfs, folder))
        return in_mount_namespace(*steps)

    def run_dotnet(self, stage: Stage, **variables) -> Result:
        """As COMMAND of portshim."""
        env = {"PATH": self.folder("empty"), **variables}
        return self.portshim("dotnet", "App.dll", env=env, stage=stage)

    def run_link(self, stage: Stage, **variables) -> Result:
        """portshim called dotnet."""
        link = self.directory / "link/dotnet"
        if not link.exists():
            self.put_link("link/dotnet", self.binary)
        env = {"PATH": link.parent, **variables}
        return self.start(link, "App.dll", argv0="dotnet", env=env, stage=stage).wait()

    def test_no_dotnet_at_all_is_told_with_everything_that_was_tried(self):
        for run in self.run_dotnet, self.run_link:
            with self.subTest(run=run.__name__):
                finding = self.assertFails(run(self.machine()), 127, "PS413", ".NET", "/usr/share/dotnet",
                                           "/usr/lib64/dotnet", "/usr/lib/dotnet")
                self.assertIn("mcr.microsoft.com/dotnet/aspnet", finding.next)

    def test_dotnet_outside_path_is_told_as_command(self):
        result = self.run_dotnet(self.machine(share=self.probe))
        finding = self.assertFails(result, 127, "PS401", "not found in PATH", "/usr/share/dotnet/dotnet")
        self.assertIn("add /usr/share/dotnet to PATH", finding.next)

    def test_called_dotnet_portshim_goes_where_dotnet_is_installed(self):
        for name, stage, variables in (
                ("registered", self.machine(registered=self.put_probe("registered/dotnet").parent), {}),
                ("/usr/share", self.machine(share=self.probe), {}),
                ("DOTNET_ROOT", self.machine(), {"DOTNET_ROOT": self.put_probe("root/dotnet").parent})):
            with self.subTest(place=name):
                self.assertEqual(self.run_link(stage, **variables).probe.argv, ["dotnet", "App.dll"])


class AnotherName(LaunchTest):
    def setUp(self):
        super().setUp()
        self.link = self.put_link("first/dotnet", self.binary)
        self.put_probe("second/dotnet")
        self.path = f"{self.directory}/first:{self.directory}/second"

    def call(self, program: Path, *words: str, argv0: str | Path = "dotnet", **how) -> Result:
        environment = {"PATH": self.path, **how.pop("env", {})}
        return self.start(program, *words, argv0=argv0, env=environment, **how).wait()

    def test_the_real_program_of_that_name_is_started_from_the_rest_of_path(self):
        for argv0 in "dotnet", self.link:
            with self.subTest(argv0=argv0):
                result = self.call(self.link, "App.dll", "--urls", "x", argv0=argv0)
                self.assertEqual(result.probe.argv, [str(argv0), "App.dll", "--urls", "x"])

    def test_a_copy_is_recognised_by_its_content(self):
        copy = self.put_portshim("copy/dotnet")
        self.path = f"{self.directory}/copy:{self.path}"
        result = self.call(copy, "App.dll", env={"PORTSHIM": "rewrite", "ASPNETCORE_URLS": "http://+:5000"})
        self.assertEqual(result.probe.argv, ["dotnet", "App.dll"])

    def test_every_argument_is_the_programs_own(self):
        for word in "--help", "--version", "--check", "--mode=validate", "--", "--nonsense":
            with self.subTest(word=word):
                result = self.call(self.link, word)
                self.assertSilent(result)
                self.assertEqual(result.probe.argv, ["dotnet", word])

    def test_options_come_from_the_variables(self):
        self.write("App.dll", b"MZ")
        self.write("App.runtimeconfig.json",
                   '{"runtimeOptions":{"framework":{"name":"Microsoft.AspNetCore.App","version":"10.0.0"}}}')
        result = self.call(self.link, "App.dll", "--mode=off", cwd=self.directory, stage=container_user(),
                           env={"PORTSHIM": "rewrite", "PORTSHIM_MAP": "80:5000", "ASPNETCORE_URLS": "http://+:80"})
        self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:5000")
        self.assertEqual(result.probe.argv, ["dotnet", "App.dll", "--mode=off"])

    def test_any_other_name_works_too_and_is_no_dotnet(self):
        link = self.put_link("first/MyApp", self.binary)
        self.assertFails(self.call(link, argv0="MyApp"), 127, "PS401", "portshim itself")
        self.put_probe("second/MyApp")
        self.assertEqual(self.call(link, "x", argv0="MyApp").probe.argv, ["MyApp", "x"])

    def test_a_name_that_begins_with_portshim_is_portshim(self):
        for name in "portshim", "portshim-1.0", "/usr/bin/portshim_x":
            with self.subTest(name=name):
                result = self.call(self.binary, "--version", argv0=name)
                self.assertRegex(result.stdout, r"^portshim \d+\.\d+\.\d+\n$")

    def test_a_link_to_portshim_as_command_is_skipped_too(self):
        result = self.portshim("dotnet", "App.dll", env={"PATH": self.path})
        self.assertEqual(result.probe.argv, ["dotnet", "App.dll"])


class Nested(LaunchTest):
    def setUp(self):
        super().setUp()
        self.put_link("bin/portshim", self.binary)
        self.copy = self.put_portshim("copies/portshim-copy")
        self.put_link("bin/dotnet", self.binary)
        self.put_probe("real/dotnet")
        self.env = {"PATH": f"{self.directory}/bin:{self.directory}/real", "ASPNETCORE_URLS": "http://+:80"}

    def test_it_runs_once_however_it_is_nested(self):
        link = self.directory / "bin/dotnet"
        for words, argv in (
                (["portshim", self.probe], [str(self.probe)]),
                ([self.binary, self.probe], [str(self.probe)]),
                ([self.copy, self.probe], [str(self.probe)]),
                (["--", "portshim", "--", self.probe, "--mode=off"], [str(self.probe), "--mode=off"]),
                (["portshim", self.copy, "--keep=off", self.probe, "x"], [str(self.probe), "x"]),
                (["dotnet", "run"], ["dotnet", "run"]),
                ([link, "run"], [str(link), "run"]),
                (["portshim", "dotnet", "run"], ["dotnet", "run"]),
                ([self.copy, "portshim", link, "run"], [str(link), "run"])):
            with self.subTest(words=words):
                result = self.portshim("--mode=rewrite", *words, env=self.env, stage=container_user())
                self.assertEqual([finding.id for finding in result.findings], ["PS101"], result)
                self.assertEqual(result.probe.argv, argv)
                self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:8080")

    def test_the_inner_command_line_wins(self):
        result = self.portshim("--mode=off", "--map=80:5000", "portshim", "--mode=rewrite", "--map=80:6000", "portshim",
                               self.probe, env=self.env, stage=container_user())
        self.assertEqual(result.probe.variable("ASPNETCORE_URLS"), "http://+:6000")

    def test_negative_control_two_runs_say_two_findings(self):
        # Started by a script, the inner one is a portshim of its own.
        script = self.write("start.sh", f"#!/bin/sh\nexec {self.binary} --mode=explain {self.probe}\n", 0o755)
        result = self.portshim("--mode=explain", script, env=self.env, stage=container_user())
        self.assertEqual([finding.id for finding in result.findings], ["PS101", "PS101"], result)

    def test_portshim_inside_portshim_without_command_is_a_wrong_command_line(self):
        self.assertFails(self.portshim("portshim", env=self.env), 125, "PS902")

    def test_many_levels_end(self):
        result = self.portshim(*["portshim"] * 200, self.probe, env=self.env)
        self.assertEqual(result.probe.argv, [str(self.probe)])


class Privileged(LaunchTest):
    def set_id_copy(self, bits: int) -> Path:
        require_root("to make a set-uid program")
        copy = self.put_portshim("portshim")
        copy.chmod(0o755 | bits)
        return copy

    def test_a_set_uid_or_set_gid_start_is_refused_in_every_mode(self):
        for bits in 0o4000, 0o2000:
            copy = self.set_id_copy(bits)
            if self.is_sanitized:
                return  # its leak check cannot look into a set-uid process
            for words in *([f"--mode={mode}", self.probe] for mode in MODES), ["--check", self.probe], ["--help"]:
                with self.subTest(bits=oct(bits), words=words):
                    result = self.start(copy, *words, stage=as_uid(1654)).wait()
                    self.assertFails(result, 78, "PS903", "set-uid or set-gid")

    def test_a_set_uid_start_under_another_name_is_refused(self):
        copy = self.set_id_copy(0o4000)
        if not self.is_sanitized:
            result = self.start(copy, "x", argv0="dotnet", env={"PORTSHIM": "off"}, stage=as_uid(1654)).wait()
            self.assertFails(result, 78, "PS903")

    def test_the_bit_alone_is_no_reason_where_it_changes_nothing(self):
        copy = self.set_id_copy(0o4000)
        self.assertEqual(self.start(copy, self.probe).wait().probe.argv, [str(self.probe)])

    def test_file_capabilities_of_portshim_are_no_reason(self):
        require_root()
        copy = self.put_portshim("portshim")
        set_file_capability(copy, NET_BIND_SERVICE)
        for mode in MODES:
            with self.subTest(mode=mode):
                result = self.start(copy, f"--mode={mode}", self.probe,
                                    stage=as_uid(1654, bounding=NET_BIND_SERVICE)).wait()
                self.assertSilent(result)
                self.assertEqual(int(result.probe.status["CapEff"], 16), 0)


if __name__ == "__main__":
    portshim_test.main()
