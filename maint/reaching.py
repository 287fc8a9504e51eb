"""Reaching the folders of a store, and what is said when they cannot be."""

import errno
import os

from store import names, opening
from store.facts import Place
from store.roots import RootFds


def open_roots(place: Place) -> RootFds:
    """Descriptors of those roots of a store that can be opened; the first one must."""
    for path in place.roots.values():
        try:
            path.encode()
        except UnicodeEncodeError:
            text = "plans and journals cannot name a folder whose name is no UTF-8"
            raise OSError(errno.EILSEQ, text, path) from None
    first = next(iter(place.roots))
    return RootFds(
        {label: path for label, path in place.roots.items() if label == first or _can_be_opened(path)}
    )


def _can_be_opened(path: str) -> bool:
    try:
        os.close(opening.open_folder(path))
    except OSError:
        return False
    return True


def describe(error: OSError) -> str:
    """An error of the system as a clause, with the file if it names one."""
    text = (error.strerror or str(error)).lower()
    if isinstance(error.filename, str):
        return f"{text}: {names.printable(error.filename)}"
    return text
