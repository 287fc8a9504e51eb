"""Removing: into the trash, and out of it again; how something ends for good is `store.ending`.

What is guarded: a file is only ever moved, by a rename that replaces nothing, and is looked at again through the
descriptor that was open all along.
So are symbolic links, which are never followed, and empty folders, where that very link or folder was planned.

A folder that was moved to the trash is older than the run that did it; all others there were made for what they hold,
have the mode of the folder that they stand for, and go when they are empty.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from store import durable, emptied, leases, looking, names, opening, syscalls
from store.durable import Poisoned
from store.emptied import Owned
from store.facts import Fingerprint, Member
from store.folders import make_folders, mode_of
from store.leases import Lease
from store.looking import Gone, Skip, Stranded, stranded
from store.roots import RootFds
from store.trash import leaves_below, was_moved

_T = TypeVar("_T")


def move_to_trash(
    roots: RootFds,
    members: tuple[Member, ...],
    run: str,
    *,
    owned: Owned | None = None,
    left: list[str] | None = None,
    packed: bool = False,
) -> int:
    """Move the files of one session to the trash of this run, all or none; how many bytes that was.

    Raises Skip if one of them is not as planned, open for writing or not ours to touch; those moved before are
    put back.
    The moves are durable once the file system is synced; until then a crash leaves a file where it was.

    The folders that they lay in are to go, as far as they are ``owned`` and empty, and with them what owned empty
    folders there are in those; ``put_back`` makes them again. They do so with `Moves.remove_emptied`, when the
    moves are durable, or, of a session that is ``packed`` too, at once.
    ``left``, if given, gets the names of what others have put there, as `store.emptied.told` has them: that stays.
    """
    move_all(roots, members, run, lasting=True)
    if owned is not None:
        remove_folders(roots, members, run, owned, left, keep=True, at_once=packed)
    return sum(member.fingerprint.size for member in members)


def move_all(roots: RootFds, members: tuple[Member, ...], run: str, *, lasting: bool) -> None:
    """Move files to the trash of this run, all or none; they wait there, if ``lasting``, or end at once."""
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


def remove_folders(
    roots: RootFds,
    members: tuple[Member, ...],
    run: str,
    owned: Owned,
    left: list[str] | None = None,
    *,
    keep: bool,
    at_once: bool = True,
) -> None:
    """Remove the folders that files which are gone leave behind; with ``keep`` what put_back would not know of is kept.

    That is safe ``at_once`` where it is durable that the files lie elsewhere; else `Moves.remove_emptied` does it.
    `move_to_trash` and `store.ending.let_go` end with it, and whoever brings one of these to its end that was killed.
    """
    found = emptied.look(roots, members, owned)
    for member in found.bare:
        try:
            if keep:
                _move(roots, member, run)
            else:
                _remove_folder(roots, member.root, member.path)
        except Poisoned:  # what it was asked about may hold more than this
            raise
        except (Skip, OSError):  # then it is somebody's who is at work there
            found.foreign.append(names.printable(member.path.rpartition("/")[2]))
    if left is not None:
        left += emptied.told(found.foreign)
    for root, path in found.folders:
        if not at_once:
            roots.moves.emptied(root, path, path.rpartition("/")[0])
            continue
        with suppress(OSError):
            _remove_folder(roots, root, path)
            if not keep:
                _remove_folder(roots, roots.home(root), names.trash_path(run, root, path))


def put_back(roots: RootFds, run: str, root: str, rel: str) -> None:
    """Move a file from the trash of a run to the place it had, making folders that are missing, never over anything.

    A folder that is made has the mode it had, and holds the empty folders that went with it.
    One of the trash that is empty then goes with `Moves.remove_emptied`.
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
        in_folder(
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
    roots.moves.took_one(home, kept, names.TRASH)
    if made:
        _bring_along(roots, run, root, made[0])


def _bring_along(roots: RootFds, run: str, root: str, path: str) -> None:
    """Give a folder that was made again the empty folders that went to the trash when it did."""
    home = roots.home(root)
    for kept, found in list(leaves_below(roots[home], names.trash_path(run, root, path))):
        waiting = names.parse_trash_path(kept)
        if waiting is not None and stat.S_ISDIR(found.st_mode) and was_moved(found, run):
            try:
                put_back(roots, run, root, waiting.path)
            except Poisoned:  # what it was asked about holds files, too
                raise
            except (Skip, OSError):
                continue


def remove_empty_folders(roots: RootFds, run: str) -> None:
    """Remove the folders in which a run keeps nothing any more, as several workers or a killed one may leave them.

    Empty folders that the run has moved there wait like files.
    What was moved out of them is made durable before: `Poisoned` if it cannot be.
    """
    for home in dict.fromkeys(roots.home(label) for label in roots.labels):
        kept = [f"{top}/{run}" for top in (names.TRASH, names.BACKUP)]
        if any(looking.stat_below(roots[home], path) is not None for path in kept):
            durable.sync_file_system(roots[home], home)
        for top in (names.TRASH, names.BACKUP):
            with suppress(FileNotFoundError):
                _remove_empty_below(roots[home], f"{top}/{run}", run)
                with suppress(OSError), opening.parent_of(roots[home], f"{top}/{run}") as (above, name):
                    os.rmdir(name, dir_fd=above)
    roots.forget()


def require_moved(roots: RootFds, home: str, trash: str, member: Member) -> None:
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
            move_open(roots, home, trash, fd, folder, name, member.fingerprint, lease, lasting=stays)
            roots.moves.put_one(home, trash.rpartition("/")[0])
    except Gone:
        require_moved(roots, home, trash, member)
        return False
    return True


def _require_movable(fd: int, found: os.stat_result, run: str) -> None:
    """Skip unless a folder is empty, and so old that it can be told in the trash from those that are made there."""
    if not looking.is_empty(fd):
        raise Skip("is a folder that holds something")
    if not was_moved(found, run):
        raise Skip("is a folder that was changed since this run began")


def move_open(
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


def in_folder(roots: RootFds, home: str, relative: str, act: Callable[[int], _T]) -> _T:
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
