"""Folders elsewhere that entries of a store lead to: roots of it, for as long as anything of ours may go back there.

A program that keeps a session in a folder of the user's choice leaves a link to it in its store.
Once the link is gone with its session, only what is written down here tells where the session was.

What is guarded: a label means one folder for ever, because it is made from the path; what was written down is only
added to, as long as there is room, and those that were in use last are the last to be forgotten; and a record that
cannot be read is no reason to forget it.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from store import durable, names, opening
from store.facts import Place
from store.folders import make_folders
from store.roots import RootFds

MOST = 256
"""Folders that a store may have elsewhere: each takes a descriptor while it is worked on."""

_LIMIT = 1 << 20
_LABEL = re.compile(r"dir-[0-9a-f]{16}")
_decode: Callable[[bytes], dict[str, str]] = msgspec.json.Decoder(dict[str, str]).decode
_encode = msgspec.json.Encoder().encode


def label_of(path: str) -> str:
    """What the folder at this absolute path is called among the roots of a store."""
    return f"dir-{hashlib.sha256(path.encode(errors='surrogateescape')).hexdigest()[:16]}"


def is_target(label: str) -> bool:
    """Whether this is the label of a folder elsewhere."""
    return _LABEL.fullmatch(label) is not None


def with_targets(place: Place, found: Mapping[str, str]) -> Place:
    """The store with the folders that its entries lead to now, and those that they once led to."""
    with suppress(OSError):
        folder = opening.open_folder(place.path)
        try:
            found = {**_latest(_read(folder) or {}), **found}
        finally:
            os.close(folder)
    return msgspec.structs.replace(place, roots={**place.roots, **found}) if found else place


def record(place: Place, roots: RootFds) -> None:
    """Write down the folders elsewhere that this store has now; durable on return.

    OSError where they cannot be: then nothing may be done to what lies there.
    """
    found = {label: path for label, path in place.roots.items() if is_target(label)}
    store = roots[roots.first]
    known = _read(store)
    if known is None:
        text = "the record of folders elsewhere cannot be read: look at it, or move it away"
        raise OSError(errno.EBADMSG, text, names.TARGETS)
    if found.keys() <= _latest(known).keys():
        return
    others = {label: path for label, path in known.items() if label not in found}
    os.close(make_folders(store, names.FOLDER, durable=set()))
    with suppress(FileNotFoundError), opening.parent_of(store, names.TARGETS_NEW) as (folder, name):
        os.unlink(name, dir_fd=folder)
    content = _encode({**others, **found})
    while others and len(content) > _LIMIT:
        others = dict(list(others.items())[len(others) // 2 + 1 :])
        content = _encode({**others, **found})
    durable.replace_file(store, names.TARGETS, content, names.TARGETS_NEW)


def _latest(known: dict[str, str]) -> dict[str, str]:
    """As many folders as there may be: those that are there first, and of each kind those that were used last.

    Nothing can go back to one that is gone, before somebody makes it again.
    """
    if len(known) <= MOST:
        return known
    there = [label for label, path in known.items() if os.path.isdir(path)]
    gone = known.keys() - there
    first = [label for label in known if label in gone] + there
    return {label: known[label] for label in first[-MOST:]}


def _read(folder: int) -> dict[str, str] | None:
    """The folders that are on record, by label, those behind that were used last.

    None if there is no record, ``None`` if it cannot be read. What no record of ours would say is passed over.
    """
    try:
        fd = opening.open_below(folder, names.TARGETS)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        told = _decode(os.pread(fd, _LIMIT, 0))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    finally:
        os.close(fd)
    return {label: path for label, path in told.items() if path.startswith("/") and label == label_of(path)}
