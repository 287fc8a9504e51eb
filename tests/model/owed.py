"""What of a store may end, by the rules that are in force, and what is owed to its owner: nothing here asks the program.

Records are known by a plain book: what was ever recorded under an id, less what its owner has removed himself.
"""

import calendar
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

from oracle import Key, Oracle, records_of

DAY = 86_400.0
_RUN = re.compile(r"([0-9]{8}T[0-9]{6})-[0-9a-f]{6}")
_HOUR = 3600.0
_PACKED = frozenset({"pack", "file"})


class Owed:
    """What is owed of a store of rec whose sessions lie in ``sessions``."""

    def __init__(self, sessions: Path, state: Path) -> None:
        self._ours = sessions / ".maint"
        self.oracle = Oracle({"sessions": sessions, "state": state})
        self.book: dict[str, set[bytes]] = {}

    def recorded(self, name: str, data: bytes) -> None:
        """Note what the owner has written to a session."""
        self.book.setdefault(name, set()).update(commands(data))

    def removed(self, name: str) -> None:
        """Note that the owner has removed a session: what of it is nowhere else is nobody's business any more."""
        self.book[name] = self.book.get(name, set()) & self._reachable(name)

    def now(self, ripe_before: float, ends_before: float | None) -> dict[Key, set[bytes]]:
        """Every content of every file that must still be there after a run.

        What waits in the trash of runs before ``ripe_before`` may end, and so may what is in packs only and has
        ended before ``ends_before``.
        """
        found: dict[Key, set[bytes]] = {}
        ripe = set(self.ripe(ripe_before))
        for key, copies in self.oracle.copies().items():
            for copy in copies:
                waits = copy.where in {"trash", "backup"} and (copy.where, key, copy.data) in ripe
                ends = copy.where in _PACKED and ends_before is not None and ended(copy.data) < ends_before
                if copy.counts and not waits and not ends:
                    found.setdefault(key, set()).add(copy.data)
        return found

    def missing(self, owed: dict[Key, set[bytes]]) -> list[Key]:
        """What of that is nowhere, or counts no more, nor all that it recorded in a later state of the same recording."""
        copies = self.oracle.copies()
        found: list[Key] = []
        for key, contents in owed.items():
            there = {copy.data for copy in copies.get(key, []) if copy.counts}
            if not all(any(_goes_on(data, each) for each in there) for data in contents - there):
                found.append(key)
        return found

    def forgive(self) -> None:
        """Take what could not be found for ended: asked after a run in which nothing was missing."""
        for name in self.book:
            self.book[name] &= self._reachable(name)

    def unrecorded(self) -> list[str]:
        """The sessions of which not everything that was recorded is somewhere."""
        return [name for name, lines in self.book.items() if not lines <= self._reachable(name)]

    def archived(self) -> set[str]:
        """The ids of sessions that count in packs."""
        return {
            key[1].removesuffix(".ndjson")
            for key, copies in self.oracle.copies().items()
            if any(copy.where in _PACKED and copy.counts for copy in copies)
        }

    def ripe(self, before: float) -> Iterator[tuple[str, Key, bytes]]:
        """What waits since before that moment, with a margin, because nobody need be exact by the second."""
        for top in ("trash", "backup"):
            for run in sorted((self._ours / top).glob("*")):
                if (when := _RUN.fullmatch(run.name)) is None or _seconds(when[1]) > before + _HOUR:
                    continue
                for path in run.rglob("*"):
                    if path.is_file():
                        label, _, rest = str(path.relative_to(run)).partition("/")
                        yield top, (label, rest), path.read_bytes()

    def _reachable(self, name: str) -> set[bytes]:
        copies = self.oracle.copies().get(("sessions", name), [])
        return set[bytes]().union(*(commands(copy.data) for copy in copies))


def commands(data: bytes) -> set[bytes]:
    """The whole records of commands in a session."""
    return {
        line.rstrip(b"\n") for line in records_of(data) if line.startswith(b'{"type":"command"') and _is(line)
    }


def _goes_on(data: bytes, later: bytes) -> bool:
    """Whether a session is a later state of another one: of the same start, and with all of its commands."""
    starts = [re.search(rb'"started_at":([0-9.]+)', each.partition(b"\n")[0]) for each in (data, later)]
    same = starts[0] is not None and starts[1] is not None and starts[0][1] == starts[1][1]
    return same and commands(data) <= commands(later)


def ended(data: bytes) -> float:
    """The last moment that a session tells of; 0 if it tells of none."""
    times = [0.0]
    for line in data.split(b"\n"):
        if _is(line):
            told = json.loads(line)
            times += [
                told[key] for key in ("ended_at", "started_at") if isinstance(told.get(key), float | int)
            ]
    return max(times)


def is_sound(data: bytes) -> bool:
    """Whether a session is whole: a header, commands, a footer that counts them; one of before may stand among them."""
    lines = data.split(b"\n")
    if lines.pop() or not all(map(_is, lines)) or len(lines) < 2:
        return False
    first, *between, last = map(json.loads, lines)
    kinds = [each["type"] for each in between]
    return (
        first["type"] == "header"
        and last["type"] == "footer"
        and set(kinds) <= {"command", "footer"}
        and last["command_count"] == kinds.count("command")
    )


def _is(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _seconds(stamp: str) -> float:
    return float(calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%S")))
