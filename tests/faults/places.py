"""Which file a call was about: what a running program has open, what every path leads to, and what it sees there.

This is the file system as it is for whoever reads it, before any power cut.
"""

import os
import stat
from dataclasses import dataclass

from calls import Call
from recording import Change, Node, Recording

CWD = "AT_FDCWD"


@dataclass
class Opened:
    node: int
    append: bool
    position: int = 0


class Places:
    """What is open, and what lies where, while a run is followed."""

    def __init__(self, before: Recording) -> None:
        self.recording = Recording(
            before.top, dict(before.nodes), seen=dict(before.seen), device=before.device
        )
        self.entries = {number: dict(node.entries) for number, node in before.nodes.items()}
        self.sizes = {number: len(node.data) for number, node in before.nodes.items()}
        self.open: dict[int, Opened] = {}
        self.last: dict[int, int] = {}
        self.umask = os.umask(0o022)
        os.umask(self.umask)

    # Which file it is.

    def is_here(self, call: Call) -> bool:
        """Whether a call that is not known is about a file of ours: by descriptor, or by name."""
        return any(
            self.fd(shown) is not None or (shown.startswith('"\\x2f') and self.place(CWD, call.text(at)))
            for at, shown in enumerate(call.arguments)
        )

    def fd(self, shown: str) -> Opened | None:
        return self.open.get(int(shown)) if shown.isdecimal() else None

    def place(self, folder: str, path: str) -> tuple[int, str] | None:
        """The folder and the name that a path leads to; ``None`` if that is elsewhere."""
        if path.startswith("/"):
            top = str(self.recording.top)
            if path != top and not path.startswith(f"{top}/"):
                return None
            node, path = 0, path[len(top) :]
        else:
            opened = self.fd(folder)
            if opened is None:
                return None
            node = opened.node
        parts = [part for part in path.split("/") if part not in {"", "."}]
        for index, part in enumerate(parts[:-1]):
            node = self.entries[node][part]
            if stat.S_ISLNK(self.recording.nodes[node].kind):
                target = os.fsdecode(self.recording.nodes[node].data)
                return self.place(CWD, "/".join([target, *parts[index + 1 :]]))
        return node, parts[-1] if parts else "."

    def node(self, folder: str, path: str, *, follow: bool = False) -> int | None:
        if path.startswith("/proc/self/fd/"):
            opened = self.fd(path.rpartition("/")[2])
            return opened.node if opened else None
        if not path:
            opened = self.fd(folder)
            return opened.node if opened else None
        place = self.place(folder, path)
        if place is None:
            return None
        node = place[0] if place[1] == "." else self.entries[place[0]].get(place[1])
        if follow and node is not None and stat.S_ISLNK(self.recording.nodes[node].kind):
            return self.node(CWD, os.fsdecode(self.recording.nodes[node].data), follow=True)
        return node

    # What is done.

    def do(self, change: Change) -> None:
        for folder, name, node in (*change.takes, *change.gives):
            if node is None:
                self.entries[folder].pop(name, None)
            else:
                self.entries[folder][name] = node
        if change.is_data:
            size = change.offset + len(change.data)
            self.sizes[change.node] = size if change.cuts else max(size, self.sizes[change.node])
        for node in change.touches:
            self.last[node] = len(self.recording.steps)
        self.recording.steps.append(change)

    def new(self, call: Call, kind: int, mode: int, data: bytes = b"") -> int:
        number = len(self.recording.nodes)
        mode = mode if kind == stat.S_IFLNK else mode & ~self.umask
        self.recording.nodes[number] = Node(kind, mode, call.at_ns, data)
        self.entries[number] = {}
        self.sizes[number] = len(data)
        self.last[number] = len(self.recording.steps)
        return number

    def say(self, call: Call, *paths: str) -> str:
        return f"{call.name} {' '.join(paths)} (line {call.number})"

    def path(self, node: int) -> str:
        if node == 0:
            return "."
        for folder, entries in self.entries.items():
            for name, held in entries.items():
                if held == node:
                    above = self.path(folder)
                    return name if above == "." else f"{above}/{name}"
        return f"#{node}"
