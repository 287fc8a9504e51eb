"""A pack without those of its sessions that count no more: frames that are all alive as they are, others anew.

What is guarded: only what was read and compared goes into the new pack.
"""

from collections.abc import Iterable, Iterator

import msgspec

from store import manifest, packing, tarring
from store.frames import Damaged
from store.manifest import Entry
from store.packing import RawFrame
from store.packs import PackReader

_MOST_SHARED = 4 * packing.FRAME


def repacked(
    pack: PackReader, entries: Iterable[Entry], dead: frozenset[str], level: int
) -> Iterator[tuple[Iterable[RawFrame], list[bytes]]]:
    """Frames, some at a time and read as they are taken, with the lines of the sessions in them, whose frame counts from the first of these.

    ``entries`` are all sessions of the pack, in order; those in ``dead`` are left out.
    Raises `store.frames.Damaged` when one that is not dead is not what was packed.
    """
    for group in _sharing(entries):
        alive = [entry for entry in group if entry.id not in dead]
        if not alive:
            continue
        for entry in alive:
            pack.check(entry)
        if len(alive) == len(group):
            first = group[0].frame
            raw = map(pack.raw, range(first, _last(pack, group) + 1))
            lines = [manifest.encode_entry(_moved(entry, entry.frame - first, entry.at)) for entry in group]
            yield raw, lines
        else:
            yield _anew(pack, alive, level)


def _sharing(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Sessions by the frame that they begin in: those of one share it, or one has some of its own."""
    group: list[Entry] = []
    for entry in entries:
        if group and group[-1].frame != entry.frame:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def _last(pack: PackReader, group: list[Entry]) -> int:
    """The number of the frame in which the last session of a group ends."""
    entry = group[-1]
    number, left = entry.frame, entry.at + _tar_size(pack, entry)
    while left > pack.spans[number].size:
        left -= pack.spans[number].size
        number += 1
    return number


def _anew(pack: PackReader, alive: list[Entry], level: int) -> tuple[list[RawFrame], list[bytes]]:
    """One frame with what is left of the sessions that shared one."""
    if sum(_tar_size(pack, entry) for entry in alive) > _MOST_SHARED:
        raise Damaged("sessions that share a frame are larger than any of ours that do")
    content = bytearray()
    places: list[int] = []
    for entry in alive:
        places.append(len(content))
        for member, data in pack.members(entry):
            content += member.header(pack.first)
            for block in data:
                content += block
            content += tarring.padding(member.size)
    frame = packing.raw_frame(content, level)
    share = len(frame[0]) / len(content)
    lines = [
        manifest.encode_entry(
            msgspec.structs.replace(
                entry, frame=0, at=at, packed=max(1, round(_tar_size(pack, entry) * share))
            )
        )
        for entry, at in zip(alive, places, strict=True)
    ]
    return [frame], lines


def _tar_size(pack: PackReader, entry: Entry) -> int:
    return sum(member.tar_size(pack.first) for member in entry.members)


def _moved(entry: Entry, frame: int, at: int) -> Entry:
    return msgspec.structs.replace(entry, frame=frame, at=at)
