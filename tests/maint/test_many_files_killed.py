"""A run over sessions of many files killed at each of its calls that change something: all of each stays together.

What is asked afterwards is in `many_files_world`, which reads the disk and nothing of ours.
"""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from archive_world import archive_pass
from kill_points import SURVIVED, changes, traced
from maint_world import DAY
from many_files_world import EVERYTHING, Key, ManyFiles, Opendev, Outrig
from tried import LONG, Tally

from maint import carrying_out, dispatch, finishing, indexing, settling_packs
from maint.actions import Outcome
from maint.desk import Desk
from maint.planned import PlannedStore
from maint.touched import Touched
from store import removing
from store.facts import Problem
from store.layouts.opendev.specimens import session_id
from store.layouts.outrig.specimens import session_id as outrig_id
from store.roots import RootFds

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None or shutil.which("zstd") is None,
    reason="there is no strace to kill it with, or no zstd to look into packs",
)
NOW = float(int(time.time()))
Point = tuple[str, int]


@dataclass(frozen=True)
class Story:
    """A store, what is run in it, and of how many of its calls one is tried where not all are.

    ``settles`` says that one more sweep leaves the store as the run itself would have.
    """

    build: Callable[[Path], ManyFiles]
    arguments: Callable[[ManyFiles], list[str]]
    step: int
    settles: bool = True

    def points(self, world: ManyFiles, folder: Path) -> list[Point]:
        found = changes(world, self.arguments(world), folder)
        return found if LONG else found[self.step // 2 :: 4 * self.step]


def sweep(_: ManyFiles) -> list[str]:
    return ["sweep", "--jobs", "1"]


def undo(world: ManyFiles) -> list[str]:
    return ["undo", world.journals()[-1]]


def restore(*which: str) -> Callable[[ManyFiles], list[str]]:
    return lambda _: ["restore", *which]


def store(kind: type[ManyFiles], passes: str) -> Callable[[Path], ManyFiles]:
    """A store under a policy of these passes."""

    def build(folder: Path) -> ManyFiles:
        world = kind(folder, NOW)
        world.rules(passes)
        return world

    return build


def swept(kind: type[ManyFiles], passes: str, then: str | None = None) -> Callable[[Path], ManyFiles]:
    """The same after a sweep, and under the policy of other passes from then on, if there are any."""

    def build(folder: Path) -> ManyFiles:
        world = store(kind, passes)(folder)
        answer = world.maint("sweep")
        assert answer.code == 0, answer
        if then is not None:
            world.rules(then)
        return world

    return build


def expired(kind: type[ManyFiles]) -> Callable[[Path], ManyFiles]:
    """The same when what was archived is expired."""

    def build(folder: Path) -> ManyFiles:
        world = swept(kind, WHOLE, EXPIRING)(folder)
        assert world.maint("sweep").code == 0
        return world

    return build


REPAIRS = "".join(EVERYTHING.splitlines(keepends=True)[:4])


def written_late(folder: Path) -> ManyFiles:
    """A store in whose trash somebody has written to a session of several files."""
    world = swept(Opendev, EVERYTHING)(folder)
    (path,) = world.ours.glob(f"trash/*/data/{Opendev.project}/{session_id(300)}.jsonl")
    with path.open("ab") as file:
        file.write(b"late\n")
    os.utime(path, (NOW + 7200, NOW + 7200))
    return world


WHOLE = archive_pass()
TRASHED = archive_pass("originals: trash")
PAYLOAD = archive_pass("part: payload", older_than="2d")
EXPIRING = WHOLE + "  - prune: {of: archived, older_than: 30d}\n"

STORIES: dict[str, Story] = {}
for kind in (Opendev, Outrig):
    name = kind.kind
    STORIES |= {
        f"{name}: sweep": Story(store(kind, EVERYTHING), sweep, 23),
        f"{name}: archive": Story(store(kind, WHOLE), sweep, 13),
        f"{name}: archive into the trash": Story(store(kind, TRASHED), sweep, 17),
        f"{name}: archive payloads": Story(store(kind, PAYLOAD), sweep, 11),
        f"{name}: expire": Story(swept(kind, WHOLE, EXPIRING), sweep, 5),
        f"{name}: restore many": Story(swept(kind, WHOLE, REPAIRS), restore("*"), 11, settles=False),
        f"{name}: restore payloads": Story(swept(kind, PAYLOAD, REPAIRS), restore("*"), 11, settles=False),
        f"{name}: undo a sweep": Story(swept(kind, EVERYTHING), undo, 23, settles=False),
        f"{name}: undo an archive": Story(swept(kind, WHOLE, REPAIRS), undo, 13, settles=False),
        f"{name}: undo an archive with its trash": Story(swept(kind, TRASHED), undo, 17, settles=False),
        f"{name}: undo payloads": Story(swept(kind, PAYLOAD), undo, 11, settles=False),
        f"{name}: undo expiring": Story(expired(kind), undo, 5, settles=False),
    }
    one = (
        session_id(300) if kind is Opendev else outrig_id(302, NOW - 40 * DAY - 3600)
    )  # which is behind a link
    STORIES |= {
        f"{name}: restore one": Story(swept(kind, WHOLE, REPAIRS), restore(one), 5, settles=False),
        f"{name}: restore one and pack it again": Story(swept(kind, WHOLE), restore(one), 7, settles=False),
        f"{name}: restore from the trash": Story(swept(kind, EVERYTHING), restore(one), 5, settles=False),
    }


STORIES["opendev: bring back what was written to in the trash"] = Story(written_late, sweep, 5, settles=False)
FEW = ["sweep", "archive", "restore one", "restore many", "undo a sweep", "undo an archive with its trash"]
"""The stories that are told where not every call is tried: the others differ from them in little."""


@pytest.mark.parametrize(
    "story", STORIES if LONG else [name for name in STORIES if name.partition(": ")[2] in FEW]
)
def test_killed_at_any_call_a_run_keeps_every_session_whole(story: str, tmp_path: Path, tally: Tally) -> None:
    told = STORIES[story]
    world = told.build(tmp_path / "counted")
    points = told.points(world, tmp_path)
    world.maint("sweep")
    settled = in_the_end(world) if told.settles else None
    shutil.rmtree(world.folder)
    found: Counter[str | None] = Counter()
    for call, number in points:
        world = told.build(tmp_path / f"{call}-{number}")
        why = killed_at(world, told.arguments(world), (call, number), settled)
        found[why if why in {None, SURVIVED} else f"{call} {number}: {why}"] += 1
        shutil.rmtree(world.folder)
    survived = found.pop(SURVIVED, 0)  # some calls are only made the first time, or only sometimes
    tally("killed", story, found.total(), there_are=len(points), wrong=found.total() - found[None])
    assert set(found) == {None}, "\n".join(f"{why}" for why in found if why is not None)
    assert survived <= len(points) // 10 + 1


AGAIN = ["opendev: sweep", "opendev: archive", "opendev: restore one", "outrig: sweep", "outrig: archive"]


@pytest.mark.parametrize("part", [0.35, 0.6, 0.85] if LONG else [0.6])
@pytest.mark.parametrize("story", AGAIN)
def test_sweep_that_sees_to_a_killed_run_may_be_killed_itself(
    story: str, part: float, tmp_path: Path, tally: Tally
) -> None:
    told = STORIES[story]
    world = told.build(tmp_path / "counted")
    all_points = changes(world, told.arguments(world), tmp_path)
    first = all_points[int(len(all_points) * part)]
    shutil.rmtree(world.folder)
    world = told.build(tmp_path / "counted")
    assert killed(world, told.arguments(world), first) is None
    points = changes(world, sweep(world), tmp_path)
    shutil.rmtree(world.folder)
    found: Counter[str | None] = Counter()
    for call, number in points if LONG else points[7::94]:
        world = told.build(tmp_path / f"{call}-{number}")
        why = killed_at(world, told.arguments(world), first, None, (call, number))
        found[why if why in {None, SURVIVED} else f"{call} {number}: {why}"] += 1
        shutil.rmtree(world.folder)
    survived = found.pop(SURVIVED, 0)
    tally("killed twice", story, found.total(), there_are=len(points), wrong=found.total() - found[None])
    assert set(found) <= {None}, "\n".join(f"{why}" for why in found if why is not None)
    assert survived <= len(points) // 10 + 1


def killed_at(
    world: ManyFiles, arguments: list[str], point: Point, settled: object = None, *again: Point
) -> str | None:
    """What is wrong after a run that was killed there, and one more sweep; ``None`` if nothing is.

    With ``again`` the sweeps that follow are killed there, one after the other, before the last one.
    """
    treasure = world.everything()
    for each in (point, *again):
        if (why := killed(world, arguments, each)) is not None:
            return why
        if lost := world.missing(treasure):
            return f"lost at once: {lost}"
        arguments = sweep(world)
    return wrong_after_sweeping(world, treasure, settled)


def killed(world: ManyFiles, arguments: list[str], point: Point, signal: str = "KILL") -> str | None:
    """Why a run was not killed at a call, or ``None`` if it was."""
    call, number = point
    quiet = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal={signal}:when={number}"]
    status = traced(world, arguments, quiet)
    if os.WIFSIGNALED(status):
        return None
    return SURVIVED if status == 0 else f"it ended with {os.waitstatus_to_exitcode(status)}"


def wrong_after_sweeping(
    world: ManyFiles, treasure: Mapping[Key, set[bytes]], settled: object = None
) -> str | None:
    """What is wrong after one more sweep."""
    after = world.maint("sweep", "--json")
    if after.code or "Traceback" in after.err:
        return f"the next sweep: {after}"
    if odd := [each for each in after.summary["problems"] if not is_usual(each["text"])]:
        return f"the next sweep tells of {odd}"
    if lost := world.missing(treasure):
        return f"lost after the next sweep: {lost}"
    if (why := world.wrong()) is not None:
        return f"after the next sweep: {why}"
    now = in_the_end(world)
    if settled is not None and now != settled:
        return f"another store than after a run that nobody killed: {difference(now, settled)}"
    again = world.maint("plan", "--json")
    if again.code or again.summary["planned"]:
        return f"there is still something to do: {again.lines[1:]}"
    if not world.is_free():
        return "the store is still locked"
    return None


def is_usual(text: str) -> bool:
    """Whether a problem is one of what the store itself is like, and not of what a run did."""
    return any(
        usual in text
        for usual in (
            "left alone",
            "temp file is kept",
            "will go on holding it",
            "where no record is",
            "still lies",
            "cannot be mended: its transcript is nothing but",
        )
    )


def in_the_end(world: ManyFiles) -> dict[str, object]:
    """What a store must come to by whatever way, of which a list may have its entries in another order."""
    found = world.found()

    def path(key: Key) -> str:
        return os.path.relpath(os.path.join(world.roots[key[0]], key[1]), world.folder)

    return {
        path(key): sorted(data.splitlines()) if key[1].endswith("sessions-index.json") else data
        for key, data in found.files.items()
    } | {path(key): mode for key, mode in found.modes.items() if key not in found.files}


def difference(one: dict[str, object], other: object) -> list[str]:
    assert isinstance(other, dict)
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


# What the harness finds.


def without_keeping_true(*_: object) -> Iterator[Problem]:
    """What keeps lists true, done by somebody who has not thought of them."""
    return iter(())


def test_harness_finds_lists_that_are_not_seen_to_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "keep_true", without_keeping_true)
    assert is_told("lists", "opendev: archive", "unlinkat", tmp_path)


def test_harness_finds_lists_that_are_made_true_before_the_sessions_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = dispatch.outcomes_of
    keep_true = indexing.keep_true

    def early(desk: Desk, planned: PlannedStore, refused: Mapping[int, str]) -> Iterator[list[Outcome]]:
        touched = Touched(desk.place)
        touched.take_actions(list(planned.actions()))
        list(keep_true(desk.roots, desk.place, touched, desk.run, 1000, desk.indexed))
        return real(desk, planned, refused)

    monkeypatch.setattr(carrying_out, "outcomes_of", early)
    monkeypatch.setattr(indexing, "keep_true", without_keeping_true)
    assert is_told("lists", "opendev: archive", "write", tmp_path)


def test_harness_finds_a_file_that_is_not_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = removing.put_back

    def careless(roots: RootFds, run: str, root: str, path: str) -> None:
        if not path.endswith(".events.jsonl"):
            real(roots, run, root, path)

    monkeypatch.setattr(settling_packs, "put_back", careless)
    assert is_told("waits by itself", "opendev: sweep", "renameat2", tmp_path)


def test_harness_finds_half_a_session_that_came_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling_packs, "_bring_rest", lambda *_: None)
    assert is_told("in two states at once", "opendev: restore one", "linkat", tmp_path)


def test_harness_finds_folders_that_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "remove_folders", lambda *_, **__: None)
    assert is_told("stands for nothing", "opendev: sweep", "unlinkat", tmp_path)


def is_told(what: str, story: str, call: str, folder: Path) -> bool:
    """Whether a story is told to go wrong in this way, killed at every such call until it is."""
    told = STORIES[story]
    world = told.build(folder / "counted")
    points = [point for point in changes(world, told.arguments(world), folder) if point[0] == call]
    for point in points[len(points) // 3 :]:
        world = told.build(folder / f"{call}-{point[1]}")
        if what in (killed_at(world, told.arguments(world), point) or ""):
            return True
        shutil.rmtree(world.folder)
    return False


@pytest.mark.parametrize("kind", ["opendev", "outrig"])
def test_session_that_came_back_torn_is_set_aside_and_comes_back_from_its_pack_once_more(
    kind: str, tmp_path: Path
) -> None:
    world = STORIES[f"{kind}: restore one"].build(tmp_path)
    treasure, there = world.everything(), files_of(world)
    assert world.maint(*STORIES[f"{kind}: restore one"].arguments(world)).code == 0
    came = sorted(files_of(world) - there)
    journal = world.ours / "journal" / f"{world.journals()[-1]}.ndjson"
    lines = journal.read_bytes().splitlines(keepends=True)
    killed_before = next(at for at, line in enumerate(lines) if b'"type":"outcome"' in line)
    journal.write_bytes(b"".join(lines[:killed_before]))
    content = {path: path.read_bytes() for path in came}
    torn = max(came, key=lambda path: path.stat().st_size)
    found = torn.stat()
    os.truncate(torn, found.st_size // 2)
    os.utime(torn, ns=(found.st_atime_ns, found.st_mtime_ns))
    answer = world.maint("sweep", "--json")
    assert answer.code == 0, answer
    assert {path: path.read_bytes() for path in came} == content
    assert world.missing(treasure) == []
    assert world.wrong() is None


def files_of(world: ManyFiles) -> set[Path]:
    """The files of the store's own folders but the lists."""
    roots = [Path(path) for label, path in world.place.roots.items() if not label.startswith("archive")]
    every = {path for top in roots for path in top.rglob("*") if path.is_file() and not path.is_symlink()}
    return {path for path in every if ".maint" not in path.parts and "index" not in path.name}
