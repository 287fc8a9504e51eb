"""Where the time of a run goes: by phase, by what the workers did in it, and by pass; for whoever asked.

A run is in one phase at a time, of which `enter` begins the next.
What is done within a phase, by whatever process, is work (`Work`), and most of it is done for a pass.
Workers keep laps of their own, which come to the leader with their answers.

Nothing is measured before `begin` was called: what is given to be measured comes back as it was, at the price of a
question.
"""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Work(StrEnum):
    """What a process does within a phase."""

    READING = "reading"
    JUDGING = "judging"
    CHANGING = "changing"
    WAITING = "waiting for the disk"


class Lap(msgspec.Struct):
    """How long something took, in seconds, and how many times it was done."""

    seconds: float = 0.0
    times: int = 0

    def add(self, seconds: float, times: int = 1) -> None:
        self.seconds += seconds
        self.times += times


class Laps(msgspec.Struct):
    """What was measured; ``done`` is by phase, work and pass, which is empty where it is done for none."""

    phases: dict[str, float] = {}
    processors: dict[str, float] = {}
    """Seconds of this process and of the workers that ended, by phase."""

    done: dict[tuple[str, Work, str], Lap] = {}

    def lap(self, work: Work, pass_: str = "") -> Lap:
        key = _phase, work, pass_
        lap = self.done.get(key)
        if lap is None:
            lap = self.done[key] = Lap()
        return lap

    def work(self, phase: str) -> dict[Work, Lap]:
        """What was done in a phase, by all processes together."""
        return _summed((work, lap) for (when, work, _), lap in self.done.items() if when == phase)

    def passes(self) -> dict[str, dict[Work, Lap]]:
        """What was done for each pass, by all processes together."""
        names = sorted({pass_ for _, _, pass_ in self.done if pass_})
        return {
            name: _summed((work, lap) for (_, work, pass_), lap in self.done.items() if pass_ == name)
            for name in names
        }

    def take(self, other: "Laps") -> None:
        """Take in what a worker has measured in this phase, whatever it believes to be in."""
        for (_, work, pass_), lap in other.done.items():
            self.lap(work, pass_).add(lap.seconds, lap.times)


def _summed(laps: Iterable[tuple[Work, Lap]]) -> dict[Work, Lap]:
    found: dict[Work, Lap] = {}
    for work, lap in laps:
        found.setdefault(work, Lap()).add(lap.seconds, lap.times)
    return found


_laps: Laps | None = None
_phase = ""
_since = 0.0
_spent = 0.0


def begin() -> None:
    """Measure from now on; what went before, since this process began, is the start."""
    global _laps, _phase, _since, _spent
    _laps, _phase = Laps(), "start"
    _since, _spent = time.monotonic() - _age(), 0.0


def enter(phase: str) -> None:
    """The phase before this one is over."""
    global _phase, _since, _spent
    if _laps is not None and phase != _phase:
        now, spent = time.monotonic(), _processors()
        _laps.phases[_phase] = _laps.phases.get(_phase, 0.0) + now - _since
        _laps.processors[_phase] = _laps.processors.get(_phase, 0.0) + spent - _spent
        _phase, _since, _spent = phase, now, spent


def reading(facts: Iterator[T]) -> Iterator[T]:
    """The same facts, and how long it takes to get each."""
    return facts if _laps is None else _read(facts, _laps)


def _read(facts: Iterator[T], laps: Laps) -> Iterator[T]:
    lap = laps.lap(Work.READING)
    clock = time.perf_counter
    while True:
        began = clock()
        fact = next(facts, None)
        lap.add(clock() - began, fact is not None)
        if fact is None:
            return
        yield fact


def judging(pass_: str, judge: Callable[[Any], T]) -> Callable[[Any], T]:
    """The same verdicts, and how long each takes."""
    if _laps is None:
        return judge
    laps, clock = _laps, time.perf_counter

    def timed(subject: Any) -> T:
        began = clock()
        verdict = judge(subject)
        laps.lap(Work.JUDGING, pass_).add(clock() - began)
        return verdict

    return timed


def changing(pass_: str, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """The same change, and how long it takes without the waits at its barriers."""
    return steps if _laps is None else _changed(steps, _laps.lap(Work.CHANGING, pass_))


def _changed(steps: Generator[Any, Any, T], lap: Lap) -> Generator[Any, Any, T]:
    lap.add(0.0)
    step: Callable[[], Any] = steps.__next__
    try:
        while True:
            began = time.perf_counter()
            try:
                wanted = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            finally:
                lap.add(time.perf_counter() - began, 0)
            try:
                yield wanted
            except Exception as error:  # noqa: BLE001  a barrier that did not hold, whatever that is told by
                step = _thrower(steps, error)
            else:
                step = steps.__next__
    finally:
        steps.close()


def _thrower(steps: Generator[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: steps.throw(error)


def waiting(what: Callable[[], T]) -> T:
    """The same, and how much of the time was spent on no change, waiting for the disk."""
    if _laps is None:
        return what()
    laps = _laps
    before = _all(laps, Work.CHANGING)
    began = time.perf_counter()
    done = what()
    laps.lap(Work.WAITING).add(time.perf_counter() - began - (_all(laps, Work.CHANGING) - before))
    return done


def _all(laps: Laps, wanted: Work) -> float:
    return sum(lap.seconds for (_, work, _), lap in laps.done.items() if work is wanted)


def handed_over() -> Laps | None:
    """What a worker has measured since it was asked last; the first time what it has from its leader, who keeps it."""
    if _laps is None:
        return None
    done, _laps.done = _laps.done, {}  # in place, because what is measured holds on to it
    return Laps(done=done)


def take(laps: Laps | None) -> None:
    """Take in what a worker has measured."""
    if _laps is not None and laps is not None:
        _laps.take(laps)


def end() -> Laps | None:
    """What was measured, if anything was; nothing more is."""
    global _laps
    enter("")
    measured, _laps = _laps, None
    return measured


def _processors() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _age() -> float:
    """For how many seconds this process has been there, where the system tells; else since it first asked."""
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0
    return max(0.0, boot - ticks / os.sysconf("SC_CLK_TCK"))
