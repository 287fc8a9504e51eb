"""The gaps of a run: after each of its calls that look at the store or change it, somebody else may come in between.

Each is one kind of call and its number among those of its name, with a session that the run is about there: the one
that was named last until then, wherever it lay, or the one that is named next.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from oracle import Key, Oracle
from stories import Story, alone
from tracing import run_traced

CALLS = (
    "openat", "newfstatat", "fstat", "statx", "readlinkat", "getdents64", "read", "pread64", "fcntl", "flock",
    "renameat2", "renameat", "linkat", "symlinkat", "unlinkat", "unlink", "rmdir", "mkdirat", "write", "pwrite64",
    "copy_file_range", "ftruncate", "fchmod", "fchown", "utimensat", "fsync", "fdatasync", "syncfs",
)  # fmt: skip
WORLD = "world"
_BELOW = re.compile(r'<([^<>]*)>, "([^"]*)"')
_OPEN = re.compile(r"<([^<>]*)>")
_JOURNAL = ".maint/journal/"
_KEPT = re.compile(r"\.maint/(?:trash|backup)/[^/]+/([^/]+)/(.+)")


class Gap(NamedTuple):
    """What comes after the call of this name and number, and the session that the run is at.

    ``following`` is the call that comes next, and ``acting`` says that the run has begun to change things by then.
    """

    call: str
    number: int
    key: Key
    following: str = ""
    acting: bool = False

    @property
    def strace(self) -> list[str]:
        return ["-e", f"trace={self.call}", "-e", f"inject={self.call}:signal=STOP:when={self.number}"]

    def __str__(self) -> str:
        return f"after {self.call} {self.number}, {'/'.join(self.key)}"


class Whole(NamedTuple):
    """A run that nobody comes in between: its gaps, and the files of which it lets a content go for good."""

    gaps: list[Gap]
    ends: frozenset[Key]


def whole(story: Story, folder: Path) -> Whole:
    """Run a story as it is, and one more sweep."""
    log = folder / "calls"
    with alone():
        world = story.build(folder / WORLD)
        roots, oracle = story.roots(world), Oracle(story.roots(world))
        before = oracle.treasure().counting
        wanted = ["-y", "-s", "4096", "-o", str(log), "-e", f"trace={','.join(CALLS)}"]
        code, said = run_traced(world, story.arguments(world), wanted)
        assert code == 0, said
        after = world.maint("sweep")
        assert after.code == 0, after
    now = oracle.treasure().counting
    sessions = {key for key, found in (before | now).items() if story.is_session(key) and not _is_link(found)}
    shutil.rmtree(world.folder)
    ends = frozenset(key for key, contents in before.items() if contents - now.get(key, set()))
    return Whole(list(_gaps(log, roots, sessions)), ends)


def _gaps(log: Path, roots: Mapping[str, Path], sessions: set[Key]) -> Iterator[Gap]:
    """Each gap with the session that was named last, and once more with the one that is named next."""
    calls = list(_calls(log, roots, sessions))
    following: Key | None = None
    nexts: list[Key | None] = []
    for call in reversed(calls):
        nexts.append(following)
        following = call.key or following
    last = None if following is not None else min(sessions)  # a run may be about packs alone, and name none
    acting = False
    for call, name, key in zip(calls, [*(call.name for call in calls[1:]), ""], reversed(nexts), strict=True):
        last = call.key or last
        acting = acting or call.begins
        for each in dict.fromkeys((last, key)):
            if each is not None:
                yield Gap(call.name, call.number, each, name, acting)


class _Call(NamedTuple):
    """A call that looks at the store or changes it; ``begins`` if it tells the journal that changes begin."""

    name: str
    number: int
    key: Key | None
    begins: bool


def _calls(log: Path, roots: Mapping[str, Path], sessions: set[Key]) -> Iterator[_Call]:
    counts: Counter[str] = Counter()
    tops = tuple(str(top) for top in roots.values())
    for line in log.read_text().splitlines():
        name, opened, rest = line.partition("(")
        if not opened or name not in CALLS:
            continue
        counts[name] += 1
        paths = list(_paths(rest))
        if any(path.startswith(tops) for path in paths):
            key = next((key for path in paths if (key := _key(path, roots)) in sessions), None)
            yield _Call(name, counts[name], key, name == "write" and _JOURNAL in rest)


def _is_link(contents: set[bytes]) -> bool:
    """Whether this is what `oracle` says of a link: whoever opens that opens another file."""
    return any(content.startswith(b"-> ") for content in contents)


def _paths(arguments: str) -> Iterator[str]:
    """All paths that a call names: of descriptors, and those below them."""
    for folder, name in _BELOW.findall(arguments):
        yield os.path.join(folder, name)
    yield from _OPEN.findall(arguments)


def _key(path: str, roots: Mapping[str, Path]) -> Key | None:
    """The place that a file has, or had before it was moved into one of the folders of `maint` or compressed."""
    path = path.rstrip("/").removesuffix(
        ".zst"
    )  # whoever writes to that destroys an archive, and what is in it
    if (kept := _KEPT.search(path)) is not None:
        return kept[1], kept[2]
    found = [(label, top) for label, top in roots.items() if path.startswith(f"{top}/")]
    if not found:
        return None
    label, top = max(found, key=lambda each: len(str(each[1])))
    return label, os.path.relpath(path, top)
