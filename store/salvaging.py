"""Salvaging a damaged pack: every session that can still be proven whole, and what can be read of the others.

What is guarded: nothing is written outside of the folder that was named, nor over anything in it, nothing has the
name of a session's file that is not that file, and the pack stays as it is.

With the manifest, SHA-256 proves each file.
Without it, files are found by their headers in the tar, and nothing proves them but the checksums of the frames
that they were in: then it is said so.
Of a file that is not whole, each stretch that can be read is saved by itself; a stretch of the tar of which nobody
knows what it is, as ``unnamed``, by its place in the pack.

Durable once `Salvage.finish` has returned.
"""

from collections.abc import Iterator

from store import durable, frames, manifest, names, tarring
from store.frames import Damaged, Span
from store.manifest import Entry, Head
from store.ordered import Order
from store.rescued import Part, Rescued
from store.salvaged import Fate, Salvaged, why_refused
from store.unlisted import Unlisted
from store.wreckage import Wreck

_KEPT = 2  # frames that are kept decoded: a session may end in the one where the next begins


class Salvage:
    """The salvage of one pack into one folder, both by descriptors that stay the caller's.

    ``head`` is the pack's own line; ``None`` if its manifest is lost.
    """

    def __init__(self, pack: int, folder: int) -> None:
        self._folder = folder
        self._wreck = Wreck(pack)
        found = self._wreck.manifest()
        self.head: Head | None = found[0] if found else None
        self._lines = found[1] if found else []

    def run(self) -> Iterator[Salvaged]:
        """Save everything, and tell of each; OSError when the pack or the folder is of no use."""
        if self.head is None:
            return Unlisted(self._wreck, self._folder).run()
        return _Listed(self._wreck, self._folder, self.head).run(self._lines)

    def finish(self) -> None:
        """Make durable what was saved."""
        durable.sync_file_system(self._folder, "the folder")
        durable.sync_folder(self._folder, "the folder")


class _Listed:
    """Sessions as the manifest has them."""

    def __init__(self, wreck: Wreck, folder: int, head: Head) -> None:
        self._wreck = wreck
        self._folder = folder
        self._first = head.first
        self._spans = manifest.spans_of(head)
        self._digests = manifest.digests_of(head)
        self._kept: dict[int, bytes] = {}
        self._broken: dict[int, str] = {}
        self._moved: dict[bytes, int] | None = None

    def run(self, lines: list[bytes]) -> Iterator[Salvaged]:
        order = Order(self._spans)
        for line in lines:
            try:
                entry = manifest.checked_entry(line)
            except Damaged as reason:
                yield Salvaged(fate=Fate.REFUSED, detail=str(reason))
                continue
            try:
                order.require_next(entry)
                yield self._save(entry)
            except Damaged as reason:
                yield _told(entry, Fate.REFUSED, [], str(reason))

    def _save(self, entry: Entry) -> Salvaged:
        tape = _Tape(self._spans, entry.frame, entry.at)
        parts: list[Part] = []
        reasons: list[str] = []
        for member in entry.members:
            tape.skip(len(member.header(self._first)))
            file = Rescued(self._folder, member.path, member)
            try:
                reasons += self._read(file, tape, member.size)
                saved = file.settle()
            except (OSError, ValueError) as error:
                return _told(entry, Fate.REFUSED, parts, why_refused(error))
            finally:
                file.drop()
            if not reasons and not any(part.whole for part in saved):
                reasons.append(f"{names.printable(member.path)} is not what was packed")
            parts += saved
            tape.skip(len(tarring.padding(member.size)))
        if not reasons:
            return _told(entry, Fate.SAVED, parts, None)
        return _told(entry, Fate.PARTLY if parts else Fate.LOST, parts, reasons[0])

    def _read(self, file: Rescued, tape: "_Tape", size: int) -> list[str]:
        """Write what can be read of so many bytes; why the rest cannot."""
        reasons: list[str] = []
        for number, start, stop in tape.take(size):
            try:
                data = self._frame(number)
            except Damaged as reason:
                reasons.append(str(reason))
                file.gap(stop - start)
            else:
                file.put(memoryview(data)[start:stop])
        return reasons

    def _frame(self, number: int) -> bytes:
        """The content of a frame, wherever in the file it is now."""
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        if number >= len(self._spans):
            raise Damaged("the pack never held all of it")
        if number in self._broken:
            raise Damaged(self._broken[number])
        span = self._spans[number]
        try:
            data = self._wreck.content(span)
        except Damaged as reason:
            elsewhere = self._elsewhere().get(self._digests[number])
            if elsewhere is None:
                self._broken[number] = f"frame {number}: {reason}"
                raise Damaged(self._broken[number]) from None
            data = self._wreck.content(Span(elsewhere, span.packed, span.size))
        while len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[number] = data
        return data

    def _elsewhere(self) -> dict[bytes, int]:
        """Where frames are by their digests: something may have been cut out of the file, or put into it."""
        if self._moved is None:
            wanted = set(self._digests)
            found = ((frames.digest(self._wreck.raw(span)), span.offset) for span in self._wreck.walk())
            self._moved = {digest: offset for digest, offset in found if digest in wanted}
        return self._moved


class _Tape:
    """The tar from a place on, as stretches of frames; beyond the last there is one without end."""

    def __init__(self, spans: list[Span], frame: int, at: int) -> None:
        self._spans = spans
        self._frame = frame
        self._at = at

    def take(self, size: int) -> Iterator[tuple[int, int, int]]:
        """The next so many bytes: the number of a frame, and from where to where in it."""
        while size:
            last = self._frame >= len(self._spans)
            length = self._at + size if last else self._spans[self._frame].size
            if self._at >= length:
                self._frame, self._at = self._frame + 1, self._at - length
                continue
            start, stop = self._at, min(length, self._at + size)
            self._at = stop
            size -= stop - start
            yield self._frame, start, stop

    def skip(self, size: int) -> None:
        self._at += size


def _told(entry: Entry, fate: Fate, parts: list[Part], detail: str | None) -> Salvaged:
    return Salvaged(
        fate=fate,
        session=entry.id,
        name=entry.account.name,
        path=entry.members[0].path,
        detail=detail,
        parts=tuple(parts),
    )
