"""What portshim reads in every assembly of the .NET SDK is what System.Reflection.Metadata reads in it."""

import os
import subprocess
import unittest
from pathlib import Path

import portshim_test

DUMP = Path(os.environ.get("PORTSHIM_METADATA_DUMP") or
            portshim_test.SOURCE_DIR / "build/release/tests/metadata_dump")
# The folder that `dotnet build --artifacts-path` writes to.
ARTIFACTS = Path(os.environ.get("PORTSHIM_REFERENCE") or portshim_test.SOURCE_DIR / "build/release/reference")
FEWEST = 500  # assemblies that make a proof
_TIMEOUT = 300  # seconds


class Metadata(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dotnet = portshim_test.require_dotnet(sdk=True)
        cls.environment = _environment()
        # No build servers: they would outlive the test.
        subprocess.run([cls.dotnet, "build", portshim_test.SOURCE_DIR / "tests/assembly/reference", "--configuration",
                        "Release", "--nologo", "--disable-build-servers", "--artifacts-path", ARTIFACTS],
                       env=cls.environment, check=True)
        cls.reference = [cls.dotnet, ARTIFACTS / "bin/reference/release/reference.dll"]

    def summaries(self, paths):
        """For each path what portshim and what the reference says: a hash, or a word for why there is none."""
        listing = portshim_test.scratch() / "list"
        listing.write_text("".join(f"{path}\n" for path in paths))
        processes = []
        for command in ([DUMP], self.reference):  # both at the same time
            with listing.open() as stdin:
                processes.append(subprocess.Popen([*command, "hash"], stdin=stdin, stdout=subprocess.PIPE,
                                                  stderr=subprocess.PIPE, env=self.environment))
        for process in processes:
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        return list(zip(*(self.answers(process, paths) for process in processes)))

    def answers(self, process, paths):
        stdout, stderr = process.communicate(timeout=_TIMEOUT)
        self.assertEqual(process.returncode, 0, os.fsdecode(stderr))
        lines = [line.split("\t") for line in os.fsdecode(stdout).splitlines()]
        self.assertEqual([path for _, path in lines], [str(path) for path in paths])
        return [summary for summary, _ in lines]

    def first_difference(self, path):
        ours, theirs = (os.fsdecode(subprocess.run([*command, "text", path], stdout=subprocess.PIPE,
                                                   env=self.environment, check=True, timeout=_TIMEOUT).stdout)
                        .split("\n") for command in ([DUMP], self.reference))
        for number, (our, their) in enumerate(zip([*ours, "(end)"], [*theirs, "(end)"]), start=1):
            if our != their:
                method = next((line for line in reversed(theirs[:number]) if not line.startswith(" ")), "")
                return f"{path}, line {number}, at {method!r}:\n  portshim:  {our!r}\n  reference: {their!r}"
        return f"{path}: the texts are the same"

    def test_names_literals_calls_and_signatures_are_those_of_the_reference(self):
        paths = _assemblies(self.dotnet)
        compared, different = 0, []
        for path, (ours, theirs) in zip(paths, self.summaries(paths)):
            if theirs == "none":
                self.assertIn(ours, ("refused: no managed code", "refused: no PE file"), path)
            elif theirs != "refused":
                compared += 1
                if ours != theirs:
                    different.append((path, ours))
        print(f"{compared} assemblies compared")
        shown = [f"{path}: {ours}" if ours.startswith("refused") else self.first_difference(path)
                 for path, ours in different[:3]]
        self.assertEqual(len(different), 0, "\n" + "\n".join(shown))
        self.assertGreaterEqual(compared, FEWEST)

    def test_what_the_reference_refuses_is_refused(self):
        whole = ARTIFACTS / "bin/reference/release/reference.dll"
        content = whole.read_bytes()
        root = content.index(b"BSJB")
        tables = content.index(b"#~\0\0")
        scratch = portshim_test.scratch()
        damaged = {
            "empty": b"", "text": b"no assembly\n", "two letters": b"MZ", "no signature": content[:128],
            "half": content[:len(content) // 2], "in its root": content[:root + 40],
            "no root": content.replace(b"BSJB", b"BSJC"), "no tables": content.replace(b"#~\0\0", b"#X\0\0"),
            "no such place": content[:tables - 8] + b"\xff\xff\xff\x7f" + content[tables - 4:],
        }
        for name, bytes_ in damaged.items():
            (scratch / name).write_bytes(bytes_)
        paths = [scratch / name for name in damaged]
        for path, (ours, theirs) in zip(paths, self.summaries(paths)):
            with self.subTest(path.name):
                self.assertIn(theirs, ("refused", "none"))
                self.assertTrue(ours.startswith("refused: "), ours)


def _environment():
    """HOME is a folder of its own, so that nothing of the user's is read or written."""
    home = ARTIFACTS / "home"
    home.mkdir(parents=True, exist_ok=True)
    return os.environ | {"HOME": str(home), "DOTNET_CLI_HOME": str(home), "DOTNET_NOLOGO": "1",
                         "DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false"}


def _assemblies(dotnet):
    """Every .dll of the SDK, native ones too, each content once where the names agree as well."""
    found = {}
    for path in sorted(dotnet.resolve().parent.rglob("*.dll")):
        found.setdefault((path.name, path.stat().st_size), path)
    return list(found.values())


if __name__ == "__main__":
    portshim_test.main()
