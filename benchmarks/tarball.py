"""What people do without us: one solid stream of tar and zstd, and the files removed.

It is the fastest and the smallest that these tools make of a folder on this machine, with as many threads as there
are processors; to get one session back, all of it is read.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.whole import Spent, command, spent

_PACK = 'tar -C "$1" -c . | zstd -3 "-T$3" -q -f -o "$2"'

_PACK_AND_REMOVE = _PACK + ' && sync "$2" && rm -rf "$1"'


def missing() -> list[str]:
    """The tools that are not on this machine."""
    return [each for each in ("bash", "tar", "zstd", "sync", "rm", "cp") if shutil.which(each) is None]


def pack(folder: Path, file: Path) -> Spent:
    """Write a folder's files as one stream."""
    return spent(_bash(_PACK, folder, file))


def archiving(folder: Path, file: Path) -> Callable[[], None]:
    """All of it in one process: a durable stream, and then the folder removed."""
    return _bash(_PACK_AND_REMOVE, folder, file)


def _bash(script: str, folder: Path, file: Path) -> Callable[[], None]:
    return command(
        "bash", "-o", "pipefail", "-c", script, "bash", str(folder), str(file), str(os.cpu_count())
    )


def settle(path: Path) -> Spent:
    """Make a file, or the file system of a folder, durable."""
    return spent(command("sync", *(("-f",) if path.is_dir() else ()), str(path)))


def remove(folder: Path) -> Spent:
    """Remove a folder with all its files."""
    return spent(command("rm", "-rf", str(folder)))


def unpack(file: Path, folder: Path) -> Spent:
    """Write the files of a stream into a folder."""
    return spent(command("tar", "--zstd", "-xf", str(file), "-C", str(folder)))


def names(file: Path) -> Spent:
    """List the files of a stream."""
    return spent(command("tar", "--zstd", "-tf", str(file)))


def test(files: Sequence[Path]) -> Spent:
    """Decode streams and check what checksums there are."""
    return spent(command("zstd", "-t", "-q", *map(str, files)))


def compressed(file: Path, beside: Path, *options: str) -> int:
    """The bytes that zstd makes of a file."""
    command("zstd", "-3", *options, "-q", "-f", "-o", str(beside), str(file))()
    return beside.stat().st_size
