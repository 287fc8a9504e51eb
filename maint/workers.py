"""Worker processes that may die without taking the run along.

What is guarded: a killed, crashed or memory-starved worker costs one answer at most, and says so; nothing ever
waits for it (which `multiprocess.Pool` does for ever).
A worker never outlives its leader: the kernel is asked to end it with him, and it ends by itself when its pipe
closes.
Each worker has one pipe and at most one task at a time, so no two sides ever wait for each other to read.

A task is a list of items.
When a worker dies over a list, its items are tried again one by one, so that one poisonous item cannot spoil its
neighbours: work must be safe to repeat.
Answers come in the order of the tasks.
One job is the built-in `map`: the same code in this process.
"""

import gc
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any, Generic, NamedTuple, TypeVar

import multiprocess
from multiprocess.connection import wait

from store import syscalls

Item = TypeVar("Item")
Answer = TypeVar("Answer")


_Key = tuple[int, ...]
_Order = deque[_Key]
_Again = deque[tuple[_Key, list[Any]]]
_Answers = dict[_Key, tuple[list[Any], Any]]


class Died(NamedTuple):
    """In place of an answer: the worker that had this single item ended without one, or the work raised."""

    how: str


class _Worker:
    """One process and our end of its pipe."""

    def __init__(self, context: Any, work: Callable[[Any], Any], others: list[Connection]) -> None:
        self.pipe, far = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(far, work, [*others, self.pipe], os.getpid()), daemon=True
        )
        self.process.start()
        far.close()
        self.key: tuple[int, ...] | None = None
        self.task: list[Any] = []

    def end(self) -> None:
        """Let the process end by itself, since its pipe does; whoever does not is killed after a while."""
        self.pipe.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()


class Crew(Generic[Item, Answer]):
    """A number of workers that all do the same work on lists of items.

    ``stop`` is asked before each task is handed out; once it says yes, no more are, and the answers end with the
    tasks in flight.
    """

    def __init__(self, jobs: int, work: Callable[[list[Item]], Answer], stop: Callable[[], bool]) -> None:
        self._jobs = jobs
        self._work = work
        self._stop = stop
        self._workers: list[_Worker] = []
        # Forked workers start in a millisecond and inherit the store's lock, which they then hold until they end,
        # even if their leader is killed. Where forking is not safe they are spawned.
        self._context = multiprocess.get_context("fork" if os.uname().sysname == "Linux" else "spawn")

    def run(self, tasks: Iterable[list[Item]]) -> Iterator[tuple[list[Item], Answer | Died]]:
        """Each task (or, where a worker died over it, each of its items) with its answer, in order."""
        if self._jobs <= 1:
            for task in tasks:
                if self._stop():
                    return
                answer = _attempt(self._work, task)
                if not isinstance(answer, Died) or len(task) == 1:
                    yield task, answer
                else:
                    yield from (([item], _attempt(self._work, [item])) for item in task)
            return
        try:
            yield from self._run(iter(tasks))
        except BaseException:
            # Somebody wants to end at once. That is safe: what was in flight is found half done and seen to.
            for worker in self._workers:
                worker.process.kill()
            raise
        finally:
            while self._workers:
                self._workers.pop().end()

    def _run(self, tasks: Iterator[list[Item]]) -> Iterator[tuple[list[Item], Answer | Died]]:
        order: _Order = deque()
        again: _Again = deque()
        answers: _Answers = {}
        number = 0
        exhausted = False
        while True:
            while not self._stop() and (again or not exhausted):
                worker = self._idle_worker()
                if worker is None:
                    break
                if again:
                    key, task = again.popleft()
                else:
                    found = next(tasks, None)
                    if found is None:
                        exhausted = True
                        break
                    key, task = (number,), found
                    number += 1
                    order.append(key)
                worker.key, worker.task = key, task
                if not self._send(worker, task):
                    self._bury(worker, order, again, answers)
            busy = [worker for worker in self._workers if worker.key is not None]
            if not busy:
                break
            for ready in wait([worker.pipe for worker in busy]):
                worker = next(each for each in busy if each.pipe is ready)
                try:
                    answer = pickle.loads(worker.pipe.recv_bytes())  # noqa: S301  from our own child
                except (EOFError, OSError):
                    self._bury(worker, order, again, answers)
                    continue
                answered, task = worker.key, worker.task
                assert answered is not None
                worker.key, worker.task = None, []
                if isinstance(answer, Died):
                    _try_again(answered, task, answer, order, again, answers)
                else:
                    answers[answered] = task, answer
            while order and order[0] in answers:
                yield answers.pop(order.popleft())
        # After a stop there may be gaps before answers that did come in.
        for key in order:
            if key in answers:
                yield answers.pop(key)

    def _idle_worker(self) -> _Worker | None:
        for worker in self._workers:
            if worker.key is None:
                return worker
        if len(self._workers) >= self._jobs:
            return None
        worker = _Worker(self._context, self._work, [each.pipe for each in self._workers])
        self._workers.append(worker)
        return worker

    @staticmethod
    def _send(worker: _Worker, task: list[Item]) -> bool:
        try:
            worker.pipe.send_bytes(pickle.dumps(task, pickle.HIGHEST_PROTOCOL))
        except OSError:
            return False
        return True

    def _bury(self, worker: _Worker, order: _Order, again: _Again, answers: _Answers) -> None:
        """Take a dead worker out, and see to the task it had."""
        self._workers.remove(worker)
        worker.process.join(timeout=5)
        died = Died(_how(worker.process.exitcode))
        key, task = worker.key, worker.task
        worker.end()
        assert key is not None
        _try_again(key, task, died, order, again, answers)


def _try_again(
    key: _Key, task: list[Any], died: Died, order: _Order, again: _Again, answers: _Answers
) -> None:
    """See to a task without an answer: each of its items once more by itself, or, after that, no answer."""
    if len(key) > 1:
        answers[key] = task, died
        return
    parts = [(*key, index) for index in range(len(task))]
    at = order.index(key)
    del order[at]
    for offset, part in enumerate(parts):
        order.insert(at + offset, part)
    again.extendleft((part, [item]) for part, item in reversed(list(zip(parts, task, strict=True))))


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its worker was ended by {signal.Signals(-code).name}"
    return f"its worker ended with {code}"


def _attempt(work: Callable[[list[Any]], Any], task: list[Any]) -> Any:
    """The answer, or `Died` where the work raised: a defect of ours costs one item, and is told."""
    try:
        return work(task)
    except Exception as error:  # noqa: BLE001  anything: what it was is told, and the others go on
        return Died(f"the work on it failed: {type(error).__name__}: {error}")


def _serve(pipe: Connection, work: Callable[[Any], Any], inherited: list[Connection], leader: int) -> None:
    """What a worker does until its pipe ends: signals are the leader's business, and so are answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    syscalls.die_with_parent(leader)
    for other in inherited:
        other.close()
    gc.disable()  # a survey makes very many objects and hardly a cycle
    while True:
        try:
            task = pickle.loads(pipe.recv_bytes())  # noqa: S301  from our own leader
            pipe.send_bytes(pickle.dumps(_attempt(work, task), pickle.HIGHEST_PROTOCOL))
        except (EOFError, OSError):
            return
