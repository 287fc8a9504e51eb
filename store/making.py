"""Making a file that a session lacks, from another of its files, or one that a program keeps beside its sessions.

What is guarded: a name stands for a whole, durable file or for none, and nothing that has the name already is
touched; the file that was read is left as it was.

Making one that was killed can be asked for again with the same arguments: it ends in the same state.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from store import durable, leases, looking, names, opening, syscalls
from store.facts import Fingerprint, Member
from store.leases import Lease
from store.looking import Skip
from store.roots import RootFds

_BLOCK = 1 << 20


def make(
    roots: RootFds,
    source: Member,
    path: str,
    run: str,
    n: int,
    part: int,
    build: Callable[[int], Iterator[bytes]],
) -> Fingerprint:
    """Make the file at ``path``, below the root of the source, of what ``build`` yields from a descriptor of it.

    It gets the mode, the owner and the times of the source; ``part`` tells it from other files of the same action.
    Raises Skip if the source is not as planned or is being written, or if another file has that name; what ``build``
    raises is passed on, and nothing was changed. Durable on return.
    """
    with _source(roots, source, run) as (fd, lease):
        os.lseek(fd, 0, os.SEEK_SET)

        def unchanged() -> None:
            if not opening.fingerprint(os.fstat(fd)).same_content(source.fingerprint):
                raise Skip("changed while something was made of it")
            if lease is Lease.HELD and leases.broken(fd):
                raise Skip("was opened for writing while something was made of it")

        def dress(new: int) -> None:
            durable.dress_like(new, fd)

        return _make(roots, source.root, path, run, names.tmp_path(run, n, part), build(fd), dress, unchanged)


def make_new(roots: RootFds, root: str, path: str, content: bytes, run: str, n: int) -> Fingerprint:
    """Make the file at ``path`` below a root with these bytes, for its owner alone; as `make` otherwise."""
    return _make(
        roots, root, path, run, names.tmp_path(run, n, 1), iter((content,)), lambda _: None, lambda: None
    )


def _make(
    roots: RootFds,
    root: str,
    path: str,
    run: str,
    tmp: str,
    content: Iterator[bytes],
    dress: Callable[[int], None],
    unchanged: Callable[[], None],
) -> Fingerprint:
    above, _, name = tmp.rpartition("/")
    folder = roots.folder(roots.home(root), above)
    if looking.stat_at(folder, name) is not None:
        os.unlink(name, dir_fd=folder)  # left by an attempt that was killed, and made again
    new = durable.create(folder, name, flags=os.O_RDWR)
    try:
        digest = durable.write_pieces(new, content)
        dress(new)
        durable.sync_file(new, tmp)
        durable.ask_disk(new)
        durable.require_on_disk(new, digest, tmp)
        unchanged()
        roots.moves.sync_beside(root, path, run)
        with opening.parent_of(roots[root], path) as (target, own):
            try:
                syscalls.rename_noreplace(name, own, src_dir_fd=folder, dst_dir_fd=target)
            except FileExistsError:
                there = _same(target, own, digest)
                durable.remove_exactly(folder, name, new)
                durable.sync_folder(target, path)
                return there
            durable.sync_folder(target, path)
        return opening.fingerprint(os.fstat(new))
    except BaseException:
        durable.remove_exactly(folder, name, new)
        raise
    finally:
        os.close(new)


def _same(folder: int, name: str, digest: bytes) -> Fingerprint:
    """The fingerprint of a file that has exactly these bytes, as an attempt that was killed leaves it; else Skip."""
    fd = looking.open_file(folder, name)
    try:
        found = hashlib.sha256()
        position = 0
        while data := os.pread(fd, _BLOCK, position):
            found.update(data)
            position += len(data)
        if found.digest() != digest:
            raise Skip("another file has the name of one that is to be made")
        return opening.fingerprint(os.fstat(fd))
    finally:
        os.close(fd)


@contextmanager
def _source(roots: RootFds, source: Member, run: str) -> Iterator[tuple[int, Lease]]:
    """The planned file, and whether a lease on it is held; among the backups, if an attempt got as far as that."""
    backup = names.backup_path(run, source.root, source.path)
    kept = looking.stat_below(roots[roots.home(source.root)], backup)
    if kept is not None and opening.fingerprint(kept).same_content(source.fingerprint):
        fd = opening.open_below(roots[roots.home(source.root)], backup)
        try:
            yield fd, Lease.UNAVAILABLE
        finally:
            os.close(fd)
        return
    with looking.opened(roots, source) as (fd, folder, _):
        lease = looking.require_quiet(fd)
        looking.require_planned(os.fstat(fd), os.fstat(folder), source.fingerprint)
        yield fd, lease
