"""Making a session a file by itself, as `store.single` has it.

What is guarded: such a file gets its name when it is whole, durable and read back, and never another's name.
The order of work is that of packs: `prepare` writes it under a name of our own, and whoever called that syncs the
file system; `seal` reads it back and gives it its name; and once that is durable, the original may go.
A kill leaves the session in its place or in a sound file or both, and asking again goes on from there.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum
from typing import NamedTuple

from store import durable, leases, looking, names, opening, packing, second_names, single, syscalls
from store.durable import Poisoned
from store.facts import Fingerprint, Member
from store.frames import Damaged
from store.looking import Gone, Skip
from store.packing import Wanted
from store.rewriting import rewrite
from store.roots import RootFds
from store.single import Making, Note, SingleReader

_BLOCK = 1 << 20


class Standing(Enum):
    """What a prepared session has waiting for it."""

    NEW = "a file without a name"
    THERE = "a file that has its name already, and the content of the session"
    RENEWED = "a file without a name, whose place an older state of the session has"
    LEFT = "a file that has its name already, and no original any more"


class Prepared(NamedTuple):
    """A session that is to be a file by itself: where that is written, where it goes, and what its note says.

    ``digest`` is that of the note as it was written; ``older`` the file whose place it takes, if it does.
    """

    n: int
    member: Member
    standing: Standing
    tmp: str
    note: Note
    digest: bytes = b""
    older: Fingerprint | None = None

    @property
    def path(self) -> str:
        """Where the file lies when it has its name, below the root of the session."""
        return names.zst_path(self.member.path)

    @property
    def is_new(self) -> bool:
        """Whether a file was written for it, which is to get its name."""
        return self.standing in {Standing.NEW, Standing.RENEWED}


def prepare(roots: RootFds, wanted: Wanted, making: Making, *, renew: bool = False) -> Prepared:
    """Write the file of a session under a name of our own; it is durable once the file system is synced.

    A file that has its name already will do if it has the content of the session; with ``renew``, one that has an
    older state of it is to be replaced.
    Raises Skip if the session is not as planned or cannot be such a file, or if something else has the name; then
    nothing is left, as with any error.
    """
    if len(wanted.members) != 1:
        raise Skip("has more than one file, and can only be archived in a pack")
    (member,) = wanted.members
    if member.root != roots.first:
        raise Skip("does not lie where the sessions are")
    try:
        with looking.opened(roots, member) as (fd, folder, name):
            found = os.fstat(fd)
            looking.require_planned(found, os.fstat(folder), member.fingerprint)
            looking.require_quiet(fd)
            leases.drop_lease(fd)  # nobody is to wait for as long as this takes
            there = _look_beside(fd, folder, f"{name}{names.ZST}", wanted, renew=renew)
            if isinstance(there, Prepared):
                return there
            return _write(roots, wanted, making, fd, there)
    except Gone:
        left = left_by(roots, wanted, making.run)
        if left is None:
            raise
        return left


def seal(roots: RootFds, prepared: Prepared) -> int:
    """Read a durable file back, compare every digest, and give it its name; the bytes of the file.

    The name is durable once `sync_names` was called.
    Raises Skip if something has the name, `Poisoned` if other bytes are read back than were written.
    """
    member, path = prepared.member, prepared.path
    if not prepared.is_new:
        try:
            with single.open_single(roots, member.root, path) as reader:
                _read_back(reader, prepared)
                return os.fstat(reader.fd).st_size
        except Damaged as reason:
            raise Skip(f"{_shown(path)} beside it is damaged: {reason}") from None
    try:
        above, _, name = prepared.tmp.rpartition("/")
        folder = roots.existing(roots.home(member.root), above)
        try:
            with single.open_at(folder, name) as reader:
                _read_back(reader, prepared)
                size = os.fstat(reader.fd).st_size
                if prepared.older is not None:
                    _renew(roots, prepared, prepared.older, reader.fd)
        except Damaged as reason:
            raise Poisoned(errno.EIO, f"read back: {reason}", path) from None
        if prepared.older is None:
            _give_name(roots, prepared, folder, name)
        else:
            os.unlink(name, dir_fd=folder)
    except BaseException:
        drop(roots, prepared)
        raise
    return size


def sync_names(roots: RootFds, sealed: Iterable[Prepared]) -> None:
    """Return when the names of sealed files are durable: not before that may an original go."""
    folders = {(each.member.root, each.path.rpartition("/")[0]): each.path for each in sealed}
    for (root, _), path in folders.items():
        with opening.parent_of(roots[root], path) as (folder, _name):
            durable.sync_folder(folder, path)


def clear(roots: RootFds, member: Member, run: str, n: int) -> None:
    """Remove what a killed run has left of its work on a session that still has its place.

    What is not surely ours goes to the trash of that run: where an older file was to be renewed, it may be that one.
    """
    path = names.zst_path(member.path)
    home = roots.home(member.root)
    second_names.take_back(roots, member.root, path, names.backup_path(run, member.root, path))
    for part in (0, 1):
        tmp = names.tmp_path(run, n, part)
        with (
            suppress(FileNotFoundError, FileExistsError),
            opening.parent_of(roots[home], tmp) as (folder, name),
        ):
            if part or _made_by(folder, name) == run:
                os.unlink(name, dir_fd=folder)
            elif looking.stat_at(folder, name) is not None:
                above, _, kept_name = names.trash_path(run, member.root, path).rpartition("/")
                kept = roots.folder(home, above)
                syscalls.rename_noreplace(name, kept_name, src_dir_fd=folder, dst_dir_fd=kept)


def _made_by(folder: int, name: str) -> str | None:
    try:
        with single.open_at(folder, name) as reader:
            return reader.note.making.run
    except (Damaged, OSError):
        return None


def look(roots: RootFds, prepared: Prepared) -> Member | None:
    """A sealed file as it lies there, if it still is the one that was sealed."""
    try:
        with single.open_single(roots, prepared.member.root, prepared.path) as reader:
            found = opening.fingerprint(os.fstat(reader.fd))
            return (
                Member(prepared.member.root, prepared.path, found)
                if reader.digest == prepared.digest
                else None
            )
    except Damaged:
        return None


def drop(roots: RootFds, prepared: Prepared) -> None:
    """Remove a file that is not to get its name after all."""
    if prepared.is_new:
        with (
            suppress(OSError),
            opening.parent_of(roots[roots.home(prepared.member.root)], prepared.tmp) as (folder, name),
        ):
            os.unlink(name, dir_fd=folder)


def _look_beside(
    fd: int, folder: int, name: str, wanted: Wanted, *, renew: bool
) -> Prepared | Fingerprint | None:
    """What has the name already, if that may be: the file as it should be, or one with an older state."""
    (member,) = wanted.members
    try:
        if looking.stat_at(folder, name) is None:
            return None
        reader = single.open_at(folder, name)
    except Damaged as reason:
        raise Skip(single.is_foreign(name, reason)) from None
    except OSError as error:
        raise Skip(single.cannot_be_looked_at(name, error)) from None
    with reader:
        kept = reader.entry.members[0]
        if (kept.root, kept.path) != (member.root, member.path):
            raise Skip(f"{_shown(name)} is there, and is that of {names.printable(kept.path)}")
        begins, whole = _digests_of(fd, kept.size, member.fingerprint.size)
        _require_unchanged(fd, member)
        found = os.fstat(fd)
        alike = (kept.mtime_ns, kept.mode) == (found.st_mtime_ns, stat.S_IMODE(found.st_mode))
        if kept.sha256 == whole and (alike or not renew):
            return Prepared(wanted.n, member, Standing.THERE, "", reader.note, reader.digest)
        started = reader.entry.account.started_at
        if kept.sha256 != begins and (started is None or started != wanted.account.started_at):
            raise Skip(f"{_shown(name)} is there, and holds another session of that name")
        if not renew:
            raise Skip(
                f"{_shown(name)} is there, and holds another state of it; look at both, and move one away"
            )
        return opening.fingerprint(os.fstat(reader.fd))


def left_by(roots: RootFds, wanted: Wanted, run: str) -> Prepared | None:
    """What a killed attempt of a run has made of a session whose original it had removed, if it had."""
    (member,) = wanted.members
    try:
        with single.open_single(roots, member.root, names.zst_path(member.path)) as reader:
            note, digest = reader.note, reader.digest
    except (Damaged, OSError):
        return None
    kept, planned = note.session.members[0], member.fingerprint
    if note.making.run != run or (kept.size, kept.mtime_ns) != (planned.size, planned.mtime_ns):
        return None
    return Prepared(wanted.n, member, Standing.LEFT, "", note, digest)


def _write(roots: RootFds, wanted: Wanted, making: Making, fd: int, older: Fingerprint | None) -> Prepared:
    (member,) = wanted.members
    tmp = names.tmp_path(making.run, wanted.n, 0 if older is None else 1)  # a rewrite writes the first part
    above, _, name = tmp.rpartition("/")
    folder = roots.folder(roots.home(member.root), above)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)  # an attempt whose worker died
    new = durable.create(folder, name)
    try:
        note, digest = single.write(new, fd, wanted, making)
        _require_unchanged(fd, member)
        durable.dress_like(new, fd)
    except BaseException:
        durable.remove_exactly(folder, name, new)
        raise
    finally:
        os.close(new)
    standing = Standing.NEW if older is None else Standing.RENEWED
    return Prepared(wanted.n, member, standing, tmp, note, digest, older)


def _digests_of(fd: int, part: int, size: int) -> tuple[str, str]:
    """The digests of the first ``part`` bytes of a file, as far as there are so many, and of all of it."""
    digest = hashlib.sha256()
    for block in packing.blocks(fd, 0, min(part, size)):
        digest.update(block)
    begins = digest.hexdigest() if part <= size else ""
    for block in packing.blocks(fd, min(part, size), size):
        digest.update(block)
    return begins, digest.hexdigest()


def _read_back(reader: SingleReader, prepared: Prepared) -> None:
    with suppress(OSError, AttributeError):  # it is advice
        os.posix_fadvise(reader.fd, 0, 0, os.POSIX_FADV_DONTNEED)
    if reader.digest != prepared.digest:
        raise Damaged("its note is not what was written")
    reader.check(reader.entry)


def _give_name(roots: RootFds, prepared: Prepared, folder: int, name: str) -> None:
    with opening.parent_of(roots[prepared.member.root], prepared.path) as (target, final):
        try:
            syscalls.rename_noreplace(name, final, src_dir_fd=folder, dst_dir_fd=target)
        except FileExistsError:
            raise Skip(f"another file has the name {_shown(prepared.path)} now") from None


def _renew(roots: RootFds, prepared: Prepared, older: Fingerprint, new: int) -> None:
    """Let what was read back take the place of the older file, which becomes a backup of this run."""
    run, member = prepared.note.making.run, Member(prepared.member.root, prepared.path, older)

    def build(_: int) -> Iterator[bytes]:
        position = 0
        while data := os.pread(new, _BLOCK, position):
            yield data
            position += len(data)

    rewrite(roots, member, run, prepared.n, build, idle=True)
    with looking.opened(roots, member) as (fd, _folder, _name):
        durable.dress_like(fd, new)


def _require_unchanged(fd: int, member: Member) -> None:
    if not opening.fingerprint(os.fstat(fd)).same_condition(member.fingerprint):
        raise Skip("changed while it was read")


def _shown(path: str) -> str:
    return names.printable(path.rpartition("/")[2])
