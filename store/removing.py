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
    except Gone:
        found = looking.stat_below(roots[home], trash)
        if found is not None and opening.fingerprint(found).same_content(member.fingerprint):
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
    # The planned file is open, so whatever has its numbers is that file, and one look answers for both.
    moved = looking.stat_at(kept, kept_name)
    same = moved is not None and opening.fingerprint(moved).same_content(planned)
    if same and not (lease is Lease.HELD and leases.broken(fd)):
        roots.put_one(home, above)
        return
    try:
        syscalls.rename_noreplace(kept_name, name, src_dir_fd=kept, dst_dir_fd=folder)
    except OSError as error:
        raise stranded(
            trash, f"changed while it was removed, and cannot be put back: {error.strerror}"
        ) from None
    raise Skip("changed while it was removed")


def _end(folder: int, *, name: str, expected: Fingerprint) -> None:
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
