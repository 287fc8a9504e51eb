"""Another user who swaps what lies in a store for links, FIFOs and folders, as fast as he can, while root works there.

He knows everything about the program but what it does at the moment, so he tries all there is, over and over: what
he swaps in is ready beside it, and changes places with what is there in one step.
"""

import ctypes
import mmap
import os
import random
import signal
import struct
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robbed_world import Robbed
from thief import THIEF

from store import syscalls

_AT_FDCWD, _EXCHANGE = -100, 2
_LONGEST_REST = 0.002
_renameat2 = ctypes.CDLL(None, use_errno=True).renameat2


class Swaps:
    """How many swaps were made so far, in memory that both processes see."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def add(self) -> None:
        self._memory[:] = struct.pack("q", self.count + 1)

    @property
    def count(self) -> int:
        (count,) = struct.unpack("q", self._memory[:])
        return int(count)


@contextmanager
def swapping(world: Robbed, seed: int) -> Iterator[Swaps]:
    """Have the thief at work for the time of the context."""
    swaps = Swaps()
    leader = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(THIEF, THIEF, THIEF)
            os.setresuid(THIEF, THIEF, THIEF)
            syscalls.die_with_parent(leader)  # which is forgotten where rights are changed
            _swap_for_ever(world, random.Random(seed), swaps)
        except BaseException:  # noqa: BLE001  whatever it was, it is shown
            traceback.print_exc()
        finally:
            os._exit(1)
    try:
        while not swaps.count:  # he has begun
            if os.waitpid(child, os.WNOHANG)[0]:
                raise AssertionError("the thief gave up")
            os.sched_yield()
        yield swaps
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the thief gave up"
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _swap_for_ever(world: Robbed, luck: random.Random, swaps: Swaps) -> None:
    made = world.thief / "made"
    made.mkdir(exist_ok=True)
    for number in range(1 << 40):
        if number % 100 == 0:
            with suppress(OSError):  # what he has swapped himself may not be his to look at
                targets = list(_targets(world))
        target = luck.choice(targets)
        decoy = made / str(number)
        with suppress(OSError):
            _make(world, decoy, target, luck)
            if not _exchange(decoy, target):
                continue
            swaps.add()
            _rest(luck)
            if luck.random() < 0.99:
                _exchange(decoy, target)
            _rest(luck)
        with suppress(OSError):
            decoy.unlink()


def _targets(world: Robbed) -> Iterator[Path]:
    """What he can swap: folders are worth more than files, and those that lead to many things most."""
    for path in (world.sessions, world.ours, world.out, *world.ours.glob("*")):
        yield from [path] * 8
    yield from [world.sessions.parent] * 2
    for folder, names, files in os.walk(world.thief):
        if not folder.endswith("/made"):
            yield from (Path(folder, name) for name in (*names * 2, *files) if name != "made")


def _make(world: Robbed, decoy: Path, target: Path, luck: random.Random) -> None:
    """Make what is to take the place of a target: most often a link to what the vault has in that place."""
    match luck.randrange(10):
        case 0:
            decoy.symlink_to(world.vault)
        case 1:
            os.mkfifo(decoy)
        case 2:
            decoy.mkdir(mode=0o777)
        case 3:
            os.link(luck.choice([path for path in world.thief.glob("*") if path.is_file()] or [decoy]), decoy)
        case 4:
            decoy.write_bytes(os.urandom(luck.randrange(200)))
        case _:
            with_name = os.path.relpath(target, world.thief / "store")
            decoy.symlink_to(world.vault / with_name if not with_name.startswith("..") else world.vault)


def _exchange(one: Path, other: Path) -> bool:
    code: int = _renameat2(_AT_FDCWD, bytes(one), _AT_FDCWD, bytes(other), _EXCHANGE)
    return code == 0


def _rest(luck: random.Random) -> None:
    if luck.random() < 0.5:
        time.sleep(luck.random() * _LONGEST_REST)
