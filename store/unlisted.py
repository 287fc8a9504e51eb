"""Files saved out of a pack that has lost its manifest: by their headers in the tar, frame by frame.

What is guarded: what is saved under a name is all that its header says there is, and nothing else is in it.

Where a frame is lost, the next one that begins with a header is where it goes on: frames end where a session ends,
but for sessions that have some of their own.
Of those the place is known as long as it is known how much is missing.
"""

from collections.abc import Iterator

from store import tarring, untarring
from store.manifest import PackedMember
from store.rescued import Part, Rescued
from store.salvaged import Fate, Salvaged, why_refused
from store.tarring import BLOCK
from store.wreckage import Piece, Wreck

UNNAMED = "unnamed"
_ZEROS = bytes(BLOCK)


class _File:
    """A file that is being saved: its header, if that was read, and how many bytes of it are still to come."""

    def __init__(self, folder: int, member: PackedMember | None, offset: int) -> None:
        self.member = member
        self.path = UNNAMED if member is None else member.path
        self.left = 0 if member is None else member.size
        self.out = Rescued(folder, self.path, member, 0 if member is not None else offset)


class Unlisted:
    """What is in a pack without a manifest, while it is saved into a folder."""

    def __init__(self, wreck: Wreck, folder: int) -> None:
        self._wreck = wreck
        self._folder = folder
        self._head = bytearray()  # of a header, as much as was read
        self._file: _File | None = None
        self._skip = 0  # bytes of the tar that are of no interest
        self._missed: str | None = None  # what was lost, until it goes on with a header

    def run(self) -> Iterator[Salvaged]:
        """Save everything, and tell of each."""
        try:
            for piece in self._wreck.pieces():
                if piece.data is None:
                    yield from self._lose(piece)
                else:
                    yield from self._read(piece.offset, piece.data)
            self._missed = self._missed or "the pack ends before it does"
            yield from self._break_off()
        finally:
            if self._file is not None:
                self._file.out.drop()

    def _lose(self, piece: Piece) -> Iterator[Salvaged]:
        self._missed = f"bytes {piece.offset:,} to {piece.end:,} of the pack: {piece.why}"
        self._head.clear()
        file = self._file
        if file is not None and file.member is not None and piece.size is not None and piece.size < file.left:
            file.out.gap(piece.size)
            file.left -= piece.size
        else:
            yield from self._break_off()
        self._skip = max(0, self._skip - piece.size) if piece.size is not None else 0
        yield Salvaged(fate=Fate.LOST, detail=self._missed)

    def _read(self, offset: int, content: bytes) -> Iterator[Salvaged]:
        is_doubtful = self._missed is not None or (self._file is not None and self._file.member is None)
        if is_doubtful and _begins_with_header(content):
            yield from self._break_off()
            self._skip = 0
            self._missed = None
        data = memoryview(content)
        while data:
            if self._skip:
                used = min(self._skip, len(data))
                self._skip -= used
            elif self._file is not None:
                used = len(data) if self._file.member is None else min(self._file.left, len(data))
                yield from self._put(self._file, data[:used])
            else:
                used = min(self._wanted() - len(self._head), len(data))
                self._head += data[:used]
                yield from self._begin(offset)
            data = data[used:]

    def _wanted(self) -> int:
        """How long the header is that is being read, as far as is known by now."""
        if len(self._head) < BLOCK:
            return BLOCK
        return untarring.header_length(bytes(self._head[:BLOCK])) or BLOCK

    def _begin(self, offset: int) -> Iterator[Salvaged]:
        """See what the header says, once all of it was read."""
        if len(self._head) < self._wanted():
            return
        head = bytes(self._head)
        self._head.clear()
        if head == _ZEROS:
            return
        member = untarring.parse_header(head)
        if member is not None and not untarring.is_harmless(member):
            self._skip = tarring.padded(member.size)
            yield Salvaged(fate=Fate.REFUSED, path=member.path, detail="it names a file that no store has")
            return
        self._file = _File(self._folder, member, offset)
        yield from self._put(self._file, b"" if member is not None else head)

    def _put(self, file: _File, data: bytes | memoryview) -> Iterator[Salvaged]:
        try:
            if data:
                file.out.put(data)
        except (OSError, ValueError) as error:
            yield from self._refuse(file, error)
            return
        if file.member is not None:
            file.left -= len(data)
            if not file.left:
                yield from self._settle(file)

    def _settle(self, file: _File) -> Iterator[Salvaged]:
        """Save a file of which there is nothing more."""
        try:
            parts = file.out.settle()
        except (OSError, ValueError) as error:
            yield from self._refuse(file, error)
            return
        self._leave(file)
        whole = any(part.whole for part in parts)
        fate = Fate.UNPROVEN if whole else Fate.PARTLY if parts else Fate.LOST
        yield _told(file, fate, parts, None if whole else self._missed)

    def _break_off(self) -> Iterator[Salvaged]:
        """Save what there is of a file that is not continued."""
        file = self._file
        if file is not None:
            file.left = 0
            yield from self._settle(file)
            self._skip = 0

    def _refuse(self, file: _File, error: OSError | ValueError) -> Iterator[Salvaged]:
        why = why_refused(error)
        self._leave(file)
        yield _told(file, Fate.REFUSED, [], why)

    def _leave(self, file: _File) -> None:
        file.out.drop()
        self._file = None
        if file.member is not None:
            self._skip = file.left + len(tarring.padding(file.member.size))


def _begins_with_header(content: bytes) -> bool:
    length = untarring.header_length(content[:BLOCK])
    return length is not None and untarring.parse_header(content[:length]) is not None


def _told(file: _File, fate: Fate, parts: list[Part], detail: str | None) -> Salvaged:
    if file.member is None:
        detail = "nobody knows what it is of"
    return Salvaged(fate=fate, path=file.path, detail=detail, parts=tuple(parts))
