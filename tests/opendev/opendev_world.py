"""Small stores of opendev, surveyed by the layout alone: what the tests of the format need to say what they are about."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from store import opening
from store.facts import Index, Listing, Member, Place, Problem, Session
from store.layout import Mend, Moment, Unmendable
from store.layouts.opendev import LAYOUT
from store.layouts.opendev.specimens import PROJECT, call, message, record, transcript

NOW = 1_777_000_000.0
HOUR = 3600.0
DAY = 86_400.0
GRACE = DAY
ID = "3f9c0a7d21be"
OTHER = "91d2c4e07ab3"
BEGAN = NOW - 3 * DAY
ENDED = BEGAN + 600
ASKED = message("user", "why does retry_test flake?", BEGAN + 5)
ANSWERED = message("assistant", "It sleeps on wall time.", BEGAN + 60, tool_calls=[call()])
TALK = transcript(ASKED, ANSWERED)
RECORD = record(ID, BEGAN, ENDED)
TORN = b'{"role":"assistant","content":"Let me loo'


class OpendevStore:
    """A store of opendev in a folder of its own, and what the layout makes of it at that moment."""

    def __init__(self, folder: Path, now: float = NOW) -> None:
        self.now = now
        self.data = folder / "data"
        self.remote = folder / "remote"
        self.project = self.data / PROJECT
        self.project.mkdir(parents=True)
        self.remote.mkdir()

    @property
    def place(self) -> Place:
        return Place("opendev", "opendev", {"data": str(self.data), "tmp": str(self.remote)})

    def put(self, path: str, content: bytes = b"", age: float = 2 * DAY) -> Path:
        """A file below the data folder, of that age."""
        full = self.data / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(content)
        os.utime(full, (self.now - age, self.now - age))
        return full

    def session(
        self,
        files: Mapping[str, bytes] | None = None,
        *,
        id_: str = ID,
        age: float = 2 * DAY,
        at: str = PROJECT,
        **more: bytes,
    ) -> None:
        """The files of a session by what follows its id, with ``events`` for its log; ``json`` and ``jsonl`` as a rule."""
        given = dict(files or {}) | more
        for kind, content in (given or {"json": RECORD, "jsonl": TALK}).items():
            self.put(f"{at}/{id_}.{kind.replace('events', 'events.jsonl')}", content, age)

    def listing(self, grace: float = GRACE) -> Listing:
        return LAYOUT.discover(self.place, Moment(self.now, grace))

    def survey(self, grace: float = GRACE) -> list[Session | Problem]:
        listing = self.listing(grace)
        return list(LAYOUT.read(self.place, listing.context, listing.entries))

    def sessions(self, grace: float = GRACE) -> dict[str, Session]:
        return {each.id: each for each in self.survey(grace) if isinstance(each, Session)}

    def facts(self, id_: str = ID, grace: float = GRACE) -> Session:
        """The facts of the one session of this id."""
        (found,) = [each for each in self.survey(grace) if isinstance(each, Session) and each.id == id_]
        return found

    def problems(self) -> list[str]:
        """What is left alone, as one line each."""
        found = self.listing().problems + [each for each in self.survey() if isinstance(each, Problem)]
        return [f"{each.path}: {each.text}" for each in found]

    def damage(self, grace: float = GRACE) -> list[str]:
        """What is said of damaged indexes."""
        return [found.evidence for found in self.listing(grace).indexes]

    def the_index(self) -> Index:
        (found,) = self.listing().indexes
        return found

    def litter(self) -> list[str]:
        return [found.id for found in self.listing().leftovers]

    def reindexed(
        self, *sessions: str, all_: bool = False, older: Sequence[bytes] = (), at: str = PROJECT
    ) -> bytes | None:
        """The bytes of the project's index behind a change to these sessions."""
        folder = opening.open_folder(str(self.data / at))
        fds = []
        for n, content in enumerate(older):
            fds.append(os.open(self.put(f"../older-{n}", content), os.O_RDONLY))
        try:
            fd = opening.open_session(folder, "sessions-index.json")
        except FileNotFoundError:
            index = None
        else:
            index = fd
            fds.append(fd)
        try:
            return LAYOUT.reindex(
                folder, index, None if all_ else frozenset(sessions), tuple(fds[: len(older)])
            )
        finally:
            for fd in (*fds, folder):
                os.close(fd)

    def reindex(self, *sessions: str, all_: bool = False, age: float = 2 * DAY) -> list[dict[str, Any]]:
        """Write the index that the layout gives, and what stands in it."""
        content = self.reindexed(*sessions, all_=all_)
        if content is not None:
            self.put(f"{PROJECT}/sessions-index.json", content, age)
        return self.entries()

    def entries(self) -> list[dict[str, Any]]:
        """What the program would list."""
        read = json.loads((self.project / "sessions-index.json").read_bytes())
        assert read["version"] == 1
        entries: list[dict[str, Any]] = read["entries"]
        return entries

    def mended(self, id_: str = ID, name: str | None = "recovered-x") -> dict[str, bytes]:
        """What recovering a session writes, by path, in the order in which it is written; raises `Unmendable`."""
        session = self.facts(id_)
        mend = LAYOUT.mend(session.id, session.members, name, session.last_changed)
        return {path: self.built(mend, path) for path in mend.paths}

    def built(self, mend: Mend, path: str) -> bytes:
        fd = os.open(self.data / mend.source.path, os.O_RDONLY)
        try:
            return b"".join(mend.build(fd, path))
        finally:
            os.close(fd)

    def mend(self, id_: str = ID, name: str | None = "recovered-x", age: float = 2 * DAY) -> None:
        """Recover a session as an engine would, without its care."""
        for path, content in self.mended(id_, name).items():
            self.put(path, content, age)

    def refusal(self, id_: str = ID) -> str | None:
        """Why a session cannot be mended, or ``None`` if it can."""
        try:
            self.mended(id_)
        except Unmendable as reason:
            return str(reason)
        return None


def suffixes(session: Session) -> list[str]:
    """The members by what follows the id."""
    return [member.path.rpartition("/")[2].removeprefix(f"{session.id}.") for member in session.members]


def member_paths(members: tuple[Member, ...]) -> list[str]:
    return [member.path for member in members]


def loaded(content: bytes) -> list[dict[str, Any]]:
    """The messages that the program reads of a transcript: it passes over what is none."""
    read = []
    for text in content.split(b"\n"):
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict) and {"role", "content"} <= found.keys():
            read.append(found)
    return read


def replayed(content: bytes) -> list[dict[str, Any]]:
    """The events that the program reads of a log: all of it, or it gives up."""
    return [json.loads(text) for text in content.split(b"\n") if text.strip()]
