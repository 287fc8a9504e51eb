"""What waits in the trash and among the backups of a store, found by its names.

The place of a file in our folders says which run put it there and where it was: nothing else is needed to bring
it back, not even the journal.
That goes for symbolic links and for empty folders, too; a folder that was made in the trash to hold something, and
is empty by now, is not taken for one that waits, because it is younger than the run.
"""

import os
import stat
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from store import names, opening
from store.facts import Fingerprint
from store.roots import RootFds


class Trashed(msgspec.Struct, frozen=True):
    """One file in the trash (or, with ``backup``, the old self of a changed session), or a link, or an empty folder.

    ``home`` is the root in whose folder it lies now, at ``kept``; it came from ``path`` below ``root``.
    """

    home: str
    kept: str
    backup: bool
    run: str
    root: str
    path: str
    fingerprint: Fingerprint
    kind: Literal["file", "link", "folder"] = "file"

    @property
    def since(self) -> float:
        """When its time here began: with its run, or later if somebody has written to it since."""
        return max(names.run_time(self.run), self.fingerprint.mtime_ns / 1e9)


def list_trash(roots: RootFds, wanted: Callable[[str], bool] = names.is_run_id) -> Iterator[Trashed]:
    """What the wanted runs left waiting in the store, in the order of runs and names.

    The folders of other runs are not even opened, and what does not bear our names is passed over.
    Folders that cannot be read raise OSError.
    """
    homes = dict.fromkeys(roots.home(label) for label in roots.labels)
    for home in homes:
        for top, backup in ((names.TRASH, False), (names.BACKUP, True)):
            for run in _runs_in(roots[home], top):
                if not wanted(run):
                    continue
                for kept, found in leaves_below(roots[home], f"{top}/{run}"):
                    kind = _kind(found, run, backup=backup)
                    parsed = names.parse_backup_path(kept) if backup else names.parse_trash_path(kept)
                    if kind is not None and parsed is not None:
                        print_of = opening.fingerprint(found)
                        yield Trashed(
                            home, kept, backup, parsed.run, parsed.root, parsed.path, print_of, kind
                        )


def was_moved(found: os.stat_result, run: str) -> bool:
    """Whether an empty folder in the trash of a run was moved there: those that are made there are younger.

    No folder is moved there of which that would not be true.
    """
    return found.st_mtime_ns < names.run_time(run) * 1e9


def _kind(found: os.stat_result, run: str, *, backup: bool) -> Literal["file", "link", "folder"] | None:
    """What this is that waits, or ``None`` if it is nothing that we put there."""
    match stat.S_IFMT(found.st_mode):
        case stat.S_IFREG:
            return "file"
        case stat.S_IFLNK if not backup:
            return "link"
        case stat.S_IFDIR if not backup and was_moved(found, run):
            return "folder"
        case _:
            return None


def _runs_in(root: int, top: str) -> list[str]:
    try:
        fd = opening.open_below(root, top, opening.FOLDER_FLAGS)
    except FileNotFoundError:
        return []
    try:
        return sorted(name for name in os.listdir(fd) if names.is_run_id(name))
    finally:
        os.close(fd)


def leaves_below(root: int, relative: str) -> Iterator[tuple[str, os.stat_result]]:
    """All that lies below a folder of ours but folders that hold something, in order, without following links."""
    try:
        fd = opening.open_below(root, relative, opening.FOLDER_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        for name in sorted(os.listdir(fd)):
            path = f"{relative}/{name}"
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                yield path, found
                continue
            empty = True
            for below in leaves_below(root, path):
                empty = False
                yield below
            if empty:
                yield path, found
    finally:
        os.close(fd)
