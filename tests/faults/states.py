"""What a disk holds after a power cut: the changes that reached it, in their order, and the bytes that did.

A `Cut` says which changes those are; which cuts a file system allows is for `cuts` to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from recording import Change, Recording, Step

Model = Literal["journalled", "minimal"]
OLD, PREFIX, ZEROS = "old", "prefix", "zeros"
"""What a file holds that lacks bytes: what it held before, a part of what it should, or zeros for the rest."""


class Cut(NamedTuple):
    """What is on the disk: changes by their steps, half ones that left both names, and how files lack their bytes."""

    model: Model
    at: int
    there: frozenset[int]
    half: frozenset[int] = frozenset()
    bytes: tuple[tuple[int, str], ...] = ()

    def told(self, steps: Sequence[Step]) -> str:
        """What was cut, in words: the point, and what of the calls before it is missing."""
        last = steps[self.at - 1].text if self.at else "the beginning"
        missing = [
            step.text
            for at, step in enumerate(steps[: self.at])
            if isinstance(step, Change) and not step.is_data and at not in self.there
        ]
        halves = [f"both names: {steps[at].text}" for at in sorted(self.half)]
        lacking = [f"{how} of #{node}" for node, how in self.bytes]
        return f"{self.model}, after {last}; missing: {'; '.join([*missing, *halves, *lacking]) or 'nothing'}"


@dataclass
class State:
    """What a disk holds: entries by folder, bytes, modes and times by number, and the last change of each."""

    entries: dict[int, dict[str, int]]
    data: dict[int, bytes]
    modes: dict[int, int]
    times: dict[int, int]
    last: dict[int, int] = field(default_factory=dict)


def state_of(recording: Recording, cut: Cut) -> State:
    """What the disk holds after such a cut."""
    nodes = recording.nodes
    found = State(
        {number: dict(node.entries) for number, node in nodes.items()},
        {number: node.data for number, node in nodes.items()},
        {number: node.mode for number, node in nodes.items()},
        {number: node.mtime_ns for number, node in nodes.items()},
    )
    lacking = dict(cut.bytes)
    synced = synced_bytes(recording.steps, cut.at)
    written = {number: found.data[number] for number in lacking}
    for at, step in enumerate(recording.steps[: cut.at]):
        if not isinstance(step, Change):
            continue
        if step.is_data:
            if step.node in lacking and at >= synced.get(step.node, 0):
                written[step.node] = _written(written[step.node], step)
                continue
            found.data[step.node] = _written(found.data[step.node], step)
            if step.node in lacking:
                written[step.node] = found.data[step.node]
            found.times[step.node] = step.at_ns
        elif at in cut.there:
            _apply(found, step, half=at in cut.half)
        else:
            continue
        for node in step.touches:
            found.last[node] = at
    for number, how in lacking.items():
        found.data[number] = _lacking(found.data[number], written[number], how)
    return found


def final(recording: Recording) -> Cut:
    """No cut at all: everything is there."""
    at = len(recording.steps)
    return Cut("journalled", at, frozenset(changes(recording.steps, at)))


def changes(steps: Sequence[Step], at: int) -> list[int]:
    """Changes that are none of bytes."""
    return [index for index, step in enumerate(steps[:at]) if isinstance(step, Change) and not step.is_data]


def synced_bytes(steps: Sequence[Step], at: int) -> dict[int, int]:
    """The step up to which the bytes of each file are on the disk."""
    found: dict[int, int] = {}
    written: set[int] = set()
    for index, step in enumerate(steps[:at]):
        if isinstance(step, Change):
            if step.is_data:
                written.add(step.node)
        elif step.node is None:
            found |= dict.fromkeys(written, index)
        else:
            found[step.node] = index
    return found


def _apply(found: State, step: Change, *, half: bool) -> None:
    for folder, name, node in (*(() if half else step.takes), *step.gives):
        if node is None:
            found.entries[folder].pop(name, None)
        else:
            found.entries[folder][name] = node
        found.times[folder] = step.at_ns
    if step.mode is not None:
        found.modes[step.node] = step.mode
    if step.mtime_ns is not None:
        found.times[step.node] = step.mtime_ns


def _written(data: bytes, step: Change) -> bytes:
    """Bytes after a write, or after a cut."""
    before = data[: step.offset].ljust(step.offset, b"\0")
    return before + step.data + (b"" if step.cuts else data[step.offset + len(step.data) :])


def _lacking(old: bytes, new: bytes, how: str) -> bytes:
    """What a file holds of which not everything that was written is there."""
    match how:
        case "prefix":
            return new[: (len(old) if len(old) < len(new) else 0) + abs(len(new) - len(old)) // 2]
        case "zeros":
            keep = len(old) if new.startswith(old) else 0
            return new[:keep] + bytes(len(new) - keep)
        case _:
            return old
