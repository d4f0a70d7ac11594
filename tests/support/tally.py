"""What a test program has made to happen with real .NET, and what portshim said of it: failures, of which each is to be
foreseen, and good starts, of which none is to be warned of. Its line is what scripts/test adds up.

    tearDownModule = tally.say
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass
class _Kind:
    """By name: what happens in several modes counts once, and as missed if it was in one of them."""

    happened: set[str] = dataclasses.field(default_factory=set)
    missed: set[str] = dataclasses.field(default_factory=set)

    @contextlib.contextmanager
    def one(self, name: str) -> Iterator[None]:
        self.happened.add(name)
        try:
            yield
        except BaseException:
            self.missed.add(name)
            raise

    def __str__(self) -> str:
        return f"{len(self.happened - self.missed)} {{}} of {len(self.happened)}"


_failures, _good_starts = _Kind(), _Kind()

# Around the part of a test that looks at what portshim says.
failure = _failures.one
good_start = _good_starts.one


def say() -> None:
    print(str(_failures).format("failures foreseen"), "made to happen;",
          str(_good_starts).format("good starts without a finding above info"), flush=True)
