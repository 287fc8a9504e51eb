"""What was measured against what was accepted: who is slower, and how sure that is.

Times are ratios beside a reference, by the time of the processors, each the median of one process.
Processes differ by some per cent (the seed of hashes, where things lie in memory), so the sample is the processes and
not their rounds: the middle is the median of their medians, and the interval is a pair of order statistics, which
suppose nothing about how the noise is distributed.
The k-th smallest of n lies below the true median with a probability that binomial numbers tell.

Slower is only what is slower with its whole interval: the low end must be above what was accepted, by more than the
tolerance.
Counts do not wobble, and are compared as they are.
"""

import enum
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

FLOOR, TIMES_NOISE = 0.05, 3.0
"""What is tolerated of every ratio, and of one that was noisy when it was accepted: so many times its noise."""

TOO_NOISY = 0.3
"""A ratio of which that would tolerate more cannot be judged; it is told, but never named."""

CONFIDENT = 0.95

COUNTS = {"calls": (0.02, 0.05), "bytes": (0.02, 64.0), "syncs": (0.0, 1.0)}
"""How much of each count is tolerated: as a share, or absolute, whatever is more. Other counts only explain these."""

START = "start of "
"""What the names of counts begin with that are the interpreter's and the C library's as much as ours, and therefore
only judged where they were accepted."""


class Word(enum.Enum):
    """What is said of a subject."""

    SAME = "as it was"
    SLOWER = "SLOWER"
    FASTER = "faster"
    MORE = "MORE"
    FEWER = "fewer"
    NEW = "new"
    GONE = "gone"
    NOISY = "too noisy to be judged"
    ALONE = "its reference cannot be measured here"
    BEFORE = "as what was accepted is now"
    """Slower than it was, and no slower than the code that was accepted is here and now: it is the machine."""

    ELSEWHERE = "told beside another machine's"
    """On another kind of processor, or with another Python, C and Python are not as fast beside each other: the ratio
    of unchanged code was seen to be more than twice what it was."""


FINE, REGRESSION, UNTOLD = 0, 1, 2
"""What the check ends with."""

WORSE = (Word.SLOWER, Word.MORE)
BETTER = (Word.FASTER, Word.FEWER)
UNCOMPARED = (Word.NEW, Word.NOISY, Word.ALONE, Word.ELSEWHERE)


class Accepted(NamedTuple):
    """The ratio of a subject beside this reference, and how far apart processes were when it was accepted."""

    beside: str
    ratio: float
    noise: float


class Asked(NamedTuple):
    """What processes say of a subject: by reference, the median of each by the processors, and of all by the clock."""

    node: str
    medians: Mapping[str, Sequence[float]]
    clock: Mapping[str, float]


class Interval(NamedTuple):
    low: float
    middle: float
    high: float
    confidence: float
    """That the truth is not below ``low`` (nor, asked for by itself, above ``high``)."""


class Judged(NamedTuple):
    """One subject: what was, what is, and what follows."""

    subject: str
    word: Word
    was: Accepted | None = None
    now: Accepted | None = None
    interval: Interval | None = None
    tolerance: float = 0.0
    clock: float = math.nan
    node: str = ""

    @property
    def change(self) -> float:
        return self.now.ratio / self.was.ratio - 1 if self.now and self.was else math.nan


class Counted(NamedTuple):
    """One subject of which things were counted."""

    subject: str
    word: Word
    was: Mapping[str, float]
    now: Mapping[str, float]


def interval(medians: Sequence[float]) -> Interval:
    """Where the true median lies, from one median of each process."""
    ordered, count = sorted(medians), len(medians)
    below = [sum(math.comb(count, each) for each in range(k)) / 2**count for k in range(1, count + 1)]
    inwards = max((k for k in range(count // 2 + 1) if 1 - below[k] >= CONFIDENT), default=0)
    return Interval(ordered[inwards], statistics.median(ordered), ordered[-1 - inwards], 1 - below[inwards])


def noise(medians: Sequence[float]) -> float:
    """How far apart processes are, as a share: the standard deviation, estimated so that one outlier is no matter."""
    middle = statistics.median(medians)
    return 1.4826 * statistics.median(abs(each - middle) for each in medians) / middle


def tolerance(accepted: Accepted) -> float:
    """By how much a ratio may be above the accepted one."""
    return max(FLOOR, TIMES_NOISE * accepted.noise)


def judge(subject: str, was: Accepted | None, asked: Asked, *, elsewhere: bool) -> Judged:
    """One subject, beside the reference that it was accepted with, or else beside the one that is best for it.

    What was accepted ``elsewhere``, on another machine, is only told beside it.
    """
    beside = was.beside if was else quietest(asked)
    if beside not in asked.medians:
        return Judged(subject, Word.ALONE, was, node=asked.node)
    medians = asked.medians[beside]
    found = interval(medians)
    now = Accepted(beside, found.middle, noise(medians))
    if was is None:
        word, most = Word.NEW, tolerance(now)
    else:
        most = tolerance(was)
        if elsewhere:
            word = Word.ELSEWHERE
        elif TIMES_NOISE * was.noise > TOO_NOISY:
            word = Word.NOISY
        elif found.low > was.ratio * (1 + most):
            word = Word.SLOWER
        elif found.high < was.ratio / (1 + most):
            word = Word.FASTER
        else:
            word = Word.SAME
    return Judged(subject, word, was, now, found, most, asked.clock[beside], asked.node)


def beside_before(judged: Judged, before: Asked) -> Judged:
    """What looks slower, beside the code that was accepted, measured in the same minutes: slower only if it is so then.

    What was not there before, or not beside that reference, stays as it was judged.
    """
    was, found = judged.was, judged.interval
    medians = before.medians.get(was.beside) if was else None
    if was is None or found is None or medians is None:
        return judged
    if found.low > interval(medians).middle * (1 + judged.tolerance):
        return judged
    return judged._replace(word=Word.BEFORE)


def quietest(asked: Asked) -> str:
    """The reference to judge by: the first, which is the closest to the work, unless another is far less noisy."""
    first, *others = asked.medians
    spread = {each: max(noise(asked.medians[each]), FLOOR / TIMES_NOISE) for each in asked.medians}
    calm = min(others, key=spread.__getitem__, default=first)
    return calm if spread[calm] < spread[first] / 2 else first


def count(
    subject: str, was: Mapping[str, float] | None, now: Mapping[str, float], *, elsewhere: bool
) -> Counted:
    """One subject of which things were counted: more of anything that is judged is worse."""
    if was is None:
        return Counted(subject, Word.NEW, {}, now)
    rises = {name: now.get(name, 0.0) - was.get(name, 0.0) for name in COUNTS}
    beyond = {
        name: rise
        for name, rise in rises.items()
        if abs(rise) > max(COUNTS[name][0] * was.get(name, 0.0), COUNTS[name][1]) + 1e-6
    }
    if not beyond or (elsewhere and subject.startswith(START)):
        word = Word.SAME
    else:
        word = Word.MORE if max(beyond.values()) > 0 else Word.FEWER
    return Counted(subject, word, was, now)


class Answer(NamedTuple):
    """How the check ends: for programs, and for people."""

    code: int
    sentence: str


def answer(told: Sequence[Judged | Counted], *, strict: bool) -> Answer:
    """What follows from all subjects together."""

    def those(*words: Word) -> list[str]:
        return [each.subject for each in told if each.word in words]

    worse, uncompared, gone = those(*WORSE), those(*UNCOMPARED), those(Word.GONE)
    compared = len(told) - len(uncompared) - len(gone)
    if worse:
        code, first = REGRESSION, f"Slower than what was accepted: {', '.join(worse)}"
    elif not compared or those(Word.ALONE) or (strict and uncompared):
        code, first = UNTOLD, "It cannot be told whether anything is slower"
    else:
        code, first = FINE, "Nothing is slower than what was accepted"
    elsewhere = those(Word.ELSEWHERE)
    further = {
        "slower than it was, and no slower than what was accepted is on this machine now": those(Word.BEFORE),
        "better": those(*BETTER),
        "no more there": gone,
        "not compared": [each for each in uncompared if each not in elsewhere],
    }
    rest = "".join(f"; {what}: {', '.join(some)}" for what, some in further.items() if some)
    if elsewhere:
        rest += f"; told beside another machine's, and not compared: {len(elsewhere)} ratios"
    return Answer(code, f"{first}; {compared} subjects were compared{rest}.")
