"""The commit of a rewrite: the new file takes the session's name, and the old one keeps another.

What is guarded: both files have a durable name before the exchange and after it, and a file that took the session's
name in the last moment gets it back.
"""

import os

from store import durable, leases, looking, names, opening, second_names, syscalls
from store.barriers import Durable, Steps
from store.facts import Member
from store.leases import Lease
from store.looking import Gone, Skip, stranded
from store.roots import RootFds


class Place:
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
        # Descriptors of its own: those that the roots keep are closed when others remove folders meanwhile.
        above, _, self.tmp_name = self.tmp_path.rpartition("/")
        self.tmp = os.dup(roots.folder(self.home, above))
        above, _, self.backup_name = self.backup_path.rpartition("/")
        try:
            self.backup = os.dup(roots.folder(self.home, above))
        except BaseException:
            os.close(self.tmp)
            raise

    def close(self) -> None:
        os.close(self.tmp)
        os.close(self.backup)

    def backup_is(self, fd: int) -> bool:
        return looking.is_file(looking.stat_at(self.backup, self.backup_name), fd)

    def set_aside(self) -> str:
        """Move what has the temporary name to the trash, since it may be somebody's; where it lies then."""
        trash = names.trash_path(self.run, self.member.root, self.member.path)
        above, _, name = trash.rpartition("/")
        kept = self.roots.folder(self.home, above)
        syscalls.rename_noreplace(self.tmp_name, name, src_dir_fd=self.tmp, dst_dir_fd=kept)
        return trash


def commit(place: Place, new: int, lease: Lease, *, idle: bool) -> Steps[None]:
    """Back the old file up and let the new one take its name; or leave everything as it was, and raise."""
    size = os.fstat(new).st_size
    try:
        second_names.give(place.fd, place.folder, place.name, place.backup, place.backup_name)
        yield Durable(place.backup, place.backup_path, folder=True)
        # From here on the planned file has a second, durable name: the exchange can lose nothing of it.
        _look_again(place, lease)
        # Who opens the new file waits until the late lines of the old one are in it, and so comes after them.
        leases.write_lease(new)
        _exchange(place, idle=idle)
    except BaseException:
        leases.drop_lease(new)
        _withdraw(place, new, size)
        raise
    out = looking.stat_at(place.tmp, place.tmp_name)
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


def _look_again(place: Place, lease: Lease) -> None:
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


def _exchange(place: Place, *, idle: bool) -> None:
    try:
        syscalls.rename_exchange(place.tmp_name, place.name, src_dir_fd=place.tmp, dst_dir_fd=place.folder)
    except syscalls.Unsupported:
        if not idle:
            raise Skip("lies on a file system that cannot exchange two files") from None
        there = looking.stat_at(place.folder, place.name)
        if there is None or not os.path.samestat(there, os.fstat(place.fd)):
            raise Skip("was replaced while it was rewritten") from None
        os.rename(place.tmp_name, place.name, src_dir_fd=place.tmp, dst_dir_fd=place.folder)
    except FileNotFoundError:
        raise Gone from None


def _give_back(place: Place, new: int) -> None:
    """Undo the exchange, because another file than the examined one came out of it."""
    try:
        syscalls.rename_exchange(place.tmp_name, place.name, src_dir_fd=place.tmp, dst_dir_fd=place.folder)
    except FileNotFoundError:  # whoever replaced the session has removed it since
        syscalls.rename_noreplace(place.tmp_name, place.name, src_dir_fd=place.tmp, dst_dir_fd=place.folder)
        return
    back = looking.stat_at(place.tmp, place.tmp_name)
    if back is not None and not os.path.samestat(back, os.fstat(new)):
        raise stranded(place.set_aside(), "had the session's name while it was rewritten")


def _withdraw(place: Place, new: int, size: int) -> None:
    """Take the temporary file and the backup away again, unless something depends on them."""
    left = looking.stat_at(place.tmp, place.tmp_name)
    if left is not None and os.path.samestat(left, os.fstat(place.fd)):
        return  # interrupted just after the exchange: asked again, the rewrite goes on from there
    # A second link means that the file has a name besides our backup; else the backup is all there is of it.
    if os.fstat(place.fd).st_nlink > 1 and place.backup_is(place.fd):
        os.unlink(place.backup_name, dir_fd=place.backup)
    if os.fstat(new).st_size != size:
        # Somebody wrote to it in the moment it had the name.
        raise stranded(place.set_aside(), "was written to while it had the session's name")
    durable.remove_exactly(place.tmp, place.tmp_name, new)
