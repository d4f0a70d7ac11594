"""The release binary: what it is linked with, how it is hardened, how large it is, and that it runs."""

import os
import re
import subprocess
from pathlib import Path

import portshim_test
from portshim_test import PortshimTest

MAX_SIZE = 2_600_000


def output_of(*command) -> str:
    portshim_test.require_program(str(command[0]))
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout


class Binary(PortshimTest):
    def test_it_is_static_pie_and_stripped(self):
        description = output_of("file", "--brief", self.binary)
        self.assertIn("static-pie linked", description)
        self.assertIn("pie executable", description)
        self.assertRegex(description, r"(?<!not )stripped")

    def test_it_needs_no_interpreter_and_no_library(self):
        self.assertNotIn("INTERP", output_of("readelf", "--program-headers", "--wide", self.binary))
        self.assertNotIn("NEEDED", output_of("readelf", "--dynamic", "--wide", self.binary))

    def test_relocations_are_read_only_and_bound_at_start(self):
        self.assertIn("GNU_RELRO", output_of("readelf", "--program-headers", "--wide", self.binary))
        self.assertRegex(output_of("readelf", "--dynamic", "--wide", self.binary), r"BIND_NOW|FLAGS.*NOW")

    def test_no_segment_is_writable_and_executable_nor_is_the_stack_executable(self):
        headers = output_of("readelf", "--program-headers", "--wide", self.binary)
        flags = re.findall(r"^  (\w+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([R ][W ][E ])", headers, re.MULTILINE)
        self.assertIn(("GNU_STACK", "RW "), flags)
        self.assertEqual([name for name, access in flags if "W" in access and "E" in access], [])

    def test_every_module_is_compiled_with_stack_protection(self):
        # The binary has no symbols, so this looks at the objects that it was linked from.
        archives = sorted(portshim_test.built_binary().parent.glob("libportshim_*.a"))
        if not archives:
            portshim_test.skip("needs the build folder: no libportshim_*.a beside the binary")
        # No function of il keeps anything in an array on the stack, and entry is one that the C library is not there for.
        with_code = [archive for archive in archives
                     if " T " in output_of("nm", archive) and archive.name not in ("libportshim_il.a", "libportshim_entry.a")]
        self.assertTrue(with_code)
        unprotected = [archive.name for archive in with_code if "__stack_chk_fail" not in output_of("nm", archive)]
        self.assertEqual(unprotected, [])

    def test_it_is_small(self):
        self.assertLessEqual(self.binary.stat().st_size, MAX_SIZE)

    def test_it_names_no_folder_of_the_machine_that_built_it(self):
        self.assertNotIn(os.fsencode(portshim_test.SOURCE_DIR), self.binary.read_bytes())

    def test_it_runs_with_nothing_around_it(self):
        """No library, no /proc, no /etc: a folder with nothing else is its root."""
        portshim_test.require_root("for chroot")
        root = Path(self.directory, "root")
        root.mkdir()
        os.link(self.binary, root / "portshim")
        os.link(self.probe, root / "probe")
        chroot = portshim_test.require_program("chroot")
        result = self.start(chroot, root, "/portshim", "/probe", "--exit=3").wait()
        self.assertEqual(result.code, 3, result)
        self.assertSilent(result)

    def test_it_installs_itself_with_nothing_around_it(self):
        """No /proc, no /tmp: it reads the file that it was started from."""
        portshim_test.require_root("for chroot")
        root = Path(self.directory, "root")
        (root / "tools").mkdir(parents=True)
        os.link(self.binary, root / "portshim")
        chroot = portshim_test.require_program("chroot")
        result = self.start(chroot, root, "/portshim", "--install=/tools/").wait()
        self.assertEqual(result.code, 0, result)
        self.assertEqual((root / "tools/portshim").read_bytes(), self.binary.read_bytes())

    def test_it_does_not_install_itself_where_it_may_not_read_its_own_file(self):
        own = self.write("portshim", self.binary.read_bytes(), 0o711)
        result = self.start(own, "--install=/tmp/", stage=portshim_test.as_uid(1654)).wait()
        self.assertEqual(result.code, 78, result)
        self.assertEqual(self.assertFinding(result, "PS907", "error").why,
                         "portshim cannot read its own file: open /proc/self/exe: Permission denied")


if __name__ == "__main__":
    portshim_test.main()
