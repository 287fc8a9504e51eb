"""Sessions of many files while others are at them: owners, other sweeps, full disks, and whoever kills or stops a part.

What is asked afterwards is in `many_files_world`, which reads the disk and nothing of ours.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from archive_world import archive_pass
from kill_points import changes
from maint_world import run_all
from many_files_world import EVERYTHING, WORLDS, Key, ManyFiles, Opendev
from test_archive_disk import KIB, MIB, mount
from test_archive_killed import Killing
from test_many_files_killed import killed, wrong_after_sweeping
from tried import LONG

from maint.run import Listener
from store.layouts.opendev import specimens as opendev

pytestmark = pytest.mark.skipif(shutil.which("zstd") is None, reason="there is no zstd to look into packs")
NOW = float(int(time.time()))
EVERY_KIND = pytest.mark.parametrize("kind", WORLDS)
REPAIRS = "".join(EVERYTHING.splitlines(keepends=True)[:4])
WHOLE = REPAIRS + archive_pass()
TRASHED = REPAIRS + archive_pass("originals: trash")
PAYLOAD = REPAIRS + archive_pass("part: payload")


def a_store(kind: str, folder: Path, passes: str = EVERYTHING) -> ManyFiles:
    world = WORLDS[kind](folder / "world", NOW)
    world.rules(passes)
    return world


# Sweeps at once, and parts of one that are killed or stopped.


@EVERY_KIND
def test_sweeps_at_once_keep_every_session_whole(kind: str, tmp_path: Path) -> None:
    world = a_store(kind, tmp_path, WHOLE)
    treasure = world.everything()
    answers = run_all([world.start("sweep", "--json") for _ in range(4)])
    assert {answer.code for answer in answers} <= {0, 75}
    assert [answer.err for answer in answers if "Traceback" in answer.err] == []
    assert world.missing(treasure) == []
    assert wrong_after_sweeping(world, treasure) is None


def with_many_unsaved(folder: Path, count: int) -> Opendev:
    """A store in which so many sessions are to be made whole that workers do it."""

    class Many(Opendev):
        def add_old(self) -> None:
            super().add_old()
            at = self.now - 3 * 86_400
            for number in range(1000, 1000 + count):
                id_ = opendev.session_id(number)
                log = opendev.created(id_, at - 60) + opendev.added(id_, 2, "user", f"do {number}", at)
                self._old(f"{self.project}/{id_}.events.jsonl", log, at)

    world = Many(folder / "world", NOW)
    world.rules()
    return world


def test_workers_killed_while_they_make_files_lose_no_session_and_no_entry(tmp_path: Path) -> None:
    world = with_many_unsaved(tmp_path, 300)
    treasure = world.everything()
    kill = Killing(2)
    run = world.sweep(jobs=2, listener=Listener(outcome=kill))
    assert (kill.killed > 0, run.summary.failed, world.missing(treasure)) == (True, 0, [])
    assert wrong_after_sweeping(world, treasure) is None


@pytest.mark.parametrize(
    ("kind", "passes"),
    [("opendev", EVERYTHING), ("opendev", WHOLE), ("outrig", EVERYTHING), ("outrig", WHOLE)],
)
@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to stop it with")
def test_interrupted_sweep_leaves_no_session_in_two_states_and_every_list_true(
    kind: str, passes: str, tmp_path: Path
) -> None:
    points = changes(a_store(kind, tmp_path / "counted", passes), ["sweep", "--jobs", "1"], tmp_path)
    for call, number in points if LONG else points[5::82]:
        world = a_store(kind, tmp_path / f"{call}-{number}", passes)
        treasure = world.everything()
        why = killed(world, ["sweep", "--jobs", "1"], (call, number), "INT")
        assert why in {"it ended before that call", "it ended with 130"}
        assert world.missing(treasure) == []
        world.recovers = False  # what lied before it began may go on lying
        assert world.wrong() is None, (call, number)
        world.recovers = True
        assert wrong_after_sweeping(world, treasure) is None, (call, number)
        shutil.rmtree(world.folder)


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to kill it with")
@pytest.mark.parametrize("passes", [EVERYTHING, WHOLE, TRASHED])
def test_folder_elsewhere_that_is_gone_after_a_kill_hinders_no_later_sweep(
    passes: str, tmp_path: Path
) -> None:
    points = changes(a_store("outrig", tmp_path / "counted", passes), ["sweep", "--jobs", "1"], tmp_path)
    renames = [point for point in points if point[0] == "renameat2"]
    for call, number in renames if LONG else renames[::18]:
        world = a_store("outrig", tmp_path / f"{call}-{number}", passes)
        assert killed(world, ["sweep", "--jobs", "1"], (call, number)) is None
        shutil.rmtree(world.folder / "attic")
        answers = [world.maint("sweep"), world.maint("sweep")]
        assert [(answer.code, "Traceback" in answer.err) for answer in answers] == [(0, False)] * 2, answers
        shutil.rmtree(world.folder)


def test_session_written_to_in_the_trash_waits_for_the_folder_it_came_from(tmp_path: Path) -> None:
    world = a_store("outrig", tmp_path)
    assert world.maint("sweep").code == 0
    kept = min(world.ours.glob("trash/*/dir-*/logs/network.jsonl"))
    grow(kept)
    os.utime(kept, (NOW + 7200, NOW + 7200))
    shutil.rmtree(world.folder / "attic")
    answer = world.maint("sweep", "--json")
    assert (answer.code, "Traceback" in answer.err, kept.exists()) == (0, False, True)
    assert [each for each in answer.summary["problems"] if "it came from is not there" in each["text"]] != []


# Owners.


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"late":1}\n')


def replace(path: Path) -> None:
    new = path.with_name("being-written")
    new.write_bytes(path.read_bytes() + b"\n")
    new.rename(path)


def remove(path: Path) -> None:
    path.unlink()


@EVERY_KIND
@pytest.mark.parametrize("meddle", [grow, replace, remove])
@pytest.mark.parametrize("passes", [EVERYTHING, WHOLE, TRASHED, PAYLOAD])
def test_session_of_which_one_file_changes_after_planning_keeps_all(
    kind: str, passes: str, meddle: Callable[[Path], None], tmp_path: Path
) -> None:
    for at in range(len(members(a_store(kind, tmp_path / "counted"), passes))):
        world = a_store(kind, tmp_path / str(at), passes)
        files = members(world, passes)
        label, path = files[at]
        victim = Path(world.roots[label]) / path

        def interfere(_: object, victim: Path = victim) -> None:
            meddle(victim)

        run = world.sweep(listener=Listener(planned=interfere))
        now = world.found().files
        assert [key for key in files if key not in now] == ([files[at]] if meddle is remove else []), path
        assert [key for key in files if key in now and now[key] != world.before.files[key]] == (
            [] if meddle is remove else [files[at]]
        )
        assert (run.summary.skipped, run.summary.failed) == (1, 0)
        assert world.wrong_with_lists(world.found()) is None
        shutil.rmtree(world.folder)


def members(world: ManyFiles, passes: str) -> list[Key]:
    """The files of one old session which have the same fate."""
    whose = {key: found for key in world.before.files if (found := world.whose(key)) is not None}
    is_old = {"opendev": f"{Opendev.project}/{opendev.session_id(303)}", "outrig": dict(world.before.links)}
    wanted = is_old[world.kind]
    if not isinstance(wanted, str):  # the one behind a link, beside which a file of its owner lies
        (wanted,) = {label for label, path in world.foreign if label != "sessions" and path == "KEEP_ME"}
    return sorted(
        key
        for key, found in whose.items()
        if found.session == wanted and (passes != PAYLOAD or found.payload)
    )


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to kill it with")
def test_list_that_its_owner_writes_behind_a_kill_keeps_what_he_wrote(tmp_path: Path) -> None:
    counted = a_store("opendev", tmp_path / "counted", WHOLE)
    points = [
        point
        for point in changes(counted, ["sweep", "--jobs", "1"], tmp_path)
        if point[0] in {"renameat2", "linkat"}
    ]
    for call, number in points if LONG else points[-1::-10]:
        world = a_store("opendev", tmp_path / f"{call}-{number}", WHOLE)
        his = {
            ("data", f"{Opendev.project}/{name}")
            for name in ("sessions-index.json", ".sessions-index-tmp.json")
        }
        treasure = {key: found for key, found in world.everything().items() if key not in his}
        assert killed(world, ["sweep", "--jobs", "1"], (call, number)) is None
        owner = Owner(world, Opendev.project, 1)
        owner.hears()
        world.before = world.before._replace(files=world.before.files | owner.files())
        assert wrong_after_sweeping(world, treasure) is None, (call, number)
        assert [entry["title"] for entry in entries(world, Opendev.project)].count(Owner.TITLE) == 1
        shutil.rmtree(world.folder)


@pytest.mark.parametrize("passes", [EVERYTHING, WHOLE])
def test_list_that_its_owner_writes_during_a_sweep_keeps_what_he_wrote(
    passes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync
    count = fsyncs(a_store("opendev", tmp_path / "counted", passes), monkeypatch)
    kept = 0
    for number in range(1, count + 1) if LONG else range(2, count + 1, 18):
        for project in (opendev.PROJECT, Opendev.project):
            world = a_store("opendev", tmp_path / f"{number}-{project[-5:]}", passes)
            his = {
                ("data", f"{project}/{name}") for name in ("sessions-index.json", ".sessions-index-tmp.json")
            }
            treasure = {key: found for key, found in world.everything().items() if key not in his}
            owner = Owner(world, project, number)

            def watched(fd: int, owner: Owner = owner) -> None:
                real(fd)
                owner.hears()

            monkeypatch.setattr(os, "fsync", watched)
            world.sweep()
            monkeypatch.setattr(os, "fsync", real)
            told = [entry["title"] for entry in entries(world, project)]
            assert (owner.wrote, told.count(Owner.TITLE)) == (True, 1), number
            assert world.missing(treasure) == []
            world.before = world.before._replace(files=world.before.files | owner.files())
            assert world.wrong_with_lists(world.found()) is None, number
            kept += 1
            shutil.rmtree(world.folder)
    assert kept > 5


def fsyncs(world: ManyFiles, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a sweep waits for the disk."""
    count = 0
    real = os.fsync

    def counting(fd: int) -> None:
        nonlocal count
        count += 1
        real(fd)

    monkeypatch.setattr(os, "fsync", counting)
    world.sweep()
    monkeypatch.setattr(os, "fsync", real)
    return count


class Owner:
    """Saves a new session of a project when a sweep waits for the disk for the so-manieth time."""

    TITLE = "begun meanwhile"

    def __init__(self, world: ManyFiles, project: str, number: int) -> None:
        self._world = world
        self._project = project
        self._left = number
        self._id = opendev.session_id(7777)
        self.wrote = False

    def hears(self) -> None:
        self._left -= 1
        if self._left <= 0 and not self.wrote:
            with suppress(BlockingIOError):  # he waits for whoever has it, and comes again
                self._save()
                self.wrote = True

    def files(self) -> dict[Key, bytes]:
        stem = f"{self._project}/{self._id}"
        return {
            ("data", f"{stem}.{kind}"): (self._world.sessions / f"{stem}.{kind}").read_bytes()
            for kind in ("json", "jsonl")
        }

    def _save(self) -> None:
        """As the program does it: its own files first, then the list, beside itself and by a rename."""
        folder = self._world.sessions / self._project
        now = time.time()
        (folder / f"{self._id}.jsonl").write_bytes(opendev.transcript(opendev.message("user", "hi", now)))
        (folder / f"{self._id}.json").write_bytes(opendev.record(self._id, now, now))
        index = folder / "sessions-index.json"
        with open(os.open(index, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            told = json.loads(file.read())
        told["entries"].append(opendev.entry(self._id, now, now, title=self.TITLE))
        new = folder / ".sessions-index-tmp.json"
        new.write_text(json.dumps(told, indent=2))
        shutil.copymode(index, new)
        new.rename(index)


def entries(world: ManyFiles, project: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((world.sessions / project / "sessions-index.json").read_bytes())[
        "entries"
    ]
    return found


# Full disks.


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    mount(folder, 4 * MIB)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@EVERY_KIND
@pytest.mark.parametrize("passes", [EVERYTHING, WHOLE])
def test_disk_that_fills_up_during_a_sweep_costs_no_session(kind: str, passes: str, disk: Path) -> None:
    stopped = 0
    for pages in range(60) if LONG else range(0, 60, 12):
        world = a_store(kind, disk / str(pages), passes)
        treasure = world.everything()
        ballast = disk / "ballast"
        free = os.statvfs(disk)
        ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - pages * 4 * KIB)))
        answer = world.maint("sweep", "--json")
        assert (answer.code in {0, 1, 74}, "Traceback" in answer.err) == (True, False), answer
        assert world.missing(treasure) == []
        stopped += answer.code != 0
        ballast.unlink()
        assert wrong_after_sweeping(world, treasure) is None, pages
        shutil.rmtree(world.folder)
    assert stopped > 0
