"""Giving a rewritten session its old bytes back: the second half of an undo.

What is guarded: there is a session under its name at every moment, and neither of its two selves is ever without
a name.
The two files change places in one step; then the newer one goes to the trash of the run that undoes.
"""

import os

from store import durable, names, opening, syscalls
from store.change import Skip
from store.facts import Fingerprint
from store.leases import Lease, drop_lease, read_lease
from store.opening import RootFds

__all__ = ["revert"]


def revert(roots: RootFds, backup: str, left: Fingerprint | None, run: str) -> None:
    """Put a backup back in the place of its rewritten session, which goes to the trash of ``run``.

    ``left`` is what the rewrite left behind; ``None`` where a killed run could not write that down.
    Raises Skip if the session was written to since, is open for writing, or the backup is gone.
    Asked again after a kill it ends in the same state. Durable on return.
    """
    kept = names.parse_backup_path(backup)
    if kept is None:
        raise ValueError(f"not a backup of ours: {names.printable(backup)}")
    home = roots[roots.home(kept.root)]
    trash = names.trash_path(run, kept.root, kept.path)
    trash_folder = opening.make_folders(home, trash.rpartition("/")[0])
    try:
        with (
            opening.parent_of(home, backup) as (old_folder, old_name),
            opening.parent_of(roots[kept.root], kept.path) as (folder, name),
        ):
            try:
                _change_places(folder, name, old_folder, old_name, left)
            except FileNotFoundError:
                _give_name(folder, name, old_folder, old_name)
            else:
                syscalls.rename_noreplace(
                    old_name, os.path.basename(trash), src_dir_fd=old_folder, dst_dir_fd=trash_folder
                )
            durable.sync_folder(folder, kept.path)
            durable.sync_folder(trash_folder, trash)
    except FileNotFoundError:
        raise Skip("its backup is gone") from None
    finally:
        os.close(trash_folder)


def _change_places(folder: int, name: str, old_folder: int, old_name: str, left: Fingerprint | None) -> None:
    """Exchange the session and its backup, if the session still is what the rewrite left."""
    fd = opening.open_session(folder, name)
    try:
        found = os.fstat(fd)
        reason = opening.refuse_reason(found, os.fstat(folder))
        if reason is not None:
            raise Skip(reason)
        if left is not None and not opening.fingerprint(found).same_content(left):
            raise Skip("changed since it was recovered")
        if read_lease(fd) is Lease.BUSY:
            raise Skip("is open for writing")
        try:
            syscalls.rename_exchange(name, old_name, src_dir_fd=folder, dst_dir_fd=old_folder)
        except syscalls.Unsupported:
            raise Skip("cannot be exchanged with its backup on this file system; copy the backup by hand") from None
        out = os.stat(old_name, dir_fd=old_folder, follow_symlinks=False)
        if not os.path.samestat(out, found):
            syscalls.rename_exchange(name, old_name, src_dir_fd=folder, dst_dir_fd=old_folder)
            raise Skip("was replaced while it was put back")
    finally:
        drop_lease(fd)
        os.close(fd)


def _give_name(folder: int, name: str, old_folder: int, old_name: str) -> None:
    """The session itself is gone: its backup takes the name, over nothing."""
    try:
        syscalls.rename_noreplace(old_name, name, src_dir_fd=old_folder, dst_dir_fd=folder)
    except FileExistsError:
        raise Skip("another file has its place now") from None
