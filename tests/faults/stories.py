"""What is cut short: stores, and what is run on them; most are those that the kill tests tell, too.

Each is built and run by one process alone, because a recording has but one order.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import test_archive_killed
import test_killed_at_every_call
import test_many_files_killed
from archive_world import OLD, archiving
from maint_world import DAY, EVERYTHING, World, set_clock
from many_files_world import ManyFiles
from oracle import Key

from maint.demo import build_store
from store.archives import with_archives
from store.facts import Place
from store.layout import layout_of

__all__ = ["STORIES", "ManyFiles", "Story", "World", "alone", "set_clock"]

Build = Callable[[Path], World]
Arguments = Callable[[World], list[str]]
MANY = 12
"""Sessions that are brought back together, without a name until they are whole."""


@dataclass(frozen=True)
class Story:
    """A store, and what is run on it; ``ends`` is how many contents of files that run lets go for good.

    With ``settles`` a run ends what another one began, in whose journal it is.
    """

    build: Build
    arguments: Arguments
    ends: int = 0
    settles: bool = False

    def roots(self, world: World) -> Mapping[str, Path]:
        found = world.place.roots.items()
        return {label: Path(path) for label, path in found if not label.startswith("archive")}

    def is_session(self, key: Key) -> bool:
        """Whether a file must be one thing or another; lists tell of what there is, and that is many things."""
        return not key[1].endswith("sessions-index.json")


class Snapshots(World):
    """A folder of snapshots with everything that may ail them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._bare, _ = build_store(layout_of("opendev-snapshots"), str(folder), self.now)
        self.sessions = Path(self._bare.path)
        self.rules()

    @property
    def place(self) -> Place:
        return with_archives(self._bare)

    def rules(self, passes: str = EVERYTHING, rest: str = "") -> None:
        store = f"stores: {{snapshots: {{kind: opendev-snapshots, path: {self.sessions}}}}}\n"
        super().rules(passes, store + rest)


@contextmanager
def alone() -> Iterator[None]:
    """Have this process, and those that it forks, count one processor, so that none of them takes workers."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def sweep(_: World) -> list[str]:
    return ["sweep"]


def undo(world: World) -> list[str]:
    return ["undo", world.journals()[-1]]


def restore_all(_: World) -> list[str]:
    return ["restore", "*"]


def after(build: Build, *arguments: str, days: float = 0.0) -> Build:
    """A store after something was run on it, and so many days have passed."""

    def built(folder: Path) -> World:
        world = build(folder)
        with alone():
            answer = world.maint(*(arguments or ["sweep"]))
        assert answer.code == 0, answer
        world.ahead += days * DAY
        return world

    return built


def many(folder: Path, *more: str) -> World:
    world = archiving(folder, *more)
    world.add_many("complete", range(1, MANY + 1), OLD)
    return world


def as_files(folder: Path) -> World:
    world = archiving(folder, "form: file")
    world.add_many("complete", range(1, 5), OLD)
    return world


def ripe(folder: Path) -> World:
    """A store whose trash has waited long enough, while new sessions have come."""
    world = after(test_killed_at_every_call.a_store, days=90)(folder)
    world.add("complete", 5, -89)
    return world


def without_archive(build: Build) -> Build:
    """A store under a policy that archives no more, so that what comes back stays."""

    def built(folder: Path) -> World:
        world = build(folder)
        world.rules()
        return world

    return built


_rec = test_killed_at_every_call.a_store
_archived = without_archive(after(many))
STORIES: dict[str, Story] = {
    "rec: sweep": Story(_rec, sweep),
    "rec: undo": Story(after(_rec), undo),
    "rec: restore from the trash": Story(after(_rec), test_killed_at_every_call.restored),
    "rec: expire the trash": Story(ripe, sweep, ends=6),
    "rec: restore many": Story(_archived, restore_all),
    "rec: undo an archive of many": Story(_archived, undo),
    "rec: archive as files": Story(as_files, sweep),
    "rec: undo files": Story(without_archive(after(as_files)), undo),
    "rec: restore files": Story(without_archive(after(as_files)), restore_all),
    "snapshots: sweep": Story(Snapshots, sweep),
    "snapshots: undo": Story(after(Snapshots), undo),
}
_OF_PACKS = {
    "undo": "undo an archive",
    "restore": "restore an archive",
    "expire": "expire what is archived",
}
STORIES |= {
    f"rec: {_OF_PACKS.get(name, name)}": Story(
        told.build, told.arguments, ends={"archive once more": 1, "expire": 2}.get(name, 0)
    )
    for name, told in test_archive_killed.STORIES.items()
}
STORIES |= {
    name: Story(told.build, told.arguments, settles=name.startswith("opendev: bring back"))  # type: ignore[arg-type]
    for name, told in test_many_files_killed.STORIES.items()
}
