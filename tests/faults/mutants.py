"""Planted bugs: a recorded run as it would be if the program had forgotten a sync, or done two steps in the wrong order.

The recording is changed, and not the program: a sync that is taken out of it was never waited for, and of two
neighbours that change places the second one was done first.
Neighbours that have nothing to do with each other are left alone.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from recording import Change, Recording, Step, Sync


class Mutant(NamedTuple):
    """What is wrong, the run that has it, and which syncs, by their steps, it is without."""

    what: str
    recording: Recording
    without: tuple[int, ...] = ()


def mutants(recording: Recording) -> Iterator[Mutant]:
    """Every sync left out, all of each file left out, and every pair of neighbours swapped that have to do with each other."""
    steps = recording.steps
    syncs = {at: step for at, step in enumerate(steps) if isinstance(step, Sync)}
    for at, sync in syncs.items():
        yield _without(recording, f"without {sync.text}", [at])
    for node in dict.fromkeys(sync.node for sync in syncs.values()):
        several = [at for at, sync in syncs.items() if sync.node == node]
        if len(several) > 1:
            yield _without(recording, f"never {syncs[several[0]].text}", several)
    for at, (one, other) in enumerate(pairwise(steps)):
        if _may_be_swapped(one, other):
            order = [*range(at), at + 1, at, *range(at + 2, len(steps))]
            too_soon = (at + 1,) if isinstance(other, Sync) else ()
            yield Mutant(f"{other.text} before {one.text}", _in_order(recording, order), too_soon)


def never(found: Sequence[Mutant], without: tuple[int, ...]) -> Mutant | None:
    """The planted bug that leaves out these syncs and all others of the same file."""
    return next((each for each in found if len(each.without) > 1 and set(without) <= set(each.without)), None)


def _without(recording: Recording, what: str, left_out: list[int]) -> Mutant:
    order = [at for at in range(len(recording.steps)) if at not in left_out]
    return Mutant(what, _in_order(recording, order), tuple(left_out))


def _may_be_swapped(one: Step, other: Step) -> bool:
    """Whether both are steps of a commit, the second of which does not need what the first one makes."""
    match one, other:
        case Sync(), Change():  # what should have waited
            return bool(other.gives + other.takes) and not _is_made(other)
        case Change(), Sync():  # a wait that comes too soon
            return (other.node is None or other.node in one.touches) and not _is_made(one)
        case Change(), Change():  # two names of one file
            return bool(one.moved & other.moved) and not _is_made(one)
        case _:
            return False


def _is_made(change: Change) -> bool:
    """Whether it makes a file or folder anew: what is not there cannot be synced or moved before."""
    return change.text.startswith(("openat", "mkdirat", "symlinkat"))


def _in_order(recording: Recording, order: list[int]) -> Recording:
    places = {old: new for new, old in enumerate(order)}
    seen = {key: places.get(at, at) for key, at in recording.seen.items()}
    steps = [recording.steps[at] for at in order]
    return Recording(recording.top, recording.nodes, steps, seen, recording.device)
