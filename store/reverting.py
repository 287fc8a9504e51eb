"""Giving a rewritten session its old bytes back: the second half of an undo.

What is guarded: there is a session under its name at every moment, neither of its two selves is ever without a
durable name, and they change places once, however often this is killed and asked for again.

The newer self gets its name in the trash before the exchange and loses the one among the backups after it, so that
the names alone tell how far an earlier attempt came:

====================  ====================  ==================
under its own name    among the backups     in the trash
====================  ====================  ==================
newer                 older                 nothing: not begun
newer                 older                 newer: about to change places
older                 newer                 newer: have changed places
older                 nothing               newer: done
====================  ====================  ==================
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from store import durable, leases, looking, names, opening, second_names, syscalls
from store.facts import Fingerprint
from store.folders import make_folders
from store.leases import Lease
from store.looking import Gone, Skip, stranded
from store.roots import RootFds


def revert(
    roots: RootFds, backup: str, left: Fingerprint | None, run: str, *, old: Fingerprint | None = None
) -> None:
    """Put a backup back in the place of its rewritten session, which goes to the trash of ``run``.

    ``left`` is what the rewrite left behind, ``None`` where a killed run could not write that down; ``old`` is the
    backup as it was planned, which only serves to recognise that a killed attempt has given it its name.
    Raises Skip if the session was written to since, is open for writing, or the backup is gone.
    Asked again after a kill it ends in the same state. Durable on return.
    """
    kept = names.parse_backup_path(backup)
    if kept is None:
        raise ValueError(f"not a backup of ours: {names.printable(backup)}")
    home = roots[roots.home(kept.root)]
    trash = names.trash_path(run, kept.root, kept.path)
    try:
        with _folder_of(roots[kept.root], kept.path) as (folder, name):
            if _is_to_do(home, folder, name, backup, trash, old):
                _change_places(roots, kept.root, folder, name, backup, trash, left)
            # Only when the old file is sure to have the session's name may the new one lose the backup's.
            durable.sync_folder(folder, kept.path)
            _end(home, backup, trash)
    except BaseException as error:
        second_names.take_back(roots, kept.root, kept.path, trash)
        if isinstance(error, FileNotFoundError):  # somebody took one of the two in the last moment
            raise Gone from None
        raise
    # What lay there has a durable name elsewhere, so that its folder may go at once.
    roots.moves.took_one(roots.home(kept.root), backup.rpartition("/")[0], names.BACKUP, ended=True)


def _is_to_do(home: int, folder: int, name: str, backup: str, trash: str, old: Fingerprint | None) -> bool:
    """Whether the two are still to change places; a session that is gone gets its backup here."""
    session = looking.stat_at(folder, name)
    kept = looking.stat_below(home, backup)
    moved = looking.stat_below(home, trash)
    is_old = session is not None and old is not None and opening.fingerprint(session).same_file(old)
    if kept is None:
        if moved is None and not is_old:
            raise Skip("its backup is gone")
        return False
    if moved is not None and os.path.samestat(moved, kept):
        return False
    if session is None:
        with opening.parent_of(home, backup) as (old_folder, old_name):
            try:
                syscalls.rename_noreplace(old_name, name, src_dir_fd=old_folder, dst_dir_fd=folder)
            except FileExistsError:
                raise Skip("another file has its place now") from None
        return False
    if moved is not None and not os.path.samestat(moved, session):
        if is_old:  # killed when another file came out of the exchange than the one that was examined
            raise stranded(backup, "had the session's name while its backup was put back")
        raise Skip("was replaced while it was put back")
    return True


def _change_places(
    roots: RootFds, root: str, folder: int, name: str, backup: str, trash: str, left: Fingerprint | None
) -> None:
    """Give the session a name in the trash, and exchange it and its backup, if it still is what the rewrite left."""
    home = roots.home(root)
    above, _, trash_name = trash.rpartition("/")
    trash_folder = roots.folder(home, above)
    with opening.parent_of(roots[home], backup) as (old_folder, old_name):
        old = looking.open_file(old_folder, old_name)
        try:
            new = looking.open_file(folder, name)
            try:
                found = os.fstat(new)
                ours = looking.is_file(looking.stat_at(trash_folder, trash_name), new)
                _require_left(found, os.fstat(folder), left, second_name=ours)
                lease = looking.require_quiet(new)
                if not stat.S_ISREG(os.fstat(old).st_mode):
                    raise Skip("its backup is no regular file")
                second_names.give(new, folder, name, trash_folder, trash_name)
                durable.sync_folder(trash_folder, trash)
                # Who opens the older file by its new name waits until it is certain that it keeps it.
                leases.write_lease(old)
                _exchange(folder, name, old_folder, old_name)
                out = looking.stat_at(old_folder, old_name)
                if looking.is_file(out, new) and _is_quiet(new, found, lease):
                    return
                _give_back(folder, name, old_folder, old_name, old, backup)
                raise Skip("was replaced or written to while it was put back")
            finally:
                looking.close(new)
        finally:
            looking.close(old)


def _require_left(
    found: os.stat_result, folder: os.stat_result, left: Fingerprint | None, *, second_name: bool
) -> None:
    reason = opening.refuse_reason(found, folder)
    if reason and not (second_name and stat.S_ISREG(found.st_mode) and found.st_nlink == 2):
        raise Skip(reason)
    if left is not None and not opening.fingerprint(found).same_content(left):
        raise Skip("changed since it was recovered")


def _is_quiet(fd: int, before: os.stat_result, lease: Lease) -> bool:
    """Whether nobody has written to it since the look, or waits to."""
    same = opening.fingerprint(os.fstat(fd)).same_content(opening.fingerprint(before))
    return same and not (lease is Lease.HELD and leases.broken(fd))


def _exchange(folder: int, name: str, old_folder: int, old_name: str) -> None:
    try:
        syscalls.rename_exchange(name, old_name, src_dir_fd=folder, dst_dir_fd=old_folder)
    except syscalls.Unsupported:
        raise Skip(
            "cannot be exchanged with its backup on this file system; copy the backup by hand"
        ) from None
    except FileNotFoundError:
        raise Gone from None


def _give_back(folder: int, name: str, old_folder: int, old_name: str, old: int, backup: str) -> None:
    """Undo the exchange, because another file than the examined one came out of it, or it is being written to."""
    try:
        syscalls.rename_exchange(name, old_name, src_dir_fd=folder, dst_dir_fd=old_folder)
    except FileNotFoundError:  # whoever replaced the session has removed what had its name since
        syscalls.rename_noreplace(old_name, name, src_dir_fd=old_folder, dst_dir_fd=folder)
        return
    if not looking.is_file(looking.stat_at(old_folder, old_name), old):
        raise stranded(backup, "had the session's name while its backup was put back")


def _end(home: int, backup: str, trash: str) -> None:
    """Take the newer file's name among the backups away, if it has the one in the trash for good."""
    moved = looking.stat_below(home, trash)
    kept = looking.stat_below(home, backup)
    if moved is None or kept is None or not os.path.samestat(moved, kept):
        return
    with opening.parent_of(home, trash) as (trash_folder, _):
        durable.sync_folder(trash_folder, trash)
    with opening.parent_of(home, backup) as (old_folder, old_name):
        os.unlink(old_name, dir_fd=old_folder)


@contextmanager
def _folder_of(root: int, path: str) -> Iterator[tuple[int, str]]:
    """The folder of the session, made again if it is gone, and the session's name there."""
    above, _, name = path.rpartition("/")
    if not above:
        yield root, name
        return
    try:
        fd = opening.open_below(root, above, opening.FOLDER_FLAGS)
    except FileNotFoundError:
        fd = make_folders(root, above)
    except NotADirectoryError:
        raise Skip("lies behind something that is no folder") from None
    try:
        yield fd, name
    finally:
        os.close(fd)
