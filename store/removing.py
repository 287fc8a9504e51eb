"""Removing: into the trash, out of it again, and for good.

What is guarded: a file is only ever moved, by a rename that replaces nothing, and is looked at again through the
descriptor that was open all along; it ends for good after its grace period, if nobody has touched it since.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from store import leases, looking, names, opening, syscalls
from store.facts import Fingerprint, Member
from store.leases import Lease
from store.looking import Gone, Skip, stranded
from store.roots import RootFds, make_folders

_T = TypeVar("_T")


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
                raise stranded(trash, f"could not be put back: {error}") from cause
        raise
    return sum(member.fingerprint.size for member in members)


def let_go(roots: RootFds, members: tuple[Member, ...], run: str, ended: list[int] | None = None) -> int:
    """Remove the files of a session that lies in a sealed pack, all or none; how many bytes ended with that.

    Each is moved aside, into the trash of this run, and looked at again there, before it ends.
    Where nobody can tell whether it is still open for writing, it stays in the trash, and ends with that.
    Raises as `move_to_trash` does.
    ``ended``, if given, gets descriptors of files that have no name any more: closing them is what frees their bytes, and takes
    longer than all the rest, so that whoever removes many closes several at once.
    """
    if len(members) == 1:
        return _let_one_go(roots, members[0], run, ended)
    move_to_trash(roots, members, run)
    freed = 0
    for member in members:
        above, _, name = names.trash_path(run, member.root, member.path).rpartition("/")
        with suppress(FileNotFoundError, Skip):
            end = partial(_end, name=name, expected=member.fingerprint, sure=True)
            _in_folder(roots, roots.home(member.root), above, end)
            freed += member.fingerprint.size
    return freed


def put_back(roots: RootFds, run: str, root: str, rel: str) -> None:
    """Move a file from the trash of a run to the place it had, making folders that are missing, never over anything.

    Raises Skip if it is not in the trash, or something has its place.
    """
    home = roots.home(root)
    kept, _, kept_name = names.trash_path(run, root, rel).rpartition("/")
    above, _, name = rel.rpartition("/")
    target = make_folders(roots[root], above) if above else roots[root]
    try:
        _in_folder(
            roots,
            home,
            kept,
            lambda folder: syscalls.rename_noreplace(kept_name, name, src_dir_fd=folder, dst_dir_fd=target),
        )
    except FileExistsError:
        raise Skip("another file has its place now") from None
    except FileNotFoundError:
        raise Skip("is not in the trash") from None
    finally:
        if above:
            os.close(target)
    roots.took_one(home, kept, names.TRASH)


def expire(roots: RootFds, rel: str, expected: Fingerprint) -> int:
    """Delete one file of our trash or our backups for good; how many bytes that was, 0 if it was gone already.

    ``rel`` is its path below the root that keeps it, ``expected`` what was recorded when it got there.
    Raises Skip if anything was written to it since, or somebody is about to.
    """
    top = names.TRASH
    kept = names.parse_trash_path(rel)
    if kept is None:
        top = names.BACKUP
        kept = names.parse_backup_path(rel)
    if kept is None:
        raise ValueError(f"not in our trash or backups: {names.printable(rel)}")
    home = roots.home(kept.root)
    above, _, name = rel.rpartition("/")
    try:
        _in_folder(roots, home, above, partial(_end, name=name, expected=expected))
    except FileNotFoundError:
        return 0
    roots.took_one(home, above, top)
    return expected.size


def remove_empty_folders(roots: RootFds, run: str) -> None:
    """Remove the folders in which a run keeps nothing any more, as several workers or a killed one may leave them."""
    for home in dict.fromkeys(roots.home(label) for label in roots.labels):
        for top in (names.TRASH, names.BACKUP):
            with suppress(FileNotFoundError):
                for folder in _folders_below(roots[home], f"{top}/{run}"):
                    with suppress(OSError), opening.parent_of(roots[home], folder) as (above, name):
                        os.rmdir(name, dir_fd=above)
    roots.forget()


def _let_one_go(roots: RootFds, member: Member, run: str, ended: list[int] | None) -> int:
    """As `let_go`, for a session of one file, of which there may be very many."""
    home = roots.home(member.root)
    trash = names.trash_path(run, member.root, member.path)
    own, _, name = member.path.rpartition("/")
    try:
        folder = roots.existing(member.root, own) if own else roots[member.root]
        fd = looking.open_file(folder, name)
    except FileNotFoundError:
        _require_moved(roots, home, trash, member)
        return 0
    ending = False
    try:
        lease = looking.require_quiet(fd)
        around = os.fstat(folder) if own else roots.stat(member.root)
        looking.require_planned(os.fstat(fd), around, member.fingerprint)
        kept = _move_open(roots, home, trash, fd, folder, name, member.fingerprint, lease)
        above, _, kept_name = trash.rpartition("/")
        if lease is not Lease.HELD:
            roots.put_one(home, above)
            return 0
        # It was looked at there through the descriptor that is still open.
        os.unlink(kept_name, dir_fd=kept)
        if ended is not None:
            leases.drop_lease(fd)
            ended.append(fd)
            ending = True
        return member.fingerprint.size
    finally:
        if not ending:
            looking.close(fd)


def _require_moved(roots: RootFds, home: str, trash: str, member: Member) -> None:
    """Raise `Gone` unless an earlier attempt of this run has moved the file to the trash."""
    found = looking.stat_below(roots[home], trash)
    if found is None or not opening.fingerprint(found).same_content(member.fingerprint):
        raise Gone


def _move(roots: RootFds, member: Member, run: str) -> bool:
    """Move one file to the trash; ``False`` if an earlier attempt of this run has done it."""
    trash = names.trash_path(run, member.root, member.path)
    home = roots.home(member.root)
    try:
        with looking.opened(roots, member) as (fd, folder, name):
            # The lease comes first: what is written before it is seen by the look, and nothing is written after.
            lease = looking.require_quiet(fd)
            looking.require_planned(os.fstat(fd), os.fstat(folder), member.fingerprint)
            _move_open(roots, home, trash, fd, folder, name, member.fingerprint, lease)
            roots.put_one(home, trash.rpartition("/")[0])
    except Gone:
        _require_moved(roots, home, trash, member)
        return False
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
) -> int:
    """Move an open file to the trash, and look at it there; the folder in which it lies then."""
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
    # The planned file is open, so whatever has its numbers is that file, and one look answers for both.
    moved = looking.stat_at(kept, kept_name)
    same = moved is not None and opening.fingerprint(moved).same_content(planned)
    if same and not (lease is Lease.HELD and leases.broken(fd)):
        return kept
    try:
        syscalls.rename_noreplace(kept_name, name, src_dir_fd=kept, dst_dir_fd=folder)
    except OSError as error:
        raise stranded(
            trash, f"changed while it was removed, and cannot be put back: {error.strerror}"
        ) from None
    raise Skip("changed while it was removed")


def _end(folder: int, *, name: str, expected: Fingerprint, sure: bool = False) -> None:
    fd = looking.open_file(folder, name)
    try:
        lease = leases.read_lease(fd)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Skip(opening.refuse_reason(found, found) or "is no regular file")
        if not opening.fingerprint(found).same_content(expected):
            raise Skip("changed since it was put there")
        if lease is Lease.BUSY:
            raise Skip("is open for writing")
        if sure and lease is not Lease.HELD:
            raise Skip("lies where nobody can tell whether it is open for writing")
        os.unlink(name, dir_fd=folder)
    finally:
        looking.close(fd)


def _in_folder(roots: RootFds, home: str, relative: str, act: Callable[[int], _T]) -> _T:
    """Act in a folder of ours; once more if the one that was kept open may have been removed and made again."""
    try:
        return act(roots.existing(home, relative))
    except FileNotFoundError:
        roots.forget()
        return act(roots.existing(home, relative))


def _folders_below(root: int, relative: str) -> list[str]:
    """This folder of ours and all below it, the deepest first."""
    found: list[str] = []
    fd = opening.open_below(root, relative, opening.FOLDER_FLAGS)
    try:
        for name in os.listdir(fd):
            if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                found += _folders_below(root, f"{relative}/{name}")
    finally:
        os.close(fd)
    return [*found, relative]
