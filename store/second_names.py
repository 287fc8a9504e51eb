"""Second names: how a file keeps one while its own is taken from it.

What is guarded: before a session's name goes to another file, the session has a second, durable name in our
folders; and a session that keeps its name after all loses the second one again, or every later run would take it
for a file with two owners and refuse it.
"""

import os
from contextlib import suppress

from store import looking, opening
from store.looking import Skip
from store.roots import RootFds


def give(fd: int, folder: int, name: str, kept: int, kept_name: str) -> None:
    """Give the examined file itself a second name, whatever has its first one now; not over anything.

    ``folder`` and ``name`` are where it was examined, ``kept`` and ``kept_name`` where it gets its new name, which is
    durable when that folder is.
    """
    try:
        _link(fd, folder, name, kept, kept_name)
    except FileExistsError:
        if not looking.is_file(looking.stat_at(kept, kept_name), fd):
            raise Skip("another file of that name was changed by this run") from None


def take_back(roots: RootFds, root: str, path: str, kept_path: str) -> None:
    """Remove the second name at ``kept_path`` of a session that still has its own, whoever gave it."""
    # What cannot be looked at now is left as it is: the error that brought us here is the one to tell.
    with suppress(OSError), opening.parent_of(roots[roots.home(root)], kept_path) as (folder, name):
        kept = looking.stat_at(folder, name)
        # While it has the second name, no other file can be the same one.
        own = looking.stat_below(roots[root], path)
        if kept is not None and own is not None and os.path.samestat(kept, own) and kept.st_nlink > 1:
            os.unlink(name, dir_fd=folder)


def _link(fd: int, folder: int, name: str, kept: int, kept_name: str) -> None:
    try:
        # The descriptor of a source folder makes Python use linkat, which alone follows this link.
        os.link(f"/proc/self/fd/{fd}", kept_name, src_dir_fd=folder, dst_dir_fd=kept, follow_symlinks=True)
    except FileNotFoundError:  # no /proc
        os.link(name, kept_name, src_dir_fd=folder, dst_dir_fd=kept, follow_symlinks=False)
        if not looking.is_file(looking.stat_at(kept, kept_name), fd):
            os.unlink(kept_name, dir_fd=kept)
            raise Skip("was replaced meanwhile") from None
