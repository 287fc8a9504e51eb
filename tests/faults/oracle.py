"""Where every record of a store is: told from bytes alone, by reading folders, and with `tar` and `zstd`.

Nothing here knows the program that is tested, and nothing of it is imported; what is known of its folder is what
anybody can read in `README.txt` and `store/ARCHIVE.md`.

A record counts where its owner would find it: in the store, in the trash or among the backups, in a pack that has its
name and is sound, as long as no mark beside it says that it does not count.
It does not count in a pack that is being written, nor among temporary files.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

Key = tuple[str, str]
"""A file by the label of its root and its path below that."""

_PACK, _SINGLE, _MANIFEST = ".tar.zst", ".zst", "MANIFEST.ndjson"


class Copy(NamedTuple):
    """One copy of a file, where it is, and whether it counts: a mark beside a pack may say that it does not."""

    where: str
    data: bytes
    counts: bool = True


class Treasure(NamedTuple):
    """What must be there for ever: what counts, and what can be asked back although it does not count."""

    counting: dict[Key, set[bytes]]
    all: dict[Key, set[bytes]]


class Missing(NamedTuple):
    """A file that is not to be found whole, and how many of its records are nowhere."""

    key: Key
    records: int

    def __str__(self) -> str:
        what = f"{self.records} of its records are nowhere" if self.records else "whole nowhere"
        return f"{'/'.join(self.key)}: {what}"


class Oracle:
    """What is in a store, by its roots, the first of which has the folder ``.maint``."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self._roots = dict(roots)
        self._first = next(iter(self._roots))
        self._ours = self._roots[self._first] / ".maint"
        self._packs: dict[bytes, dict[str, bytes] | None] = {}

    def in_store(self) -> dict[Key, bytes]:
        """What lies in the folders of the program itself."""
        found: dict[Key, bytes] = {}
        tops = {str(top) for top in self._roots.values()}
        for label, top in self._roots.items():
            for path, data in _files(top, without=tops - {str(top)} | {str(self._ours)}):
                found[label, path] = data
        return found

    def copies(self) -> dict[Key, list[Copy]]:
        """Every copy that is whole."""
        found: dict[Key, list[Copy]] = {}
        for key, data in self.in_store().items():
            found.setdefault(key, []).append(Copy("store", data))
            if key[1].endswith(_SINGLE) and (content := self._single(data)) is not None:
                found.setdefault((key[0], key[1].removesuffix(_SINGLE)), []).append(Copy("file", content))
        for top in ("trash", "backup"):
            for path, data in _files(self._ours / top):
                _, label, rest = path.split("/", 2)
                if label.startswith("archive"):
                    if rest.endswith(_PACK):
                        self._take_pack(found, top, self._ours / top / path, data)
                    continue
                found.setdefault((label, rest), []).append(Copy(top, data))
        for path, data in _files(self._ours / "archive"):
            if path.endswith(_PACK):
                self._take_pack(found, "pack", self._ours / "archive" / path, data)
        return found

    def missing(self, treasure: Treasure) -> list[Missing]:
        """What of a treasure is not to be found any more."""
        copies = self.copies()
        found: list[Missing] = []
        for wanted, dead in ((treasure.counting, False), (treasure.all, True)):
            for key, contents in wanted.items():
                there = [copy.data for copy in copies.get(key, []) if copy.counts or dead]
                for data in contents.difference(there):
                    records = set[bytes]().union(*map(records_of, there))
                    found.append(Missing(key, len(records_of(data) - records)))
        return list(dict.fromkeys(found))

    def treasure(self) -> Treasure:
        """All that is there now."""
        found = Treasure({}, {})
        for key, copies in self.copies().items():
            found.all[key] = {copy.data for copy in copies}
            found.counting[key] = {copy.data for copy in copies if copy.counts}
        return found

    def mixed(self, selves: Mapping[Key, set[bytes]], of: Callable[[Key], bool]) -> list[Key]:
        """Files in the store that are none of what they may be: neither the old one nor a new one."""
        found: list[Key] = []
        for key, data in self.in_store().items():
            if not of(key) or data in selves.get(key, set()):
                continue
            plain = (key[0], key[1].removesuffix(_SINGLE))
            if plain == key or self._single(data) not in selves.get(plain, set()):
                found.append(key)
        return found

    def journals(self) -> frozenset[str]:
        """The names of all journals."""
        return frozenset(path for path, _ in _files(self._ours / "journal"))

    def packs(self) -> dict[Key, bytes | None]:
        """The packs that have their names."""
        found = _files(self._ours / "archive")
        return {("archive", path): data for path, data in found if path.endswith(_PACK)}

    def untold(self, before: Mapping[Key, bytes | None], without: frozenset[str]) -> list[Key]:
        """Files and packs that are not as they were, or were not there, and of which no journal tells but, maybe, those."""
        now = self.in_store() | self.packs()
        told = b"\n".join(
            line
            for path, journal in _files(self._ours / "journal")
            if path not in without
            for line in journal.split(b"\n")
            if _is_whole(line)
        )
        return [
            key
            for key, data in before.items()
            if now.get(key) != data and json.dumps(key[1])[1:-1].encode() not in told
        ]

    def _take_pack(self, found: dict[Key, list[Copy]], where: str, path: Path, data: bytes) -> None:
        members = self._unpacked(data)
        if members is None:
            return
        dead = _marked(path.with_name(path.name.removesuffix(_PACK) + ".marks"))
        for line in members[_MANIFEST].splitlines()[1:]:
            entry = json.loads(line)
            for member in entry["members"]:
                label, inside = member["root"], member["path"]
                name = inside if label == self._first else f"@{label}/{inside}"
                if name in members:
                    found.setdefault((label, inside), []).append(
                        Copy(where, members[name], entry["id"] not in dead)
                    )

    def _unpacked(self, data: bytes) -> dict[str, bytes] | None:
        """The members of a pack as `tar` and `zstd` give them; ``None`` if it is not sound."""
        digest = hashlib.sha256(data).digest()
        if digest not in self._packs:
            self._packs[digest] = _unpack(data)
        return self._packs[digest]

    def _single(self, data: bytes) -> bytes | None:
        done = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False, timeout=60)
        return done.stdout if done.returncode == 0 else None


def records_of(data: bytes) -> set[bytes]:
    """The lines of a file, of which the last may be torn."""
    return set(data.splitlines(keepends=True)) if b"\r" not in data else set(data.split(b"\n"))


def _unpack(data: bytes) -> dict[str, bytes] | None:
    with tempfile.TemporaryDirectory() as folder:
        tar = subprocess.run(
            ["tar", "--zstd", "--no-same-owner", "-xf", "-", "-C", folder],
            input=data,
            capture_output=True,
            check=False,
            timeout=60,
        )
        members = dict(_files(Path(folder)))
    return members if tar.returncode == 0 and _MANIFEST in members else None


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _marked(path: Path) -> set[str]:
    """The sessions that do not count any more, by the last mark that can be read of each."""
    found: dict[str, str] = {}
    if path.is_file():
        for line in path.read_bytes().split(b"\n"):
            try:
                mark = json.loads(line)
                found[mark["session"]] = mark["why"] if {"run", "at"} <= mark.keys() else "expired"
            except (ValueError, RecursionError, TypeError, KeyError):  # somebody may have damaged it
                continue
    return {session for session, why in found.items() if why != "held"}


def _files(top: Path, without: set[str] | frozenset[str] = frozenset()) -> Iterator[tuple[str, bytes]]:
    """Files below a folder by their path there, links as what they say, in no folder that is named."""
    for folder, names, files in os.walk(top):
        names[:] = [name for name in names if os.path.join(folder, name) not in without]
        for name in (*files, *names):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                yield os.path.relpath(path, top), b"-> " + os.fsencode(os.readlink(path))
            elif name in files and os.path.isfile(path):
                yield os.path.relpath(path, top), Path(path).read_bytes()
