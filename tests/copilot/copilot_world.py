"""Small folders of Copilot's sessions, surveyed by the layout alone, or swept."""

import os
from pathlib import Path

import maint
from maint.run import Run
from policies import Policy
from store.archives import with_archives
from store.facts import Listing, Place, Problem, Session
from store.layout import Moment
from store.layouts.copilot import LAYOUT
from store.layouts.copilot.specimens import begun, ended, files, session_id, turn

NOW = 1_796_000_000.0
HOUR = 3600.0
DAY = 86_400.0
GRACE = DAY
ID, OTHER = session_id(1), session_id(2)
UNLIMITED = "limits: {max_removed: unlimited, max_expired: unlimited, min_idle: 1s}\n"


def place_at(folder: Path) -> Place:
    return with_archives(Place("copilot", LAYOUT.kind, LAYOUT.roots({"path": str(folder)}, {}, "/home/ana")))


def whole(id_: str = ID, when: float = NOW - 2 * DAY) -> bytes:
    """The events of a session of one turn that was shut down."""
    return begun(id_, when) + turn(when) + ended(when + 20)


class Copilot:
    """A folder of sessions, and what the layout makes of it at that moment."""

    def __init__(self, folder: Path, now: float = NOW) -> None:
        self.now = now
        self.top = folder
        self.folder = folder / "home/.copilot/session-state"
        self.folder.mkdir(parents=True)

    @property
    def place(self) -> Place:
        return place_at(self.folder)

    def put(self, path: str, content: bytes, age: float = 2 * DAY) -> Path:
        full = self.folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(content)
        os.utime(full, (self.now - age, self.now - age))
        return full

    def session(self, events: bytes | None, id_: str = ID, *, age: float = 2 * DAY, **also: bytes) -> Path:
        """A session that was last written so many seconds ago; its folder."""
        for (_, path), content in files(id_, self.now - age, events, **also).items():
            self.put(path, content, age)
        for name in ("files", "research"):
            (self.folder / id_ / name).mkdir(exist_ok=True)
        return self.folder / id_

    def marks(self, number: int, id_: str = ID, *, age: float = 2 * DAY, hold: bool = True) -> None:
        """What a process of this number leaves when it is killed; earlier versions leave no file to hold."""
        self.put(f"{id_}/inuse.{number}.lock", str(number).encode(), age)
        if hold:
            self.put(f"{id_}/inuse.{number}.hold", b"", age)

    def listing(self, grace: float = GRACE) -> Listing:
        return LAYOUT.discover(self.place, Moment(self.now, grace))

    def survey(self, grace: float = GRACE) -> list[Session | Problem]:
        listing = self.listing(grace)
        return list(LAYOUT.read(self.place, listing.context, listing.entries))

    def sessions(self, grace: float = GRACE) -> dict[str, Session]:
        return {each.id: each for each in self.survey(grace) if isinstance(each, Session)}

    def facts(self, id_: str = ID, grace: float = GRACE) -> Session:
        return self.sessions(grace)[id_]

    def problems(self) -> list[str]:
        found = self.listing().problems + [each for each in self.survey() if isinstance(each, Problem)]
        return [f"{each.path}: {each.text}" for each in found]

    def snapshot(self) -> dict[str, tuple[bytes, int, int]]:
        """All files of sessions with their times and modes, and all folders."""
        found = {}
        for path in self.folder.rglob("*"):
            if ".maint" not in path.parts:
                seen = path.stat()
                content = path.read_bytes() if path.is_file() else b""
                time = seen.st_mtime_ns if path.is_file() else 0
                found[str(path.relative_to(self.folder))] = content, time, seen.st_mode
        return found

    def policy(self, passes: str) -> Policy:
        file = self.top / "policy.yaml"
        file.write_text(f"version: 1\ntimezone: UTC\n{UNLIMITED}passes:\n{passes}")
        return maint.load(str(file))

    def sweep(self, passes: str) -> Run:
        run = maint.sweep(self.policy(passes), [self.place])
        assert (run.summary.failed, run.summary.lost, run.refused) == (0, 0, [])
        return run

    def done(self, passes: str) -> dict[str, int]:
        return {str(verb): count for verb, count in self.sweep(passes).summary.done.items() if count}
