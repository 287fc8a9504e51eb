"""Bringing a session back from a pack: byte for byte, with mode, times and place, and never over anything.

What is guarded: no name in the store, nor in a folder that somebody named, ever stands for anything but a whole
file.
A file is written in a folder of ours, compared with its digest while it is, and gets its name by a rename that
replaces nothing; where it is to go somewhere else it is written there, under a name of its own, in the same way.
Modes are never widened: only the bits of reading, writing and running come back.
Folders that are missing are made, as they were if the pack knows it, and else for their owner alone; those that are
there stay as they are.

Durable once the file system is synced: many files share one sync, before any of them gets its name.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from store import copying, durable, looking, names, opening, syscalls
from store.durable import Poisoned
from store.facts import Fingerprint, Member
from store.folders import make_folders, unmake
from store.looking import Skip
from store.manifest import Entry, PackedFolder, PackedMember
from store.packs import PackReader
from store.roots import RootFds


class Written(NamedTuple):
    """A file that has all its bytes, and waits for its name: where it is, and where it goes.

    ``tmp`` is below the root ``tmp_root``, ``path`` below the root ``root``; ``folders`` are those of its session.
    """

    tmp_root: str
    tmp: str
    root: str
    path: str
    folders: tuple[PackedFolder, ...] = ()


def write(
    pack: PackReader, entry: Entry, roots: RootFds, run: str, n: int, *, sync: bool = False
) -> list[Written]:
    """Write the files of a session into our own folder; `store.frames.Damaged` if one is not what was packed.

    With ``sync`` they are durable on return: cheaper for a few files than to sync the file system.
    Leaves nothing when it fails.
    """
    done: list[Written] = []
    try:
        for part, (member, content) in enumerate(pack.members(entry)):
            home = home_of(roots, member.root)
            tmp = names.tmp_path(run, n, part)
            above, _, name = tmp.rpartition("/")
            folder = roots.folder(home, above)
            try:
                _write_one(folder, name, member, content, sync=sync)
            except FileExistsError:  # left by an attempt of a worker that died; nothing was read yet
                os.unlink(name, dir_fd=folder)
                _write_one(folder, name, member, content, sync=sync)
            done.append(Written(home, tmp, member.root, member.path, entry.folders))
    except BaseException:
        drop(roots, done)
        raise
    return done


def settle(roots: RootFds, written: list[Written]) -> None:
    """Give the files of one session their names, all or none; Skip if something has one of them.

    A file that somebody has written to in its place stays there even so, and so does what he put there instead.
    """
    placed: list[tuple[Written, Fingerprint]] = []
    made = Made(roots, written[0].folders if written else ())
    try:
        for each in written:
            placed.append((each, _place(roots, each, made)))  # noqa: PERF401  what was placed is known when the next fails
        made.make_rest()
    except BaseException:
        for each, ours in reversed(placed):
            with contextlib.suppress(OSError):
                _take_back(roots, each, ours)
        drop(roots, written)
        made.unmake()
        raise


class Made:
    """The folders that bringing a session back has to make; ``folders`` are those whose modes its pack knows."""

    def __init__(self, roots: RootFds, folders: tuple[PackedFolder, ...]) -> None:
        self._roots = roots
        self._folders = folders
        self._modes = {(folder.root, folder.path): folder.mode for folder in folders}
        self._made: dict[str, list[str]] = {}

    def open(self, root: str, path: str) -> int:
        """A descriptor of a folder, made with its parents where they are missing."""

        def mode(path: str) -> int | None:
            return self._modes.get((root, path))

        return make_folders(self._roots[root], path, modes=mode, made=self._made.setdefault(root, []))

    def make_rest(self) -> None:
        """Make what folders were made for the session, and hold no file of it; that they are there is no promise.

        `Poisoned` if the disk fails: it may have been asked about a folder that does hold files, and says so only once.
        """
        for folder in self._folders:
            try:
                os.close(self.open(folder.root, folder.path))
            except Poisoned:
                raise
            except OSError:
                continue

    def unmake(self) -> None:
        """Remove what was made, as far as it is empty."""
        for root, paths in self._made.items():
            unmake(self._roots[root], paths)


def drop(roots: RootFds, written: list[Written]) -> None:
    """Remove files that are not to get a name after all."""
    for each in written:
        with (
            contextlib.suppress(OSError),
            opening.parent_of(roots[each.tmp_root], each.tmp) as (folder, name),
        ):
            os.unlink(name, dir_fd=folder)


def remove_unplaced(roots: RootFds, members: Iterable[Member], run: str, n: int) -> None:
    """Remove what a run has written of a session, its ``n``th, that was to come back and had not got its name yet."""
    for part, member in enumerate(members):
        with contextlib.suppress(KeyError, OSError):
            home = roots[roots.home(member.root)]
            with opening.parent_of(home, names.tmp_path(run, n, part)) as (folder, name):
                os.unlink(name, dir_fd=folder)


def is_there(roots: RootFds, entry: Entry) -> bool:
    """Whether something has the place of one of the files of a session."""
    for member in entry.members:
        if member.root not in roots.labels:
            continue
        with contextlib.suppress(
            FileNotFoundError, NotADirectoryError
        ):  # what is no folder is met when writing
            with opening.parent_of(roots[member.root], member.path) as (folder, name):
                os.stat(name, dir_fd=folder, follow_symlinks=False)
            return True
    return False


def copy_out(pack: PackReader, entry: Entry, dest: str) -> list[str]:
    """Copy a session to a folder, placed as `store.copying.placed` says; the paths they have there. Durable on return.

    FileExistsError if one of the names is taken; `store.frames.Damaged` if a file is not what was packed. What was
    written before is removed then, unless somebody has written to it.
    """
    top = opening.open_folder(dest)
    copied: list[tuple[str, Fingerprint]] = []
    try:
        paths = copying.placed([(member.root, member.path) for member in entry.members])
        for part, (member, content) in enumerate(pack.members(entry)):
            _copy_one(top, part, paths[part], member, content, copied)
    except BaseException:
        for path, ours in reversed(copied):
            with contextlib.suppress(OSError), opening.parent_of(top, path) as (folder, name):
                if _is_still(folder, name, ours):
                    os.unlink(name, dir_fd=folder)
        raise
    else:
        return [os.path.join(dest, path) for path, _ in copied]
    finally:
        os.close(top)


def _copy_one(
    top: int,
    part: int,
    path: str,
    member: PackedMember,
    content: Iterator[memoryview],
    copied: list[tuple[str, Fingerprint]],
) -> None:
    """Copy one file, and note it once it has its name, whatever happens after that."""
    above, _, name = path.rpartition("/")
    folder = make_folders(top, above, 0o755) if above else top
    beside = f".{os.getpid()}.{part}.maint"
    try:
        _write_one(folder, beside, member, content, sync=True)
        try:
            ours = opening.fingerprint(os.stat(beside, dir_fd=folder, follow_symlinks=False))
            syscalls.rename_noreplace(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(beside, dir_fd=folder)
            raise
        copied.append((path, ours))
        durable.sync_folder(folder, path)
    finally:
        if folder != top:
            os.close(folder)


def home_of(roots: RootFds, root: str) -> str:
    """The root whose folder of ours takes files on their way to this one; Skip if there is no such root."""
    if root not in roots.labels or names.is_archive_root(root):
        raise Skip(f"the root {names.printable(root)} of the store is not there")
    return roots.home(root)


def _write_one(
    folder: int, name: str, member: PackedMember, content: Iterator[memoryview], *, sync: bool = False
) -> None:
    if member.link is not None:
        for _ in content:  # there is none, and its digest is compared
            pass
        os.symlink(member.link, name, dir_fd=folder)
        try:
            os.utime(name, ns=(member.mtime_ns, member.mtime_ns), dir_fd=folder, follow_symlinks=False)
        except BaseException:
            os.unlink(name, dir_fd=folder)
            raise
        return
    fd = durable.create(folder, name)
    try:
        for data in content:
            durable.write_all(fd, data)
        dress(fd, member)
        if sync:
            durable.sync_file(fd, name)
    except BaseException:
        durable.remove_exactly(folder, name, fd)
        raise
    finally:
        os.close(fd)


def dress(fd: int, member: PackedMember) -> None:
    """Give a file its owner where that is permitted, its mode and its times."""
    if os.geteuid() == 0 and (member.uid, member.gid) != (0, 0):
        with contextlib.suppress(PermissionError):
            os.fchown(fd, member.uid, member.gid)
    if member.mode != 0o600:
        os.fchmod(fd, member.mode & 0o777)
    os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))


def _place(roots: RootFds, each: Written, made: Made) -> Fingerprint:
    """Give a file its name; how it was when it got it."""
    with opening.parent_of(roots[each.tmp_root], each.tmp) as (folder, name):
        ours = opening.fingerprint(os.stat(name, dir_fd=folder, follow_symlinks=False))
    try:
        _move(roots, each.tmp_root, each.tmp, each.root, each.path, made.open)
    except FileExistsError:
        raise Skip("another file has its place now") from None
    return ours


def _take_back(roots: RootFds, each: Written, ours: Fingerprint) -> None:
    """Take its name from a file again, unless another one has it by now, or somebody has written to it."""
    _move(roots, each.root, each.path, each.tmp_root, each.tmp)
    with opening.parent_of(roots[each.tmp_root], each.tmp) as (folder, name):
        same = _is_still(folder, name, ours)
    if not same:
        _move(roots, each.tmp_root, each.tmp, each.root, each.path)


def _is_still(folder: int, name: str, ours: Fingerprint) -> bool:
    found = looking.stat_at(folder, name)
    return found is not None and opening.fingerprint(found).same_content(ours)


def _move(
    roots: RootFds,
    source_root: str,
    source: str,
    target_root: str,
    target: str,
    make: Callable[[str, str], int] | None = None,
) -> None:
    above, _, name = target.rpartition("/")
    folder = roots[target_root]
    if above:
        folder = make(target_root, above) if make is not None else make_folders(folder, above)
    try:
        with opening.parent_of(roots[source_root], source) as (source_folder, source_name):
            syscalls.rename_noreplace(source_name, name, src_dir_fd=source_folder, dst_dir_fd=folder)
    finally:
        if above:
            os.close(folder)
