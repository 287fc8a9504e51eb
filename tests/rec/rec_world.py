"""Small stores of rec, surveyed by the layout alone: what the tests of the format need to say what they are about."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from store.facts import Fingerprint, Listing, Member, Place, Problem, Session
from store.layout import Moment, Unmendable
from store.layouts.rec import LAYOUT
from store.layouts.rec.specimens import command, footer, header

NOW = 1_770_000_000.0
HOUR = 3600.0
DAY = 86_400.0
GRACE = DAY
DEAD = 4_000_000_000
"""No process can have this id."""

ID = "c2b6a1f4-58a7-4f6d-8a0e-6f0d1f0c9b77"
OTHER = "7f1c9a52-3d0e-4b8e-9c41-2a6d1f7b8e30"
BEGAN = NOW - 3 * DAY
HEAD = header(ID, "deploy", BEGAN)
ONE = command(0, "git pull", BEGAN + 60, 2.5)
TWO = command(1, "make test", BEGAN + 120, 3.5)
FOOT = footer(BEGAN + 300, 2)
LEAKED = command(0, "rec stop", BEGAN - 600, 0.5)
TORN = b'{"type":"command","index":2,"command":"make inst'


class RecStore:
    """A store of rec in a folder of its own, and what the layout makes of it at that moment."""

    def __init__(self, folder: Path, now: float = NOW) -> None:
        self.now = now
        self.sessions = folder / "data/rec/sessions"
        self.state = folder / "state/rec"
        self.sessions.mkdir(parents=True)
        self.state.mkdir(parents=True)

    @property
    def data(self) -> Path:
        return self.sessions.parent

    @property
    def place(self) -> Place:
        roots = {"sessions": str(self.sessions), "data": str(self.data), "state": str(self.state)}
        return Place("rec", "rec", roots)

    def put(self, name: str, content: bytes, age: float = 2 * DAY, *, within: Path | None = None) -> Path:
        path = (within or self.sessions) / name
        path.write_bytes(content)
        os.utime(path, (self.now - age, self.now - age))
        return path

    def session(self, content: bytes, age: float = 2 * DAY, id_: str = ID) -> Path:
        return self.put(f"{id_}.ndjson", content, age)

    def lock(self, content: bytes = b"4000000000", age: float = 2 * DAY) -> Path:
        return self.put("recording.lock", content, age, within=self.state)

    def recording(self, age: float = 2 * DAY, **fields: Any) -> Path:
        """``recording.json`` as rec writes it: with an id that is not the session's."""
        written = {
            "id": "0d9b7f0e-7a35-4b0c-b1de-7e4c2a55d9a1",
            "name": "deploy",
            "session_path": str(self.sessions / f"{ID}.ndjson"),
            "started_at": BEGAN + 0.005,
            "pid": DEAD,
        } | fields
        return self.put("recording.json", json.dumps(written, indent=2).encode(), age, within=self.state)

    def pending(self, age: float = 2 * DAY) -> Path:
        waiting = {"command": "make install", "cwd": "/", "started_at": self.now - age}
        return self.put("pending.json", json.dumps(waiting).encode(), age, within=self.state)

    def listing(self, grace: float = GRACE, place: Place | None = None) -> Listing:
        return LAYOUT.discover(place or self.place, Moment(self.now, grace))

    def survey(self, grace: float = GRACE, place: Place | None = None) -> list[Session | Problem]:
        place = place or self.place
        listing = self.listing(grace, place)
        return list(LAYOUT.read(place, listing.context, listing.entries))

    def facts(self, id_: str = ID, grace: float = GRACE, place: Place | None = None) -> Session:
        """The facts of the one session of this id."""
        (found,) = [
            each for each in self.survey(grace, place) if isinstance(each, Session) and each.id == id_
        ]
        return found

    def problems(self) -> list[str]:
        """What is left alone, as one line each."""
        found = self.listing().problems + [each for each in self.survey() if isinstance(each, Problem)]
        return [f"{each.path}: {each.text}" for each in found]


MEMBER = Member("sessions", f"{ID}.ndjson", Fingerprint(0, 0, 0, 0, 0))


def mended(
    path: Path, content: bytes, name: str | None = "recovered-x", changed: float = BEGAN + 999
) -> bytes:
    """The bytes that recovering makes of these; raises `Unmendable`."""
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        return b"".join(LAYOUT.mend(ID, (MEMBER,), name, changed).build(fd, MEMBER.path))
    finally:
        os.close(fd)


def refusal(path: Path, content: bytes) -> str | None:
    """Why these bytes cannot be mended, or ``None`` if they can."""
    try:
        mended(path, content)
    except Unmendable as error:
        return str(error)
    return None


def lines_of(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True) if b"\r" not in content else content.split(b"\n")


def records_of(content: bytes) -> Iterator[dict[str, Any]]:
    """All records, read as strictly as rec reads them: every line is one."""
    for line in content.decode().split("\n"):
        if line.strip():
            yield json.loads(line)
