"""Errors at every call: the disk is full, breaks, or says no, once or from then on, wherever a run changes something.

What must hold for each point: nothing is lost, now and after one more sweep; the run ends by the contract of its
exit codes and shows no traceback; and one that ends with 0 although a session was not seen to says so, or the next
sweep sees to it and finds nothing broken.
"""

import errno
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from oracle import Key, Oracle, Treasure
from stories import Story, World, alone
from tracing import run_traced

CHANGING = (
    "openat", "mkdirat", "renameat2", "renameat", "linkat", "unlinkat", "unlink", "rmdir", "write", "pwrite64",
    "ftruncate", "fsync", "fdatasync", "syncfs", "fchmod", "utimensat",
)  # fmt: skip
SYNCS = frozenset({"fsync", "syncfs"})
"""Waits of the program itself; ``fdatasync`` is how SQLite waits for the catalogue, which is a cache."""
_ASIDE = re.compile(r"/README\.txt>|/\.cache/")
"""Files whose loss costs nobody anything: a mark that is lost lets a session count twice, and so on."""
_ERRORS = {
    "write": ("ENOSPC", "EIO"),
    "pwrite64": ("ENOSPC", "EIO"),
    "openat": ("ENOSPC", "EACCES"),
    "mkdirat": ("ENOSPC", "EACCES"),
    "linkat": ("ENOSPC", "EPERM"),
    "fsync": ("EIO", "ENOSPC"),
    "syncfs": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO",),
    "renameat2": ("EIO", "EACCES"),
}
ENDS = frozenset({0, 1, 3, 74, 75})
"""Codes of the contract that a run may end with when the disk fails it."""


class Point(NamedTuple):
    """One kind of call, the how manieth it is, and what it answers; ``sticky`` from then on.

    With ``aside`` it is a sync of something whose loss costs nobody anything, and need not be told of.
    """

    call: str
    number: int
    error: str
    sticky: bool
    aside: bool = False

    @property
    def strace(self) -> list[str]:
        plus = "+" if self.sticky else ""
        inject = f"inject={self.call}:error={self.error}:when={self.number}{plus}"
        return ["-o", os.devnull, "-e", f"trace={self.call}", "-e", inject]


def points(story: Story, folder: Path) -> tuple[list[Point], frozenset[Key]]:
    """Every call of a run that changes something, with every error that it may give, once and from then on.

    And the files that are in the store when nothing fails. It is built where those are that follow: the labels of some
    roots are made of their paths.
    """
    log = folder / "calls"
    with alone():
        world = story.build(folder / "world")
        wanted = ["-f", "-y", "-o", str(log), "-e", f"trace={','.join(CHANGING)}"]
        code, said = run_traced(world, story.arguments(world), wanted)
    assert code == 0, said
    found = [
        Point(call, number, error, sticky, aside)
        for call, number, aside in _calls(log)
        for error in _ERRORS.get(call, ("EIO", "EACCES"))
        for sticky in (False, True)
        if not (sticky and call == "openat")  # Python could open none of its own modules any more
    ]
    done = frozenset(Oracle(story.roots(world)).in_store())
    shutil.rmtree(world.folder)
    return found, done


def _calls(log: Path) -> Iterator[tuple[str, int, bool]]:
    """The calls that change something, each with its number among those of its name; what is said is none.

    And whether it is a sync of something aside, or, right behind that, of the folder in which that lies.
    """
    counts: Counter[str] = Counter()
    aside = False
    for line in log.read_text().splitlines():
        call, opened, rest = line.partition(" ")[2].strip().partition("(")
        if not opened or call not in CHANGING:
            continue
        counts[call] += 1
        if call in SYNCS:
            aside = _ASIDE.search(rest) is not None or (aside and ".ndjson>" not in rest)
        is_talk = call == "write" and rest.startswith(("1<", "2<"))
        if not is_talk and (call != "openat" or "O_CREAT" in rest or "O_TMPFILE" in rest):
            yield call, counts[call], aside and call in SYNCS


def wrong(story: Story, world: World, point: Point, done: frozenset[Key]) -> str | None:
    """What is wrong after a run that met this error, and one more sweep; ``None`` if nothing is.

    ``done`` are the files that are in the store when nothing fails.
    """
    oracle = Oracle(story.roots(world))
    treasure = oracle.treasure()
    with alone():
        code, said = run_traced(world, story.arguments(world), point.strace)
    if "Traceback" in said or code not in ENDS:
        return f"it ended with {code}: {said[-600:]}"
    if what := lost(oracle, treasure, story):
        return f"lost at once: {what}"
    if code == 0 and not said and frozenset(oracle.in_store()) != done:
        return "it ended with 0, said nothing, and has not done it"
    after = world.maint("sweep", "--json")
    if after.code or "Traceback" in after.err:
        return f"the next sweep: {after}"
    if what := lost(oracle, treasure, story):
        return f"lost after the next sweep: {what}"
    if left := world.waiting("tmp"):
        return f"left over: {left}"
    why = os.strerror(getattr(errno, point.error)).lower()
    if code == 0 and point.call in SYNCS and not point.aside and why not in said.lower():
        return f"a failed sync was passed over: {said or 'in silence'}"
    return None


def lost(oracle: Oracle, treasure: Treasure, story: Story) -> str:
    """What is not to be found any more, but for what a run lets go for good; empty if all is there."""
    missing = oracle.missing(treasure)
    return "; ".join(map(str, missing)) if len(missing) > 2 * story.ends else ""
