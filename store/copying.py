"""Copying a file out of a store: byte for byte, over nothing, and whole or not at all."""

import os
import stat

from store import durable, looking, names, opening
from store.facts import Fingerprint
from store.looking import Skip
from store.roots import RootFds


def copy_out(roots: RootFds, rel: str, dest_dir: str, name: str, *, root: str | None = None) -> Fingerprint:
    """Copy one file, byte for byte, with mode and modification time, to a new file in another folder.

    ``rel`` is relative to ``root``: without one, to the root that keeps it if it is a path in our trash or
    backups, else to the first.
    FileExistsError if the name is taken, Skip if the file changes meanwhile. Durable on return.
    """
    if root is None:
        kept = names.parse_trash_path(rel) or names.parse_backup_path(rel)
        root = roots.home(kept.root) if kept else roots.first
    if "/" in name or not names.is_clean(name):
        raise ValueError(f"not the name of a file: {names.printable(name)}")
    target = opening.open_folder(dest_dir)
    try:
        with opening.parent_of(roots[root], rel) as (folder, source_name):
            source = looking.open_file(folder, source_name)
            try:
                return _copy(source, target, name)
            finally:
                os.close(source)
    finally:
        os.close(target)


def _copy(source: int, folder: int, name: str) -> Fingerprint:
    before = os.fstat(source)
    if not stat.S_ISREG(before.st_mode):
        raise Skip(opening.refuse_reason(before, before) or "is no regular file")
    target = durable.create(folder, name)
    try:
        durable.append_rest(source, 0, target)
        os.fchmod(target, stat.S_IMODE(before.st_mode) & 0o777)
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        durable.sync_file(target, name)
        _require_same(source, opening.fingerprint(before))
        durable.sync_folder(folder, name)
        return opening.fingerprint(os.fstat(target))
    except BaseException:
        durable.remove_exactly(folder, name, target)
        raise
    finally:
        os.close(target)


def _require_same(fd: int, before: Fingerprint) -> None:
    if not opening.fingerprint(os.fstat(fd)).same_content(before):
        raise Skip("changed while it was copied")
