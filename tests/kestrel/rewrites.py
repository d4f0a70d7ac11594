"""What real ASP.NET Core does behind portshim's rewrite: no port below 1024 is bound but what was said to stay, every
other endpoint is unchanged, and what started starts."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections.abc import Sequence

import judge
import minimise
from judge import Case, Disagreement, Result

_STAYING = {"immovable", "left_works", "kept", "added", "present"}


@dataclasses.dataclass
class Judged:
    """Real starts that bound a low port before the rewrite, and what is wrong with them behind it."""

    starts: int
    faults: list[Disagreement] = dataclasses.field(default_factory=list)
    outcomes: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # of the low ports


def judged(cases: Sequence[Case], keep: bool = False) -> Judged:
    """Starts each case (with "builders" and one of "majors") before and after the rewrite, with each builder."""
    rewritten = judge.ask_predictor("rewrite", cases, *(["--keep"] if keep else []))
    pairs = [(case | {"builder": builder}, given | {"builder": builder}) for case, given in zip(cases, rewritten)
             for builder in case["builders"]]
    before = judge.starts([(case["majors"][0], case) for case, _ in pairs])
    low = [(case, given, was) for (case, given), was in zip(pairs, before) if any(map(is_low, was.bound))]
    after = judge.starts([(given["majors"][0], given) for _, given, _ in low])

    result = Judged(starts=len(low))
    for (case, given, was), now in zip(low, after):
        result.outcomes.update(move["outcome"] for move in given["moves"] if move["from"] in map(_port, was.bound))
        what = fault(was, now, given)
        if what is not None:
            result.faults.append(_disagreement(case, given, what, was, now))
    return result


def _disagreement(case: Case, given: dict, what: str, before: Result, after: Result) -> Disagreement:
    original = {name: value for name, value in case.items() if name != "builder"}
    changed = json.dumps({name: given[name] for name in ("env", "argv", "moves")}, ensure_ascii=False)
    return Disagreement(original, case["majors"][0], kind=what.split(":")[0],
                        what=f"with {case['builder']}, {what}\n    before    {before}\n    after     {after}\n"
                             f"    rewritten {changed}")


def minimised(found: Disagreement, keep: bool = False) -> Disagreement:
    return minimise.minimised(found, lambda cases: judged(cases, keep).faults)


def _port(endpoint: str) -> int | None:
    """Of "http ANY:80"; None for a Unix socket."""
    return None if " unix:" in endpoint else int(endpoint.rsplit(":", 1)[1])


def is_low(endpoint: str) -> bool:
    return 0 < (_port(endpoint) or 0) < 1024


def _with_port(endpoint: str, port: int) -> str:
    return f"{endpoint.rsplit(':', 1)[0]}:{port}"


class _Moves:
    """What was said: by old port and outcome the new ports."""

    def __init__(self, moves: Sequence[dict]) -> None:
        self._ports: dict = collections.defaultdict(dict)
        for move in moves:
            self._ports[move["from"]].setdefault(move["outcome"], set()).add(move["to"])

    def outcomes(self, endpoint: str) -> set[str]:
        return set(self._ports[_port(endpoint)])

    def new_ports(self, endpoint: str, outcome: str) -> set[int]:
        return self._ports[_port(endpoint)].get(outcome, set())

    def stays(self, endpoint: str) -> bool:
        return not is_low(endpoint) or bool(self.outcomes(endpoint) & _STAYING)

    def moves(self, before: str, after: str) -> bool:
        """A text that was no port hid the host from Kestrel, which then bound a wildcard: with a port it binds the
        host."""
        hides_host = " ANY:" in before and before.split(" ")[0] == after.split(" ")[0]
        return any(after == _with_port(before, port) or hides_host and _port(after) == port
                   for port in self.new_ports(before, "moved"))

    def added(self, before: Sequence[str]) -> set[str]:
        return {_with_port(endpoint, port) for endpoint in before for port in self.new_ports(endpoint, "added")}


def fault(before: Result, after: Result, given: dict) -> str | None:
    """What is wrong with a start after the rewrite; `given` has its "moves" and says whether it is "ambiguous"."""
    moves = _Moves(given["moves"])
    for endpoint in after.bound:
        if not moves.stays(endpoint):
            return f"a low port is bound, and it was not said that it stays: {endpoint}"
    if given["ambiguous"]:
        return None  # other spellings may have won in this start than in the other one
    if after.error and not before.error:
        return "it does not start any more"
    if not _matches(before.bound, after.bound, moves, goes_on=bool(before.error)):
        return "other endpoints are changed than those that were to move"
    surely_added = moves.added([endpoint for endpoint in before.bound if moves.outcomes(endpoint) == {"added"}])
    missing = surely_added - set(after.bound)
    return f"an address is not added: {min(missing)}" if missing and not before.error else None


def _matches(before: Sequence[str], after: Sequence[str], moves: _Moves, goes_on: bool) -> bool:
    """Is `after` what `before` becomes by these moves? `goes_on`: more may follow, where a failure was repaired."""
    added = moves.added(before)

    @functools.cache
    def match(i: int, j: int) -> bool:
        if i == len(before):
            return goes_on or all(endpoint in added for endpoint in after[j:])
        if j < len(after):
            is_next = moves.stays(before[i]) and after[j] == before[i] or moves.moves(before[i], after[j])
            if is_next and match(i + 1, j + 1) or after[j] in added and match(i, j + 1):
                return True
        return "merged" in moves.outcomes(before[i]) and match(i + 1, j)

    return match(0, 0)
