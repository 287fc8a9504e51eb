"""What a killed run was writing when it was killed, in our own folder: it goes, unless somebody else might miss it.

What is guarded: a file that was rewritten keeps one name of its own and none of ours, or every later run would take it
for one with two owners; and what has only its temporary name here is deleted only if it can never have had another.
That matters where two files change places: whoever gives a file its name in that very moment has it here when the run
is killed.
"""

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress

from store import durable, looking, names, opening, second_names, syscalls, trash
from store.facts import Fingerprint
from store.roots import RootFds

_Place = tuple[str, str]


def runs_with_leftovers(roots: RootFds) -> set[str]:
    """The runs of which there are temporary files."""
    return {run for home in _homes(roots) for run, _ in _temporary(roots[home])}


def remove_leftovers(roots: RootFds, run: str, finished: Collection[Fingerprint] = ()) -> None:
    """Remove what a run was writing that was killed, when all has been done that it is needed for.

    ``finished`` are the files that the run is known to have rewritten.
    What changed places with another one that is not known to be ours goes to the trash of that run; OSError if it cannot.
    """
    rewritten = [
        (kept.root, kept.path) for kept in trash.list_trash(roots, lambda each: each == run) if kept.backup
    ]
    for root, path in rewritten:
        if root not in roots.labels:
            continue
        second_names.take_back(roots, root, path, names.backup_path(run, root, path))
    for home in _homes(roots):
        left = [name for of, name in _temporary(roots[home]) if of == run]
        if left:
            # Whatever has its name for good by now keeps it when these go.
            durable.sync_file_system(roots[home], home)
        for name in left:
            aside = _had_the_name_of(roots, home, name, rewritten, finished, run)
            with opening.parent_of(roots[home], f"{names.TMP}/{name}") as (folder, own):
                if aside is None:
                    with suppress(IsADirectoryError):  # that was none of ours
                        os.unlink(own, dir_fd=folder)
                    continue
                above, _, kept = names.trash_path(run, *aside).rpartition("/")
                with suppress(FileExistsError):  # it stays where it is
                    syscalls.rename_noreplace(
                        own, kept, src_dir_fd=folder, dst_dir_fd=roots.folder(home, above)
                    )


def _homes(roots: RootFds) -> list[str]:
    return list(dict.fromkeys(roots.home(label) for label in roots.labels))


def _temporary(home: int) -> Iterator[tuple[str, str]]:
    """The temporary files in our folder below a root: the run of each, and its name."""
    try:
        folder = opening.open_below(home, names.TMP, opening.FOLDER_FLAGS)
    except FileNotFoundError:
        return
    try:
        found = sorted(os.listdir(folder))
    finally:
        os.close(folder)
    for name in found:
        parsed = names.parse_tmp_path(f"{names.TMP}/{name}")
        if parsed is not None:
            yield parsed[0], name


def _had_the_name_of(
    roots: RootFds,
    home: str,
    name: str,
    rewritten: Collection[_Place],
    finished: Collection[Fingerprint],
    run: str,
) -> _Place | None:
    """The file, by root and path, whose name a temporary file may have had; ``None`` if it had none but its own.

    A file is backed up before another one takes its name, so that one that has a second name is safe; and what is made
    where there was none (which has a number of a part) changes places with nothing.
    """
    if name.count(".") > 1:
        return None
    left = looking.stat_below(roots[home], f"{names.TMP}/{name}")
    if left is None or left.st_nlink > 1 or not stat.S_ISREG(left.st_mode):
        return None
    for root, path in rewritten:
        is_there = root in roots.labels
        if is_there and roots.home(root) != home:
            continue
        kept = looking.stat_below(roots[home], names.backup_path(run, root, path))
        now = looking.stat_below(roots[root], path) if is_there else None
        if kept is None or (now is not None and os.path.samestat(now, kept)):
            continue  # the new one never got there
        if now is None or not any(opening.fingerprint(now).same_file(each) for each in finished):
            return root, path
    return None
