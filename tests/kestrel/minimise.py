"""Smaller cases that show the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Sequence

Case = dict


def minimised(found, search: Callable[[Sequence[Case]], Iterable]):
    """A judge.Disagreement of the same kind in a case from which nothing more can be taken away; `search` finds the
    disagreements in cases."""
    while True:
        alike = (one for one in search(list(_smaller(found.case))) if one.kind == found.kind)
        smaller = next(alike, None)
        if smaller is None:
            return found
        found = smaller


def _smaller(case: Case) -> Iterator[Case]:
    for name in ("code", "env", "argv"):
        yield from ({**case, name: items} for items in _shorter(case.get(name, [])))
    for name in ("cert", "cwd", "noargs", "builder"):
        if name in case:
            yield {key: value for key, value in case.items() if key != name}
    if len(case.get("builders", ())) > 1:
        yield from ({**case, "builders": [builder]} for builder in case["builders"])
    for name, content in case.get("files", {}).items():
        others = {key: value for key, value in case["files"].items() if key != name}
        yield {**case, "files": others}
        if isinstance(content, str):
            yield from ({**case, "files": others | {name: text}} for text in _simpler(content))
    for index, (name, value) in enumerate(case.get("env", [])):
        for text in _shorter_value(value):
            yield {**case, "env": [*case["env"][:index], [name, text], *case["env"][index + 1:]]}
    for index, word in enumerate(case.get("argv", [])):
        for text in _shorter_value(word):
            yield {**case, "argv": [*case["argv"][:index], text, *case["argv"][index + 1:]]}


def _shorter(items: Sequence) -> Iterator:
    """The sequence without one of its parts, the larger parts first."""
    size = len(items) // 2
    while size > 0:
        for start in range(0, len(items), size):
            yield items[:start] + items[start + size:]
        size //= 2
    if len(items) == 1:
        yield items[:0]


def _shorter_value(value: str) -> Iterator[str]:
    pieces = value.split(";")
    if len(pieces) > 1:
        yield from (";".join(shorter) for shorter in _shorter(pieces))


def _simpler(text: str) -> Iterator[str]:
    """Simpler JSON as long as it is JSON, else shorter text."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        yield from _shorter(text) if len(text) < 200 else (text[:len(text) // 2], text[len(text) // 2:])
        return
    plain = json.dumps(document, ensure_ascii=False)
    if len(plain) < len(text):
        yield plain
    for path in list(_paths(document)):
        smaller = copy.deepcopy(document)
        inner = smaller
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        yield json.dumps(smaller, ensure_ascii=False)
    yield from _shorter(text) if len(text) < 60 else ()


def _paths(document) -> Iterator[list]:
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield [key]
        yield from ([key, *path] for path in _paths(document[key]))
