"""What was recorded, and what of it is not to be found any more, wherever it lies: asked of the oracle of the faults."""

from collections.abc import Mapping

from oracle import Key, Oracle

Recorded = Mapping[Key, frozenset[bytes]]
"""The lines that were written to each file, and must be together in one place for ever."""


def recorded(data: bytes) -> frozenset[bytes]:
    """The whole lines of a file that a recorder wrote, but for the first: recovering marks that one."""
    lines = data.split(b"\n")
    return frozenset(lines[1:-1])


def lost(oracle: Oracle, wanted: Recorded) -> list[Key]:
    """The files of whose lines not all are together in one copy that counts."""
    copies = oracle.copies()
    return [
        key
        for key, lines in wanted.items()
        if lines
        and not any(copy.counts and lines <= set(copy.data.split(b"\n")) for copy in copies.get(key, []))
    ]
