"""What a disk holds, taken from its image and put back: blocks by their places, of which those of zeros are left out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 4096
_PIECE = 1 << 20


@dataclass(frozen=True)
class Kept:
    """What a disk held: its blocks by their places, without those of zeros."""

    size: int
    runs: tuple[tuple[int, bytes], ...]

    @classmethod
    def of(cls, path: Path) -> "Kept":
        size = path.stat().st_size
        return cls(size, tuple(_runs(path, size)))

    def write(self, path: Path) -> None:
        with path.open("r+b") as file:
            file.truncate(0)
            file.truncate(self.size)
            for place, data in self.runs:
                os.pwrite(file.fileno(), data, place)


def _runs(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """What is not zeros in a sparse file, in pieces of up to a mebibyte."""
    zeros = bytes(_PIECE)
    with path.open("rb", buffering=0) as file:
        place = 0
        while place < size:
            try:
                place = os.lseek(file.fileno(), place, os.SEEK_DATA) // _BLOCK * _BLOCK
            except OSError:  # there is nothing more
                return
            data = os.pread(file.fileno(), _PIECE, place)
            if data != zeros[: len(data)]:
                yield place, data
            place += len(data)
