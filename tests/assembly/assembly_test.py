"""What portshim reads out of the assemblies of real apps (apps/), against what their sources say that it is."""

import json
import os
import subprocess
import unittest
from collections.abc import Sequence
from pathlib import Path

import assembly_apps
import portshim_test
from assembly_apps import Assembly

DUMP = Path(os.environ.get("PORTSHIM_ASSEMBLY_DUMP") or portshim_test.SOURCE_DIR / "build/release/tests/assembly_dump")


def read(paths: Sequence[Path]) -> list[dict]:
    """What assembly_dump says of each."""
    process = subprocess.run([DUMP], input="".join(f"{path}\n" for path in paths), capture_output=True, text=True,
                             check=True, timeout=120)
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(answers) == len(paths), process.stderr
    return answers


def differences(expected: Assembly, found: dict) -> list[str]:
    """In words; empty when everything is as its source says."""
    if found["error"] is not None:
        return [f"error: {found['error']}"]
    out = []
    if found["builders"] != expected.builders:
        out.append(f"builders: {found['builders']}, not {expected.builders}")
    if found["passesArguments"] != expected.passes_arguments:
        out.append(f"passesArguments: {found['passesArguments']}, not {expected.passes_arguments}")
    left = list(found["calls"])
    for call in expected.calls:
        fields = {"known": True, "hasOptions": False} | call
        match = next((one for one in left if fields.items() <= one.items()), None)
        if match is None:
            out.append(f"no call {json.dumps(call)}")
        else:
            left.remove(match)
    return out + [f"a call too many: {json.dumps(call)}" for call in left]


class AssemblyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.assemblies = assembly_apps.assemblies()
        if not all(one.path().exists() for one in cls.assemblies):
            portshim_test.skip(f"needs the apps: ctest -R assembly.apps builds them in {assembly_apps.ARTIFACTS}")

    def check(self, configuration: str, forms: Sequence[str | None]) -> None:
        chosen = [one for one in self.assemblies if one.form in forms]
        self.assertTrue(chosen)
        for one, found in zip(chosen, read([one.path(configuration) for one in chosen]), strict=True):
            with self.subTest(one.name, configuration=configuration):
                self.assertEqual(differences(one, found), [])

    def test_the_code_of_release_builds_is_read_as_their_sources_say(self):
        self.check("Release", [None])

    def test_the_code_of_debug_builds_is_read_as_their_sources_say(self):
        self.check("Debug", [None])

    def test_ready_to_run_and_trimmed_assemblies_are_read_as_any_other(self):
        self.check("Release", ["ready-to-run", "trimmed"])

    def test_the_entry_assembly_inside_a_single_file_is_read(self):
        self.check("Release", ["single-file"])

    def test_what_is_no_assembly_is_said_to_be_none(self):
        for found in read([Path("/bin/sh"), Path(__file__), Path("/dev/null")]):
            with self.subTest(found["name"]):
                self.assertIsNotNone(found["error"])


class DifferencesTest(unittest.TestCase):
    """The comparison finds what is wrong."""

    EXPECTED = Assembly(Path("App.cs"), ["wab"], True, [{"kind": "listen", "target": "http ANY:80"}], False, None)
    CALL = {"kind": "listen", "api": "ListenAnyIP", "known": True, "target": "http ANY:80", "hasOptions": False}

    def found(self, **changes: object) -> list[str]:
        return differences(self.EXPECTED, {"error": None, "builders": ["wab"], "passesArguments": True,
                                           "calls": [self.CALL]} | changes)

    def test_what_is_as_expected_makes_no_difference(self):
        self.assertEqual(self.found(), [])

    def test_every_other_answer_makes_one(self):
        for changes in ({"error": "no PE file"}, {"builders": ["wab", "gh"]}, {"builders": []},
                        {"passesArguments": None}, {"calls": []}, {"calls": [self.CALL, self.CALL]},
                        {"calls": [self.CALL | {"known": False}]}, {"calls": [self.CALL | {"hasOptions": True}]}):
            with self.subTest(changes):
                self.assertNotEqual(self.found(**changes), [])


if __name__ == "__main__":
    portshim_test.main()
