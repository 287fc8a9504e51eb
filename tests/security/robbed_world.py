"""A store that belongs to a thief, a vault that he may not look into, and root, who works in the store.

Everything is in one folder that all may enter: ``thief`` is his and holds the store, ``root`` is the home of root with
the policy, and ``vault`` is closed to all but root. The vault is laid out as the store is, with trash, packs and
journals under the same names, so that whoever is led into it finds there what he looks for in the store; but every
session in it says `SECRET`.

Nothing here asks the program that is tested what it did: files are looked at, and packs are opened with `zstd`.
"""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from limited_run import HUNG, run
from maint_world import EVERYTHING, Answer, World
from thief import THIEF, as_thief

from maint.demo import build_store
from store.facts import Place
from store.layout import layout_of

SECRET = b"kept-from-thieves-7f3a"
_TOLD = re.compile(rb'("(?:name|title|command|content|text|message)": ?")')
_BASE = "  - archive: {older_than: 1d, where: {state: complete}}\n  - delete-empty: {idle_for: 2d}\n"
_REST = EVERYTHING + "  - archive: {older_than: 1d, where: {state: complete}}\n"
_LIMITS = "limits: {max_removed: unlimited, max_expired: unlimited, max_archived: unlimited, min_idle: 1h}\n"
_ENDINGS = frozenset({0, 1, 2, 3, 74, 75})

Seen = tuple[int, int, int, int, int, int, bytes]


class Robbed(World):
    """Such a folder, whose store is of this kind; with ``shared`` the store is root's own, and all may write there."""

    def __init__(self, folder: Path, kind: str, *, shared: bool) -> None:
        super().__init__(folder / "root")
        self.top, self.kind, self.shared = folder, kind, shared
        self.thief, self.vault = folder / "thief", folder / "vault"
        self.out = self.thief / "out"
        self._build("vault", secret=True)
        shutil.move(self.thief / "store", self.vault)
        self.vault.chmod(0o700)
        self._build("thief", secret=False)
        self._rename_runs()
        self.rules(_REST)
        self.run_id = self.journals()[0]
        listed = self.maint("list", "--archived", "--json").lines
        self.packed: str = listed[0]["session"]
        self.pack: str = listed[0]["pack"]
        self.live: str = self.maint("list", "--json").lines[0]["session"]
        assert self.maint("plan", "-o", str(self.folder / "saved.plan")).code == 0
        self.out.mkdir()
        self._give_away()
        self.before = self.outside()

    @property
    def place(self) -> Place:
        return self._place

    def rules(self, passes: str = EVERYTHING, rest: str = "") -> None:
        where = "".join(f", {key}: {self.thief}/store/{key}" for key in self._others())
        stores = f"stores: {{team: {{kind: {self.kind}, path: {self.sessions}{where}}}}}\n"
        super().rules(passes, stores + _LIMITS + rest)

    def _others(self) -> list[str]:
        return [key for key in layout_of(self.kind).paths if key != "path"]

    def _build(self, name: str, *, secret: bool) -> None:
        """Write a store with every ailment, and let a sweep fill its trash and its packs."""
        self._place, _ = build_store(layout_of(self.kind), str(self.thief), self.now)
        self.sessions = Path(self._place.path)
        self.rules(_BASE)
        for path in _files(self.thief / "store") if secret else ():
            times = path.stat()
            path.write_bytes(_TOLD.sub(rb"\1" + SECRET + b" ", path.read_bytes()))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        answer = self.maint("sweep")
        assert answer.code == 0, answer
        assert list((self.ours / "archive").glob("*.zst")), "nothing was packed"

    def _rename_runs(self) -> None:
        """Let the run that filled the vault be called as the one that filled the store."""
        ours = self.vault / self.sessions.relative_to(self.thief / "store") / ".maint"
        (theirs,) = (path.stem for path in (ours / "journal").iterdir())
        (own,) = self.journals()
        for path in sorted(ours.rglob(f"{theirs}*"), reverse=True):
            path.rename(path.with_name(path.name.replace(theirs, own)))

    def _give_away(self) -> None:
        for path in (self.thief, *self.thief.rglob("*")):
            in_store = path == self.sessions or self.sessions in path.parents
            if not (self.shared and in_store):
                os.lchown(path, THIEF, THIEF)
        if self.shared:
            self.sessions.chmod(0o777)

    # What root does.

    def verbs(self) -> Iterator[list[str]]:
        """Every verb, as root calls it; what is copied out goes to a folder that the thief owns."""
        out = str(self.out)
        pack = f"{self.ours}/archive/{self.pack}"
        into = ["--older-than", "1d", "--into", str(self.thief)]
        yield from (["status"], ["list"], ["list", "--archived"], ["list", "--trashed"], ["log"])
        yield from (["show", self.live], ["show", self.packed], ["explain", self.live], ["plan"])
        yield from (["apply", str(self.folder / "saved.plan")], ["sweep"], ["log", self.run_id], ["verify"])
        yield from (["restore", self.packed], ["restore", "*", "--to", out], ["restore", "*"])
        yield from (["sweep"], ["archive", *into], ["undo", self.run_id], ["salvage", pack, "--to", out])
        yield from (["salvage", self.pack, "--to", f"{out}/new"], ["restore", "*"], ["sweep", "--jobs", "2"])

    def as_root(self, *arguments: str) -> Answer:
        """What a verb says that root calls, who does not wait for ever."""
        return run(self, *arguments)

    def all_as_root(self, verbs: Iterable[list[str]]) -> dict[str, Answer]:
        """What each of these verbs says, by its place and its words: one may come more than once."""
        return {f"{n}. {' '.join(verb)}": self.as_root(*verb) for n, verb in enumerate(verbs, 1)}

    # What became of it.

    def outside(self) -> dict[str, Seen | str]:
        """All that is in the vault, and the names of what lies beside it and the thief's folder."""
        beside: dict[str, Seen | str] = {path.name: "there" for path in self.top.glob("*")}
        return beside | {str(path): _seen(path) for path in (self.vault, *sorted(self.vault.rglob("*")))}

    def wrong(self, answers: dict[str, Answer]) -> list[str]:
        """What must not be, after root did this and the thief what he could."""
        found = [f"{verb}: {why}" for verb, answer in answers.items() if (why := _wrong_ending(answer))]
        now = self.outside()
        found += [
            f"outside: {path}: {self.before.get(path)!r:.300} became {now.get(path)!r:.300}"
            for path in sorted(now.keys() | self.before.keys())
            if self.before.get(path) != now.get(path)
        ]
        return found + list(self._betrayed())

    def _betrayed(self) -> Iterator[str]:
        """What the thief has that he must not have, or that must not be left with him."""
        for path in sorted(self.thief.rglob("*")):
            seen = path.lstat()
            if SECRET in os.fsencode(path):
                yield f"told by a name: {path}"
            if stat.S_ISREG(seen.st_mode) and any(SECRET in data for data in _told(path)):
                yield f"told: {path}"
            if seen.st_mode & (stat.S_ISUID | stat.S_ISGID):
                yield f"runs as somebody else: {path}"
            if seen.st_uid != THIEF and not self.shared:
                yield f"left behind by user {seen.st_uid}: {path}"


def replace_by_link(world: Robbed, path: Path, target: Path) -> None:
    with as_thief():
        path.rename(path.with_name(f"{path.name}.away"))
        path.symlink_to(target)


def in_vault(world: Robbed, path: Path) -> Path:
    return world.vault / path.relative_to(world.thief / "store")


def _wrong_ending(answer: Answer) -> str | None:
    said = answer.out + answer.err
    if answer.code == HUNG:
        return "it hung"
    if answer.code not in _ENDINGS or "Traceback" in said or "defect" in answer.err:
        return f"it ended with {answer.code}: {answer.err[-2000:]}"
    return None


def _files(top: Path) -> list[Path]:
    return [path for path in sorted(top.rglob("*")) if path.is_file() and not path.is_symlink()]


def _seen(path: Path) -> Seen:
    """All of a file that somebody could change; that he looked at it does not show."""
    found = path.lstat()
    data = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
    times = found.st_mtime_ns, found.st_ctime_ns
    return (found.st_ino, found.st_mode, found.st_uid, found.st_gid, *times, data)


def _told(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and those that `zstd` makes of it."""
    data = path.read_bytes()
    yield data
    if b"\x28\xb5\x2f\xfd" in data[:64]:
        yield subprocess.run(
            ["zstd", "-dcq"], input=data, capture_output=True, check=False, timeout=60
        ).stdout
