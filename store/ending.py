"""Ending: what is in a sealed pack is let go, and what has waited out its grace period in the trash goes for good.

What is guarded: nothing ends in its place, but only where we have moved it aside, looked at once more through the
descriptor that was open all along, and only if nobody has touched it since or is about to.
"""

import errno
import os
import stat
from functools import partial

from store import leases, looking, names, opening, removing
from store.emptied import Owned
from store.facts import Fingerprint, Member
from store.leases import Lease
from store.looking import Skip
from store.roots import RootFds

_KEPT_KINDS = frozenset({stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR})


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
        removing.move_all(roots, members, run, lasting=False)
        freed = end_moved(roots, members, run)
    if owned is not None:
        removing.remove_folders(roots, members, run, owned, left, keep=False)
    return freed


def end_moved(roots: RootFds, members: tuple[Member, ...], run: str) -> int:
    """End those files in the trash of a run that are of a session in a sealed pack; how many bytes that was."""
    freed = 0
    failure: OSError | None = None
    for member in members:
        above, _, name = names.trash_path(run, member.root, member.path).rpartition("/")
        try:
            end = partial(_end, name=name, expected=member.fingerprint, sure=True)
            removing.in_folder(roots, roots.home(member.root), above, end)
            freed += member.fingerprint.size
        except (FileNotFoundError, Skip):
            pass
        except OSError as error:  # the others end all the same: the fewer are left of it, the better
            failure = failure or error
    if failure is not None:
        raise failure
    return freed


def expire(roots: RootFds, rel: str, expected: Fingerprint, *, home: str | None = None) -> int:
    """Delete one file of our trash or our backups for good; how many bytes that was, 0 if it was gone already.

    ``rel`` is its path below the root that keeps it (``home``, where the root that it came from may be gone),
    ``expected`` what was recorded when it got there.
    Raises Skip if anything was written to it since, or somebody is about to.
    """
    top = names.TRASH
    kept = names.parse_trash_path(rel)
    if kept is None:
        top = names.BACKUP
        kept = names.parse_backup_path(rel)
    if kept is None:
        raise ValueError(f"not in our trash or backups: {names.printable(rel)}")
    home = home if home is not None else roots.home(kept.root)
    above, _, name = rel.rpartition("/")
    try:
        removing.in_folder(roots, home, above, partial(_end, name=name, expected=expected))
    except FileNotFoundError:
        return 0
    roots.moves.took_one(home, above, top, ended=True)
    return expected.size


def _let_one_go(roots: RootFds, member: Member, run: str, ended: list[int] | None) -> int:
    """As `let_go`, for a session of one file, of which there may be very many."""
    home = roots.home(member.root)
    trash = names.trash_path(run, member.root, member.path)
    own, _, name = member.path.rpartition("/")
    try:
        folder, fd = looking.open_below(roots, member.root, own, name)
    except FileNotFoundError:
        removing.require_moved(roots, home, trash, member)
        return 0
    except OSError as error:
        raise looking.as_skip(error) from None
    ending = False
    try:
        lease = looking.require_quiet(fd)
        around = os.fstat(folder) if own else roots.stat(member.root)
        looking.require_planned(os.fstat(fd), around, member.fingerprint)
        lasting = lease is not Lease.HELD  # else it lies in the trash for a moment only
        kept = removing.move_open(
            roots, home, trash, fd, folder, name, member.fingerprint, lease, lasting=lasting
        )
        above, _, kept_name = trash.rpartition("/")
        if lasting:
            roots.moves.put_one(home, above)
            return 0
        # It was looked at there through the descriptor that is still open.
        try:
            os.unlink(kept_name, dir_fd=kept)
        except OSError:  # then it waits there, like everything else
            roots.moves.put_one(home, above)
            return 0
        if ended is not None:
            ended.append(fd)  # with its lease, which nobody can ask for any more
            ending = True
        return member.fingerprint.size
    finally:
        if not ending:
            looking.close(fd)


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
