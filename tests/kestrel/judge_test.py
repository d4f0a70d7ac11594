"""Real ASP.NET Core 8, 9 and 10 is the judge of what portshim predicts and rewrites: recorded results, and random cases
with a fixed seed and with a fresh one. `scripts/fuzz-kestrel` does the same for longer."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import random
import subprocess
import tempfile
import unittest
from pathlib import Path

import cases
import judge
import minimise
import portshim_test
import rewrites
from judge import MAJORS, Case, Disagreement, Result

FIXED_SEED = 1
ADDRESSES = 100_000  # for each of the two seeds
CONFIGURATIONS = 1000
LOW_STARTS = 500  # for each seed: real starts that bind a low port without portshim
KEEP_STARTS = 500  # for each seed


@functools.cache
def fresh_seed() -> int:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"fresh seed: {seed}", flush=True)
    return seed


def vectors(name: str) -> list[dict]:
    return json.loads((portshim_test.SOURCE_DIR / f"tests/data/{name}.json").read_text())["vectors"]


@functools.cache
def fixed_configurations() -> tuple[list[Case], list[dict[int, Result]]]:
    configurations = cases.configurations(FIXED_SEED, CONFIGURATIONS)
    return configurations, judge.reality(configurations)


class JudgeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        judge.require_oracle()

    def assert_agreed(self, found: list[Disagreement], what: str, minimised) -> None:
        if found:
            self.fail(judge.report(found, what, minimised))


class RecordedResults(JudgeTest):
    def test_every_recorded_address_is_predicted(self):
        recorded = vectors("url-vectors")
        for major in MAJORS:
            answers = judge.predicted_addresses([vector["input"] for vector in recorded], major)
            for vector, answer in zip(recorded, answers):
                with self.subTest(vector["id"], major=major):
                    expect = vector["expect"]
                    self.assertEqual(judge.address_text(answer), expect.get("all", expect.get(str(major))))
                    if major == MAJORS[-1] and "parts" in vector:
                        self.assertEqual(vector["parts"], {name: answer[name] for name in vector["parts"]})

    def test_every_recorded_configuration_is_predicted(self):
        recorded = vectors("precedence-vectors")
        self.assertGreater(len(recorded), 500)
        for vector, predicted in zip(recorded, judge.predictions(recorded)):
            for major in MAJORS:
                with self.subTest(vector["id"], major=major):
                    self.assertEqual(set(predicted[major]), self.recorded_results(vector, major))

    def test_dotnet_still_does_what_was_recorded(self):
        # A name twice in the block cannot be set from within .NET.
        recorded = [vector for vector in vectors("precedence-vectors") if not vector["id"].startswith("P99")]
        for vector, happened in zip(recorded, judge.reality(recorded)):
            for major in MAJORS:
                with self.subTest(vector["id"], major=major):
                    self.assertIn(happened[major], self.recorded_results(vector, major))

    @staticmethod
    def recorded_results(vector: dict, major: int) -> set[Result]:
        if "expectAnyOf" in vector:
            return {Result(tuple(bound)) for bound in vector["expectAnyOf"]}
        expect = vector["expect"]
        return {Result.of(expect.get("all", expect.get(str(major))))}


class Addresses(JudgeTest):
    def assert_read_alike(self, seed: int) -> None:
        known = [vector["input"] for vector in vectors("url-vectors")]
        found = judge.address_disagreements(cases.addresses(seed, ADDRESSES, known))
        self.assertEqual(len(found), 0, f"{len(found)} with seed {seed}:\n" + "\n".join(sorted(found, key=len)[:10]))

    def test_random_addresses_are_read_as_dotnet_reads_them(self):
        self.assert_read_alike(FIXED_SEED)

    def test_random_addresses_of_a_fresh_seed_are_read_as_dotnet_reads_them(self):
        self.assert_read_alike(fresh_seed())


class Configurations(JudgeTest):
    def assert_predicted(self, configurations: list[Case], real: list[dict[int, Result]]) -> None:
        # What is judged must be worth it.
        results = [result for by_major in real for result in by_major.values()]
        self.assertGreater(sum(bool(result.bound) for result in results), 0.6 * len(results))
        self.assertGreater(sum(any(map(rewrites.is_low, result.bound)) for result in results), 0.2 * len(results))
        self.assertGreater(sum(bool(result.error) for result in results), 0.1 * len(results))
        self.assert_agreed(list(judge.disagreements(configurations, real)), "configurations are predicted wrongly",
                           judge.minimised)

    def test_random_configurations_are_predicted(self):
        self.assert_predicted(*fixed_configurations())

    def test_random_configurations_of_a_fresh_seed_are_predicted(self):
        configurations = cases.configurations(fresh_seed(), CONFIGURATIONS)
        self.assert_predicted(configurations, judge.reality(configurations))

    def test_a_predictor_with_one_wrong_rule_is_convicted(self):
        configurations, real = fixed_configurations()
        wrong = list(judge.disagreements(configurations, real, judge.FLIPPED_PREDICTOR))
        also_wrong = {(one.case["id"], one.major) for one in judge.disagreements(configurations, real)}
        wrong = [one for one in wrong if (one.case["id"], one.major) not in also_wrong]
        self.assertGreaterEqual(len(wrong), 3)
        smallest = judge.minimised(wrong[0], judge.FLIPPED_PREDICTOR)
        self.assertIn("DOTNET_", json.dumps(smallest.case["env"]).upper(), smallest)


class Waiting(JudgeTest):
    def test_an_app_waits_for_the_writer_of_a_fifo(self):
        [predicted] = judge.predictions([{"files": {"appsettings.json": {"fifo": True}}}])
        for major in MAJORS:
            self.assertTrue(predicted[major][0].error[0].startswith("hang: "), predicted)
            with self.subTest(major=major), tempfile.TemporaryDirectory() as directory:
                fifo = Path(directory) / "appsettings.json"
                os.mkfifo(fifo)
                app = subprocess.Popen([judge.oracle(major)], cwd=directory, env={}, stdout=subprocess.PIPE)
                fifo.write_text('{"Urls": "http://+:81"}')  # opens when the app has
                self.assertEqual(json.loads(app.communicate()[0])["bound"], ["http ANY:81"])


class Rewrites(JudgeTest):
    def judged(self, seed: int, starts: int, keep: bool = False) -> rewrites.Judged:
        """So many real starts that bind a low port without portshim."""
        judged = rewrites.judged(list(cases.rewrites(seed, starts + starts // 2)), keep)
        self.assertGreaterEqual(judged.starts, starts)
        self.assert_agreed(judged.faults, "starts are wrong behind the rewrite",
                           functools.partial(rewrites.minimised, keep=keep))
        return judged

    def assert_moved(self, seed: int) -> None:
        judged = self.judged(seed, LOW_STARTS)
        self.assertGreater(judged.outcomes["moved"], 0.9 * judged.outcomes.total(), judged.outcomes)

    def test_nothing_low_is_bound_and_nothing_else_changes(self):
        self.assert_moved(FIXED_SEED)

    def test_nothing_low_is_bound_and_nothing_else_changes_with_a_fresh_seed(self):
        self.assert_moved(fresh_seed())

    def test_keep_leaves_the_low_port_and_adds_the_new_one(self):
        judged = self.judged(FIXED_SEED, KEEP_STARTS, keep=True)
        self.assertGreater(judged.outcomes["added"], 0.3 * judged.outcomes.total(), judged.outcomes)

    def test_keep_leaves_the_low_port_and_adds_the_new_one_with_a_fresh_seed(self):
        self.judged(fresh_seed(), KEEP_STARTS, keep=True)


class TheJudgeItself(unittest.TestCase):
    """A start behind the rewrite that is wrong is found to be so."""

    BEFORE = Result(("http ANY:80", "http LOCAL:5000", "http ANY:81"))
    GIVEN = {"ambiguous": False, "moves": [{"from": 80, "to": 8080, "outcome": "moved"},
                                           {"from": 81, "to": 8081, "outcome": "moved"}]}

    def fault(self, *bound: str, error: tuple[str, ...] = (), **given) -> str | None:
        return rewrites.fault(self.BEFORE, Result(bound, error), self.GIVEN | given)

    def test_what_was_to_move_and_has_moved_is_right(self):
        self.assertIsNone(self.fault("http ANY:8080", "http LOCAL:5000", "http ANY:8081"))

    def test_a_low_port_that_stays_is_wrong_unless_that_was_said(self):
        bound = ("http ANY:8080", "http LOCAL:5000", "http ANY:81")
        self.assertIn("not said that it stays: http ANY:81", self.fault(*bound))
        stays = [self.GIVEN["moves"][0], {"from": 81, "to": 8081, "outcome": "immovable"}]
        self.assertIsNone(self.fault(*bound, moves=stays))

    def test_another_endpoint_changed_lost_or_in_another_place_is_wrong(self):
        for bound in (("http ANY:8080", "http LOCAL:5001", "http ANY:8081"), ("http ANY:8080", "http ANY:8081"),
                      ("http ANY:8080", "http ANY:8081", "http LOCAL:5000"),
                      ("https ANY:8080", "http LOCAL:5000", "http ANY:8081"),
                      ("http ANY:8080", "http LOCAL:5000", "http ANY:8081", "http ANY:1234")):
            with self.subTest(bound):
                self.assertIn("other endpoints", self.fault(*bound))

    def test_a_start_that_fails_is_wrong(self):
        self.assertIn("not start", self.fault("http ANY:8080", error=("System.FormatException: x",)))

    def test_an_address_that_keep_did_not_add_is_wrong(self):
        moves = [{"from": port, "to": port + 8000, "outcome": "added"} for port in (80, 81)]
        kept = (*self.BEFORE.bound, "http ANY:8081")
        self.assertIn("not added: http ANY:8080", self.fault(*kept, moves=moves))
        self.assertIsNone(self.fault(*kept, "http ANY:8080", moves=moves))

    def test_positions_in_json_are_not_compared(self):
        chain = ["System.IO.InvalidDataException: x", "System.Text.Json.JsonReaderException: y. LineNumber: 0 | z"]
        self.assertEqual(Result.of({"bound": [], "error": chain}).error,
                         ("System.IO.InvalidDataException: x", "System.Text.Json.JsonReaderException: y."))

    def test_a_smaller_case_shows_the_same(self):
        case = {"env": [["A", "1;2;3"], ["B", "2"]], "argv": ["x", "y"], "files": {"f": '{ "a" : {"b":2} }', "g": ""}}

        def search(smaller: list[Case]) -> list[Disagreement]:
            return [Disagreement(one, 10, "") for one in smaller if "2" in json.dumps(one)]

        found = minimise.minimised(Disagreement(case, 10, ""), search)
        self.assertLess(len(json.dumps(found.case)), 60, found)
        self.assertEqual(dataclasses.asdict(found), dataclasses.asdict(minimise.minimised(found, search)))


if __name__ == "__main__":
    portshim_test.main()
