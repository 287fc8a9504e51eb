"""A run as a list of steps upon an abstract file system: what it changed, what it waited for, and in which order.

What is known of a file here is its number, whatever its names are: a folder is a mapping of names to numbers, a file
is bytes.
A `Change` is done at one moment for whoever reads; which changes outlive a power cut is for `cuts` to say, and a
`Sync` is all that a program can do about it.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

Entry = tuple[int, str, int | None]
"""A folder by number, a name in it, and the file that has the name from now on, if any."""


@dataclass
class Node:
    """A file, folder or link as it was first seen; ``real`` is the number that the kernel gave it."""

    kind: int
    mode: int
    mtime_ns: int
    data: bytes = b""
    entries: dict[str, int] = field(default_factory=dict)
    real: int = 0


@dataclass
class Change:
    """One change: entries that change together, or bytes of a file, or its mode or time.

    ``gives`` are entries that get a file and ``takes`` those that lose theirs; a file that gets new ``data`` from
    ``offset`` on is cut there first if ``cuts``.
    """

    text: str
    at_ns: int
    gives: tuple[Entry, ...] = ()
    takes: tuple[Entry, ...] = ()
    node: int = -1
    offset: int = -1
    data: bytes = b""
    cuts: bool = False
    mode: int | None = None
    mtime_ns: int | None = None
    moved: frozenset[int] = frozenset()

    @property
    def is_data(self) -> bool:
        return self.offset >= 0

    @property
    def folders(self) -> frozenset[int]:
        return frozenset(folder for folder, _, _ in self.gives + self.takes)

    @property
    def touches(self) -> frozenset[int]:
        """Everything of which the kernel notes that it was changed."""
        return self.folders | self.moved | ({self.node} if self.node >= 0 else set())


@dataclass
class Sync:
    """Waiting until a file or folder is on the disk, or (``None``) the whole file system."""

    text: str
    node: int | None


Step = Change | Sync


@dataclass
class Recording:
    """What there was, and what was done to it; number 0 is the folder that holds everything.

    ``seen`` says at which step a file was seen with which change time, by number and time.
    """

    top: Path
    nodes: dict[int, Node]
    steps: list[Step] = field(default_factory=list)
    seen: dict[tuple[int, int], int] = field(default_factory=dict)
    device: int = 0


def snapshot(top: Path) -> Recording:
    """A folder as it is, before anything is done."""
    numbers: dict[int, int] = {}
    nodes: dict[int, Node] = {}
    seen: dict[tuple[int, int], int] = {}

    def take(path: str) -> int:
        found = os.lstat(path)
        if found.st_ino in numbers:
            return numbers[found.st_ino]
        number = numbers[found.st_ino] = len(nodes)
        seen[found.st_ino, found.st_ctime_ns] = -1
        node = nodes[number] = Node(
            stat.S_IFMT(found.st_mode), stat.S_IMODE(found.st_mode), found.st_mtime_ns, real=found.st_ino
        )
        if stat.S_ISDIR(node.kind):
            node.entries = {name: take(os.path.join(path, name)) for name in sorted(os.listdir(path))}
        elif stat.S_ISLNK(node.kind):
            node.data = os.fsencode(os.readlink(path))
        else:
            node.data = Path(path).read_bytes()
        return number

    take(str(top))
    return Recording(top, nodes, seen=seen, device=os.lstat(top).st_dev)
