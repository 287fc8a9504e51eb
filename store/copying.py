"""Copying out of a store: byte for byte, over nothing, and whole or not at all.

What is guarded: nothing outside of the folder that was named is written, because no link on the way is followed,
not even one that was copied a moment ago.
"""

import contextlib
import os
import posixpath
import stat
from collections.abc import Sequence

from store import durable, looking, names, opening
from store.facts import Fingerprint
from store.folders import make_folders, unmake
from store.looking import Skip
from store.roots import RootFds
from store.trash import Trashed

_FOLDER_MODE = 0o755


def placed(files: Sequence[tuple[str, str]]) -> list[str]:
    """Where the copies of a session's files go, by their roots and paths: a single one by its name alone.

    Several go by their paths; one whose path a file of another root has taken goes behind the label of its root, as in a
    pack.
    """
    if len(files) == 1:
        return [posixpath.basename(path) for _, path in files]
    taken: set[str] = set()
    found: list[str] = []
    for root, path in files:
        found.append(f"@{root}/{path}" if path in taken else path)
        taken.add(path)
    return found


def copy_session(roots: RootFds, kept: Sequence[Trashed], dest_dir: str) -> list[str]:
    """Copy all that waits of a session to a folder, placed as `placed` says; the paths it has there.

    FileExistsError if one of the names is taken, Skip if a file changes meanwhile; what was copied before is removed
    then, unless somebody has written to it. Durable on return.
    """
    paths = placed([(each.root, each.path) for each in kept])
    top = opening.open_folder(dest_dir)
    made: list[str] = []
    copied: list[tuple[str, Fingerprint]] = []
    try:
        for each, path in zip(kept, paths, strict=True):
            above, _, name = path.rpartition("/")
            folder = make_folders(top, above, _FOLDER_MODE, made=made) if above else top
            try:
                with opening.parent_of(roots.reach(each.home), each.kept) as (source, source_name):
                    ours = _copy_as_it_is(each, source, source_name, folder, name)
                if ours is not None:
                    copied.append((path, ours))
                else:
                    made.append(path)
            finally:
                if folder != top:
                    os.close(folder)
    except BaseException:
        for path, ours in reversed(copied):
            with contextlib.suppress(OSError), opening.parent_of(top, path) as (folder, name):
                found = looking.stat_at(folder, name)
                if found is not None and opening.fingerprint(found).same_content(ours):
                    os.unlink(name, dir_fd=folder)
        unmake(top, made)
        raise
    finally:
        os.close(top)
    return [os.path.join(dest_dir, path) for path in paths]


def _copy_as_it_is(
    kept: Trashed, source: int, source_name: str, folder: int, name: str
) -> Fingerprint | None:
    """Copy a file, a link or an empty folder; what the copy is, or ``None`` for a folder."""
    if kept.kind == "folder":
        os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
        durable.sync_folder(folder, name)
        return None
    if kept.kind == "link":
        target = os.readlink(source_name, dir_fd=source)
        os.symlink(target, name, dir_fd=folder)
        try:
            mtime_ns = kept.fingerprint.mtime_ns
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=folder, follow_symlinks=False)
            durable.sync_folder(folder, name)
            return opening.fingerprint(os.stat(name, dir_fd=folder, follow_symlinks=False))
        except BaseException:
            os.unlink(name, dir_fd=folder)
            raise
    fd = looking.open_file(source, source_name)
    try:
        return _copy(fd, folder, name)
    finally:
        os.close(fd)


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
