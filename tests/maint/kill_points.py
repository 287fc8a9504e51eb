"""The points at which a run can be killed: each is one kind of call and its number, which is not carried out any more.

The program is forked, not started, and `strace` attaches to it while it is stopped, so that a point costs some
tens of milliseconds.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from maint_world import World, set_clock
from strace_world import followed
from tried import LONG

from maint.cli import main

Point = tuple[str, int]
"""The name of a call, and its number among those of that name."""

CALLS = [
    "openat",
    "mkdirat",
    "renameat2",
    "renameat",
    "rename",
    "linkat",
    "link",
    "symlinkat",
    "unlinkat",
    "unlink",
    "rmdir",
    "write",
    "pwrite64",
    "writev",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "syncfs",
    "fchmod",
    "fchmodat",
    "fchown",
    "utimensat",
    "setxattr",
    "fsetxattr",
]
SURVIVED = "it ended before that call"
_SYNCS = frozenset({"fsync", "fdatasync", "syncfs"})
_OF_SQLITE, _ONE_IN = "pwrite64", 4


def traced(world: World, arguments: list[str], strace: list[str]) -> int:
    """Run the program under strace; its wait status."""
    child = os.fork()
    if child == 0:
        _program(world, arguments)
    return followed(child, strace)


def _program(world: World, arguments: list[str]) -> NoReturn:
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.environ.update(world.env)
    set_clock(world.ahead)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
    sys.argv = ["maint", *arguments]
    os.kill(os.getpid(), signal.SIGSTOP)
    code = 70
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        os._exit(code)


def changes(world: World, arguments: list[str], folder: Path) -> list[Point]:
    """Every call of a run that changes something."""
    return [point for point, changing in _calls(world, arguments, folder) if changing]


def points(world: World, arguments: list[str], folder: Path) -> tuple[list[Point], int]:
    """The calls of a run at which it is to be killed, of how many: all of them in the long form."""
    made = list(_calls(world, arguments, folder))
    tried = [point for point, _ in made] if LONG else telling([point for point, changing in made if changing])
    return tried, len(made)


def telling(changing: list[Point]) -> list[Point]:
    """Of the changes of a run those at which it is worth to be killed in the short form; all of them in the long one.

    A sync changes nothing for whoever comes when the program has died, and the power has not been cut: he finds what he
    finds behind a death at the next change. And of the many writes of a database, which SQLite sees to, some will do.
    """
    return [
        (call, number)
        for at, (call, number) in enumerate(changing, 1)
        if LONG or at == len(changing) or not (call in _SYNCS or (call == _OF_SQLITE and number % _ONE_IN))
    ]


def _calls(world: World, arguments: list[str], folder: Path) -> Iterator[tuple[Point, bool]]:
    """Every call that a run makes, and whether it changes something."""
    log = folder / "calls"
    assert traced(world, arguments, ["-o", str(log), "-e", f"trace={','.join(CALLS)}"]) == 0
    counts: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        call, opened, rest = line.partition("(")
        if opened:
            counts[call] += 1
            yield (call, counts[call]), call != "openat" or "O_CREAT" in rest or "O_TRUNC" in rest
