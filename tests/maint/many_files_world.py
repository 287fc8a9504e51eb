"""Stores whose sessions have many files, and what must be true of them whatever was done: asked of the disk alone.

Nothing here reads a store by way of the code under test: files are found by walking folders, packs are opened with
`zstd` and Python's tar, indexes are read as JSON, and whose a file is follows from its name, by rules written down
here once more.
"""

import json
import os
import re
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from archive_world import contents, packs
from maint_world import DAY, World

from maint.demo import build_store
from store import targets
from store.archives import with_archives
from store.facts import Place
from store.layout import layout_of
from store.layouts.opendev import specimens as opendev
from store.layouts.outrig import specimens as outrig

OLD = 40.0
"""Days since the end of the sessions that are archived and pruned here."""

EVERYTHING = """\
  - stale-locks: {idle_for: 24h}
  - recover: {idle_for: 24h}
  - delete-empty: {idle_for: 2d}
  - litter: {older_than: 2d}
  - prune: {older_than: 30d, where: {state: complete}}
"""
UNLIMITED = "limits: {max_removed: unlimited, max_expired: unlimited}\n"

Key = tuple[str, str]
"""A file by the label of its root and its path below that: its name wherever it is, in its place or elsewhere."""

_LYING = {opendev.FORGETFUL, opendev.OUTDATED, opendev.UNLISTED, opendev.GLOBAL}
"""Folders whose lists tell no truth to begin with, and are made true only where a policy recovers."""

_SESSION = re.compile(r"((?:projects/[^/]+|sessions)/[A-Za-z0-9]+)\.(json|jsonl|events\.jsonl|debug)")
_HISTORY = re.compile(r"file-history/([^/]+)/(?:manifest\.json|[0-9a-f]+@v[0-9]+)")


class Whose(NamedTuple):
    """The session that a file belongs to, and whether that can do without it."""

    session: str
    payload: bool


class Found(NamedTuple):
    """What lies in the folders of a program: files by content, links by target, modes of all, times of files."""

    files: dict[Key, bytes]
    links: dict[Key, str]
    modes: dict[Key, int]
    times: dict[Key, int]


class ManyFiles(World, ABC):
    """A store of this kind with everything that may ail it, some old sessions, and files of others among them."""

    kind: str
    foreign: frozenset[Key]

    def __init__(self, folder: Path, now: float) -> None:
        super().__init__(folder, now)
        layout = layout_of(self.kind)
        bare, self.specimens = build_store(layout, str(folder), now)
        self.sessions = Path(bare.path)
        for label, path in bare.roots.items():
            os.makedirs(path, exist_ok=True)
            assert label
        self.env["PATH"] = str(folder / "bin")  # no podman is asked, and nothing else is looked for
        self.add_old()
        self._bare = bare
        self.roots: Mapping[str, str] = self.place.roots
        self.before = self.found()
        self.foreign = frozenset(self.strangers())
        assert self.foreign <= self.before.files.keys()

    @property
    def place(self) -> Place:
        layout = layout_of(self.kind)
        return with_archives(targets.with_targets(self._bare, layout.targets(self._bare)))

    def rules(self, passes: str = EVERYTHING, rest: str = "") -> None:
        where = "".join(f", {key}: {path}" for key, path in self.other_paths().items())
        stores = f"stores: {{many: {{kind: {self.kind}, path: {self.sessions}{where}}}}}\n"
        self.recovers = "recover:" in passes
        super().rules(passes, stores + UNLIMITED + rest)

    # What differs from kind to kind.

    @abstractmethod
    def add_old(self) -> None:
        """Some sessions that are old enough for everything."""

    @abstractmethod
    def strangers(self) -> Iterable[Key]:
        """Files that are not the program's, or none of a session's, and stay whatever happens."""

    @abstractmethod
    def whose(self, key: Key) -> Whose | None:
        """The session that a file is of."""

    def other_paths(self) -> dict[str, str]:
        return {}

    def wrong_with_lists(self, now: Found) -> str | None:
        """What is wrong with the files in which the program lists its sessions."""
        return None

    def may_be_new(self, key: Key, now: Found) -> bool:
        """Whether a file is one that recovering makes."""
        return False

    # What there is.

    def found(self) -> Found:
        """All that lies in the folders of the program, without what is ours."""
        found = Found({}, {}, {}, {})
        for label, top in self.roots.items():
            if label.startswith("archive"):
                continue
            for path in _below(Path(top)):
                key = (label, str(path.relative_to(top)))
                seen = path.lstat()
                found.modes[key] = stat.S_IMODE(seen.st_mode) if not path.is_symlink() else -1
                if path.is_symlink():
                    found.links[key] = os.readlink(path)
                elif path.is_file():
                    found.files[key] = path.read_bytes()
                    found.times[key] = seen.st_mtime_ns
        return found

    def kept(self) -> Iterator[tuple[str, bool, dict[Key, bytes]]]:
        """What lies in our trash, our backups and our packs: by whose run, if as a backup, and under the names it had."""
        for top in ("trash", "backup"):
            for run in _entries(self.ours / top):
                yield run.name, top == "backup", dict(_files_of(run))
        first = next(iter(self.roots))
        for pack in packs(self):
            named = {}
            for name, data in contents(pack).items():
                label, _, path = name[1:].partition("/") if name.startswith("@") else (first, "", name)
                named[label, path] = data
            yield pack.name.rpartition("-")[0], False, named

    def everything(self) -> dict[Key, set[bytes]]:
        """Whatever can be reached, in its place or elsewhere."""
        found = self.found()
        everywhere = {key: {data} for key, data in found.files.items()}
        everywhere |= {key: {_led(target)} for key, target in found.links.items()}
        for _, _, inside in self.kept():
            for key, data in inside.items():
                everywhere.setdefault(key, set()).add(data)
        return everywhere

    def missing(self, treasure: Mapping[Key, set[bytes]]) -> list[Key]:
        """What of all that was there cannot be reached any more, byte for byte, under its name."""
        there = self.everything()
        return [key for key, several in treasure.items() if not several <= there.get(key, set())]

    # What must be true.

    def wrong(self) -> str | None:
        """What is wrong with the store between two runs; ``None`` if nothing is."""
        now = self.found()
        for check in (
            self._wrong_with_strangers,
            self._wrong_with_sessions,
            self._wrong_with_folders,
            self._wrong_with_modes,
            self.wrong_with_lists,
        ):
            if (why := check(now)) is not None:
                return why
        if left := self.waiting("tmp") + sorted(path.name for path in (self.ours / "archive").glob("*.new")):
            return f"left over: {left}"
        return None

    def _wrong_with_strangers(self, now: Found) -> str | None:
        for key in self.foreign:
            same = (now.files.get(key), now.times.get(key), now.modes.get(key))
            if same != (self.before.files[key], self.before.times[key], self.before.modes[key]):
                return f"not as its owner left it: {key}"
        return None

    def _wrong_with_sessions(self, now: Found) -> str | None:
        """Sessions of which some files are in their places, and others are not."""
        groups: dict[str, dict[Key, bool]] = {}
        for key in self.before.files:
            if (whose := self.whose(key)) is not None:
                groups.setdefault(whose.session, {})[key] = whose.payload
        for session, files in groups.items():
            gone = [key for key in files if key not in now.files]
            if gone and len(gone) < len(files) and not all(files[key] for key in gone):
                return f"in two states at once: {session} lacks {gone} and has the rest"
            if (
                gone
                and any(files[key] for key in gone)
                and not all(key in gone for key in files if files[key])
            ):
                return f"in two states at once: {session} has lost some of its payload: {gone}"
            if gone and (why := self._wrong_with_rest(session, gone)) is not None:
                return why
        return None

    def _wrong_with_rest(self, session: str, gone: Collection[Key]) -> str | None:
        """Whether what is not in its place lies elsewhere as a whole: where it is asked for first."""
        wanted = {key for key in gone if (whose := self.whose(key)) is None or not whose.payload} or set(gone)
        last, whole = "", ""
        for run, is_backup, inside in self.kept():
            there = wanted & inside.keys()
            if is_backup or not there:
                continue
            last = max(last, run)
            if there == wanted:
                whole = max(whole, run)
            else:
                return f"a part of {session} waits by itself in {run}: {sorted(there)}"
        return None if last == whole else f"what is kept last of {session} is not all of it"

    def _wrong_with_folders(self, now: Found) -> str | None:
        """Files and folders that nobody had, and folders that are there for nothing."""
        for key in now.files.keys() - self.before.files.keys():
            if not self.may_be_new(key, now):
                return f"nobody had this: {key}"
        for key in now.links.keys() - self.before.links.keys():
            return f"nobody had this link: {key}"
        folders = {key for key in now.modes if key not in now.files and key not in now.links}
        if new := folders - self.before.modes.keys():
            return f"nobody had these folders: {sorted(new)}"
        inside = {(label, above) for label, path in (*now.files, *now.links) for above in _above(path)}
        for label, path in sorted(folders - inside):
            if any(self._stands_for_nothing(key, now) for key in self._once_in(label, path)):
                return f"a folder that stands for nothing: {label} {path}"
        for key, target in self.before.links.items():
            if key not in now.links and self._is_there_behind(target, now):
                return f"its link is gone: {key}"
        return None

    def _once_in(self, label: str, path: str) -> Iterable[Key]:
        return (key for key in self.before.files if key[0] == label and key[1].startswith(f"{path}/"))

    def _stands_for_nothing(self, key: Key, now: Found) -> bool:
        """Whether a file was of a session of which nothing is in its place."""
        whose = self.whose(key)
        if whose is None:
            return False
        return not any(
            (other := self.whose(each)) is not None and other.session == whose.session for each in now.files
        )

    def _is_there_behind(self, target: str, now: Found) -> bool:
        label = next((label for label, top in self.roots.items() if top == target), None)
        return (label, "session.json") in now.files

    def _wrong_with_modes(self, now: Found) -> str | None:
        for key, mode in now.modes.items():
            if self.before.modes.get(key, mode) != mode:
                return f"its mode is {mode:o}, and was {self.before.modes[key]:o}: {key}"
        for key, when in now.times.items():
            if now.files[key] == self.before.files.get(key) and self.before.times.get(key, when) != when:
                return f"its time is another: {key}"
        return None


def _below(top: Path) -> Iterable[Path]:
    for folder, names, files in os.walk(top):
        names[:] = sorted(name for name in names if name != ".maint")
        for name in (*names, *sorted(files)):
            yield Path(folder) / name


def _files_of(run: Path) -> Iterator[tuple[Key, bytes]]:
    """What a run keeps in one of our folders, under the names that it had."""
    for label in _entries(run):
        for path in label.rglob("*"):
            key = (label.name, str(path.relative_to(label)))
            if path.is_symlink():
                yield key, _led(os.readlink(path))
            elif path.is_file():
                yield key, path.read_bytes()


def _led(target: str) -> bytes:
    return f"-> {target}".encode()


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _above(path: str) -> Iterable[str]:
    while path := path.rpartition("/")[0]:
        yield path


class Opendev(ManyFiles):
    """Sessions of up to four files beside each other and copies elsewhere, some of them children, and a list of them."""

    kind = "opendev"
    project = "projects/-home-ana-attic"

    def other_paths(self) -> dict[str, str]:
        return {"remote": str(self.folder / "store/remote")}

    def add_old(self) -> None:
        at, ended = self.now - OLD * DAY, self.now - OLD * DAY - 60
        began = ended - 3600
        ids = [opendev.session_id(number) for number in range(300, 305)]
        listed = []
        for n, id_ in enumerate(ids):
            record: dict[str, Any] = {"playbook": {"n": n}}
            if n in {1, 2}:
                record["parent_id"] = ids[n - 1]  # a child, and a child of that
            files = {
                "json": opendev.record(id_, began, ended, **record),
                "jsonl": opendev.transcript(opendev.message("user", f"number {n}", began + 5)),
            }
            if n != 4:
                files["events.jsonl"] = opendev.created(id_, began)
                files["debug"] = opendev.payload(began) * (n + 2)
            for kind, data in files.items():
                self._old(f"{self.project}/{id_}.{kind}", data, at)
            if n in {0, 3}:
                for name in ("manifest.json", "00d1f6a2b3c4e5f6@v1", "00d1f6a2b3c4e5f6@v2"):
                    self._old(f"file-history/{id_}/{name}", f"{name} of {n}".encode(), at)
                (self.sessions / f"file-history/{id_}").chmod(0o750)
            more = {"summary": f"of {n}", "unknownKey": {"kept": [n, 1.50]}, "messageCount": 1}
            listed.append(opendev.entry(id_, began, ended, **more))
        lost = opendev.session_id(390)  # its record is gone, so that its entry is all that is known of it
        self._old(f"{self.project}/{lost}.jsonl", b'{"role":"user","content":"x"}\n', at)
        listed.append(opendev.entry(lost, began, ended))
        index = json.loads(opendev.index(*listed)) | {"ofALaterVersion": [1, {"a": None}]}
        self._old(f"{self.project}/sessions-index.json", json.dumps(index, indent=2).encode(), at)
        self._old(f"{self.project}/OPENDEV_PROJECT_PATH", b"/home/ana/attic", at)
        self._old(f"{self.project}/memory/MEMORY.md", b"# remember\n", at)
        self._old(f"file-history/{ids[3]}/KEEP_ME", b"mine\n", at)

    def _old(self, path: str, data: bytes, at: float) -> None:
        full = self.sessions / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(data)
        full.chmod(0o640)
        os.utime(full, (at, at))

    def strangers(self) -> Iterable[Key]:
        for specimen in self.specimens:
            if specimen.title == "what is no session, and stays":
                yield from specimen.files
        for path in ("OPENDEV_PROJECT_PATH", "memory/MEMORY.md"):
            yield ("data", f"{self.project}/{path}")
        yield ("data", f"file-history/{opendev.session_id(303)}/KEEP_ME")

    def whose(self, key: Key) -> Whose | None:
        label, path = key
        if label != "data":
            return None
        if (match := _SESSION.fullmatch(path)) is not None:
            return Whose(match[1], match[2] == "debug")
        if (match := _HISTORY.fullmatch(path)) is not None:
            owners = {
                named[1]
                for _, other in self.before.files
                if (named := _SESSION.fullmatch(other)) is not None and named[1].endswith(f"/{match[1]}")
            }
            return Whose(owners.pop(), payload=False) if len(owners) == 1 else None
        return None

    def may_be_new(self, key: Key, now: Found) -> bool:
        label, path = key
        if path.endswith("/sessions-index.json"):
            return True
        stem = path.removesuffix(".json").removesuffix(".jsonl")
        above, _, id_ = stem.rpartition("/")
        if (label, f"{above}/.{id_}.jsonl.tmp") in self.before.files:  # of a save that was interrupted
            return (label, f"{stem}.json") in now.files
        both = {(label, f"{stem}.json"), (label, f"{stem}.jsonl")} <= now.files.keys()
        log = (label, f"{stem}.events.jsonl")
        # What was made of a log is there as a whole, and the log tells of it.
        return both and log in now.files and now.files[log] != self.before.files.get(log)

    def wrong_with_lists(self, now: Found) -> str | None:
        folders = {path.rpartition("/")[0] for label, path in now.modes if _SESSION.fullmatch(path)}
        folders |= {path.rpartition("/")[0] for _, path in now.files if path.endswith("/sessions-index.json")}
        for folder in sorted(folders):
            if (why := self._wrong_with_list(folder, now)) is not None:
                return why
        return None

    def _wrong_with_list(self, folder: str, now: Found) -> str | None:
        recorded, there = set(), set()
        for label, path in now.files:
            match = _SESSION.fullmatch(path)
            if label != "data" or match is None or path.rpartition("/")[0] != folder:
                continue
            id_ = match[1].rpartition("/")[2]
            if match[2] in {"json", "jsonl"}:
                there.add(id_)
            if match[2] == "json" and _is_record(now.files[label, path], id_):
                recorded.add(id_)
        data = now.files.get(("data", f"{folder}/sessions-index.json"))
        old = self.before.files.get(("data", f"{folder}/sessions-index.json"))
        if folder in _LYING and data == old and (not self.recovers or folder == opendev.OUTDATED):
            return None
        if data is None:
            return f"{folder} has no list" if recorded else None
        index = json.loads(data)
        listed = [each["sessionId"] for each in index["entries"]]
        before = _entries_of(old or b"{}")
        expected = recorded | (before.keys() & there)
        if index["version"] != 1 or sorted(listed) != sorted(expected):
            return f"{folder} lists {sorted(listed)} where there are {sorted(expected)}"
        for each in index["entries"]:
            earlier = before.get(each["sessionId"], each)
            known = (
                "modified",
                "messageCount",
            )  # an entry that was of the session as it is tells all that it did
            if earlier != each and all(earlier[key] == each[key] for key in known):
                return f"{folder} tells another story of {each['sessionId']}: {each}"
        if json.loads(old or b"{}").get("ofALaterVersion") != index.get("ofALaterVersion"):
            return f"{folder} has lost what is not known of its list"
        return None


def _is_record(data: bytes, id_: str) -> bool:
    """Whether the program would list the session of this record."""
    try:
        read = json.loads(data)
    except ValueError:
        return False
    return isinstance(read, dict) and read.get("id") == id_ and "created_at" in read


def _entries_of(index: bytes) -> dict[str, dict[str, Any]]:
    return {each["sessionId"]: each for each in json.loads(index).get("entries", [])}


class Outrig(ManyFiles):
    """Sessions in folders of their own, with nested logs; some elsewhere, behind a link; with files of their owners."""

    kind = "outrig"

    def add_old(self) -> None:
        at = self.now - OLD * DAY
        for n, elsewhere in enumerate((None, None, "attic/one", "attic/two", None)):
            id_ = outrig.session_id(300 + n, at - 3600)
            folder = self.sessions / id_
            if elsewhere is not None:
                target = self.folder / elsewhere
                target.mkdir(parents=True)
                folder.symlink_to(target)
                os.utime(folder, (at, at), follow_symlinks=False)
                folder = target
            logs = {"a.stderr": b"a" * n, "deep/er/b.log": b"b\n", "network.jsonl": b'{"n":1}\n'}
            files = {f"logs/{name}": data for name, data in logs.items()}
            files["session.json"] = outrig.finished(id_, at - 3600)
            if n in {1, 3}:
                files["KEEP_ME"] = b"mine\n"
            if n == 1:
                files["outrig-enter"] = b"\x7fELF\x02"
            for name, data in files.items():
                full = folder / name
                full.parent.mkdir(parents=True, exist_ok=True)
                full.write_bytes(data)
                full.chmod(0o640)
                os.utime(full, (at, at))
            (folder / "logs/bare").mkdir()
            for name in ("logs/bare", "logs/deep/er", "logs/deep", "logs", "."):
                (folder / name).chmod(0o750)
                os.utime(folder / name, (at, at))

    def strangers(self) -> Iterable[Key]:
        return [key for key in self.before.files if key[1].endswith(("KEEP_ME", "KEEP_ME.txt", "notes.md"))]

    def whose(self, key: Key) -> Whose | None:
        label, path = key
        if label == "sessions":
            label, _, path = path.partition("/")
        if path in {"session.json", "outrig-enter"}:
            return Whose(label, payload=False)
        return Whose(label, payload=True) if path.startswith("logs/") else None


WORLDS: dict[str, Callable[[Path, float], ManyFiles]] = {"opendev": Opendev, "outrig": Outrig}


def clear(world: World) -> None:
    shutil.rmtree(world.folder)
