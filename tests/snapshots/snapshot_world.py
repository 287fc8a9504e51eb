"""Small folders of snapshots, surveyed by the layout alone."""

import os
from pathlib import Path

from store.facts import Listing, Place, Problem, Session
from store.layout import Moment
from store.layouts.opendev_snapshots import LAYOUT
from store.layouts.opendev_snapshots.specimens import SUFFIX, snapshot

NOW = 1_777_100_000.0
HOUR = 3600.0
DAY = 86_400.0
GRACE = DAY

ID = "3f9c0a7d-21b"
OTHER = "91d2c4e07ab3"
UUID = "5b0f5c1e-92c3-4a0f-bb2d-9a50b7c0e1f2"
SAVED = NOW - 2 * DAY
NAME = ID + SUFFIX
WHOLE = snapshot(ID, SAVED)
DONE = snapshot(ID, SAVED, completed=True)


def place_at(folder: Path) -> Place:
    return Place("snapshots", LAYOUT.kind, LAYOUT.roots({"path": str(folder)}, {}, "/home/ana"))


class Snapshots:
    """A folder of snapshots, and what the layout makes of it at that moment."""

    def __init__(self, folder: Path, now: float = NOW) -> None:
        self.now = now
        self.folder = folder / "home/.opendev/data/recovery"
        self.folder.mkdir(parents=True)
        self.place = place_at(self.folder)

    def put(self, name: str, content: bytes = WHOLE, age: float = 2 * DAY) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        os.utime(path, (self.now - age, self.now - age))
        return path

    def save(self, content: bytes = WHOLE, age: float = 2 * DAY, id_: str = ID) -> Path:
        return self.put(id_ + SUFFIX, content, age)

    def listing(self, grace: float = GRACE) -> Listing:
        return LAYOUT.discover(self.place, Moment(self.now, grace))

    def survey(self, grace: float = GRACE) -> list[Session | Problem]:
        listing = self.listing(grace)
        return list(LAYOUT.read(self.place, listing.context, listing.entries))

    def facts(self, id_: str = ID, grace: float = GRACE) -> Session:
        """The facts of the one session of this id."""
        (found,) = [each for each in self.survey(grace) if isinstance(each, Session) and each.id == id_]
        return found

    def of(self, content: bytes) -> Session:
        """The facts of a snapshot of these bytes that nobody has saved for two days."""
        self.save(content)
        return self.facts()

    def leftovers(self) -> list[str]:
        return [each.id for each in self.listing().leftovers]

    def problems(self) -> list[str]:
        """What is left alone, as one line each."""
        found = self.listing().problems + [each for each in self.survey() if isinstance(each, Problem)]
        return [f"{each.path}: {each.text}" for each in found]
