"""Bringing sessions back from packs: byte for byte, by whatever name, and never over anything."""

import os
from pathlib import Path

import pytest
from archive_world import (
    OLD,
    archive_pass,
    archiving,
    file_name,
    forge_last_line,
    in_store,
    in_trash,
    listed,
    packs,
    unfinished,
)
from maint_world import DAY, World, ids

from maint import unpacking
from store.layouts.rec.specimens import session_id

PRUNES = "  - prune: {older_than: 30d}\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three sessions in a pack, of which two are called alike."""
    world = archiving(tmp_path)
    world.add("complete", 1, OLD, name="one")
    world.add("complete", 2, OLD + 100, name="twin")
    world.add("complete", 3, OLD + 200, name="twin").chmod(0o640)
    return world


@pytest.fixture
def before(world: World) -> dict[str, tuple[int, int, bytes]]:
    """How the sessions were; from here on they are in a pack."""
    found = world.snapshot()
    assert world.maint("sweep").code == 0
    assert in_store(world) == {}
    return found


def back(world: World) -> list[str]:
    return sorted(path.removesuffix(".ndjson") for path in in_store(world))


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ([session_id(1)], (1,)),
        ([session_id(1)[:8]], (1,)),
        (["one"], (1,)),
        (["tw*"], (2, 3)),
        (["*"], (1, 2, 3)),
        ([f"{session_id(1)[:4]}*", "twin*"], (1, 2, 3)),
        (["--older-than", "120d"], (2, 3)),
        (["--older-than", "120d", f"{session_id(2)[:8]}*"], (2,)),
        ([session_id(1), "one", session_id(2)], (1, 2)),
    ],
)
def test_sessions_come_back_as_they_were(
    world: World, before: dict[str, tuple[int, int, bytes]], arguments: list[str], numbers: tuple[int, ...]
) -> None:
    answer = world.maint("restore", *arguments)
    assert (answer.code, answer.err, f"brought back: {len(numbers)}" in answer.out) == (0, "", True)
    assert back(world) == ids(*numbers)
    assert {path: before[path] for path in world.snapshot()} == world.snapshot()
    assert unfinished(world) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["twin"], "'twin' may be any of 2"),
        (["nobody"], "no session 'nobody' waits in the trash or in a pack of rec"),
        ([""], "may be any of 3"),
        ([], "name a SESSION"),
        (["one", "nobody"], "no session 'nobody'"),
    ],
)
def test_name_that_means_not_exactly_one_brings_nothing_back(
    world: World, before: object, arguments: list[str], told: str
) -> None:
    answer = world.maint("restore", *arguments)
    assert (answer.code, told in answer.err) == (2, True)
    assert back(world) == []


def test_glob_that_matches_nothing_brings_nothing_back(world: World, before: object) -> None:
    answer = world.maint("restore", "nobody*")
    assert (answer.code, "nothing to do" in answer.out, back(world)) == (0, True, [])


@pytest.mark.parametrize("arguments", [[session_id(1)], ["*"]])
def test_nothing_is_ever_overwritten(world: World, before: object, arguments: list[str]) -> None:
    mine = world.put(file_name(1), b"mine", 1)
    answer = world.maint("restore", *arguments)
    assert (answer.code, "another file has its place now" in answer.err) == (1, True)
    assert mine.read_bytes() == b"mine"
    assert len(back(world)) == (3 if arguments == ["*"] else 1)
    assert unfinished(world) == []


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_many_of_several_packs_come_back_in_waves_and_each_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: str
) -> None:
    """The place of one of them is taken."""
    monkeypatch.setattr(unpacking, "_SIDE_BY_SIDE", 3)
    monkeypatch.setattr(unpacking, "_TASK_SESSIONS", 20)
    world = archiving(tmp_path)
    known: dict[str, object] = {}
    for first, age in ((0, OLD), (31, OLD + 100)):
        world.add_many("complete", range(first, first + 31), age)
        known |= world.snapshot()
        assert world.maint("archive", "--older-than", "1d").code == 0
    assert (len(packs(world)), in_store(world)) == (2, {})
    taken = world.sessions / file_name(40)
    taken.write_text("somebody else's\n")
    answer = world.maint("restore", "--older-than", "1d", "--jobs", jobs)
    assert (answer.code, len(in_store(world))) == (1, 62)
    assert taken.read_text() == "somebody else's\n"
    taken.unlink()
    assert world.maint("restore", session_id(40)).code == 0
    now = world.snapshot()
    assert {path: now[path] for path in known} == known
    assert unfinished(world) == []


def test_link_in_its_place_is_neither_followed_nor_replaced(world: World, before: object) -> None:
    outside = world.folder / "outside"
    (world.sessions / file_name(1)).symlink_to(outside)
    assert world.maint("restore", session_id(1)).code == 1
    assert (outside.exists(), (world.sessions / file_name(1)).is_symlink()) == (False, True)


def test_copies_go_to_a_folder_and_over_nothing(
    world: World, before: dict[str, tuple[int, int, bytes]]
) -> None:
    into = world.folder / "copies"
    into.mkdir()
    answer = world.maint("restore", "*", "--to", str(into))
    assert (answer.code, sorted(answer.out.split())) == (
        0,
        sorted(str(into / file_name(n)) for n in (1, 2, 3)),
    )
    found = {f"data/rec/sessions/{path.name}": path for path in into.iterdir()}
    assert {name: (path.stat().st_mode & 0o777, path.stat().st_mtime_ns, path.read_bytes())
            for name, path in found.items()} == before  # fmt: skip
    answer = world.maint("restore", session_id(1), "--to", str(into))
    assert (answer.code, "nothing is overwritten" in answer.err) == (1, True)
    assert (in_store(world), len(os.listdir(into))) == ({}, 3)


@pytest.mark.parametrize("to", [[], ["--to", "."]])
def test_damaged_pack_gives_nothing(world: World, before: object, to: list[str]) -> None:
    (pack,) = packs(world)
    data = bytearray(pack.read_bytes())
    data[50] ^= 1
    found = pack.stat()
    pack.write_bytes(data)
    os.utime(pack, ns=(found.st_atime_ns, found.st_mtime_ns))
    answer = world.maint("restore", session_id(1), *to)
    assert (answer.code, "pack is damaged" in answer.err) == (1, True)
    assert (in_store(world), unfinished(world)) == ({}, [])
    assert not (world.folder / file_name(1)).exists()


@pytest.fixture
def unreadable(world: World, before: object) -> Path:
    """A sound pack of two sessions, and one of three whose manifest is what was written, but for a line that is none."""
    world.add_many("complete", (4, 5), OLD + 300)
    assert world.maint("sweep").code == 0
    (pack, _) = packs(world)
    forge_last_line(pack, lambda _: b'{"id":7}')
    return pack


def told_of(pack: Path) -> str:
    """What a sweep says of a pack whose manifest cannot be read, too."""
    return f"maint: rec: {pack}: this pack is damaged: a line of its manifest cannot be read: "


@pytest.mark.parametrize("sweeps", [0, 1])
def test_pack_that_cannot_be_read_is_told_and_what_is_in_others_comes_back(
    world: World, unreadable: Path, sweeps: int
) -> None:
    for _ in range(sweeps):  # what cron was told of it is told again to whoever asks
        assert told_of(unreadable) in world.maint("sweep").err
    answer = world.maint("restore", "*")
    assert (answer.code, "brought back: 2" in answer.out, back(world)) == (1, True, ids(4, 5))
    assert told_of(unreadable) in answer.err
    assert "`maint verify` tells more, `maint salvage` saves" in answer.err
    again = world.maint("restore", "*", "--json")
    assert (again.code, told_of(unreadable) in again.err) == (1, True)
    assert [each["path"] for each in again.summary["problems"]] == [str(unreadable)]


@pytest.mark.parametrize("verb", [["restore"], ["restore", "--to", "."], ["show"], ["explain"]])
def test_session_that_may_be_in_a_pack_that_cannot_be_read_is_not_said_to_be_none(
    world: World, unreadable: Path, verb: list[str]
) -> None:
    answer = world.maint(*verb, session_id(1))
    assert (answer.code, answer.out, told_of(unreadable) in answer.err) == (1, "", True)
    assert f"no session '{session_id(1)}'" in answer.err
    assert world.maint(*verb, session_id(4)).code == 0
    assert (unreadable.exists(), set(back(world)) <= set(ids(4))) == (True, True)


def test_copies_of_all_are_made_and_the_pack_that_cannot_be_read_is_told(
    world: World, unreadable: Path
) -> None:
    (world.folder / "copies").mkdir()
    answer = world.maint("restore", "*", "--to", "copies")
    assert (answer.code, told_of(unreadable) in answer.err) == (1, True)
    assert sorted(os.listdir(world.folder / "copies")) == sorted(map(file_name, (4, 5)))


def test_list_of_what_is_in_packs_tells_of_one_that_cannot_be_read(world: World, unreadable: Path) -> None:
    answer = world.maint("list", "--archived", "--json")
    assert (answer.code, [line["session"] for line in answer.lines]) == (0, ids(4, 5))
    assert told_of(unreadable) in answer.err


@pytest.mark.parametrize("what", ["gone", "noise", "another", "folder"])
def test_catalogue_may_be_lost_at_any_time(world: World, before: object, what: str) -> None:
    assert len(listed(world)) == 3
    path = world.ours / "catalogue.sqlite"
    data = path.read_bytes()
    path.unlink()
    match what:
        case "noise":
            path.write_bytes(data[:4096] + os.urandom(len(data) - 4096))
        case "another":
            path.write_bytes(b"SQLite format 3\0" + bytes(4096))
        case "folder":
            path.mkdir()
    assert len(listed(world)) == 3
    answer = world.maint("restore", session_id(1))
    assert (answer.code, back(world)) == (0, ids(1))


def test_pack_that_went_in_between_is_missed_and_not_made_up(world: World, before: object) -> None:
    assert len(listed(world)) == 3
    packs(world)[0].unlink()
    assert listed(world) == []
    assert world.maint("restore", session_id(1)).code == 2


def test_later_of_trash_and_pack_comes_back(world: World, before: object) -> None:
    later = world.add("complete", 1, OLD - 1, name="later").read_bytes()
    world.rules(PRUNES)
    assert world.maint("sweep").code == 0
    assert in_trash(world) == {file_name(1): later}
    assert world.maint("restore", session_id(1)).code == 0
    assert in_store(world) == {file_name(1): later}


def test_later_copy_in_a_pack_comes_back_though_an_earlier_one_waits_in_the_trash(world: World) -> None:
    world.rules(PRUNES)
    assert world.maint("sweep").code == 0
    assert len(in_trash(world)) == 3
    later = world.add("complete", 1, OLD - 1, name="later").read_bytes()
    world.rules(archive_pass())
    assert world.maint("sweep").code == 0
    assert world.maint("restore", session_id(1)).code == 0
    assert in_store(world) == {file_name(1): later}


def test_what_was_brought_back_is_left_alone_and_archived_again_later(world: World, before: object) -> None:
    assert world.maint("restore", session_id(1)).code == 0
    content = in_store(world)
    again = world.maint("sweep", "--json")
    assert (again.code, again.summary["planned"], in_store(world)) == (0, {}, content)
    world.ahead = 15 * DAY
    again = world.maint("sweep", "--json")
    assert (again.summary["done"], in_store(world)) == ({"archive": 1}, {})
    assert sorted(listed(world)) == ids(1, 2, 3)
    world.ahead += DAY
    assert world.maint("restore", session_id(1)).code == 0
    assert in_store(world) == content


def test_session_is_shown_from_its_pack_as_it_was(
    world: World, before: dict[str, tuple[int, int, bytes]]
) -> None:
    answer = world.maint("show", "--raw", "one")
    assert answer.out.encode() == before[f"data/rec/sessions/{file_name(1)}"][2]
    answer = world.maint("show", "one")
    assert (answer.code, f"make {session_id(1)}" in answer.out, in_store(world)) == (0, True, {})


def test_undo_that_was_killed_before_it_marked_the_copies_is_brought_to_its_end(
    world: World, before: dict[str, tuple[int, int, bytes]]
) -> None:
    run = world.journals()[-1]
    assert world.maint("undo", run).code == 0
    assert (world.snapshot(), listed(world)) == (before, [])
    undo = world.ours / f"journal/{world.journals()[-1]}.ndjson"
    lines = undo.read_bytes().splitlines(keepends=True)
    undo.write_bytes(b"".join(lines[: next(n for n, line in enumerate(lines) if b'"begin"' in line) + 1]))
    for path in (world.ours / "archive").glob("*.marks"):
        path.unlink()
    assert len(listed(world)) == 3
    assert world.maint("sweep").code == 0
    assert (world.snapshot(), listed(world)) == (before, [])
