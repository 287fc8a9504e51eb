"""Small folders of Codex, surveyed by the layout alone, or swept."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import maint
from maint.run import Run
from policies import Policy
from store.archives import with_archives
from store.facts import Listing, Place, Problem, Session
from store.layout import Moment
from store.layouts.codex import LAYOUT
from store.layouts.codex.specimens import path_of, thread

NOW = 1_796_000_000.0
HOUR = 3600.0
DAY = 86_400.0
GRACE = DAY

ID = "01a22ba1-8050-7861-87a9-5acc134bb046"
OTHER = "01a22ba1-f338-7f82-a9af-9dc2b20ac155"
THIRD = "01a22ba8-2288-7b63-a4ef-c39dd3f4146b"
UNLIMITED = "limits: {max_removed: unlimited, max_expired: unlimited, min_idle: 1s}\n"


def place_at(folder: Path) -> Place:
    return with_archives(Place("codex", LAYOUT.kind, LAYOUT.roots({"path": str(folder)}, {}, "/home/ana")))


class Codex:
    """A folder of Codex, and what the layout makes of it at that moment."""

    def __init__(self, folder: Path, now: float = NOW) -> None:
        self.now = now
        self.folder = folder / "home/.codex"
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

    def save(
        self, content: bytes | None = None, id_: str = ID, *, age: float = 2 * DAY, archived: bool = False
    ) -> Path:
        """A thread that began and was last written so many seconds ago; by default one of one turn."""
        began = self.now - age
        return self.put(path_of(id_, began, archived=archived), content or thread(id_, began), age)

    def listing(self, grace: float = GRACE) -> Listing:
        return LAYOUT.discover(self.place, Moment(self.now, grace))

    def survey(self, grace: float = GRACE) -> list[Session | Problem]:
        listing = self.listing(grace)
        return list(LAYOUT.read(self.place, listing.context, listing.entries))

    def sessions(self) -> dict[str, Session]:
        return {each.id: each for each in self.survey() if isinstance(each, Session)}

    def facts(self, id_: str = ID) -> Session:
        return self.sessions()[id_]

    def of(self, content: bytes) -> Session:
        """The facts of a thread of these bytes that nobody has written for two days."""
        self.save(content)
        return self.facts()

    def problems(self) -> list[str]:
        """What is left alone, as one line each."""
        found = self.listing().problems + [each for each in self.survey() if isinstance(each, Problem)]
        return [f"{each.path}: {each.text}" for each in found]

    def there(self) -> set[str]:
        """The paths of all files that are not ours."""
        found = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
        return {path for path in found if not path.startswith(".maint/")}

    def policy(self, passes: str) -> Policy:
        file = self.folder.parent / "policy.yaml"
        file.write_text(f"version: 1\ntimezone: UTC\n{UNLIMITED}passes:\n{passes}")
        return maint.load(str(file))

    def sweep(self, passes: str) -> Run:
        run = maint.sweep(self.policy(passes), [self.place])
        assert (run.summary.failed, run.summary.lost, run.summary.skipped) == (0, 0, 0)
        return run

    def applied(self, passes: str, meanwhile: Callable[[], object]) -> tuple[str, set[str]]:
        """What is said of a plan that was saved and is carried out after something else happened, and the paths that it
        takes away.
        """
        self.policy(passes)
        folder = self.folder.parent
        env = {"HOME": str(folder), "PATH": os.environ["PATH"], "TZ": "UTC"}

        def program(*args: str) -> str:
            command = [sys.executable, "-c", "from maint.cli import main; main()", *args]
            return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

        program("plan", "-o", f"{folder}/plan", "--policy", f"{folder}/policy.yaml")
        meanwhile()
        before = self.there()
        return program("apply", f"{folder}/plan", "--json"), before - self.there()

    def gone(self, passes: str) -> set[str]:
        """The paths that a sweep takes away."""
        before = self.there()
        self.sweep(passes)
        return before - self.there()
