"""A session as a file by itself: ``X.ndjson.zst`` beside the place of ``X.ndjson``, for programs that read such files.

What is guarded: every bit of such a file is vouched for by another.
Its content is that of the session and nothing else, for whoever has `zstd`.
Behind it a note, which decoders pass over, has what a manifest has: the line of the session, and the digest of each
frame; a second note has the digest of the first, and the seek table says no more than they do.

    frames of the session | note: its line, its frames | note: digest of that one | seek table

Not guarded: that the file is ours. What is restored from it stays within the store all the same.
"""

import hashlib
import os
from collections.abc import Callable, Iterator

import msgspec

from store import durable, frames, looking, manifest, names, opening, packing
from store.facts import Member
from store.frames import Damaged, Span
from store.manifest import Entry, PackedMember
from store.packing import RawFrame, Wanted
from store.packs import PackReader
from store.roots import RootFds

FORMAT = 1
_NOTES = 2
_MOST_NOTE = 64 << 20


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """By what a session is made a file by itself: the same for all of a run."""

    run: str
    at: str
    store: str
    kind: str
    policy_sha256: str
    level: int
    maint: str


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What such a file says of itself: how it was made, its session, and its frames as in `store.manifest.Head`."""

    format: int
    making: Making
    session: Entry
    frames: tuple[tuple[int, int, str], ...]


class Filed(msgspec.Struct, frozen=True):
    """Such a file as it was found: its place below the first root, its note, and its fingerprint."""

    file: Member
    note: Note

    @property
    def run(self) -> str:
        """The run that made it."""
        return self.note.making.run


class Unread(msgspec.Struct, frozen=True):
    """A file that by its name could be one, and is none of ours, damaged, or cannot be read: where, and why."""

    path: str
    why: str


class SingleReader(PackReader):
    """Such a file while it is read: a pack of one session, whose frames hold nothing but its content."""

    def __init__(self, fd: int, note: Note, digest: bytes) -> None:
        super().__init__(fd, _spans(note.frames), _digests(note.frames), note.session.members[0].root)
        self.note = note
        self.digest = digest

    @property
    def entry(self) -> Entry:
        """The line of the session."""
        return self.note.session

    def members(self, entry: Entry) -> Iterator[tuple[PackedMember, Iterator[memoryview]]]:
        """The one member with its content, as `PackReader.members` has it."""
        yield entry.members[0], self._content(entry.members[0])

    def _content(self, member: PackedMember) -> Iterator[memoryview]:
        digest = hashlib.sha256()
        for number, span in enumerate(self.spans):
            data = frames.decompress(self.raw(number)[0], span.size)
            digest.update(data)
            yield memoryview(data)
        if digest.hexdigest() != member.sha256:
            raise Damaged(f"{names.printable(member.path)} is not what was packed")


_decode = msgspec.json.Decoder(Note).decode
_encode = msgspec.json.Encoder().encode


def open_single(roots: RootFds, root: str, path: str) -> SingleReader:
    """Open such a file by its path, and see that its ends fit together; raises `Damaged`, or OSError."""
    with opening.parent_of(roots[root], path) as (folder, name):
        reader = open_at(folder, name)
    member = reader.entry.members[0]
    if member.root != root or names.zst_path(member.path) != path:
        reader.close()
        raise Damaged(f"it is that of {names.printable(member.path)}")
    return reader


def open_at(folder: int, name: str) -> SingleReader:
    """As `open_single`, wherever the file lies now."""
    fd = opening.open_session(folder, name)
    try:
        return SingleReader(fd, *_read_note(fd))
    except BaseException:
        os.close(fd)
        raise


def _read_note(fd: int) -> tuple[Note, bytes]:
    """The note, and its digest; `Damaged` unless all that is not content is as we would have written it."""
    size = os.fstat(fd).st_size
    if size < frames.FOOTER_SIZE:
        raise Damaged("it is shorter than a seek table")
    length = frames.table_size(_pread(fd, size - frames.FOOTER_SIZE, frames.FOOTER_SIZE))
    if length > min(size, _MOST_NOTE):
        raise Damaged("its seek table is longer than itself")
    spans = frames.parse_seek_table(_pread(fd, size - length, length))
    if len(spans) <= _NOTES or spans[-1].end + length != size:
        raise Damaged("its seek table is not one of ours")
    first, second = spans[-_NOTES:]
    if first.size or second.size or first.packed > _MOST_NOTE or second.packed > _MOST_NOTE:
        raise Damaged("its notes are none of ours")
    raw = _pread(fd, first.offset, first.packed)
    digest = frames.digest(raw)
    if frames.parse_note(_pread(fd, second.offset, second.packed)) != digest:
        raise Damaged("its note is not what was written")
    note = _parse(frames.parse_note(raw))
    if _spans(note.frames) != spans[:-_NOTES]:
        raise Damaged("its seek table contradicts its note")
    return note, digest


def _parse(line: bytes) -> Note:
    try:
        note = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"its note cannot be read: {error}") from None
    if note.format != FORMAT:
        raise Damaged(f"its note is of format {note.format}; this maint knows {FORMAT}")
    entry = manifest.checked_entry(manifest.encode_entry(note.session))
    if len(entry.members) != 1 or entry.members[0].link is not None or not names.is_run_id(note.making.run):
        raise Damaged("its note contradicts itself")
    if sum(size for _, size, _ in note.frames) != entry.size:
        raise Damaged("its note contradicts itself")
    return note


def _spans(told: tuple[tuple[int, int, str], ...]) -> list[Span]:
    found: list[Span] = []
    offset = 0
    for packed, size, _ in told:
        if not 0 < packed <= _most_packed(size) or not 0 <= size <= frames.MOST_CONTENT:
            raise Damaged("its note tells of a frame that cannot be")
        found.append(Span(offset, packed, size))
        offset += packed
    return found


def _most_packed(size: int) -> int:
    """More than zstd makes of so many bytes, however bad they compress: no more than that is read at once."""
    return size + (size >> 7) + 1024


def _digests(told: tuple[tuple[int, int, str], ...]) -> list[bytes]:
    try:
        return [bytes.fromhex(digest) for _, _, digest in told]
    except ValueError:
        raise Damaged("its note has a digest that is none") from None


def _pread(fd: int, offset: int, size: int) -> bytes:
    data = os.pread(fd, size, offset)
    if len(data) != size:
        raise Damaged("it is cut off")
    return data


def write(new: int, fd: int, wanted: Wanted, making: Making) -> tuple[Note, bytes]:
    """Fill a new file with the one session that is open at ``fd``, as it was planned; the note, and its digest.

    Raises Skip if there are fewer bytes than were planned.
    """
    (member,) = wanted.members
    content = hashlib.sha256()
    spans: list[Span] = []
    told: list[tuple[int, int, bytes]] = []
    offset = 0
    for frame, size, digest in _frames_of(fd, member.fingerprint.size, making.level, content.update):
        durable.write_all(new, frame)
        spans.append(Span(offset, len(frame), size))
        told.append((len(frame), size, digest))
        offset += len(frame)
    described = packing.describe_member(member, os.fstat(fd), content.hexdigest())
    entry = Entry(id=wanted.id, members=(described,), account=wanted.account, why=wanted.why, packed=offset)
    note = Note(format=FORMAT, making=making, session=entry, frames=manifest.frames_of(told))
    first = frames.note(_encode(note) + b"\n")
    digest = frames.digest(first)
    second = frames.note(digest)
    for each in (first, second):
        durable.write_all(new, each)
        spans.append(Span(offset, len(each), 0))
        offset += len(each)
    durable.write_all(new, frames.seek_table(spans))
    return note, digest


def _frames_of(fd: int, size: int, level: int, note: Callable[[bytes], None]) -> Iterator[RawFrame]:
    """The frames of a file, one in memory at a time but for the beginning, which is tried both ways."""
    head = _read(fd, 0, min(size, packing.LARGE))
    plain = packing.plain_frames(head, level) or [packing.raw_frame(b"", level)]
    if len(plain) > 1 and packing.repeats_itself(head, level, sum(len(frame) for frame, _, _ in plain)):
        plain.clear()
        done, step = 0, frames.LONG_FRAME
    else:
        note(head)
        done, step = len(head), packing.OWN_FRAME
    del head
    yield from plain
    for start in range(done, size, step):
        data = _read(fd, start, min(start + step, size))
        note(data)
        yield packing.raw_frame(data, level, long=step == frames.LONG_FRAME)


def _read(fd: int, start: int, stop: int) -> bytes:
    return b"".join(packing.blocks(fd, start, stop))


def is_foreign(name: str, reason: Damaged) -> str:
    """What is said of a file that has the name of such a file, and is none."""
    return f"{names.printable(name)} is there, and is none of ours, or damaged: {reason}"


def cannot_be_looked_at(name: str, error: OSError) -> str:
    """What is said of something that has the name of such a file, and cannot be opened."""
    return f"{names.printable(name)} cannot be looked at: {(error.strerror or str(error)).lower()}"


def look(roots: RootFds, root: str, path: str) -> Filed:
    """The file at this path, as far as its note goes; raises `Damaged`, or OSError."""
    with open_single(roots, root, path) as reader:
        return Filed(Member(root, path, opening.fingerprint(os.fstat(reader.fd))), reader.note)


def look_at_all(roots: RootFds, is_session: Callable[[str, str], object]) -> Iterator[Filed | Unread]:
    """All files that `find` finds, in the order of their paths; one that has gone meanwhile is left out."""
    for path in find(roots, is_session):
        try:
            yield look(roots, roots.first, path)
        except Damaged as reason:
            yield Unread(path, str(reason))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Unread(path, (error.strerror or str(error)).lower())


def find(roots: RootFds, is_session: Callable[[str, str], object]) -> Iterator[str]:
    """The names in the first root of all files that by them are sessions archived so, in order.

    ``is_session`` is asked for the place of each session. Only what lies in the root itself is made such a file; what
    a program compresses in folders below that is its own. So is a file that does not even end as ours do, while the
    session itself lies beside it: of ours, no truncation could be told there otherwise.
    """
    folder, root = roots[roots.first], roots.first
    with os.scandir(folder) as listed:
        found = [
            each.name
            for each in listed
            if each.name.endswith(names.ZST) and not each.is_dir(follow_symlinks=False)
        ]
    for name in sorted(found):
        place = names.parse_zst_path(name)
        if place is None or not is_session(root, place):
            continue
        if looking.stat_at(folder, place) is not None and not _ends_as_ours(folder, name):
            continue
        yield name


def _ends_as_ours(folder: int, name: str) -> bool:
    """Whether a file ends with a seek table; one that cannot be read may."""
    try:
        fd = opening.open_session(folder, name)
    except OSError:
        return True
    try:
        size = os.fstat(fd).st_size
        frames.table_size(os.pread(fd, frames.FOOTER_SIZE, max(0, size - frames.FOOTER_SIZE)))
    except OSError:
        return True
    except Damaged:
        return False
    finally:
        os.close(fd)
    return True
