"""Small stores of outrig, surveyed by the layout alone: what the tests of the format need to say what they are about.

A podman of the test's own, or none at all, is on the ``PATH``, so that no real one is ever asked.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from store.facts import Fingerprint, Leftover, Listing, Member, Place, Problem, Session
from store.layout import Moment, Unmendable
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.specimens import finished, record, written

NOW = 1_790_000_000.0
HOUR = 3600.0
DAY = 86_400.0
GRACE = DAY
BEGAN = NOW - 3 * DAY
ID = "20260918T131320-0a1b"
OTHER = "20260918T131321-0a1c"
STDERR = b"[mcp-server-filesystem] starting; root=/workspace\n"
ENDED = finished(ID, BEGAN)
GOING = written(record(ID, BEGAN))
FROZEN = Path(__file__).parent / "frozen"


class OutrigStore:
    """A store of outrig in a folder of its own, and what the layout makes of it at that moment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.now = NOW
        self.sessions = folder / "share/outrig/sessions"
        self.bin = folder / "bin"
        self.asked = folder / "asked"
        self.sessions.mkdir(parents=True)
        self.bin.mkdir()
        monkeypatch.setenv("PATH", str(self.bin))

    @property
    def place(self) -> Place:
        """The store as the engine hands it over: with the folders that links lead to."""
        alone = Place("runs", "outrig", LAYOUT.roots({"path": str(self.sessions)}, {}, "/home/ana"))
        return Place("runs", "outrig", {**alone.roots, **LAYOUT.targets(alone)})

    # What lies there.

    def put(self, path: str, content: bytes, age: float = 2 * DAY, *, within: Path | None = None) -> Path:
        file = (within or self.sessions) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (self.now - age, self.now - age))
        return file

    def session(
        self,
        content: bytes = ENDED,
        age: float = 2 * DAY,
        id_: str = ID,
        *,
        within: Path | None = None,
        **logs: bytes,
    ) -> Path:
        """The folder of a session; ``fs=b"..."`` is a log ``fs.stderr``."""
        folder = within or self.sessions / id_
        self.put("session.json", content, age, within=folder)
        (folder / "logs").mkdir(exist_ok=True)
        for name, text in logs.items():
            self.put(f"logs/{name}.stderr", text, age, within=folder)
        return folder

    def elsewhere(self, content: bytes = ENDED, name: str = "runs/nightly", **more: Any) -> Path:
        """The same, in a folder of the user's choice, with the link that leads to it."""
        folder = self.session(content, within=self.folder / name, **more)
        self.link(folder)
        return folder

    def link(self, target: Path | str, id_: str = ID, age: float = 2 * DAY) -> Path:
        link = self.sessions / id_
        link.symlink_to(target)
        os.utime(link, (self.now - age, self.now - age), follow_symlinks=False)
        return link

    # What podman says.

    def podman(self, script: str) -> None:
        """A podman that does this."""
        program = self.bin / "podman"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{self.asked}"\n{script}\n')
        program.chmod(0o755)

    def containers(self, *, every: Iterable[dict[str, Any]] = ()) -> None:
        """A podman that lists these, and no others."""
        answer = self.folder / "answer.json"
        answer.write_text(json.dumps(list(every)))
        self.podman(f'exec /bin/cat "{answer}"')

    def runs(self, *names: str, state: str = "running") -> None:
        self.containers(every=[{"Names": [name], "State": state} for name in names])

    # What the layout makes of it.

    def listing(self, grace: float = GRACE) -> Listing:
        return LAYOUT.discover(self.place, Moment(self.now, grace))

    def survey(self, grace: float = GRACE) -> list[Session | Problem]:
        place = self.place
        listing = LAYOUT.discover(place, Moment(self.now, grace))
        return [*listing.problems, *LAYOUT.read(place, listing.context, listing.entries)]

    def facts(self, id_: str = ID, grace: float = GRACE) -> Session:
        """The facts of the one session of this id."""
        (found,) = [each for each in self.survey(grace) if isinstance(each, Session) and each.id == id_]
        return found

    def ids(self) -> list[str]:
        return [each.id for each in self.survey() if isinstance(each, Session)]

    def leftovers(self) -> dict[str, Leftover]:
        return {each.id: each for each in self.listing().leftovers}

    def problems(self) -> list[str]:
        """What is left alone, as one line each."""
        return [f"{each.path}: {each.text}" for each in self.survey() if isinstance(each, Problem)]


def paths(members: Iterable[Member]) -> list[str]:
    return [member.path for member in members]


def rows(record: bytes) -> dict[str, Any]:
    fields = json.loads(record)
    assert isinstance(fields, dict)
    return fields


MEMBER = Member("sessions", f"{ID}/session.json", Fingerprint(0, 0, 0, 0, 0))


def mended(path: Path, content: bytes, changed: float = BEGAN + 999) -> bytes:
    """The bytes that recovering makes of these; raises `Unmendable`."""
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        mend = LAYOUT.mend(ID, (MEMBER,), "a name", changed)
        (made,) = mend.paths
        return b"".join(mend.build(fd, made))
    finally:
        os.close(fd)


def refusal(path: Path, content: bytes) -> str | None:
    """Why these bytes cannot be mended, or ``None`` if they can."""
    try:
        mended(path, content)
    except Unmendable as error:
        return str(error)
    return None
