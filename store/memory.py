"""What a survey read of a store's sessions, for the next one: a session whose file is as it was need not be opened.

What is guarded: nothing is believed of a file that is not, by its fingerprint, the one that was read; and nothing
rests on this file.
Whoever loses it, or finds another one in its place, or one that is damaged, reads the sessions themselves again, and
a plan made from it is looked at again file by file when it is carried out, as every plan is.

Remembered are sessions of which all facts stand in one file (`Layout.lasting`).
Two writes within one tick of the clock can look alike, and what is written through a mapping changes the times only
with the first write after a page was written back: a file that changed shortly before it was read is not remembered.
The change time is part of a fingerprint, and no user can set that one back.

The file holds frames of some hundred sessions each, in the order of their names, so that who surveys a part needs
only a part; a list of these frames; and, last, where that list lies.
It is written by the next name and a rename, and not synced: what a power cut leaves of it has no valid checksums.

Not guarded: a file system whose clock is far behind ours, on which a file that changes looks long settled; and an
owner who forges this file in his own store. He could forge the sessions as well; and what it says
leads nowhere but to files that are listed in the store, of the device, inode, size and times that it tells.
"""

import hashlib
import os
import stat
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

import msgspec

from store import durable, frames, names, opening
from store.facts import Place, Problem, Session
from store.frames import Damaged
from store.spool import Spool

SETTLING = 60.0
"""Seconds before it was read in which a file must not have changed, if what was read is to be remembered.

Linux writes a page back within 35 seconds, unless it is told otherwise.
"""

_LEVEL = 1
_TRAILER = struct.Struct("<QII8s")
_MAGIC = b"maintfct"
_MOST_LIST, _MOST_FRAME = 1 << 26, 1 << 26

Read = Callable[[list[str]], Iterator[Session | Problem]]


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A frame of sessions: the first and the last of their entries, where it lies, and how many it holds."""

    first: str
    last: str
    offset: int
    packed: int
    size: int
    sessions: int


class _List(msgspec.Struct, frozen=True):
    """The list of all frames; ``about`` says of which store, and by which program."""

    about: str
    blocks: list[Block]


class Piece(msgspec.Struct, frozen=True):
    """What is to be remembered of a part of a store: a frame, or the number of one that is there already."""

    first: str = ""
    last: str = ""
    frame: bytes = b""
    size: int = 0
    sessions: int = 0
    same: int | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Session]).decode
_decode_list = msgspec.msgpack.Decoder(_List).decode
_UNREADABLE = (Damaged, OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Memory:
    """What is remembered of a store, read as far as somebody asks; nothing, until something is written."""

    def __init__(self, about: str, fd: int | None = None, blocks: list[Block] | None = None) -> None:
        self.about = about
        self.blocks = blocks or []
        self._fd = fd

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def parts(self, lists: Iterable[list[str]], size: int) -> Iterator[list[str]]:
        """Sorted entries, which come in lists, in parts of about ``size`` that end where frames do."""
        last: list[str] = []
        for entries in lists:
            parts = self._parts(last + entries if last else entries, size)
            last = next(parts)
            for part in parts:
                yield last
                last = part
        if last:
            yield last

    def _parts(self, entries: list[str], size: int) -> Iterator[list[str]]:
        """At least one part."""
        start = 0
        for block in self.blocks[bisect_right(self.blocks, entries[0], key=_first_of) :] if entries else ():
            stop = bisect_left(entries, block.first, start)
            if stop - start >= size // 2:
                yield from _evenly(entries[start:stop], size)
                start = stop
            if stop == len(entries):
                break
        yield from _evenly(entries[start:], size)

    def known(self, entries: list[str]) -> tuple[dict[str, Session], int | None]:
        """What is remembered of a part, by entry, and the number of the frame, if all of it stands in one."""
        low = bisect_left(self.blocks, entries[0], key=_last_of)
        high = bisect_right(self.blocks, entries[-1], lo=low, key=_first_of)
        found: dict[str, Session] = {}
        for number in range(low, high):
            with suppress(*_UNREADABLE, IndexError, OverflowError):
                content = frames.decompress(self.frame(number), self.blocks[number].size)
                found.update((session.members[0].path, session) for session in _decode(content))
        return found, low if high - low == 1 else None

    def frame(self, number: int) -> bytes:
        """The bytes of a frame; OSError as reading does."""
        block = self.blocks[number]
        return b"" if self._fd is None else os.pread(self._fd, block.packed, block.offset)


def recall(root: int, about: str) -> Memory:
    """What is remembered of a store in our folder below ``root``, if the same program wrote it of the same store."""
    try:
        fd = opening.open_below(root, names.FACTS)
    except OSError:
        return Memory(about)
    try:
        found = os.fstat(fd)
        if opening.refuse_reason(found, os.fstat(root)) is None:
            at, packed, size, magic = _TRAILER.unpack(
                os.pread(fd, _TRAILER.size, found.st_size - _TRAILER.size)
            )
            if magic == _MAGIC and size <= _MOST_LIST and packed <= _MOST_LIST:
                listed = _decode_list(frames.decompress(os.pread(fd, packed, at), size))
                if listed.about == about and all(block.packed <= _MOST_FRAME for block in listed.blocks):
                    return Memory(about, fd, listed.blocks)
    except (*_UNREADABLE, struct.error, OverflowError):
        pass
    os.close(fd)
    return Memory(about)


def about(place: Place, program: str) -> str:
    """Of which store something is remembered, and how it was read: by which program, in which condition.

    So whoever changes what is read of a session need not think of those who remember it otherwise.
    """
    digest = hashlib.sha256(repr((program, place.name, place.kind, sorted(place.roots.items()))).encode())
    with suppress(OSError):
        here = os.path.dirname(__file__)
        for folder in (here, f"{here}/layouts", f"{here}/layouts/{place.kind.replace('-', '_')}"):
            for each in sorted(os.scandir(folder), key=lambda each: each.name):
                if each.name.endswith(".py"):
                    found = each.stat()
                    digest.update(f"{each.name} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()


def again(
    place: Place, known: Mapping[str, Session], entries: list[str], read: Read
) -> Iterator[Session | Problem]:
    """The facts of each entry, in order: those that are known, where the file is as it was, else what is ``read``."""
    folder = opening.open_folder(place.path)
    try:
        around = os.fstat(folder)
        root = next(iter(place.roots))
        unknown: list[str] = []
        for entry in entries:
            session = known.get(entry)
            if session is None or not _is_as_it_was(session, entry, root, place, folder, around):
                unknown.append(entry)
                continue
            if unknown:
                yield from read(unknown)
                unknown = []
            yield session
        if unknown:
            yield from read(unknown)
    finally:
        os.close(folder)


def _is_as_it_was(
    session: Session, entry: str, root: str, place: Place, folder: int, around: os.stat_result
) -> bool:
    """Whether the file is the one that was read; what could not be what was written is not believed either."""
    if len(session.members) != 1:
        return False
    try:
        found = os.stat(entry, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    member = session.members[0]
    was = member.fingerprint
    return (
        found.st_mtime_ns == was.mtime_ns
        and found.st_ctime_ns == was.ctime_ns
        and found.st_size == was.size == session.bytes
        and found.st_ino == was.inode
        and found.st_dev == was.device == around.st_dev
        and found.st_nlink == 1
        and found.st_uid == around.st_uid
        and stat.S_ISREG(found.st_mode)
        and member.root == root
        and member.path == entry
        and session.store == place.name
        and session.kind == place.kind
        and not session.payload
        and not session.pointers
    )


def piece_of(
    sessions: list[Session], known: Mapping[str, Session], number: int | None, before: float
) -> Piece:
    """What is to be remembered of a part; of its sessions only those that last changed well before this moment.

    If that is just what frame ``number`` holds, then only its number.
    """
    limit = int((before - SETTLING) * 1e9)
    lasting = [
        each
        for each in sessions
        if (was := each.members[0].fingerprint).ctime_ns < limit and was.mtime_ns < limit
    ]
    if (
        number is not None
        and len(lasting) == len(known)
        and all(known.get(each.members[0].path) is each for each in lasting)
    ):
        return Piece(same=number)
    if not lasting:
        return Piece()
    try:
        content = _encode(lasting)
    except UnicodeEncodeError:  # of a name that is no UTF-8
        return Piece()
    first, last = lasting[0].members[0].path, lasting[-1].members[0].path
    return Piece(first, last, frames.compress(content, _LEVEL), len(content), len(lasting))


class Learned:
    """What a survey has read, in the order of the entries, until it is written."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._spool = Spool()
        self._blocks: list[Block] = []
        self._same = 0

    def take(self, piece: Piece) -> None:
        """Take in the next part."""
        if piece.same is not None:
            self._same += 1
            block = self._memory.blocks[piece.same]
            self._add(block, self._memory.frame(piece.same))
        elif piece.sessions:
            self._add(Block(piece.first, piece.last, 0, 0, piece.size, piece.sessions), piece.frame)

    def _add(self, block: Block, frame: bytes) -> None:
        self._blocks.append(msgspec.structs.replace(block, offset=self._spool.size, packed=len(frame)))
        self._spool.append(frame)

    def is_news(self) -> bool:
        """Whether something else is known than what stands there already."""
        return not self._same == len(self._blocks) == len(self._memory.blocks)

    def write(self, root: int) -> None:
        """Remember it, below ``root``, instead of what was remembered; under the store's lock.

        Where it cannot be written nothing is remembered, which costs the next survey some time and nothing else.
        """
        with suppress(OSError), opening.parent_of(root, names.FACTS_NEW) as (folder, name):
            with suppress(FileNotFoundError):  # of a run that was killed while it wrote
                os.unlink(name, dir_fd=folder)
            fd = durable.create(folder, name)
            try:
                self._write(fd)
                os.replace(name, names.FACTS.rpartition("/")[2], src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                durable.remove_exactly(folder, name, fd)
                raise
            finally:
                os.close(fd)

    def _write(self, fd: int) -> None:
        for data in self._spool.blocks():
            durable.write_all(fd, data)
        content = _encode(_List(self._memory.about, self._blocks))
        packed = frames.compress(content, _LEVEL)
        durable.write_all(fd, packed + _TRAILER.pack(self._spool.size, len(packed), len(content), _MAGIC))


def _evenly(entries: list[str], size: int) -> Iterator[list[str]]:
    """Parts of at least ``size``, and less than twice as many, but for what there is at most."""
    parts = max(1, len(entries) // size)
    for number in range(parts):
        yield entries[number * len(entries) // parts : (number + 1) * len(entries) // parts]


def _first_of(block: Block) -> str:
    return block.first


def _last_of(block: Block) -> str:
    return block.last
