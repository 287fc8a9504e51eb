"""The moves of a run, and the folders that files were moved out of.

What is guarded: a move is durable where it went before the folder that it left is synced or goes, because a file
system without a journal may keep that a name has gone, and forget where the file went.

Folders that were emptied wait until that is so for many moves at once, with one sync.
Nothing here moves anything: whoever does says so.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Protocol

from store import durable, names, opening
from store.barriers import Durable
from store.folders import remove_empty


class Folders(Protocol):
    """The folders of a store, as `store.roots.RootFds` has them."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def __getitem__(self, label: str) -> int: ...

    def home(self, label: str) -> str: ...

    def existing(self, label: str, relative: str) -> int: ...

    def lost(self, label: str, relative: str) -> None: ...

    def forget(self) -> None: ...


class Moves:
    """What has moved within a store: how many files are left in folders of ours, and which folders are to go."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._left: dict[tuple[str, str], int] = {}
        self._emptied: dict[tuple[str, str], str] = {}
        self._missing: set[tuple[str, str]] = set()

    @contextlib.contextmanager
    def beside(self, label: str, path: str, run: str) -> Iterator[Durable | None]:
        """Where a run has moved what lay beside ``path``, if it has: to be durable before the folder of that is synced."""
        home, trash = self._folders.home(label), names.trash_path(run, label, path).rpartition("/")[0]
        if (home, trash) in self._missing:
            yield None
            return
        try:
            # Its own: others may have ours closed.
            fd = os.dup(self._folders.existing(home, trash))
        except FileNotFoundError:
            self._missing.add((home, trash))
            yield None
            return
        try:
            yield Durable(fd, trash, folder=True)
        finally:
            os.close(fd)

    def sync_beside(self, label: str, path: str, run: str) -> None:
        """Make that durable; `Poisoned` if the disk fails."""
        with self.beside(label, path, run) as moved:
            if moved is not None:
                durable.sync_folder(moved.fd, moved.what)

    def made(self, label: str, relative: str) -> None:
        """Note that a folder of ours may be there from now on; of what others make this hears with `remove_emptied`."""
        self._missing.discard((label, relative))

    def put_one(self, label: str, relative: str) -> None:
        """Note that a file has come into a folder of ours, so that ``took_one`` goes on counting from there."""
        key = (label, relative)
        if key in self._left:
            self._left[key] += 1

    def took_one(self, label: str, relative: str, keep: str, *, ended: bool = False) -> None:
        """Note that a file has left a folder of ours; if that was its last one, the folder is to go, up to ``keep``.

        It does so at once if the file has ``ended`` or is durable elsewhere, else with `remove_emptied`.
        The folder is listed once and counted down from there: listing it, or trying to remove it, each time takes
        longer than removing the file.
        A wrong count, because others work there, costs an attempt that fails, or leaves an empty folder.
        """
        key = (label, relative)
        try:
            left = (
                self._left[key] - 1
                if key in self._left
                else len(os.listdir(self._folders.existing(label, relative)))
            )
        except OSError:  # somebody has removed it, or it cannot be listed
            return
        if left > 0:
            self._left[key] = left
            return
        self._left.pop(key, None)
        if not ended:
            self.emptied(label, relative, keep)
        elif remove_empty(self._folders[label], relative, keep):
            self._folders.forget()

    def emptied(self, label: str, relative: str, keep: str) -> None:
        """Note that the last file was moved out of a folder, which is to go, with those above it up to ``keep``."""
        self._emptied[label, relative] = keep

    def is_emptied(self, label: str, relative: str) -> bool:
        """Whether a folder waits to be removed."""
        return (label, relative) in self._emptied

    def remove_emptied(self) -> None:
        """Make durable what was moved, and remove the folders that were emptied by it, as far as they are empty still.

        Nothing is waited for if there are none. `Poisoned` if the disk fails; then they stay.
        """
        self._missing.clear()
        waiting, self._emptied = self._emptied, {}
        for home in dict.fromkeys(self._folders.home(label) for label, _ in waiting):
            durable.sync_file_system(self._folders[home], home)
        for (label, relative), keep in waiting.items():
            if remove_empty(self._folders[label], relative, keep):
                self._folders.lost(label, relative)
        if waiting:
            self._folders.forget()

    def sync(self) -> None:
        """Return when all that has moved in this store is sure to stay where it is; `Poisoned` if the disk fails."""
        for home in dict.fromkeys(self._folders.home(label) for label in self._folders.labels):
            durable.sync_file_system(self._folders[home], home)

    def sync_of(self, run: str, *, flat: bool) -> None:
        """Make the moves of a run durable: what came into its trash first, then what left the store's own folders.

        Our folders were made durable in their parents when they were made.
        Unless sessions lie ``flat`` in the roots, nobody knows by now which folders something came from or went to,
        and which of them are gone: one sync is for all. `Poisoned` if the disk fails.
        """
        if not flat:
            self.sync()
        for label in self._folders.labels:
            trash = names.trash_path(run, label, "name").rpartition("/")[0]
            with contextlib.suppress(FileNotFoundError):
                folder = opening.open_below(
                    self._folders[self._folders.home(label)], trash, opening.FOLDER_FLAGS
                )
                try:
                    durable.sync_folder(folder, trash)
                finally:
                    os.close(folder)
        for label in self._folders.labels:
            durable.sync_folder(self._folders[label], label)

    def lost(self, label: str, relative: str) -> None:
        """Note that a folder is gone: one that is made anew is counted anew."""
        self._left.pop((label, relative), None)
