"""The process of an actor: it may have to wait in the middle of what it does, and nobody must wait for it then."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from actors import Actor
from deeds import Deed
from halting import LONGEST
from scene import Scene

_READY, _ACTED, _WAITS = "ready", "acted", "waits"


class Beside:
    """An actor in a process of its own, which is told when to go on."""

    def __init__(self, pid: int, pipe: Connection) -> None:
        self._pid = pid
        self._pipe = pipe
        self._told: object = pipe.recv()

    def act(self) -> None:
        """Let it act; on return it has, or it waits in an open for somebody to give back his lease."""
        if self._told == _READY:
            self._go_on()
        if self._told == _WAITS:
            _until_it_sleeps(self._pid)

    def end(self) -> Deed | None:
        """Let it do what it does when the run has ended; what it has done, ``None`` if there was nothing to do."""
        while isinstance(self._told, str):
            self._go_on()
        assert isinstance(self._told, Deed | None)
        return self._told

    def _go_on(self) -> None:
        if self._told != _WAITS:  # then it goes on by itself
            self._pipe.send(None)
        self._told = self._pipe.recv()


@contextmanager
def beside(actor: Actor, scene: Scene) -> Iterator[Beside]:
    """An actor who is ready to act."""
    ours, theirs = multiprocessing.Pipe()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _become(actor, scene, theirs)
    theirs.close()
    try:
        yield Beside(pid, ours)
    finally:
        ours.close()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _become(actor: Actor, scene: Scene, pipe: Connection) -> NoReturn:
    """Turn this process, which was forked for it, into the actor."""
    try:
        signal.alarm(LONGEST)
        scene.waits = lambda: pipe.send(_WAITS)
        pipe.send(_played(actor, scene, pipe))
    except EOFError:  # nobody wants it to act any more
        pass
    except BaseException:  # noqa: BLE001  whatever it was, it is shown
        traceback.print_exc()
    finally:
        os._exit(0)


def _played(actor: Actor, scene: Scene, pipe: Connection) -> Deed | None:
    """What the actor has done when all of it is done."""
    acting = actor(scene)
    deed: Deed
    try:
        next(acting)
        pipe.send(_READY)
        while True:
            pipe.recv()
            next(acting)
            pipe.send(_ACTED)
    except StopIteration as end:
        deed = end.value
        return deed
    except FileNotFoundError:
        return None


def _until_it_sleeps(pid: int) -> None:
    """Wait until a process that is about to wait in the kernel does: no event tells of that."""
    stat = Path(f"/proc/{pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] not in {"S", "D", "Z"}:
        os.sched_yield()
