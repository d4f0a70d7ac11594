"""What real ASP.NET Core 8, 9 and 10 (oracle/) and portshim's predictor (predict.cc) say about the same cases.

A case is a dictionary in the format of oracle/BatchMode.cs; a file may also be {"certificate": "server.pem"} or another
name of _certificates(). Both sides are asked for many at a time.
"""

from __future__ import annotations

import base64
import concurrent.futures
import dataclasses
import functools
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import minimise
import portshim_test

Case = dict
MAJORS = (8, 9, 10)

# The folder that `dotnet build --artifacts-path` writes to.
ARTIFACTS = Path(os.environ.get("PORTSHIM_ORACLE") or portshim_test.SOURCE_DIR / "build/release/oracle")
TESTS = portshim_test.SOURCE_DIR / "build/release/tests"
PREDICTOR = Path(os.environ.get("PORTSHIM_KESTREL_PREDICT") or TESTS / "kestrel_predict")
# The same with one rule of precedence turned round.
FLIPPED_PREDICTOR = Path(os.environ.get("PORTSHIM_KESTREL_PREDICT_FLIPPED") or TESTS / "kestrel_predict_flipped")

# For one process.
_CASES_AT_A_TIME = 1000
_ADDRESSES_AT_A_TIME = 50_000
_TIMEOUT = 600  # seconds; it takes a few


# ---------------------------------------------------------------------------------------------------------------------
# The oracle


def build() -> None:
    """Builds the oracle for each version. HOME is a folder of its own, so that nothing of the user's is read or
    written."""
    dotnet = portshim_test.require_dotnet(sdk=True)
    home = ARTIFACTS / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"HOME": str(home), "DOTNET_CLI_HOME": str(home), "DOTNET_NOLOGO": "1",
                                "DOTNET_CLI_TELEMETRY_OPTOUT": "1", "DOTNET_GENERATE_ASPNET_CERTIFICATE": "false"}
    # No build servers: they would outlive the test.
    subprocess.run([dotnet, "build", portshim_test.SOURCE_DIR / "tests/kestrel/oracle", "--configuration", "Release",
                    "--nologo", "--disable-build-servers", "--artifacts-path", ARTIFACTS], env=environment, check=True)


def oracle(major: int) -> Path:
    """The program that asks that version."""
    return ARTIFACTS / f"bin/oracle/release_net{major}.0_linux-x64/oracle"


def require_oracle() -> None:
    for major in MAJORS:
        if not oracle(major).exists():
            portshim_test.skip(f"needs the oracle: ctest -R kestrel.oracle builds {oracle(major)}")


def _answers(command: Sequence[str | Path], lines: Sequence[str], environment: dict[str, str] | None = None) -> list:
    """A line of JSON out for each line in."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment)
    try:
        stdout, stderr = process.communicate("".join(f"{line}\n" for line in lines).encode(), timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        stderr += f"still running after {_TIMEOUT} s".encode()
    # Not str.splitlines: JSON may hold U+2028 as it is.
    answers = [json.loads(line) for line in os.fsdecode(stdout).split("\n") if line]
    if process.returncode != 0 or len(answers) != len(lines):
        raise AssertionError(f"{command[0]} ended with code {process.returncode}: {os.fsdecode(stderr)[-4000:]}\n"
                             f"in or after {lines[min(len(answers), len(lines) - 1)]}")
    return answers


def _oracle_answers(major: int, mode: str, lines: Sequence[str]) -> list:
    # Without diagnostics there are no sockets of theirs in /tmp.
    environment = {"ORACLE_MODE": mode, "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "DOTNET_EnableDiagnostics": "0"}
    return _answers([oracle(major)], lines, environment)


def _lines(items: Sequence) -> list[str]:
    return [json.dumps(item) for item in items]


def _case_lines(cases: Sequence[Case]) -> list[str]:
    """With {"certificate": NAME} filled in."""
    return _lines([case | {"files": {name: _content(what) for name, what in case.get("files", {}).items()}}
                   for case in cases])


def _content(what: str | dict) -> str | dict:
    return _certificates()[what["certificate"]] if isinstance(what, dict) and "certificate" in what else what


@functools.cache
def _certificates() -> dict[str, dict]:
    """Files with a good certificate for localhost: PEM and its key, PKCS #12 without a password and with one."""
    openssl = portshim_test.require_program("openssl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def run(*arguments: str) -> None:
            subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            "/CN=localhost", "-keyout", "server.key", "-out", "server.pem")
        for file, password in (("server.pfx", ""), ("secret.pfx", "secret")):
            run("pkcs12", "-export", "-inkey", "server.key", "-in", "server.pem", "-out", file, "-passout",
                f"pass:{password}")
        # A copy that was not finished.
        (folder / "cut.pfx").write_bytes((folder / "server.pfx").read_bytes()[:-100])
        return {file.name: {"base64": base64.b64encode(file.read_bytes()).decode()} for file in folder.iterdir()}


def ask_predictor(mode: str, cases: Sequence[Case], *options: str, predictor: Path = PREDICTOR) -> list[dict]:
    """Its answers in the mode predict or rewrite."""
    # The three oracles' folders hold the same, as far as settings go.
    return _answers([predictor, mode, "--base", oracle(MAJORS[-1]).parent, *options], _case_lines(cases))


# ---------------------------------------------------------------------------------------------------------------------
# Results


@dataclasses.dataclass(frozen=True)
class Result:
    """How a start went: the endpoints in the order of their binds, and the exception chain that ended it."""

    bound: tuple[str, ...]
    error: tuple[str, ...] = ()

    @staticmethod
    def of(answer: dict) -> Result:
        return Result(tuple(answer["bound"]), _comparable(answer.get("error", ())))

    def kind(self) -> str:
        """What ended it, without names and numbers."""
        return re.sub(r"'.*'|\d|\bendpoint \S*", "", self.error[-1])[:100] if self.error else ""

    def in_one_case(self) -> Result:
        return Result(self.bound, tuple(text.casefold() for text in self.error))

    def __str__(self) -> str:
        return json.dumps({"bound": self.bound, "error": self.error}, ensure_ascii=False)


def _comparable(chain: Sequence[str]) -> tuple[str, ...]:
    """Without what portshim does not say: where in the file JSON is wrong, and what OpenSSL thinks of a certificate."""
    texts = []
    for text in chain:
        if text.split(":")[0].endswith("CryptographicException"):
            texts.append("CryptographicException")
            break
        texts.append(_comparable_json(text) if text.startswith("System.Text.Json.JsonReaderException:") else text)
    return tuple(texts)


def _comparable_json(text: str) -> str:
    text = text.split(" LineNumber: ")[0]
    # .NET shows what is no literal up to the end of the file; portshim shortens it.
    return re.sub("('.).*(' is an invalid JSON literal)", r"\1\2", text, flags=re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Disagreement:
    case: Case
    major: int
    what: str
    kind: object = None  # of disagreements that are alike

    def __str__(self) -> str:
        return f"{json.dumps(self.case, ensure_ascii=False)}\n  on {self.major}: {self.what}"


def report(found: Sequence[Disagreement], what: str, smallest: Callable[[Disagreement], Disagreement]) -> str:
    """The first few, minimised, and those of other cases as they are."""
    by_case = list({one.case["id"]: one for one in reversed(found)}.values())[::-1]
    small = "\n".join(f"{smallest(one)}\n  (found as {one.case['id']})" for one in by_case[:3])
    others = "\n".join(str(one)[:2000] for one in by_case[3:20])
    return f"{len(found)} {what}, in {len(by_case)} cases; smallest forms first:\n{small}\n\n{others}"


# ---------------------------------------------------------------------------------------------------------------------
# Many at a time


def _in_parallel(job: Callable[[int, Sequence], list], work: dict[int, Sequence], size: int) -> dict[int, list]:
    """`job(major, part)` for parts of each version's work; the results by version, in order."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = {major: [pool.submit(job, major, items[start:start + size]) for start in range(0, len(items), size)]
                 for major, items in work.items()}
        return {major: [result for part in futures for result in part.result()] for major, futures in parts.items()}


def starts(questions: Sequence[tuple[int, Case]]) -> list[Result]:
    """What a start of each case on that version does."""

    def ask(major: int, cases: Sequence[Case]) -> list[Result]:
        return [Result.of(answer) for answer in _oracle_answers(major, "batch", _case_lines(cases))]

    work = {major: [case for its, case in questions if its == major] for major in MAJORS}
    results = {major: iter(answers) for major, answers in _in_parallel(ask, work, _CASES_AT_A_TIME).items()}
    return [next(results[major]) for major, _ in questions]


# ---------------------------------------------------------------------------------------------------------------------
# Configurations


def predictions(cases: Sequence[Case], predictor: Path = PREDICTOR) -> list[dict[int, list[Result]]]:
    """The possible results by version: more than one where spellings of one name compete."""
    return [{int(major): [Result.of(result) for result in results] for major, results in answer.items()}
            for answer in ask_predictor("predict", cases, predictor=predictor)]


def reality(cases: Sequence[Case], majors: Sequence[int] = MAJORS) -> list[dict[int, Result]]:
    """What each version does."""
    results = iter(starts([(major, case) for case in cases for major in majors]))
    return [{major: next(results) for major in majors} for _ in cases]


def disagreements(cases: Sequence[Case], real: Sequence[dict[int, Result]],
                  predictor: Path = PREDICTOR) -> Iterator[Disagreement]:
    """Where the prediction is not what happened."""
    for case, possible, happened in zip(cases, predictions(cases, predictor), real, strict=True):
        for major, result in happened.items():
            if not _is_among(result, possible[major]):
                texts = " or ".join(map(str, possible[major]))
                kind = (possible[major][0].kind(), result.kind())
                yield Disagreement(case, major, f"\n    predicted {texts}\n    really    {result}", kind)


def _is_among(result: Result, possible: Sequence[Result]) -> bool:
    """Which of several spellings of a name exceptions show depends on sorts that are not stable."""
    return result.in_one_case() in [other.in_one_case() for other in possible]


def minimised(found: Disagreement, predictor: Path = PREDICTOR) -> Disagreement:
    """The same disagreement, on that version, in a smaller case."""
    return minimise.minimised(found, lambda cases: disagreements(cases, reality(cases, [found.major]), predictor))


# ---------------------------------------------------------------------------------------------------------------------
# Addresses


def predicted_addresses(addresses: Sequence[str], major: int) -> list[dict]:
    return _answers([PREDICTOR, "addresses", str(major)], _lines(addresses))


def address_text(answer: dict) -> str:
    """"http ANY:80", or "FormatException: Invalid url: ''": what a start with that address shows."""
    if "error" in answer:
        return answer["error"]
    if answer["kind"] == "PIPE":
        return "PlatformNotSupportedException: Named pipes transport requires a Windows operating system."
    if answer["kind"] == "UNIX":
        return f"{_scheme(answer)} unix:{answer['path']}"
    host = answer.get("ip", answer["kind"])
    return f"{_scheme(answer)} {f'[{host}]' if ':' in host else host}:{answer['p']}"


def _scheme(answer: dict) -> str:
    return "https" if answer["https"] else "http"


def address_disagreements(addresses: Sequence[str]) -> list[str]:
    """Where BindingAddress.Parse and AddressBinder.ParseAddress do not say what portshim says."""

    def compare(major: int, part: Sequence[str]) -> list[str]:
        lines = _lines(part)
        answers = zip(lines, predicted_addresses(part, major), _oracle_answers(major, "parse", lines))
        return [f"{line} on {major}:\n    predicted {predicted}\n    really    {real}"
                for line, predicted, real in answers if predicted != real]

    found = _in_parallel(compare, {major: addresses for major in MAJORS}, _ADDRESSES_AT_A_TIME)
    return [text for texts in found.values() for text in texts]
