"""What must be read to verify a pack, cut into tasks for workers."""

from collections.abc import Iterable, Iterator

from maint.loading import Check, Job
from store import manifest
from store.ordered import Order
from store.packs import PackReader

_CHECK_BYTES = 16 << 20  # content of the frames that are read in a task


def checks(label: str, name: str, pack: PackReader, lines: Iterable[bytes]) -> Iterator[list[Job]]:
    """The tasks for a pack whose file has this name, of some frames each.

    Raises `store.frames.Damaged` for a line that cannot be.
    """
    group: list[bytes] = []
    first = last = size = 0
    order = Order(pack.spans)
    for line in lines:
        entry = manifest.checked_entry(line)
        order.require_next(entry)
        if group and size >= _CHECK_BYTES and entry.frame != last:
            yield [_check(label, name, pack, first, entry.frame, group)]
            group, size = [], 0
        if not group:
            first = entry.frame
        group.append(line)
        size += entry.size
        last = entry.frame
    if group:
        yield [_check(label, name, pack, first, len(pack.spans), group)]


def _check(label: str, name: str, pack: PackReader, first: int, stop: int, lines: list[bytes]) -> Check:
    return Check(label, name, pack.first, first, pack.spans[first:stop], pack.digests[first:stop], lines)
