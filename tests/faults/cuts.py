"""The states in which a power cut may leave what a run was doing, under two models of a file system.

**Journalled** (ext4, xfs): changes of names, modes and times reach the disk in their order, up to some point that is
not before what a sync has asked for. Syncing a file asks for everything up to the last change of that very file,
which is less than ext4 does. What was written and not synced may be missing: the file is as long as before, or
shorter than it should be, or long enough and full of zeros.

**Minimal POSIX**: every change is on the disk by itself or not, in no order, unless its folder (or for bytes, modes
and times: its file) was synced after it. A rename between two folders is there, or not, or has left both names; that
it could leave neither is ruled out, because no program could live with that. A folder may be gone from the disk while
a file still lies in it there, which has moved on for whoever reads, and is gone with it.

There are too many such states, so those are taken that a wrong order shows in: nothing of what is pending is there,
or all, or all but one thing, or one thing alone, and some at random, always the same ones.
"""

import random
import stat
from collections.abc import Iterable, Iterator, Sequence

from recording import Change, Recording, Step, Sync
from states import OLD, PREFIX, ZEROS, Cut, Model, changes, synced_bytes

MODELS: tuple[Model, ...] = ("journalled", "minimal")
_POINTS = 8
"""Points up to which a journal may have come that are taken of those between what must be there and what may."""
_RANDOM = 6


def cuts(recording: Recording, models: Iterable[Model] = MODELS) -> Iterator[Cut]:
    """Every power cut that is tried, the latest ones last; some lead to the same state, in different ways."""
    met: set[object] = set()
    last = len(recording.steps)
    for model in models:
        written = 0
        for at in range(last + 1):
            if at and (step := recording.steps[at - 1]) and isinstance(step, Change) and step.is_data:
                written = at
            synced = synced_bytes(recording.steps, at)
            of_model = _journalled if model == "journalled" else _minimal
            for cut in of_model(recording, at):
                lacking = tuple((*each, synced.get(each[0], 0)) for each in cut.bytes)
                key = (cut.there, cut.half, lacking, written, at == last)
                if key not in met:
                    met.add(key)
                    yield cut


def _journalled(recording: Recording, at: int) -> Iterator[Cut]:
    steps = recording.steps
    made = changes(steps, at)
    must = 0
    last: dict[int, int] = {}
    for index, step in enumerate(steps[:at]):
        if isinstance(step, Change):
            last |= dict.fromkeys(step.touches, index + 1)
        else:
            must = max(must, index if step.node is None else last.get(step.node, 0))
    points = [must, *(index + 1 for index in made if index >= must)]
    if len(points) > _POINTS:
        points = sorted({points[0], points[-1], *random.Random(len(points)).sample(points, _POINTS - 2)})
    bytes_ = list(_bytes(_pending_bytes(steps, at)))
    for point in points:
        there = frozenset(index for index in made if index < point)
        for lacking in bytes_:
            yield Cut("journalled", at, there, bytes=lacking)


def _minimal(recording: Recording, at: int) -> Iterator[Cut]:
    steps = recording.steps
    made = changes(steps, at)
    fate = _fates(recording, at)
    sure = frozenset(index for index in made if fate[index] == "there")
    half = frozenset(index for index in made if fate[index] == "both names")
    open_ = [index for index in made if fate[index] == "open"]
    renames = [index for index in open_ if _leaves_two(recording, steps[index])]
    pending = _pending_bytes(steps, at)
    everything = sure | half | set(open_)

    def cut(
        there: frozenset[int], halves: frozenset[int] = frozenset(), lacking: tuple[tuple[int, str], ...] = ()
    ) -> Cut:
        return Cut("minimal", at, there, halves, lacking)

    for lacking in _bytes(pending):
        yield cut(everything, lacking=lacking)
        yield cut(sure | half, half, lacking)
    for index in open_:
        yield cut(everything - {index})
        yield cut(sure | half | {index})
        yield cut(sure | half | {index}, half)
    for index in (*renames, *half):
        yield cut(everything, frozenset({index}))
        yield cut(sure | half | {index}, half | {index})
    some = random.Random(len(open_) + len(pending))
    for _ in range(_RANDOM if open_ or pending else 0):
        there = sure | half | frozenset(index for index in open_ if some.random() < 0.5)
        halves = frozenset(i for i in (*renames, *half) if i in there and some.random() < 0.3)
        lacking = tuple((node, some.choice((OLD, PREFIX, ZEROS))) for node in pending if some.random() < 0.5)
        yield cut(there, halves, lacking)


def _fates(recording: Recording, at: int) -> dict[int, str]:
    """Of each change up to there whether it is sure to be on the disk, or to have left both names, or open."""
    synced: set[int] = set()
    everything = False
    fates: dict[int, str] = {}
    for index in range(at - 1, -1, -1):
        step = recording.steps[index]
        if isinstance(step, Sync):
            everything = everything or step.node is None
            if step.node is not None:
                synced.add(step.node)
            continue
        if everything or (not step.folders and step.node in synced) or step.folders & synced:
            fates[index] = "there"
            taken = {folder for folder, _, _ in step.takes}
            if not everything and _leaves_two(recording, step) and not taken & synced:
                fates[index] = "both names"
        else:
            fates[index] = "open"
    return fates


def _leaves_two(recording: Recording, step: Step) -> bool:
    """Whether it moves a file from one folder to another, which are two places on the disk."""
    if not isinstance(step, Change) or not step.takes or not step.gives:
        return False
    if any(stat.S_ISDIR(recording.nodes[node].kind) for node in step.moved):
        return False
    return {folder for folder, _, _ in step.takes} != {folder for folder, _, _ in step.gives}


def _pending_bytes(steps: Sequence[Step], at: int) -> list[int]:
    """The files that have bytes which are not sure to be on the disk."""
    synced = synced_bytes(steps, at)
    found = {
        step.node
        for index, step in enumerate(steps[:at])
        if isinstance(step, Change) and step.is_data and index >= synced.get(step.node, 0)
    }
    return sorted(found)


def _bytes(pending: list[int]) -> Iterator[tuple[tuple[int, str], ...]]:
    """Ways in which bytes may be missing: nowhere, of all files, of one alone, of all but one."""
    yield ()
    if not pending:
        return
    yield tuple((node, OLD) for node in pending)
    for node in pending:
        for how in (OLD, PREFIX, ZEROS):
            yield ((node, how),)
        yield tuple((other, OLD) for other in pending if other != node)
