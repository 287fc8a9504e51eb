"""Where the packs of a store lie: in its own ``.maint`` folder, or in a folder that a policy named.

Each such folder is one more root of the store, so that all that is true of roots is true of packs: they are found
relative to a descriptor, moved to a trash on their own file system, and put back from there.
A folder elsewhere is the store's alone; which ones there are stands in the store's own ``.maint``, so that packs
are found again by whoever has the store, whatever the policy says by then.
"""

import errno
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress

import msgspec

from store import durable, looking, names, opening
from store.durable import Poisoned
from store.facts import Place
from store.folders import make_folders
from store.roots import RootFds

_MOST = 1 << 20
_MOST_FOLDERS = 64  # each takes a descriptor


class Elsewhere(msgspec.Struct, frozen=True):
    """A folder of packs outside of the store: its label, and its absolute path."""

    label: str
    path: str


_decode: Callable[[bytes], list[Elsewhere]] = msgspec.json.Decoder(list[Elsewhere]).decode
_encode = msgspec.json.Encoder().encode


def with_archives(place: Place) -> Place:
    """The store with the folders that hold its packs as further roots."""
    found: dict[str, str] = {}
    own = os.path.join(place.path, names.ARCHIVE)
    if os.path.isdir(own):
        found[names.ARCHIVE_ROOT] = own
    taken = {own, *place.roots.values()}  # packs that are found twice are no two
    with suppress(OSError):
        folder = opening.open_folder(place.path)
        try:
            for each in _read(folder) or ():
                if each.path not in taken:
                    found[each.label] = each.path
        finally:
            os.close(folder)
    return msgspec.structs.replace(place, roots={**place.roots, **found}) if found else place


def labels(roots: RootFds) -> list[str]:
    """The roots that hold packs, and can be reached."""
    return [label for label in roots.labels if names.is_archive_root(label)]


def home_of(roots: RootFds, pack: str) -> str | None:
    """The root in which a pack lies, if one does."""
    for label in labels(roots):
        if looking.stat_at(roots[label], pack) is not None:
            return label
    return None


def unreachable(place: Place, roots: RootFds) -> list[str]:
    """The paths of folders of packs that cannot be opened: unmounted, or gone."""
    return [
        path
        for label, path in place.roots.items()
        if names.is_archive_root(label) and label not in roots.labels
    ]


def ensure(place: Place, roots: RootFds, into: str | None) -> tuple[Place, str]:
    """See that the store has a folder for packs in ``into`` (absolute), or in its own; the store with it, and its label.

    What was made is durable. OSError where it cannot be: a folder that is named must exist, because one that is
    not mounted would be taken for an empty one.
    """
    if into is None:
        os.close(make_folders(roots[roots.first], names.ARCHIVE, durable=set()))
        return _with(place, roots, names.ARCHIVE_ROOT, f"{place.path}/{names.ARCHIVE}")
    into = os.path.normpath(into)
    known = _known(roots[roots.first])
    for each in known:
        if os.path.dirname(each.path) == into:
            return _with(place, roots, each.label, each.path)
    label = f"{names.ARCHIVE_ROOT}-{os.urandom(3).hex()}"
    word = re.sub(r"[^A-Za-z0-9._-]", "-", place.name)
    path = os.path.join(into, f"{word}-{label.rpartition('-')[2]}")
    if len(known) >= _MOST_FOLDERS:
        raise OSError(errno.EMFILE, "the store has packs in too many folders already", path)
    above = opening.open_folder(into)
    try:
        os.mkdir(os.path.basename(path), 0o700, dir_fd=above)
        try:
            durable.sync_folder(above, path)
            _record(roots, [*known, Elsewhere(label, path)])
        except Poisoned:  # the record may be there, and then the folder must be, too
            raise
        except BaseException:
            with suppress(OSError):
                os.rmdir(os.path.basename(path), dir_fd=above)
            raise
    finally:
        os.close(above)
    return _with(place, roots, label, path)


def _with(place: Place, roots: RootFds, label: str, path: str) -> tuple[Place, str]:
    if label not in roots.labels:
        roots.add(label, path)
    return msgspec.structs.replace(place, roots={**place.roots, label: path}), label


def _record(roots: RootFds, known: list[Elsewhere]) -> None:
    store = roots[roots.first]
    os.close(make_folders(store, names.FOLDER, durable=set()))
    with suppress(FileNotFoundError), opening.parent_of(store, names.ARCHIVES_NEW) as (folder, name):
        os.unlink(name, dir_fd=folder)
    durable.replace_file(store, names.ARCHIVES, _encode(known), names.ARCHIVES_NEW)


def _known(folder: int) -> list[Elsewhere]:
    """The folders that are on record; OSError where a record that cannot be read would be written over."""
    known = _read(folder)
    if known is None:
        text = "the record of the folders that hold packs cannot be read: look at it, or move it away"
        raise OSError(errno.EBADMSG, text, names.ARCHIVES)
    return known


def _read(folder: int) -> list[Elsewhere] | None:
    """The folders that are on record, none if there is none; ``None`` if it cannot be read.

    What no record of ours would say is passed over.
    """
    try:
        fd = opening.open_below(folder, names.ARCHIVES)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        found = _decode(os.pread(fd, _MOST, 0))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    finally:
        os.close(fd)
    labels: set[str] = set()
    paths: set[str] = set()
    known: list[Elsewhere] = []
    for each in found:
        if _could_be(each) and each.label not in labels and each.path not in paths:
            labels.add(each.label)
            paths.add(each.path)
            known.append(each)
    return known[:_MOST_FOLDERS]


def _could_be(each: Elsewhere) -> bool:
    return (
        names.is_archive_root(each.label)
        and each.label != names.ARCHIVE_ROOT
        and each.path.startswith("/")
        and "\0" not in each.path
        and os.path.normpath(each.path) == each.path
    )
