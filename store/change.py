"""The changes to sessions, one place each.

What is guarded: a session's bytes are reachable at every moment, before, during and after each change, for every
reader and after every crash; a file that is not the planned one is left as it is; what a live writer appends
meanwhile is kept.
For that every change looks through a descriptor, acts on names relative to folder descriptors, and looks again
through the same descriptor at what it acted on; where it was another file, it gives that one back without
replacing anything.
The orders of steps are those of the design notes on reliability, and none of them is for speed.

A change that was killed can be asked for again with the same arguments: it ends in the same state.

Not guarded: one name of a session removed by its owner on purpose, and appends through a descriptor that
outlives the grace period on a system without leases.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator

import msgspec

from store import durable, edges, leases, names, opening, syscalls
from store.facts import Fingerprint, Member
from store.leases import Lease
from store.opening import RootFds

__all__ = [
    "Rewritten",
    "RootFds",
    "Skip",
    "Stranded",
    "carry_over",
    "copy_out",
    "expire",
    "move_to_trash",
    "put_back",
    "rewrite",
]

_PATIENCE = 2.0  # seconds for a writer that was kept waiting to finish his line
_PAUSE = 0.001


class Skip(Exception):
    """The file is not to be changed now, and was not; the text is a clause that says why."""


class _Gone(Skip):
    """There is no file of that name."""

    def __init__(self) -> None:
        super().__init__("is gone")


class Stranded(OSError):
    """A file could neither be changed nor given back its name: nothing is lost, and the text says where it lies."""


class Rewritten(msgspec.Struct, frozen=True):
    """What became of a session: its new fingerprint, and where the old bytes are.

    ``backup`` is relative to the root ``home``; ``old_size`` is how long the file was when it was planned.
    ``carried`` counts the bytes that somebody appended meanwhile and that were appended to the new file as well.
    ``busy`` means that somebody still has the old file open for writing: ``carry_over`` is to be called later.
    """

    fingerprint: Fingerprint
    home: str
    backup: str
    old_size: int
    carried: int = 0
    busy: bool = False


def move_to_trash(roots: RootFds, members: tuple[Member, ...], run: str) -> int:
    """Move the files of one session to the trash of this run, all or none; how many bytes that was.

    Raises Skip if one of them is not as planned, open for writing or not ours to touch; those moved before are
    put back.
    The moves are durable once the file system is synced; until then a crash leaves a file where it was.
    """
    moved: list[Member] = []
    try:
        for member in members:
            if _move(roots, member, run):
                moved.append(member)  # noqa: PERF401  what was moved must be known when the next one fails
    except BaseException as cause:
        for member in reversed(moved):
            try:
                put_back(roots, run, member.root, member.path)
            except (Skip, OSError) as error:
                trash = names.trash_path(run, member.root, member.path)
                raise _stranded(trash, f"could not be put back: {error}") from cause
        raise
    return sum(member.fingerprint.size for member in members)


def put_back(roots: RootFds, run: str, root: str, rel: str) -> None:
    """Move a file from the trash of a run to the place it had, making folders that are missing, never over anything.

    Raises Skip if it is not in the trash, or something has its place.
    """
    trash = names.trash_path(run, root, rel)
    home = roots[roots.home(root)]
    above, _, name = rel.rpartition("/")
    target = opening.make_folders(roots[root], above) if above else roots[root]
    try:
        with opening.parent_of(home, trash) as (kept, kept_name):
            syscalls.rename_noreplace(kept_name, name, src_dir_fd=kept, dst_dir_fd=target)
    except FileExistsError:
        raise Skip("another file has its place now") from None
    except FileNotFoundError:
        raise Skip("is not in the trash") from None
    finally:
        if above:
            os.close(target)
    roots.forget()
    _remove_empty(home, trash, names.TRASH)


def rewrite(
    roots: RootFds,
    member: Member,
    run: str,
    n: int,
    build: Callable[[int], Iterator[bytes]],
    *,
    idle: bool = False,
) -> Rewritten:
    """Replace a session by what ``build`` makes of it, and keep the old file as a backup of this run.

    ``build`` gets a descriptor of the old file, at its start, and yields the new bytes, which end with a newline
    if the session is made of lines; what it raises is passed on, and nothing was changed.
    ``idle`` is the caller's word that nobody wrote for far longer than the grace period: without it, a session
    is skipped where the system cannot tell writers or cannot exchange two files.
    Durable on return.
    """
    with _opened(roots, member) as (fd, folder, name):
        place = _Place(roots, member, run, n, fd, folder, name)
        done = _resume(place)
        if done is not None:
            return done
        _require_planned(fd, folder, member.fingerprint, backup=place.backup_is(fd))
        lease = _require_quiet(fd, idle=idle)
        # What was written between these two looks is seen by the next one, after the new file is complete.
        new = durable.create(place.tmp, place.tmp_name, flags=os.O_RDWR | os.O_APPEND)
        try:
            _write(new, fd, build, place)
            _commit(place, new, lease, idle=idle)
            return _finish(place, new)
        finally:
            os.close(new)


def carry_over(roots: RootFds, member: Member, run: str) -> int:
    """Append to a rewritten session what was added to its backup since, unless it holds that already; how many bytes.

    ``member`` is what was planned before the rewrite.
    Raises Skip if there is no such backup, or the session is gone.
    """
    since = member.fingerprint.size
    backup = names.backup_path(run, member.root, member.path)
    try:
        old = opening.open_below(roots[roots.home(member.root)], backup)
    except FileNotFoundError:
        raise Skip("has no backup of that run") from None
    try:
        found = os.fstat(old)
        if not stat.S_ISREG(found.st_mode) or found.st_size <= since:
            return 0
        if found.st_size - since > edges.RECORD_LIMIT:
            raise Skip("was appended to by more than can be carried over at once")
        late = os.pread(old, found.st_size - since, since)
    finally:
        os.close(old)
    with _opened(roots, member, os.O_RDWR | os.O_APPEND) as (fd, folder, _):
        reason = opening.refuse_reason(os.fstat(fd), os.fstat(folder))
        if reason:
            raise Skip(reason)
        if _holds(fd, late):
            return 0
        durable.write_all(fd, late)
        durable.sync_file(fd, member.path)
    return len(late)


def expire(roots: RootFds, rel: str, expected: Fingerprint) -> int:
    """Delete one file of our trash or our backups for good; how many bytes that was, 0 if it was gone already.

    ``rel`` is its path below the root that keeps it, ``expected`` what was recorded when it got there.
    Raises Skip if anything was written to it since, or somebody is about to.
    """
    kept = names.parse_trash_path(rel) or names.parse_backup_path(rel)
    if kept is None:
        raise ValueError(f"not in our trash or backups: {names.printable(rel)}")
    home = roots[roots.home(kept.root)]
    try:
        with opening.parent_of(home, rel) as (folder, name):
            fd = _open(folder, name)
            try:
                lease = leases.read_lease(fd)
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    raise Skip(opening.refuse_reason(found, found) or "is no regular file")
                if not opening.fingerprint(found).same_content(expected):
                    raise Skip("changed since it was put there")
                if lease is Lease.BUSY:
                    raise Skip("is open for writing")
                os.unlink(name, dir_fd=folder)
            finally:
                _close(fd)
    except FileNotFoundError:
        return 0
    roots.forget()
    _remove_empty(home, rel, names.TRASH if names.parse_trash_path(rel) else names.BACKUP)
    return expected.size


def copy_out(roots: RootFds, rel: str, dest_dir: str, name: str, *, root: str | None = None) -> Fingerprint:
    """Copy one file, byte for byte, with mode and modification time, to a new file in another folder.

    ``rel`` is relative to ``root``: without one, to the root that keeps it if it is a path in our trash or
    backups, else to the first.
    FileExistsError if the name is taken, Skip if the file changes meanwhile. Durable on return.
    """
    if root is None:
        kept = names.parse_trash_path(rel) or names.parse_backup_path(rel)
        root = roots.home(kept.root) if kept else roots.first
    if "/" in name or not names.is_clean(name):
        raise ValueError(f"not the name of a file: {names.printable(name)}")
    target = opening.open_folder(dest_dir)
    try:
        with opening.parent_of(roots[root], rel) as (folder, source_name):
            source = _open(folder, source_name)
            try:
                return _copy(source, target, name)
            finally:
                os.close(source)
    finally:
        os.close(target)


# Removing.


def _move(roots: RootFds, member: Member, run: str) -> bool:
    """Move one file to the trash; ``False`` if an earlier attempt of this run has done it."""
    trash = names.trash_path(run, member.root, member.path)
    home = roots.home(member.root)
    try:
        with _opened(roots, member) as (fd, folder, name):
            lease = leases.read_lease(fd)
            _require_planned(fd, folder, member.fingerprint)
            if lease is Lease.BUSY:
                raise Skip("is open for writing")
            _move_open(roots, home, trash, fd, folder, name, member.fingerprint, lease)
    except _Gone:
        if _is_there(roots[home], trash, member.fingerprint):
            return False
        raise
    return True


def _move_open(
    roots: RootFds,
    home: str,
    trash: str,
    fd: int,
    folder: int,
    name: str,
    planned: Fingerprint,
    lease: Lease,
) -> None:
    above, _, kept_name = trash.rpartition("/")
    kept = roots.folder(home, above)
    try:
        try:
            syscalls.rename_noreplace(name, kept_name, src_dir_fd=folder, dst_dir_fd=kept)
        except FileNotFoundError:
            # Either the session went, or the folder that was kept open did: the second try tells.
            roots.forget()
            kept = roots.folder(home, above)
            syscalls.rename_noreplace(name, kept_name, src_dir_fd=folder, dst_dir_fd=kept)
    except FileExistsError:
        raise Skip("another file of that name was removed by this run") from None
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise Skip("lies on another file system than its root") from None
        raise
    moved = _stat(kept, kept_name)
    after = os.fstat(fd)
    wanted = lease is Lease.HELD and leases.broken(fd)
    same = moved is not None and os.path.samestat(moved, after)
    if same and not wanted and opening.fingerprint(after).same_content(planned):
        return
    try:
        syscalls.rename_noreplace(kept_name, name, src_dir_fd=kept, dst_dir_fd=folder)
    except OSError as error:
        raise _stranded(
            trash, f"changed while it was removed, and cannot be put back: {error.strerror}"
        ) from None
    raise Skip("changed while it was removed")


# Rewriting.


class _Place:
    """Where one rewrite happens: the session, the temporary file and the backup, as folders and names."""

    def __init__(
        self, roots: RootFds, member: Member, run: str, n: int, fd: int, folder: int, name: str
    ) -> None:
        self.member = member
        self.planned = member.fingerprint
        self.fd = fd
        self.folder = folder
        self.name = name
        self.roots = roots
        self.run = run
        self.home = roots.home(member.root)
        self.tmp_path = names.tmp_path(run, n)
        self.backup_path = names.backup_path(run, member.root, member.path)
        above, _, self.tmp_name = self.tmp_path.rpartition("/")
        self.tmp = roots.folder(self.home, above)
        above, _, self.backup_name = self.backup_path.rpartition("/")
        self.backup = roots.folder(self.home, above)

    def backup_is(self, fd: int) -> bool:
        kept = _stat(self.backup, self.backup_name)
        return kept is not None and os.path.samestat(kept, os.fstat(fd))

    def set_aside(self) -> str:
        """Move what has the temporary name to the trash, since it may be somebody's; where it lies then."""
        trash = names.trash_path(self.run, self.member.root, self.member.path)
        above, _, name = trash.rpartition("/")
        kept = self.roots.folder(self.home, above)
        syscalls.rename_noreplace(self.tmp_name, name, src_dir_fd=self.tmp, dst_dir_fd=kept)
        return trash


def _resume(place: _Place) -> Rewritten | None:
    """Clear up after an attempt of the same run that was killed; what it did, if it got as far as the exchange.

    The backup is made before the exchange, so a backup that is the planned file while the name is not means
    that the exchange took place.
    The temporary file may then be the old file, or one that took the name just before the exchange, which
    nobody else may have a name for: that one is never deleted.
    """
    planned = place.planned
    left = _stat(place.tmp, place.tmp_name)
    kept = _stat(place.backup, place.backup_name)
    is_planned = opening.fingerprint(os.fstat(place.fd)).same_file(planned)
    if is_planned:
        if left is not None:
            os.unlink(place.tmp_name, dir_fd=place.tmp)  # never got the name, and is made again
        return None
    if kept is None or not opening.fingerprint(kept).same_file(planned):
        if left is not None:
            raise _stranded(
                place.set_aside(), "was left by a killed run, and the session is another file now"
            )
        return None
    if left is not None:
        if not os.path.samestat(left, kept):
            raise _stranded(place.set_aside(), "had the session's name while it was rewritten")
        os.unlink(place.tmp_name, dir_fd=place.tmp)
    durable.sync_folder(place.folder, place.member.path)
    carried = carry_over(place.roots, place.member, place.run)
    return Rewritten(
        opening.fingerprint(os.fstat(place.fd)), place.home, place.backup_path, planned.size, carried=carried
    )


def _write(new: int, old: int, build: Callable[[int], Iterator[bytes]], place: _Place) -> None:
    """Fill the temporary file, or remove it again."""
    try:
        os.lseek(old, 0, os.SEEK_SET)
        size = 0
        for data in build(old):
            durable.write_all(new, data)
            size += len(data)
        durable.dress_like(new, old)
        durable.sync_file(new, place.tmp_path)
        _require_size(new, size, place.tmp_path)
    except BaseException:
        durable.remove_exactly(place.tmp, place.tmp_name, new)
        raise


def _require_size(fd: int, size: int, what: str) -> None:
    if os.fstat(fd).st_size != size:
        raise OSError(errno.EIO, "another size than what was written", what)


def _commit(place: _Place, new: int, lease: Lease, *, idle: bool) -> None:
    """Back the old file up and let the new one take its name; or leave everything as it was, and raise."""
    size = os.fstat(new).st_size
    try:
        if not place.backup_is(place.fd):
            _link_backup(place)
        # From here on the planned file has a second, durable name: the exchange can lose nothing of it.
        durable.sync_folder(place.backup, place.backup_path)
        _look_again(place, lease)
        # Who opens the new file waits until the late lines of the old one are in it, and so comes after them.
        leases.write_lease(new)
        _exchange(place, idle=idle)
    except BaseException:
        leases.drop_lease(new)
        _withdraw(place, new, size)
        raise
    out = _stat(place.tmp, place.tmp_name)
    now = os.fstat(place.fd)
    if out is None:  # it was renamed over the old file, where files cannot be exchanged
        return
    ours = os.path.samestat(out, now)
    grew = now.st_size > place.planned.size
    if ours and (grew or opening.fingerprint(now).same_content(place.planned)):
        return
    _give_back(place, new)
    leases.drop_lease(new)
    _withdraw(place, new, size)
    raise Skip("changed while it was rewritten" if ours else "was replaced while it was rewritten")


def _finish(place: _Place, new: int) -> Rewritten:
    durable.sync_folder(place.folder, place.member.path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place.tmp_name, dir_fd=place.tmp)
    leases.drop_lease(place.fd)  # lets those in who waited for the old file
    carried, busy = _carry_tail(place, new)
    leases.drop_lease(new)
    return Rewritten(
        opening.fingerprint(os.fstat(new)), place.home, place.backup_path, place.planned.size, carried, busy
    )


def _link_backup(place: _Place) -> None:
    """Give the examined file itself a second name, whatever has its first one now."""
    try:
        try:
            # The descriptor of a source folder makes Python use linkat, which alone follows this link.
            os.link(
                f"/proc/self/fd/{place.fd}",
                place.backup_name,
                src_dir_fd=place.folder,
                dst_dir_fd=place.backup,
                follow_symlinks=True,
            )
        except FileNotFoundError:  # no /proc
            os.link(
                place.name,
                place.backup_name,
                src_dir_fd=place.folder,
                dst_dir_fd=place.backup,
                follow_symlinks=False,
            )
            if not place.backup_is(place.fd):
                os.unlink(place.backup_name, dir_fd=place.backup)
                raise Skip("was replaced while it was rewritten") from None
    except FileExistsError:
        raise Skip("another file of that name was changed by this run") from None


def _look_again(place: _Place, lease: Lease) -> None:
    found = os.fstat(place.fd)
    if not opening.fingerprint(found).same_content(place.planned):
        raise Skip(
            "grew while it was rewritten"
            if found.st_size > place.planned.size
            else "changed while it was rewritten"
        )
    if found.st_nlink != 2:
        raise Skip("lost its name or got another one while it was rewritten")
    if lease is Lease.HELD and leases.broken(place.fd):
        raise Skip("was opened for writing while it was rewritten")


def _exchange(place: _Place, *, idle: bool) -> None:
    try:
        syscalls.rename_exchange(place.tmp_name, place.name, src_dir_fd=place.tmp, dst_dir_fd=place.folder)
    except syscalls.Unsupported:
        if not idle:
            raise Skip("lies on a file system that cannot exchange two files") from None
        there = _stat(place.folder, place.name)
        if there is None or not os.path.samestat(there, os.fstat(place.fd)):
            raise Skip("was replaced while it was rewritten") from None
        os.rename(place.tmp_name, place.name, src_dir_fd=place.tmp, dst_dir_fd=place.folder)
    except FileNotFoundError:
        raise _Gone from None


def _give_back(place: _Place, new: int) -> None:
    """Undo the exchange, because another file than the examined one came out of it."""
    try:
        syscalls.rename_exchange(place.tmp_name, place.name, src_dir_fd=place.tmp, dst_dir_fd=place.folder)
    except FileNotFoundError:  # whoever replaced the session has removed it since
        syscalls.rename_noreplace(place.tmp_name, place.name, src_dir_fd=place.tmp, dst_dir_fd=place.folder)
        return
    back = _stat(place.tmp, place.tmp_name)
    if back is not None and not os.path.samestat(back, os.fstat(new)):
        raise _stranded(place.set_aside(), "had the session's name while it was rewritten")


def _withdraw(place: _Place, new: int, size: int) -> None:
    """Take the temporary file and the backup away again, unless something depends on them."""
    left = _stat(place.tmp, place.tmp_name)
    if left is not None and os.path.samestat(left, os.fstat(place.fd)):
        return  # interrupted just after the exchange: asked again, the rewrite goes on from there
    if os.fstat(new).st_size != size:
        # Somebody wrote to it in the moment it had the name.
        raise _stranded(place.set_aside(), "was written to while it had the session's name")
    durable.remove_exactly(place.tmp, place.tmp_name, new)
    # A second link means that the file has a name besides our backup; else the backup is all there is of it.
    if os.fstat(place.fd).st_nlink > 1 and place.backup_is(place.fd):
        os.unlink(place.backup_name, dir_fd=place.backup)


def _carry_tail(place: _Place, new: int) -> tuple[int, bool]:
    """Append to the new file what late writers add to the old one, until there are none, or they take too long."""
    since = place.planned.size
    carried = 0
    deadline = time.monotonic() + _PATIENCE
    while True:
        # A lease that is held before the copy says that the copy is all there will be.
        lease = leases.read_lease(place.fd)
        more = durable.append_rest(place.fd, since + carried, new)
        carried += more
        if more:
            durable.sync_file(new, place.member.path)
        if lease is Lease.HELD or (lease is Lease.UNAVAILABLE and not more):
            return carried, False
        if time.monotonic() > deadline:
            return carried, True
        time.sleep(_PAUSE)


# Looking.


@contextlib.contextmanager
def _opened(roots: RootFds, member: Member, flags: int = os.O_RDONLY) -> Iterator[tuple[int, int, str]]:
    """The file, as a descriptor that loses its lease at the end, with its folder and its name there."""
    try:
        with opening.parent_of(roots[member.root], member.path) as (folder, name):
            fd = _open(folder, name, flags)
            try:
                yield fd, folder, name
            finally:
                _close(fd)
    except FileNotFoundError:
        raise _Gone from None
    except NotADirectoryError:
        raise Skip("lies behind something that is no folder") from None


def _open(folder: int, name: str, flags: int = os.O_RDONLY) -> int:
    try:
        if flags == os.O_RDONLY:
            return opening.open_session(folder, name)
        return os.open(name, opening.SESSION_FLAGS | flags, dir_fd=folder)
    except OSError as error:
        reason = opening.refused_open(error)
        if reason is None:
            raise
        raise Skip(reason) from None


def _close(fd: int) -> None:
    leases.drop_lease(fd)
    os.close(fd)


def _require_planned(fd: int, folder: int, planned: Fingerprint, *, backup: bool = False) -> None:
    """Skip unless this is the planned file in the planned condition; ``backup``: but for a second name of ours."""
    found = os.fstat(fd)
    now = opening.fingerprint(found)
    reason = opening.refuse_reason(found, os.fstat(folder))
    if reason and not (backup and stat.S_ISREG(found.st_mode) and found.st_nlink == 2):
        raise Skip(reason)
    if now == planned or (backup and now.same_content(planned)):
        return
    if not now.same_file(planned):
        raise Skip("is another file than the planned one")
    raise Skip("grew since it was planned" if now.size > planned.size else "changed since it was planned")


def _require_quiet(fd: int, *, idle: bool) -> Lease:
    lease = leases.read_lease(fd)
    if lease is Lease.BUSY:
        raise Skip("is open for writing")
    if lease is Lease.UNAVAILABLE and not idle:
        raise Skip("lies where nobody can tell whether it is open for writing")
    return lease


def _is_there(home: int, rel: str, planned: Fingerprint) -> bool:
    try:
        with opening.parent_of(home, rel) as (folder, name):
            found = _stat(folder, name)
    except FileNotFoundError:
        return False
    return found is not None and opening.fingerprint(found).same_content(planned)


def _stat(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _holds(fd: int, needle: bytes) -> bool:
    """Whether the file contains these bytes in one piece."""
    position = 0
    overlap = b""
    while data := os.pread(fd, 1 << 20, position):
        if needle in overlap + data:
            return True
        overlap = (overlap + data)[-(len(needle) - 1) :] if len(needle) > 1 else b""
        position += len(data)
    return False


def _copy(source: int, folder: int, name: str) -> Fingerprint:
    before = os.fstat(source)
    if not stat.S_ISREG(before.st_mode):
        raise Skip(opening.refuse_reason(before, before) or "is no regular file")
    target = durable.create(folder, name)
    try:
        durable.append_rest(source, 0, target)
        os.fchmod(target, stat.S_IMODE(before.st_mode) & 0o777)
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        durable.sync_file(target, name)
        _require_same(source, opening.fingerprint(before))
        durable.sync_folder(folder, name)
        return opening.fingerprint(os.fstat(target))
    except BaseException:
        durable.remove_exactly(folder, name, target)
        raise
    finally:
        os.close(target)


def _require_same(fd: int, before: Fingerprint) -> None:
    if not opening.fingerprint(os.fstat(fd)).same_content(before):
        raise Skip("changed while it was copied")


def _remove_empty(home: int, rel: str, keep: str) -> None:
    """Remove the folders above ``rel`` that are empty now, up to ``keep``, which stays."""
    above = rel.rpartition("/")[0]
    while above != keep:
        try:
            with opening.parent_of(home, above) as (folder, name):
                os.rmdir(name, dir_fd=folder)
        except OSError:  # not empty, or somebody else was faster
            return
        above = above.rpartition("/")[0]


def _stranded(path: str, reason: str) -> Stranded:
    return Stranded(errno.EBUSY, f"{reason}; it lies in {names.printable(path)}", path)
