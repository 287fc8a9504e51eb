"""One worker process and our end of its pipe.

A worker never outlives its leader: the kernel is asked to end it with him, and it ends by itself when its pipe
closes.
"""

import gc
import os
import pickle
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import multiprocess
from multiprocess.connection import wait

from maint import laps
from maint.workers import attempt
from store import syscalls

__all__ = ["Worker", "packed", "wait"]


def packed(task: list[Any]) -> bytes:
    """A task as it goes through a pipe."""
    return pickle.dumps(task, pickle.HIGHEST_PROTOCOL)


class Worker:
    """One process, what it works on, and our end of its pipe."""

    def __init__(self, work: Callable[[Any], Any], others: list[Connection]) -> None:
        # Forked workers start in a millisecond and inherit the store's lock, which they then hold until they end,
        # even if their leader is killed. Where forking is not safe they are spawned.
        context = multiprocess.get_context("fork" if os.uname().sysname == "Linux" else "spawn")
        self.pipe, far = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(far, work, [*others, self.pipe], os.getpid()), daemon=True
        )
        self.process.start()
        far.close()
        self.key: tuple[int, ...] | None = None
        self.task: list[Any] = []

    def send(self, task: bytes) -> bool:
        """Hand out a task, `packed`; ``False`` if nobody is there to take it."""
        try:
            self.pipe.send_bytes(task)
        except OSError:
            return False
        return True

    def receive(self) -> Any:
        """The answer, which is there; EOFError or OSError if the worker has ended without one."""
        answer, measured = pickle.loads(self.pipe.recv_bytes())  # noqa: S301  from our own child
        laps.take(measured)
        return answer

    def how_it_ended(self) -> str:
        """How a worker that no longer answers has ended, as a clause."""
        self.process.join(timeout=5)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"its worker was ended by {signal.Signals(-code).name}"
        return f"its worker ended with {code}"

    def end(self) -> None:
        """Let the process end by itself, since its pipe does; whoever does not is killed after a while."""
        self.pipe.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()


def _serve(pipe: Connection, work: Callable[[Any], Any], inherited: list[Connection], leader: int) -> None:
    """What a worker does until its pipe ends: signals are the leader's business, and so are answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    syscalls.die_with_parent(leader)
    for other in inherited:
        other.close()
    laps.handed_over()
    gc.disable()  # a survey makes very many objects and hardly a cycle
    while True:
        try:
            task = pickle.loads(pipe.recv_bytes())  # noqa: S301  from our own leader
            answer = attempt(work, task), laps.handed_over()
            pipe.send_bytes(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
        except (EOFError, OSError):
            return
