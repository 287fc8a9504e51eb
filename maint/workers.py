"""Worker processes that may die without taking the run along.

What is guarded: a killed, crashed or memory-starved worker costs one answer at most, and says so; nothing ever
waits for it (which `multiprocess.Pool` does for ever).
Each worker has one pipe and at most one task at a time, so no two sides ever wait for each other to read.
The next task is laid out meanwhile, so that no worker waits for longer than it takes to hand it over.

A task is a list of items.
When a worker dies over a list, its items are tried again one by one, so that one poisonous item cannot spoil its
neighbours: work must be safe to repeat.
Answers come in the order of the tasks.
One job is the built-in `map`: the same code in this process.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

if TYPE_CHECKING:
    from maint.worker import Worker

Item = TypeVar("Item")
Answer = TypeVar("Answer")


_AHEAD = 8
"""Tasks for each worker that may be begun behind one that takes long: their answers wait in memory."""

_Key = tuple[int, ...]
_Order = deque[_Key]
_Again = deque[tuple[_Key, list[Any]]]
_Answers = dict[_Key, tuple[list[Any], Any]]


class Died(NamedTuple):
    """In place of an answer: the worker that had this single item ended without one, or the work raised."""

    how: str


def default_jobs() -> int:
    """How many workers to use where nobody says: a processor each, as far as this process may use them."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(8, len(affinity(0)) if affinity is not None else os.cpu_count() or 1)


class Crew(Generic[Item, Answer]):
    """A number of workers that all do the same work on lists of items.

    ``stop`` is asked before each task is taken; once it says yes, no more are, and the answers end with the tasks
    that were.
    """

    def __init__(self, jobs: int, work: Callable[[list[Item]], Answer], stop: Callable[[], bool]) -> None:
        self._jobs = jobs
        self._work = work
        self._stop = stop
        self._workers: list[Worker] = []
        self._stays = False
        self._running = False

    def __enter__(self) -> Self:
        """Keep the workers from one call of `run` to the next, until the context ends."""
        self._stays = True
        return self

    def __exit__(self, *_: object) -> None:
        self._stays = False
        self._dismiss()

    def start(self) -> None:
        """Have all workers now, where they stay: who is forked later has open what is open then."""
        while self._stays and self._jobs > 1 and len(self._workers) < self._jobs:
            self._hired()

    def run(self, tasks: Iterable[list[Item]]) -> Generator[tuple[list[Item], Answer | Died]]:
        """Each task (or, where a worker died over it, each of its items) with its answer, in order.

        Whoever does not take all of them, and goes on with the same crew, closes this first (`contextlib.closing`).
        """
        if self._running:
            raise RuntimeError("this crew is at work: its last answers were neither taken nor given up")
        self._running = True
        try:
            yield from self._answers(tasks)
        finally:
            self._running = False

    def _answers(self, tasks: Iterable[list[Item]]) -> Iterator[tuple[list[Item], Answer | Died]]:
        if self._jobs <= 1:
            waiting = iter(tasks)
            # The question comes first: a task that was taken is a task that is done.
            while not self._stop() and (task := next(waiting, None)) is not None:
                answer = attempt(self._work, task)
                if not isinstance(answer, Died) or len(task) == 1:
                    yield task, answer
                else:
                    yield from (([item], attempt(self._work, [item])) for item in task)
            return
        try:
            yield from self._run(iter(tasks))
        except BaseException:
            # Somebody wants to end at once. That is safe: what was in flight is found half done and seen to.
            for worker in self._workers:
                worker.process.kill()
            self._dismiss()
            raise
        if not self._stays:
            self._dismiss()

    def _dismiss(self) -> None:
        while self._workers:
            self._workers.pop().end()

    def _run(self, tasks: Iterator[list[Item]]) -> Iterator[tuple[list[Item], Answer | Died]]:
        from maint.worker import packed, wait  # noqa: PLC0415  20 ms that a single job need not spend

        order: _Order = deque()
        again: _Again = deque()
        answers: _Answers = {}
        numbers = itertools.count()
        laid_out: tuple[_Key, list[Item], bytes] | None = None

        def lay_out() -> tuple[_Key, list[Item], bytes] | None:
            """The next task as it goes to a worker, if there is one: whoever is done finds it waiting."""
            if again:  # what was taken once is done, whatever is said meanwhile
                key, task = again.popleft()
            elif len(order) >= self._jobs * _AHEAD or self._stop():
                return None
            elif (found := next(tasks, None)) is not None:
                key, task = (next(numbers),), found
                order.append(key)
            else:
                return None
            return key, task, packed(task)

        while True:
            # A task that was taken is a task that is done, whatever is said meanwhile. Workers come before their tasks:
            # what it takes to tell those would be theirs, too.
            while True:
                worker = self._idle_worker()
                laid_out = laid_out or lay_out()
                if worker is None or laid_out is None:
                    break
                worker.key, worker.task, data = laid_out
                laid_out = None
                if not worker.send(data):
                    self._bury(worker, order, again, answers)
            # They are at work while whoever asked takes in what they said before.
            is_news = False
            while order and order[0] in answers:
                yield answers.pop(order.popleft())
                is_news = True
            busy = [worker for worker in self._workers if worker.key is not None]
            if not busy:
                if is_news or again:
                    continue  # there may be room for more now
                break
            for ready in wait([worker.pipe for worker in busy]):
                worker = next(each for each in busy if each.pipe is ready)
                try:
                    answer = worker.receive()
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

    def _idle_worker(self) -> "Worker | None":
        for worker in self._workers:
            if worker.key is None:
                return worker
        return self._hired() if len(self._workers) < self._jobs else None

    def _hired(self) -> "Worker":
        from maint.worker import Worker  # noqa: PLC0415  see `_run`

        worker = Worker(self._work, [each.pipe for each in self._workers])
        self._workers.append(worker)
        return worker

    def _bury(self, worker: "Worker", order: _Order, again: _Again, answers: _Answers) -> None:
        """Take a dead worker out, and see to the task it had."""
        self._workers.remove(worker)
        died = Died(worker.how_it_ended())
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


def attempt(work: Callable[[list[Any]], Any], task: list[Any]) -> Any:
    """The answer, or `Died` where the work raised: a defect of ours costs one item, and is told."""
    try:
        return work(task)
    except Exception as error:  # noqa: BLE001  anything: what it was is told, and the others go on
        return Died(how_it_failed(error))


def how_it_failed(error: Exception) -> str:
    """How work ended that raised this, as a clause."""
    if isinstance(error, MemoryError):
        return "there was not enough memory for it"
    return f"the work on it failed: {type(error).__name__}: {error}"
