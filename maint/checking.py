"""What must be read to verify a pack, cut into tasks for workers."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from maint.loading import Check, Job
from store import manifest
from store.ordered import Order
from store.packs import PackReader

_CHECK_BYTES = 2 << 20  # packed bytes of the frames that are read in a task


class _Frame(msgspec.Struct, gc=False):
    """What is needed of a line that we have written ourselves."""

    frame: int = 0


_decode_frame: Callable[[bytes], _Frame] = msgspec.json.Decoder(_Frame).decode


def checks(
    label: str, name: str, pack: PackReader, lines: Iterable[bytes], *, ours: bool = False
) -> Iterator[list[Job]]:
    """The tasks for a pack whose file has this name, of some frames each.

    Raises `store.frames.Damaged` for a line that cannot be, unless all are ``ours``, of this very run.
    """
    group: list[bytes] = []
    first = last = 0
    order = Order(pack.spans)
    for line in lines:
        if ours:
            frame = _decode_frame(line).frame
        else:
            entry = manifest.checked_entry(line)
            order.require_next(entry)
            frame = entry.frame
        if group and frame != last and pack.spans[frame].offset - pack.spans[first].offset >= _CHECK_BYTES:
            yield [_check(label, name, pack, first, frame, group)]
            group = []
        if not group:
            first = frame
        group.append(line)
        last = frame
    if group:
        yield [_check(label, name, pack, first, len(pack.spans), group)]


def _check(label: str, name: str, pack: PackReader, first: int, stop: int, lines: list[bytes]) -> Check:
    return Check(label, name, pack.first, first, pack.spans[first:stop], pack.digests[first:stop], lines)
