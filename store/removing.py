"""Removing: into the trash, out of it again, and for good.

What is guarded: a file is only ever moved, by a rename that replaces nothing, and is looked at again through the
descriptor that was open all along; it ends for good after its grace period, if nobody has touched it since.
So are symbolic links, which are never followed, and empty folders, where that very link or folder was planned.

A folder that was moved to the trash is older than the run that did it; all others there were made for what they hold,
have the mode of the folder that they stand for, and go when they are empty.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from store import emptied, leases, looking, names, opening, syscalls
from store.emptied import Owned
from store.facts import Fingerprint, Member
from store.leases import Lease
from store.looking import Gone, Skip, Stranded, stranded
from store.roots import RootFds, make_folders, mode_of
from store.trash import leaves_below, was_moved

_T = TypeVar("_T")

_KEPT_KINDS = frozenset({stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR})


def move_to_trash(
    roots: RootFds,
    members: tuple[Member, ...],
    run: str,
    *,
    owned: Owned | None = None,
    left: list[str] | None = None,
) -> int:
    """Move the files of one session to the trash of this run, all or none; how many bytes that was.

    Raises Skip if one of them is not as planned, open for writing or not ours to touch; those moved before are
    put back.
    The moves are durable once the file system is synced; until then a crash leaves a file where it was.

    Then the folders that they lay in go, as far as they are ``owned`` and empty, and with them what owned empty
    folders there are in those; ``put_back`` makes them again.
    ``left``, if given, gets the names of what others have put there, as `store.emptied.told` has them: that stays.
    """
    _move_all(roots, members, run, lasting=True)
    if owned is not None:
        remove_folders(roots, members, run, owned, left, keep=True)
    return sum(member.fingerprint.size for member in members)


def _move_all(roots: RootFds, members: tuple[Member, ...], run: str, *, lasting: bool) -> None:
    moved: list[Member] = []
    try:
        for member in members:
            if _move(roots, member, run, lasting=lasting):
                moved.append(member)  # noqa: PERF401  what was moved must be known when the next one fails
    except BaseException as cause:
        left: Stranded | None = None
        for member in reversed(moved):
            try:
                put_back(roots, run, member.root, member.path)
            except (Skip, OSError) as error:  # the others go back all the same
                trash = names.trash_path(run, member.root, member.path)
                left = stranded(trash, f"could not be put back: {error}")
        if left is not None:
            raise left from cause
        raise


def let_go(
    roots: RootFds,
    members: tuple[Member, ...],
    run: str,
    ended: list[int] | None = None,
    *,
    owned: Owned | None = None,
    left: list[str] | None = None,
) -> int:
    """Remove the files of a session that lies in a sealed pack, all or none; how many bytes ended with that.

    Each is moved aside, into the trash of this run, and looked at again there, before it ends.
    Where nobody can tell whether it is still open for writing, it stays in the trash, and ends with that.
    Raises as `move_to_trash` does.
    ``ended``, if given, gets descriptors of files that have no name any more: closing them is what frees their bytes, and takes
    longer than all the rest, so that whoever removes many closes several at once.
    ``owned`` and ``left`` are as `move_to_trash` has them.
    """
    if len(members) == 1:
        freed = _let_one_go(roots, members[0], run, ended)
    else:
        _move_all(roots, members, run, lasting=False)
        freed = end_moved(roots, members, run)
    if owned is not None:
        remove_folders(roots, members, run, owned, left, keep=False)
    return freed


def end_moved(roots: RootFds, members: tuple[Member, ...], run: str) -> int:
    """End those files in the trash of a run that are of a session in a sealed pack; how many bytes that was."""
    freed = 0
    for member in members:
        above, _, name = names.trash_path(run, member.root, member.path).rpartition("/")
        with suppress(FileNotFoundError, Skip):
            end = partial(_end, name=name, expected=member.fingerprint, sure=True)
            _in_folder(roots, roots.home(member.root), above, end)
            freed += member.fingerprint.size
    return freed


def remove_folders(
    roots: RootFds,
    members: tuple[Member, ...],
    run: str,
    owned: Owned,
    left: list[str] | None = None,
    *,
    keep: bool,
) -> None:
    """Remove the folders that files which are gone leave behind; with ``keep`` what put_back would not know of is kept.

    `move_to_trash` and `let_go` end with it, and whoever brings one of these to its end that was killed.
    """
    found = emptied.look(roots, members, owned)
    for member in found.bare:
        try:
            if keep:
                _move(roots, member, run)
            else:
                _remove_folder(roots, member.root, member.path)
        except (Skip, OSError):  # then it is somebody's who is at work there
            found.foreign.append(names.printable(member.path.rpartition("/")[2]))
    if left is not None:
        left += emptied.told(found.foreign)
    for root, path in found.folders:
        with suppress(OSError):
            _remove_folder(roots, root, path)
            if not keep:
                _remove_folder(roots, roots.home(root), names.trash_path(run, root, path))


def put_back(roots: RootFds, run: str, root: str, rel: str) -> None:
    """Move a file from the trash of a run to the place it had, making folders that are missing, never over anything.

    A folder that is made has the mode it had, and holds the empty folders that went with it.
    Raises Skip if it is not in the trash, or something has its place.
    """
    home = roots.home(root)
    trash = names.trash_path(run, root, rel)
    kept, _, kept_name = trash.rpartition("/")
    above, _, name = rel.rpartition("/")
    target = roots[root]
    made: list[str] = []
    if above:
        if looking.stat_below(roots[home], trash) is None:  # then nothing is made for it
            raise Skip("is not in the trash")

        def mode(path: str) -> int | None:
            return mode_of(roots[home], names.trash_path(run, root, path))

        target = make_folders(target, above, modes=mode, made=made)
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
    if made:
        _bring_along(roots, run, root, made[0])


def _bring_along(roots: RootFds, run: str, root: str, path: str) -> None:
    """Give a folder that was made again the empty folders that went to the trash when it did."""
    home = roots.home(root)
    for kept, found in list(leaves_below(roots[home], names.trash_path(run, root, path))):
        waiting = names.parse_trash_path(kept)
        if waiting is not None and stat.S_ISDIR(found.st_mode) and was_moved(found, run):
            with suppress(Skip, OSError):
                put_back(roots, run, root, waiting.path)


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
    """Remove the folders in which a run keeps nothing any more, as several workers or a killed one may leave them.

    Empty folders that the run has moved there wait like files.
    """
    for home in dict.fromkeys(roots.home(label) for label in roots.labels):
        for top in (names.TRASH, names.BACKUP):
            with suppress(FileNotFoundError):
                _remove_empty_below(roots[home], f"{top}/{run}", run)
                with suppress(OSError), opening.parent_of(roots[home], f"{top}/{run}") as (above, name):
                    os.rmdir(name, dir_fd=above)
    roots.forget()


def _let_one_go(roots: RootFds, member: Member, run: str, ended: list[int] | None) -> int:
    """As `let_go`, for a session of one file, of which there may be very many."""
    home = roots.home(member.root)
    trash = names.trash_path(run, member.root, member.path)
    own, _, name = member.path.rpartition("/")
    try:
        folder, fd = looking.open_below(roots, member.root, own, name)
    except FileNotFoundError:
        _require_moved(roots, home, trash, member)
        return 0
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise Skip("lies behind something that is no folder") from None
        reason = opening.refused_open(error)
        if reason is None:
            raise
        raise Skip(reason) from None
    ending = False
    try:
        lease = looking.require_quiet(fd)
        around = os.fstat(folder) if own else roots.stat(member.root)
        looking.require_planned(os.fstat(fd), around, member.fingerprint)
        lasting = lease is not Lease.HELD  # else it lies in the trash for a moment only
        kept = _move_open(roots, home, trash, fd, folder, name, member.fingerprint, lease, lasting=lasting)
        above, _, kept_name = trash.rpartition("/")
        if lasting:
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


def _move(roots: RootFds, member: Member, run: str, *, lasting: bool = True) -> bool:
    """Move one file to the trash; ``False`` if an earlier attempt of this run has done it."""
    trash = names.trash_path(run, member.root, member.path)
    home = roots.home(member.root)
    try:
        with looking.opened(roots, member, as_it_is=True) as (fd, folder, name):
            # The lease comes first: what is written before it is seen by the look, and nothing is written after.
            # On what is no file nobody gets one, and nobody writes to it either.
            lease = looking.require_quiet(fd)
            found = os.fstat(fd)
            looking.require_planned(found, os.fstat(folder), member.fingerprint, as_it_is=True)
            if stat.S_ISDIR(found.st_mode):
                _require_movable(fd, found, run)
            stays = lasting or (lease is not Lease.HELD and stat.S_ISREG(found.st_mode))
            _move_open(roots, home, trash, fd, folder, name, member.fingerprint, lease, lasting=stays)
            roots.put_one(home, trash.rpartition("/")[0])
    except Gone:
        _require_moved(roots, home, trash, member)
        return False
    return True


def _require_movable(fd: int, found: os.stat_result, run: str) -> None:
    """Skip unless a folder is empty, and so old that it can be told in the trash from those that are made there."""
    if not looking.is_empty(fd):
        raise Skip("is a folder that holds something")
    if not was_moved(found, run):
        raise Skip("is a folder that was changed since this run began")


def _move_open(
    roots: RootFds,
    home: str,
    trash: str,
    fd: int,
    folder: int,
    name: str,
    planned: Fingerprint,
    lease: Lease,
    *,
    lasting: bool,
) -> int:
    """Move an open file to the trash, and look at it there; the folder in which it lies then."""
    above, _, kept_name = trash.rpartition("/")
    kept = roots.folder(home, above, lasting=lasting)
    try:
        try:
            syscalls.rename_noreplace(name, kept_name, src_dir_fd=folder, dst_dir_fd=kept)
        except FileNotFoundError:
            # Either the session went, or the folder that was kept open did: the second try tells.
            roots.forget()
            kept = roots.folder(home, above, lasting=lasting)
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
    if moved is not None and stat.S_ISDIR(moved.st_mode) and same:
        same = looking.is_empty(fd)
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
    fd = looking.open_as_it_is(folder, name)
    try:
        lease = leases.read_lease(fd)
        found = os.fstat(fd)
        kind = stat.S_IFMT(found.st_mode)
        if kind not in _KEPT_KINDS:
            raise Skip(opening.refuse_reason(found, found) or "is no regular file")
        if not opening.fingerprint(found).same_content(expected):
            raise Skip("changed since it was put there")
        if lease is Lease.BUSY:
            raise Skip("is open for writing")
        if kind == stat.S_IFDIR:
            _end_folder(folder, name)
            return
        if sure and lease is not Lease.HELD and kind == stat.S_IFREG:
            raise Skip("lies where nobody can tell whether it is open for writing")
        os.unlink(name, dir_fd=folder)
    finally:
        looking.close(fd)


def _end_folder(folder: int, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        raise Skip("is a folder that something was put into") from None


def _in_folder(roots: RootFds, home: str, relative: str, act: Callable[[int], _T]) -> _T:
    """Act in a folder of ours; once more if the one that was kept open may have been removed and made again."""
    try:
        return act(roots.existing(home, relative))
    except FileNotFoundError:
        roots.forget()
        return act(roots.existing(home, relative))


def _remove_empty_below(root: int, relative: str, run: str) -> None:
    """Remove all folders below this folder of ours that hold nothing, but for those that the run has moved there."""
    fd = opening.open_below(root, relative, opening.FOLDER_FLAGS)
    try:
        for name in os.listdir(fd):
            if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                waits = _was_moved_here(fd, name, run)  # asked first: what goes from below changes its time
                _remove_empty_below(root, f"{relative}/{name}", run)
                if not waits:
                    with suppress(OSError):
                        os.rmdir(name, dir_fd=fd)
    finally:
        os.close(fd)


def _was_moved_here(folder: int, name: str, run: str) -> bool:
    """Whether a folder in the trash of a run is one that the run has moved there, and not made for something."""
    found = looking.stat_at(folder, name)
    return found is not None and stat.S_ISDIR(found.st_mode) and was_moved(found, run)


def _remove_folder(roots: RootFds, root: str, path: str) -> None:
    with opening.parent_of(roots[root], path) as (above, name):
        os.rmdir(name, dir_fd=above)
    roots.lost(root, path)
