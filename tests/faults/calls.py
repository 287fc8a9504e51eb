"""What a program asked of the kernel, as `strace` wrote it down: one `Call` a line, with its strings as bytes.

Only one process is followed, for a recording has one order, and what two do at a time has none. Its threads are: they
share what is open, and which of their calls was the first is what `strace` says.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CHANGING = (
    "openat,creat,open,mkdir,mkdirat,rmdir,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,"
    "unlinkat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,"
    "splice,fsync,fdatasync,sync,syncfs,sync_file_range,chmod,fchmod,fchmodat,utimensat,fchown,fchownat,"
    "mmap,setxattr,fsetxattr"
)
FOLLOWING = (
    "close,close_range,dup,dup2,dup3,fcntl,lseek,read,chdir,fchdir,fstat,newfstatat,clone,clone3,fork,vfork"
)
STRACE = ["-f", "-v", "-xx", "-ttt", "-s", str(1 << 24), "-e", f"trace={CHANGING},{FOLLOWING}"]
"""How `strace` is to be asked: everything that changes a file system, and what tells which file it was."""

_LINE = re.compile(r"(\d+) +(\d+)\.(\d+) (\w+)\((.*)\) += (-?\d+|\?).*")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"\d+ +[\d.]+ <\.\.\. \w+ resumed>(.*)")
_STARTING = frozenset({"clone", "clone3", "fork", "vfork"})
_PIECE = re.compile(r'"[^"]*"(?:\.\.\.)?|[\[\]{},]|[^"\[\]{},]+')


class Call(NamedTuple):
    """One system call that was carried out: its arguments as `strace` has them, and what it returned."""

    number: int
    at_ns: int
    name: str
    arguments: tuple[str, ...]
    result: int

    def text(self, index: int) -> str:
        """An argument that is a string; ValueError if it is none, or was cut short."""
        shown = self.arguments[index]
        if not (shown.startswith('"') and shown.endswith('"')):
            raise ValueError(f"no whole string: {shown[:80]}")
        return bytes.fromhex(shown[1:-1].replace("\\x", "")).decode("utf-8", "surrogateescape")

    def data(self, index: int) -> bytes:
        return self.text(index).encode("utf-8", "surrogateescape")


def read(log: Path) -> Iterator[Call]:
    """The calls that succeeded; ValueError where there is more than one process."""
    begun: dict[str, str] = {}
    for number, line in enumerate(log.read_text().splitlines(), 1):
        process = line.partition(" ")[0]
        if line.endswith(_UNFINISHED):
            begun[process] = line.removesuffix(_UNFINISHED)
            continue
        if (resumed := _RESUMED.fullmatch(line)) is not None:
            line = begun.pop(process) + resumed[1]  # noqa: PLW2901  it is that line, as a whole
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        _, seconds, fraction, name, arguments, result = match.groups()
        if name in _STARTING and "CLONE_THREAD" not in arguments:
            raise ValueError(f"more than one process: {line[:80]}")
        if result == "?" or result.startswith("-"):
            continue
        at = int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))
        yield Call(number, at, name, tuple(_split(arguments)), int(result))


def field(structure: str, name: str) -> int:
    """A number in a structure that `strace` has spelled out."""
    match = re.search(rf"\b{name}=(-?\d+)", structure)
    if match is None:
        raise ValueError(f"no {name} in {structure[:80]}")
    return int(match[1])


def _split(arguments: str) -> Iterator[str]:
    depth = 0
    current: list[str] = []
    for piece in _PIECE.findall(arguments):
        if piece == "," and not depth:
            yield "".join(current).strip()
            current = []
            continue
        depth += (piece in {"[", "{"}) - (piece in {"]", "}"})
        current.append(piece)
    if current:
        yield "".join(current).strip()
