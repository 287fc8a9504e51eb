"""The parsers of our own files in a store, which whoever owns the store may write."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from archive_world import OLD, archive_pass, packs
from fuzzing import Parser
from maint_world import DAY, EVERYTHING, World
from mutating import NESTED

from maint import finding, journal, ndjson, report, saved, telling, undoing
from maint.actions import Verb
from store import archives, catalogue_file, locks, names, targets, verified
from store.archived import Archived
from store.catalogue import Catalogue
from store.facts import Place
from store.roots import RootFds

_FILES = {
    "holder": (
        names.HOLDER,
        [b'{"pid":5,"start_time":1.5,"boot_id":"x","host":"h","command":"maint","since":1.0}', NESTED],
    ),
    "targets": (
        names.TARGETS,
        [b'{"%b":"/srv/x","dir-0000000000000000":"/etc"}' % targets.label_of("/srv/x").encode()],
    ),
    "archives": (names.ARCHIVES, [b'[{"label":"archive-0a1b2c","path":"/srv/rec-0a1b2c"}]']),
    "verified": (names.VERIFIED, [b'{"20260209T091403-0ab123-0000.tar.zst":1760000000.5,"x.ndjson.zst":1}']),
    "reported": (names.REPORTED, [b"x: is a FIFO; left alone\ny: is no session\n"]),
}


def parsers(folder: Path) -> dict[str, Parser]:
    world = a_store(folder / "world")
    roots = RootFds(world.place.roots)
    first = roots[roots.first]
    readers: dict[str, Callable[[], object]] = {
        "holder": lambda: locks.holder(first),
        "targets": lambda: targets.with_targets(world.place, {}),
        "archives": lambda: archives.with_archives(Place("rec", "rec", {"sessions": str(world.sessions)})),
        "verified": lambda: verified.read(first, world.now),
        "reported": lambda: telling._reported(first),
    }
    bare = {name: _of_file(world, *_FILES[name], read) for name, read in readers.items()}
    runs = world.journals()
    content = [(world.ours / f"journal/{run}.ndjson").read_bytes() for run in runs]
    plan = (folder / "world/plan").read_bytes()
    database = (world.ours / "catalogue.sqlite").read_bytes()
    return bare | {
        "journal": Parser([*content, NESTED], lambda data: _journal(world, roots, runs[0], data)),
        "plan": Parser([plan], lambda data: _plan(folder / "plan", data)),
        "catalogue": Parser([database], lambda data: _catalogue(world, roots, data)),
        "catalogue with forged lines": Parser(
            [_line_of(world)], lambda data: _catalogue(world, roots, database, line=data)
        ),
    }


def a_store(folder: Path) -> World:
    """One in which every file of ours is: recovered, archived, taken back, planned once more."""
    world = World(folder)
    world.rules(EVERYTHING + archive_pass(), "trash: {keep_for: 14d}\n")
    world.add_many("complete", range(1, 5), OLD)
    world.add_many("complete", range(5, 9))
    world.add("torn", 9)
    world.add("empty", 10)
    world.add("corrupt", 11)
    world.lock(9)
    for path in world.sessions.iterdir():
        world.age(path, 3)
    first = world.maint("sweep")
    assert first.code == 0, first
    world.add_many("complete", range(12, 15), OLD)
    world.add("empty", 16)
    assert world.maint("plan", "-o", str(folder / "plan")).code == 0
    world.ahead = DAY
    assert world.maint("restore", world_id(world)).code == 0
    assert world.maint("verify").code == 0
    assert world.maint("sweep").code == 0
    assert packs(world)
    return world


def world_id(world: World) -> str:
    """A session that waits in the trash."""
    return next(name for name in world.waiting() if name.endswith(".ndjson"))[: -len(".ndjson")]


def _of_file(world: World, name: str, seeds: list[bytes], read: Callable[[], object]) -> Parser:
    path = world.sessions / name

    def parse(data: bytes) -> object:
        path.write_bytes(data)
        return read()

    return Parser(seeds, parse)


def _journal(world: World, roots: RootFds, run: str, data: bytes) -> object:
    """All that is asked of a journal, and what is shown of it."""
    (world.ours / f"journal/{run}.ndjson").write_bytes(data)
    lines = list(journal.read(roots, run))
    for line in lines:
        ndjson.log_line(line)
        report.log_text(line).encode()
    return (
        len(lines),
        list(journal.frame(roots, run)),
        journal.has_ended(roots, run),
        [journal.done_since(roots, 0.0, verb) for verb in (Verb.RESTORE, Verb.RECOVER)],
        journal.last_run_time(roots),
        undoing.undo_of(roots, world.place, run),
        len(list(finding.log(None, [world.place]))),
    )


def _plan(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    try:
        found = saved.read_plan(str(path))
        return found.places, len(list(found.lines())), [list(found.actions(store)) for store in found.places]
    except saved.PlanUnusable as why:
        return str(why)


# The catalogue.


def _line_of(world: World) -> bytes:
    with sqlite3.connect(world.sessions / names.CATALOGUE) as db:
        (line,) = db.execute("SELECT line FROM sessions").fetchone()
    db.close()
    assert isinstance(line, bytes)
    return line


def _catalogue(world: World, roots: RootFds, data: bytes, line: bytes | None = None) -> object:
    """All that is asked of a catalogue; what it says that is damaged is what the packs say."""
    path = world.sessions / names.CATALOGUE
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    if line is not None:
        db = sqlite3.connect(path)
        with db:
            db.execute("UPDATE sessions SET line = ?, sum = ?", (line, catalogue_file.sum_of(None, line)))
        db.close()
    with Catalogue.open(world.place, roots) as catalogue:
        found = list(catalogue.sessions(dead=True))
        pack = min((each.name for each in catalogue.packs()), default="")
        return (
            [_told(each) for each in found],
            catalogue.count(),
            catalogue.packs(),
            catalogue.latest(),
            catalogue.ids_ending("x"),
            [catalogue.copies(each.entry.id) for each in found[:2]],
            [_told(each) for each in catalogue.superseded_by(names.ARCHIVE_ROOT, pack)],
        )


def _told(each: Archived) -> bytes:
    return ndjson.archived_line(Place("rec", "rec", {"sessions": "/x", "archive": "/x/archive"}), each)
