"""Putting a state on a disk again, so that the program finds there what a power cut would have left.

The numbers of files are others then, and so are the times at which they were changed last, and the program knows its
files by both. So where its journal tells of a file by the numbers that it had, it is given those that it has now:
nothing else is known by them but what the program remembers of packs, and that it reads anew where they differ.
A name of the program itself in the path of the folder must be the same as when the run was recorded.
"""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator

from recording import Recording
from states import State

JOURNAL = "/.maint/journal/"


def digest(recording: Recording, state: State, *, without: frozenset[str] = frozenset()) -> bytes:
    """What tells states apart: names, kinds, modes, times, bytes, and which names are of one file.

    ``without`` are names of folders that are passed over; then times of folders are, too.
    """
    told: list[object] = []
    met: dict[int, int] = {}
    for path, number in walk(recording, state):
        if without and not without.isdisjoint(path.split("/")):
            continue
        kind = recording.nodes[number].kind
        when = 0 if without and stat.S_ISDIR(kind) else state.times[number]
        # A hash of bytes is kept with them, and the same bytes are asked for thousands of times.
        told.append(
            (
                path,
                kind,
                state.modes[number],
                when,
                met.setdefault(number, len(met)),
                hash(state.data[number]),
            )
        )
    return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).digest()


def put(recording: Recording, state: State) -> None:
    """Have the folder of the recording hold this state and nothing else."""
    top = str(recording.top)
    for name in os.listdir(top):
        path = os.path.join(top, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    places: dict[int, str] = {0: top}
    journals: list[tuple[str, int]] = []
    for path, number in walk(recording, state):
        full, node = f"{top}/{path}", recording.nodes[number]
        if number in places:
            os.link(places[number], full, follow_symlinks=False)
            continue
        places[number] = full
        match node.kind:
            case stat.S_IFDIR:
                os.mkdir(full)
            case stat.S_IFLNK:
                os.symlink(state.data[number], full)
            case _ if JOURNAL in f"/{path}":
                journals.append((full, number))
                _write(full, b"")
            case _:
                _write(full, state.data[number])
    for number, full in places.items():
        if number and not stat.S_ISDIR(recording.nodes[number].kind):
            _dress(recording, state, number, full)
    translated = _Translation(recording, state, places)
    for full, number in journals:
        _write(full, translated(state.data[number]))
        _dress(recording, state, number, full)
    for number, full in reversed(places.items()):
        if stat.S_ISDIR(recording.nodes[number].kind):
            _dress(recording, state, number, full)


class _Translation:
    """What files are known by in a journal, as they are known by now."""

    def __init__(self, recording: Recording, state: State, places: dict[int, str]) -> None:
        self._seen, self._last = recording.seen, state.last
        self._now = {
            recording.nodes[number].real: (number, os.lstat(full)) for number, full in places.items()
        }
        self._fingerprint = re.compile(rb"\[%d,(\d+),(\d+),(-?\d+),(\d+)\]" % recording.device)

    def __call__(self, journal: bytes) -> bytes:
        return self._fingerprint.sub(self._one, journal)

    def _one(self, match: re.Match[bytes]) -> bytes:
        real, size, modified, changed = map(int, match.groups())
        if real not in self._now:
            return match[0]
        number, found = self._now[real]
        as_it_is = self._seen.get((real, changed), -2) == self._last.get(number, -1)
        when = found.st_ctime_ns if as_it_is else changed
        return b"[%d,%d,%d,%d,%d]" % (found.st_dev, found.st_ino, size, modified, when)


def walk(recording: Recording, state: State) -> Iterator[tuple[str, int]]:
    """Everything that has a name, by its path, folders before what is in them."""
    waiting = [("", 0)]
    while waiting:
        above, folder = waiting.pop()
        for name, number in sorted(state.entries[folder].items()):
            yield f"{above}{name}", number
            if stat.S_ISDIR(recording.nodes[number].kind):
                waiting.append((f"{above}{name}/", number))


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _dress(recording: Recording, state: State, number: int, path: str) -> None:
    when = (state.times[number], state.times[number])
    if stat.S_ISLNK(recording.nodes[number].kind):
        os.utime(path, ns=when, follow_symlinks=False)
        return
    os.chmod(path, state.modes[number])
    os.utime(path, ns=when)
