"""Reading sessions into frames of a pack.

What is guarded: what goes into a frame is one session as it was at one moment.
Each file is looked at before and after it is read; one that is not as it was planned, or that changes meanwhile,
is left out with all of its session, and stays where it is.

Sessions that are small share frames of about two mebibytes, which end where a session ends.
A larger one has frames of its own of at most four, so that its head or its tail can be read alone; unless it
repeats itself over long distances, as transcripts do that show the same picture again and again: then the frames
are as long as the window of long-distance matching, and the session a fraction of the size.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from store import frames, looking, manifest, opening, tarring
from store.facts import Account, Fingerprint, Member
from store.looking import Gone, Skip
from store.manifest import Entry, PackedFolder, PackedMember
from store.roots import RootFds

FRAME = 2 << 20
"""Bytes of tar from which on a frame is closed at the end of a session."""

OWN_FRAME = 4 << 20
"""Bytes of content of the frames of a session that has its own."""

LARGE = 16 << 20
"""Bytes from which on a session is not read as a whole, but in ranges of that length."""

_TRY_LONG = 8 << 20  # from this length on a session is worth a try whether it repeats itself
_POOR = 0.4  # a session that compresses no better than this is worth one from a frame's length on
_BLOCK = 1 << 20
_PAYS = 0.8  # by how much smaller it must become to be worth frames that are harder to read

RawFrame = tuple[bytes, int, bytes]
"""A frame, how long its content is, and its digest."""


class Wanted(NamedTuple):
    """A session that is to be packed: its place in the plan, and what is known of it.

    ``folders`` are those that were made for it alone, as `store.emptied.folders_of` has them.
    """

    n: int
    id: str
    members: tuple[Member, ...]
    account: Account
    why: str
    folders: tuple[tuple[str, str, int], ...] = ()


class Batch(NamedTuple):
    """Frames of some sessions, and their lines without the number of the frame, which counts from these.

    ``packed`` are (place in the plan, frame, line), ``left_out`` (place in the plan, why): what is not as planned.
    ``unread``, likewise, are those that are, and cannot be read.
    """

    frames: list[RawFrame]
    packed: list[tuple[int, int, bytes]]
    left_out: list[tuple[int, str]]
    unread: list[tuple[int, str]]


class _Read(NamedTuple):
    """A file that was read: what the manifest says of it, and its content."""

    member: PackedMember
    content: bytes


def pack(roots: RootFds, wanted: list[Wanted], level: int) -> Batch:
    """The frames of sessions that are read as a whole, in this order; those that cannot be packed are left out."""
    batch = Batch([], [], [], [])
    first = roots.first
    buffer = bytearray()
    waiting: list[tuple[Wanted, int, int, tuple[PackedMember, ...]]] = []

    def close_frame() -> None:
        if not buffer:
            return
        batch.frames.append(raw_frame(buffer, level))
        share = len(batch.frames[-1][0]) / len(buffer)
        for each, at, size, members in waiting:
            entry = Entry(
                id=each.id,
                members=members,
                account=each.account,
                why=each.why,
                packed=max(1, round(size * share)),
                at=at,
                folders=describe_folders(each),
            )
            batch.packed.append((each.n, len(batch.frames) - 1, manifest.encode_entry(entry)))
        waiting.clear()
        buffer.clear()

    for each in wanted:
        try:
            read = [_read(roots, member) for member in each.members]
        except Skip as skip:
            batch.left_out.append((each.n, str(skip)))
            continue
        except OSError as error:
            batch.unread.append((each.n, (error.strerror or str(error)).lower()))
            continue
        members = tuple(file.member for file in read)
        pieces = [
            piece
            for member, content in read
            for piece in (member.header(first), content, tarring.padding(member.size))
        ]
        size = sum(map(len, pieces))
        if size > FRAME:
            close_frame()
            own = _own_frames(b"".join(pieces), level)
            entry = Entry(
                id=each.id,
                members=members,
                account=each.account,
                why=each.why,
                packed=sum(len(frame) for frame, _, _ in own),
                folders=describe_folders(each),
            )
            batch.packed.append((each.n, len(batch.frames), manifest.encode_entry(entry)))
            batch.frames.extend(own)
            continue
        waiting.append((each, len(buffer), size, members))
        for piece in pieces:
            buffer += piece
        if len(buffer) >= FRAME:
            close_frame()
    close_frame()
    return batch


def raw_frame(data: bytes | bytearray | memoryview, level: int, *, long: bool = False) -> RawFrame:
    """A frame with this content."""
    frame = frames.compress_long(data, level) if long else frames.compress(data, level)
    return frame, len(data), frames.digest(frame)


def repeats_itself(data: bytes, level: int, plain: int) -> bool:
    """Whether long-distance matching makes this so much smaller than the ``plain`` bytes of its frames that it pays."""
    if len(data) < _TRY_LONG and plain < _POOR * len(data):
        return False
    return len(frames.compress_long(data, level)) < _PAYS * plain


def plain_frames(data: bytes | memoryview, level: int) -> list[RawFrame]:
    """Frames with this content, of at most `OWN_FRAME` each."""
    view = memoryview(data)
    return [raw_frame(view[at : at + OWN_FRAME], level) for at in range(0, len(view), OWN_FRAME)]


def total_size(wanted: Wanted) -> int:
    """The bytes of a session, by its fingerprints."""
    return sum(member.fingerprint.size for member in wanted.members)


def read_range(roots: RootFds, member: Member, start: int, stop: int) -> bytes:
    """The bytes of a file from ``start`` up to ``stop``, if it is as planned before and after; else Skip."""
    with looking.opened(roots, member) as (fd, folder, _):
        looking.require_planned(os.fstat(fd), os.fstat(folder), member.fingerprint)
        data = _read_exactly(fd, start, stop - start)
        _require_unchanged(fd, member.fingerprint)
    return data


def describe_member(
    member: Member, found: os.stat_result, sha256: str, link: str | None = None
) -> PackedMember:
    """What the manifest says of a file."""
    return PackedMember(
        root=member.root,
        path=member.path,
        size=0 if link is not None else found.st_size,
        mtime_ns=found.st_mtime_ns,
        mode=stat.S_IMODE(found.st_mode),
        sha256=sha256,
        uid=found.st_uid,
        gid=found.st_gid,
        link=link,
    )


def describe_folders(wanted: Wanted) -> tuple[PackedFolder, ...]:
    """What the manifest says of the folders that were made for a session alone."""
    return tuple(PackedFolder(root=root, path=path, mode=mode) for root, path, mode in wanted.folders)


def blocks(fd: int, start: int, stop: int) -> Iterator[bytes]:
    """The bytes of a file from ``start`` up to ``stop`` in blocks; Skip if there are fewer."""
    while start < stop:
        yield _read_exactly(fd, start, min(_BLOCK, stop - start))
        start += _BLOCK


def _own_frames(data: bytes, level: int) -> list[RawFrame]:
    plain = plain_frames(data, level)
    if len(plain) > 1 and repeats_itself(data, level, sum(len(frame) for frame, _, _ in plain)):
        return [
            raw_frame(memoryview(data)[at : at + frames.LONG_FRAME], level, long=True)
            for at in range(0, len(data), frames.LONG_FRAME)
        ]
    return plain


def _read(roots: RootFds, member: Member) -> _Read:
    folder_path, _, name = member.path.rpartition("/")
    try:
        folder, fd = looking.open_below(roots, member.root, folder_path, name)
    except FileNotFoundError:
        raise Gone from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            folder = roots.existing(member.root, folder_path) if folder_path else roots[member.root]
            return _read_link(folder, name, member)
        raise looking.as_skip(error) from None
    try:
        found = os.fstat(fd)
        around = roots.stat(member.root) if not folder_path else os.fstat(folder)
        looking.require_planned(found, around, member.fingerprint)
        looking.require_quiet(fd)  # else it would be packed, and stay, each time anew
        content = _read_exactly(fd, 0, found.st_size)
        _require_unchanged(fd, member.fingerprint)
    finally:
        os.close(fd)
    return _Read(describe_member(member, found, hashlib.sha256(content).hexdigest()), content)


def _read_link(folder: int, name: str, member: Member) -> _Read:
    """A symbolic link of a session, which is packed as one; it is not followed, and may not lead out of its root."""
    try:
        target = os.readlink(name, dir_fd=folder)
        found = os.stat(
            name, dir_fd=folder, follow_symlinks=False
        )  # afterwards: a link is only ever replaced
    except FileNotFoundError:
        raise Gone from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise Skip("changed since it was planned") from None  # it is no link any more
    if not opening.fingerprint(found).same_condition(member.fingerprint):
        raise Skip("changed since it was planned")
    try:
        digest = hashlib.sha256(target.encode()).hexdigest()
    except UnicodeEncodeError:
        raise Skip("is a symbolic link to a name that is no UTF-8") from None
    if manifest.leads_out(member.path, target):
        raise Skip("is a symbolic link that leads out of the store")
    return _Read(describe_member(member, found, digest, target), b"")


def _read_exactly(fd: int, start: int, size: int) -> bytes:
    data = os.pread(fd, size, start)
    if len(data) == size:
        return data
    parts = [data]
    got = len(data)
    while got < size:
        data = os.pread(fd, size - got, start + got)
        if not data:
            raise Skip("became shorter while it was read")
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def _require_unchanged(fd: int, planned: Fingerprint) -> None:
    found = opening.fingerprint(os.fstat(fd))
    if not found.same_condition(planned):
        raise Skip("changed while it was read")
