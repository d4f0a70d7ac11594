"""Random cases against real ASP.NET Core 8, 9 and 10: scripts/fuzz-kestrel."""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import random
import sys
from collections.abc import Callable, Iterator

import cases
import judge
import portshim_test
import rewrites

_ADDRESSES_AT_A_TIME = 200_000
_CONFIGURATIONS_AT_A_TIME = 2000


def _fuzz_addresses(seed: int, count: int) -> int:
    recorded = json.loads((portshim_test.SOURCE_DIR / "tests/data/url-vectors.json").read_text())["vectors"]
    known = [vector["input"] for vector in recorded]
    wrong = 0
    for start in range(0, count, _ADDRESSES_AT_A_TIME):
        size = min(_ADDRESSES_AT_A_TIME, count - start)
        found = judge.address_disagreements(cases.addresses(seed + start, size, known))
        wrong += len(found)
        progress = f"addresses: {start + size} of {count}, {wrong} wrong"
        print(progress, *sorted(found, key=len)[:10], sep="\n", flush=True)
    return wrong


def _fuzz(what: str, made: Iterator[judge.Case], count: int,
          judged: Callable[[list[judge.Case]], list[judge.Disagreement]], minimised: Callable) -> int:
    wrong = done = 0
    while part := list(itertools.islice(made, _CONFIGURATIONS_AT_A_TIME)):
        found = judged(part)
        wrong, done = wrong + len(found), done + len(part)
        print(f"{what}: {done} of {count}, {wrong} wrong", flush=True)
        if found:
            print(judge.report(found, f"{what} are wrong", minimised), flush=True)
    return wrong


def _disagreements(part: list[judge.Case]) -> list[judge.Disagreement]:
    return list(judge.disagreements(part, judge.reality(part)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/fuzz-kestrel")
    parser.add_argument("--addresses", type=int, default=1_000_000)
    parser.add_argument("--configurations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    wrong = _fuzz_addresses(options.seed, options.addresses)
    made = (cases.configuration(options.seed, index) for index in range(options.configurations))
    wrong += _fuzz("configurations", made, options.configurations, _disagreements, judge.minimised)
    for keep in (False, True):
        count = options.configurations // 4
        wrong += _fuzz("rewrites with --keep" if keep else "rewrites", cases.rewrites(options.seed, count), count,
                       lambda part: rewrites.judged(part, keep).faults,
                       functools.partial(rewrites.minimised, keep=keep))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
