"""What is said of an entry of a store that is none to be read: what was expected, and what it is instead."""

import os

from store import opening
from store.facts import Place, Problem
from store.names import printable


def refused(place: Place, entry: str, expected: str, what: str | None) -> Problem:
    """An entry that is not to be touched; ``what`` it does or is, as `store.opening.refuse_reason` says it."""
    return Problem(place.name, printable(entry), f"expected {expected}, but it {what}; left alone")


def unreadable(place: Place, folder: int, entry: str, expected: str, error: OSError) -> Problem:
    """Why an entry of a folder could not be opened, told by what it is rather than by its error."""
    try:
        found = os.stat(entry, dir_fd=folder, follow_symlinks=False)
        what = opening.refuse_reason(found, os.fstat(folder))
    except OSError:
        what = None
    if what is not None:
        return refused(place, entry, expected, what)
    text = f"cannot be read ({error.strerror}); left alone"
    return Problem(place.name, printable(entry), text, grave=True)
