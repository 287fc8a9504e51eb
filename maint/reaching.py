"""Reaching the folders of a store, and what is said when they cannot be."""

import errno
import os
from collections.abc import Mapping

from store import names, opening
from store.facts import Place
from store.roots import RootFds, require_same

Held = Mapping[str, os.stat_result]
"""What the roots of a store are for the one who holds its lock, as `RootFds.stats` has them."""


def open_roots(place: Place, held: Held | None = None) -> RootFds:
    """Descriptors of those roots of a store that can be opened; the first one must.

    ``held`` is for whoever works for another: the lock is that of the folders that he has opened, and whatever their
    paths lead to by now is another store, to which nothing is done.
    PermissionError if root would work with his own rights in a store of somebody else: whoever takes those of its owner
    (`maint.owner`) and finds it another one's a moment later has been led astray.
    """
    for path in place.roots.values():
        try:
            path.encode()
        except UnicodeEncodeError:
            text = "plans and journals cannot name a folder whose name is no UTF-8"
            raise OSError(errno.EILSEQ, text, path) from None
    first = next(iter(place.roots))
    known = held or {}
    roots = RootFds(
        {
            label: path
            for label, path in place.roots.items()
            if label == first or _can_be_opened(path, known.get(label))
        },
        known,
    )
    if os.geteuid() == 0 and roots.stat(first).st_uid != 0:
        roots.close()
        raise PermissionError(errno.EPERM, "its owner changed while it was opened", place.path)
    return roots


class Reaching:
    """Whoever does the work of one run on one store; in a worker the roots are opened when they are first needed."""

    def __init__(self, place: Place, run: str, held: Held | None = None) -> None:
        self._place = place
        self._held = held
        self._run = run
        self._roots: RootFds | None = None

    @property
    def roots(self) -> RootFds:
        if self._roots is None:
            self._roots = open_roots(self._place, self._held)
        return self._roots

    def close(self) -> None:
        if self._roots is not None:
            self._roots.close()
            self._roots = None


def _can_be_opened(path: str, held: os.stat_result | None) -> bool:
    try:
        fd = opening.open_folder(path)
        try:
            if held is not None:
                require_same(os.fstat(fd), held, path)
        finally:
            os.close(fd)
    except OSError:
        return False
    return True


def describe(error: OSError) -> str:
    """An error of the system as a clause, with the file if it names one."""
    text = (error.strerror or str(error)).lower()
    # Where something has the new name of a file, that is the one to tell of.
    name = error.filename2 if isinstance(error, FileExistsError) and error.filename2 else error.filename
    return f"{text}: {names.printable(name)}" if isinstance(name, str) else text
