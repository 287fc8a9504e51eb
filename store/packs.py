"""Packs: writing one, and reading what is in it without unpacking the rest.

What is guarded: a pack gets its name when it is whole, durable and read back, and never another's; and every bit
of it is vouched for by another.
The manifest has the digest of each frame, a note behind it the digest of the manifest's own frame, and the seek
table at the end says no more than the manifest does: whoever opens a pack compares the three, and whoever reads a
frame its digest, before it is decoded.

    frames of sessions | frame of the manifest | note: its digest | seek table

Not guarded: that a pack is ours. Somebody who can write to its folder can make another one; what is restored from
it stays within the store all the same.
"""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Self

import msgspec

from store import durable, frames, manifest, names, opening, syscalls, tarring
from store.durable import Poisoned
from store.frames import Damaged, Span
from store.manifest import Entry, Head, PackedMember
from store.packing import RawFrame

_MOST_MANIFEST = 64 << 20
_ENDS = 2  # frames behind those of sessions: the manifest's and the note
_KEPT, _MOST_KEPT = 2, 16 << 20
"""Frames that are kept decoded, because a session may end in the one where the next begins, and their bytes: of those
that a large session has for itself, one."""
_BLOCK = 1 << 20


class PackWriter:
    """A pack that is being written, under a name of its own, in a folder of packs.

    Nothing of it counts before `seal`; without it, `drop` leaves nothing.
    """

    def __init__(self, folder: int, name: str) -> None:
        self._folder = folder
        self.name = name
        self.spans: list[Span] = []
        self.digests: list[bytes] = []
        self._new = names.unsealed_name(name)
        self.fd = durable.create(folder, self._new, flags=os.O_RDWR)

    @property
    def size(self) -> int:
        """Its bytes so far."""
        return self.spans[-1].end if self.spans else 0

    @property
    def file_size(self) -> int:
        """The bytes of the file, once it is finished."""
        return os.fstat(self.fd).st_size

    def append(self, raw: Iterable[RawFrame]) -> int:
        """Write frames, which go to the disk from now on; the number of the first of them."""
        first, start = len(self.spans), self.size
        for frame, size, digest in raw:
            durable.write_all(self.fd, frame)
            self.spans.append(Span(self.size, len(frame), size))
            self.digests.append(digest)
        # Else all of a pack would be waited for when it is finished.
        syscalls.begin_writing(self.fd, start, self.size - start)
        return first

    def cut(self, frames_kept: int) -> None:
        """Take back all frames from this number on."""
        del self.spans[frames_kept:]
        del self.digests[frames_kept:]
        os.ftruncate(self.fd, self.size)
        os.lseek(self.fd, self.size, os.SEEK_SET)

    def finish(self, head: Head, lines: Iterable[bytes]) -> None:
        """Write the manifest and all that ends a pack; durable on return, and the kernel's copy forgotten."""
        text = manifest.encode_head(head) + b"".join(lines)
        now = os.fstat(self.fd)
        tar = tarring.header(names.MANIFEST, len(text), 0o600, now.st_mtime_ns, now.st_uid, now.st_gid)
        content = b"".join((tar, text, tarring.padding(len(text)), tarring.END))
        if len(content) > _MOST_MANIFEST:
            raise OSError(errno.EFBIG, f"its manifest would be {len(content):,} bytes long", self.name)
        frame = frames.compress(content, head.level)
        note = frames.note(frames.digest(frame))
        listed = Span(self.size, len(frame), len(content))
        table = frames.seek_table([*self.spans, listed, Span(listed.end, len(note), 0)])
        durable.write_all(self.fd, frame + note + table)
        durable.sync_file(self.fd, self._new)
        with contextlib.suppress(OSError, AttributeError):  # it is advice
            os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def seal(self) -> None:
        """Give it its name, durably; FileExistsError if there is a pack of that name."""
        syscalls.rename_noreplace(self._new, self.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        durable.sync_folder(self._folder, self.name)
        self.close()

    def drop(self) -> None:
        """Leave nothing of it, unless it was sealed."""
        if self.fd >= 0:
            durable.remove_exactly(self._folder, self._new, self.fd)
            if os.fstat(self.fd).st_nlink == 0:
                # Workers that were forked meanwhile have it open, too, and its room is wanted at once.
                with contextlib.suppress(OSError):
                    os.ftruncate(self.fd, 0)
            self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class PackReader:
    """A pack that is read: its frames by number, and the sessions in them.

    ``spans`` and ``digests`` are those of the frames of sessions, as its manifest has them.
    """

    def __init__(self, fd: int, spans: list[Span], digests: list[bytes], first: str) -> None:
        self.fd = fd
        self.spans = spans
        self.digests = digests
        self.first = first
        self._kept: dict[int, bytes] = {}

    @classmethod
    def open(
        cls, folder: int, name: str, spans: list[Span], digests: list[bytes], first: str
    ) -> "PackReader":
        """A pack whose manifest was read before; OSError if it cannot be opened."""
        return PackReader(opening.open_session(folder, name), spans, digests, first)

    def frame(self, number: int) -> bytes:
        """The content of a frame; `Damaged` if it is not what was written."""
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        raw, size, _ = self.raw(number)
        # Before the next one is there: three may be too many.
        while self._kept and (
            len(self._kept) >= _KEPT or size + sum(map(len, self._kept.values())) > _MOST_KEPT
        ):
            del self._kept[next(iter(self._kept))]
        data = self._kept[number] = frames.decompress(raw, size)
        return data

    def raw(self, number: int) -> RawFrame:
        """A frame as it lies there, with its content's length and its digest; `Damaged` if that is another one."""
        if not 0 <= number < len(self.spans):
            raise Damaged(f"it has no frame {number}")
        span = self.spans[number]
        raw = _read(self.fd, span.offset, span.packed)
        if frames.digest(raw) != self.digests[number]:
            raise Damaged(f"frame {number} is not what was written")
        return raw, span.size, self.digests[number]

    def members(self, entry: Entry) -> Iterator[tuple[PackedMember, Iterator[memoryview]]]:
        """The members of a session in order, each with its content in blocks, which must be taken in that order.

        Taking the last block of one that is not what was packed raises `Damaged`: nothing may be made of the
        blocks before that.
        """
        if entry.frame < len(self.spans) and entry.at >= self.spans[entry.frame].size:
            raise Damaged("a session is said to begin where its frame has ended")
        tape = _Tape(self, entry.frame, entry.at)
        for member in entry.members:
            expected = member.header(self.first)
            if b"".join(tape.take(len(expected))) != expected:
                raise Damaged(f"{names.printable(member.path)} has another header than was written")
            yield member, _content(tape, member)
            tape.skip(len(tarring.padding(member.size)))

    def check(self, entry: Entry) -> None:
        """Read a session, and raise `Damaged` if anything of it is not what was packed."""
        if not self._is_sound_in_one(entry):
            for _, content in self.members(entry):
                for _ in content:
                    pass

    def _is_sound_in_one(self, entry: Entry) -> bool:
        """Whether a session lies in one frame, as it was packed; the usual case, told in a third of the time."""
        frame = self.frame(entry.frame)
        data = memoryview(frame)
        at = entry.at
        for member in entry.members:
            header = member.header(self.first)
            start = at + len(header)
            end = start + member.size
            if (
                member.link is not None
                or end > len(data)
                or not frame.startswith(header, at)
                or hashlib.sha256(data[start:end]).hexdigest() != member.sha256
            ):
                return False
            at = start + tarring.padded(member.size)
        return True

    def close(self) -> None:
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OpenPack(PackReader):
    """A pack that was opened by its own manifest: ``head`` is the pack's own line, ``lines`` the sessions'."""

    def __init__(self, fd: int, head: Head, lines: list[bytes]) -> None:
        super().__init__(fd, manifest.spans_of(head), manifest.digests_of(head), head.first)
        self.head = head
        self.lines = lines

    def entries(self) -> Iterator[Entry]:
        """The sessions in it, in order."""
        return manifest.entries(self.lines)


def open_pack(folder: int, name: str, *, sealed: bool = True) -> OpenPack:
    """Open a pack by the name it has, or will have once it is ``sealed``, and see that its ends fit together.

    Raises `Damaged`, or OSError.
    """
    fd = opening.open_session(folder, name if sealed else names.unsealed_name(name))
    try:
        return OpenPack(fd, *_read_ends(fd, name))
    except BaseException:
        os.close(fd)
        raise


def require_sound(raw: OpenPack, writer: PackWriter, lines: Iterable[bytes]) -> None:
    """See that a pack reads back from the disk with the frames and the lines that were written; else `Poisoned`."""
    if (
        raw.spans != writer.spans
        or manifest.digests_of(raw.head) != writer.digests
        or raw.lines != [line[:-1] for line in lines]
    ):
        raise Poisoned(errno.EIO, "another manifest was read back than was written", writer.name)


def _read_ends(fd: int, name: str) -> tuple[Head, list[bytes]]:
    size = os.fstat(fd).st_size
    if size < frames.FOOTER_SIZE:
        raise Damaged("it is shorter than a seek table")
    length = frames.table_size(_read(fd, size - frames.FOOTER_SIZE, frames.FOOTER_SIZE))
    if length > size:
        raise Damaged("its seek table is longer than itself")
    spans = frames.parse_seek_table(_read(fd, size - length, length))
    if len(spans) < _ENDS or (spans[-1].packed, spans[-1].size) != (frames.note_size(frames.DIGEST_SIZE), 0):
        raise Damaged("its seek table does not tell of a manifest and a note")
    *spans, last, note = spans
    if note.end + length != size:
        raise Damaged(f"it is {size:,} bytes long, and its seek table says {note.end + length:,}")
    if last.size > _MOST_MANIFEST or last.packed > frames.most_packed(last.size):
        raise Damaged("its manifest is larger than any of ours")
    raw = _read(fd, last.offset, last.packed)
    if frames.parse_note(_read(fd, note.offset, note.packed)) != frames.digest(raw):
        raise Damaged("the frame of its manifest is not what was written")
    head, lines = manifest.parse(_manifest_text(frames.decompress(raw, last.size)))
    if manifest.spans_of(head) != spans:
        raise Damaged("its seek table contradicts its manifest")
    if head.pack != name:
        raise Damaged(f"its manifest is that of {names.printable(head.pack)}")
    return head, lines


def _manifest_text(content: bytes) -> bytes:
    """The manifest out of the last piece of the tar: behind its header, before the zeros."""
    start = content.find(b'{"')
    stop = content.rfind(b"\n") + 1
    if start <= 0 or start % tarring.BLOCK or content[stop:].strip(b"\0"):
        raise Damaged("the frame of its manifest holds something else")
    return content[start:stop]


class _Tape:
    """The tar from a place on, through as many frames as it takes."""

    def __init__(self, pack: PackReader, frame: int, at: int) -> None:
        self._pack = pack
        self._frame = frame
        self._at = at

    def take(self, size: int) -> Iterator[memoryview]:
        while size:
            data = self._pack.frame(self._frame)
            if self._at >= len(data):
                self._frame, self._at = self._frame + 1, self._at - len(data)
                continue
            piece = memoryview(data)[self._at : self._at + min(size, _BLOCK)]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def skip(self, size: int) -> None:
        self._at += size


def _content(tape: _Tape, member: PackedMember) -> Iterator[memoryview]:
    digest = hashlib.sha256()
    if member.link is not None:
        digest.update(member.link.encode("utf-8", "surrogateescape"))
    for piece in tape.take(member.size):
        digest.update(piece)
        yield piece
    if digest.hexdigest() != member.sha256:
        raise Damaged(f"{names.printable(member.path)} is not what was packed")


def _read(fd: int, offset: int, size: int) -> bytes:
    try:
        data = os.pread(fd, size, offset)
    except OSError as error:
        raise Damaged(f"it cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) != size:
        raise Damaged("it is cut off")
    return data


class Verdict(msgspec.Struct, frozen=True):
    """What reading some sessions of a pack came to: how many were sound, how long they are, and which were not."""

    sound: int
    bytes: int
    damaged: tuple[tuple[str, str], ...]


def verify(pack: PackReader, lines: Iterable[bytes]) -> Verdict:
    """Read the sessions of these lines, all of them, whatever is found; one whose line is none has no name."""
    sound = size = 0
    damaged: list[tuple[str, str]] = []
    for line in lines:
        name = ""
        try:
            entry = manifest.checked_entry(line)
            name = entry.id
            pack.check(entry)
        except Damaged as reason:
            damaged.append((name, str(reason)))
        else:
            sound += 1
            size += entry.size
    return Verdict(sound, size, tuple(damaged))
