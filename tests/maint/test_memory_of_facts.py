"""What one survey remembers for the next: believed while a file is as it was, and never needed."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from maint_world import World

from maint import planning
from maint.run import Run
from maint.version import VERSION
from store import frames, listing, memory, names, opening
from store.facts import Member, Problem, Session
from store.layouts.rec import RecLayout
from store.layouts.rec.specimens import session_id
from store.memory import Block, Learned, Memory

MANY = 12
OLD = "  - prune: {older_than: 30d}\n"
KEEPING = "  - prune: {older_than: 30d, keep: {last: 2}, group_by: [project]}\n"


@pytest.fixture(autouse=True)
def _remembers_any_store_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SMALL", 0)
    monkeypatch.setattr(memory, "SETTLING", -3600.0)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The entries of sessions that were read."""
    seen: list[str] = []
    real = RecLayout.read

    def read(self: RecLayout, place: Any, context: Any, entries: list[str]) -> Iterator[Session | Problem]:
        seen.extend(entries)
        return real(self, place, context, entries)

    monkeypatch.setattr(RecLayout, "read", read)
    return seen


@pytest.fixture
def swept(world: World) -> World:
    """A store in which all sessions are whole and remembered."""
    world.add_many("complete", range(1, MANY + 1))
    world.sweep()
    return world


def told(run: Run) -> tuple[list[bytes], Any]:
    """All that a plan says, but for its name."""
    assert run.plan is not None
    (store,) = run.plan.stores
    return list(store.spool), (store.tally, store.problems, store.refusals)


def without_memory(world: World) -> tuple[list[bytes], Any]:
    """What a plan says where nothing is remembered."""
    kept = world.ours / "aside"
    (world.ours / "facts").rename(kept)
    try:
        return told(world.plan())
    finally:
        kept.rename(world.ours / "facts")


ALL = sorted(f"{session_id(number)}.ndjson" for number in range(1, MANY + 1))


@contextmanager
def root_of(world: World) -> Iterator[int]:
    root = opening.open_folder(str(world.sessions))
    yield root
    os.close(root)


def entry(number: int) -> str:
    return f"{session_id(number)}.ndjson"


def test_session_that_did_not_change_is_not_opened_again(swept: World, opened: list[str]) -> None:
    swept.plan()
    swept.sweep()
    assert opened == []


def test_plan_from_memory_is_the_plan_from_the_files(swept: World) -> None:
    swept.add("torn", 50)
    swept.add("empty", 51)
    swept.add("complete", 52, days=40)
    for passes in (OLD, KEEPING):
        swept.rules(passes)
        assert told(swept.plan()) == without_memory(swept)


def test_session_that_grew_is_read_again(swept: World, opened: list[str]) -> None:
    with (swept.sessions / entry(3)).open("ab") as file:
        file.write(b'{"type":"command"')
    swept.plan()
    assert opened == [entry(3)]


def test_session_rewritten_in_its_length_with_its_old_time_is_read_again(
    swept: World, opened: list[str]
) -> None:
    path = swept.sessions / entry(3)
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"make", b"rake"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    swept.plan()
    assert (opened, path.stat().st_mtime_ns) == ([entry(3)], before.st_mtime_ns)


def test_session_replaced_by_a_copy_is_read_again(swept: World, opened: list[str]) -> None:
    path = swept.sessions / entry(3)
    shutil.copy2(path, swept.folder / "copy")
    (swept.folder / "copy").replace(path)
    swept.plan()
    assert opened == [entry(3)]


def test_session_that_got_a_second_name_is_left_alone_as_ever(swept: World) -> None:
    os.link(swept.sessions / entry(3), swept.folder / "second")
    (_, (_, problems, _)) = told(swept.plan())
    assert [problem.path for problem in problems] == [entry(3)]


def test_session_that_was_replaced_by_a_link_is_left_alone_as_ever(swept: World) -> None:
    path = swept.sessions / entry(3)
    path.rename(swept.folder / "elsewhere")
    path.symlink_to(swept.folder / "elsewhere")
    (_, (_, problems, _)) = told(swept.plan())
    assert [problem.path for problem in problems] == [entry(3)]


def test_session_deleted_since_is_not_counted(swept: World) -> None:
    (swept.sessions / entry(3)).unlink()
    assert told(swept.plan()) == without_memory(swept)
    swept.sweep()
    assert told(swept.plan()) == without_memory(swept)


def test_session_that_changed_in_the_moment_it_was_read_is_not_remembered(
    world: World, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "SETTLING", 60.0)
    world.add_many(
        "complete", range(1, MANY + 1)
    )  # the change time is now, whatever the modification time says
    world.sweep()
    opened.clear()
    world.plan()
    assert len(opened) == MANY


def test_crashed_session_is_read_every_time_because_its_recorder_may_come_back(
    swept: World, opened: list[str]
) -> None:
    swept.add("torn", 50, days=0.1)
    swept.sweep()
    opened.clear()
    swept.plan()
    assert opened == [entry(50)]


def test_plan_writes_nothing(world: World) -> None:
    world.add_many("complete", range(1, MANY + 1))
    world.plan()
    assert os.listdir(world.sessions) == [path.name for path in world.sessions.glob("*.ndjson")]


def test_sweep_over_an_unchanged_store_leaves_the_memory_as_it_is(swept: World) -> None:
    before = (swept.ours / "facts").stat()
    swept.sweep()
    after = (swept.ours / "facts").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_store_of_another_name_believes_nothing(swept: World, opened: list[str]) -> None:
    place = msgspec.structs.replace(swept.place, name="other")
    with root_of(swept) as root:
        assert memory.recall(root, memory.about(place, VERSION)).blocks == []


def test_other_version_of_the_program_believes_nothing(
    swept: World, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maint.engine.VERSION", "999")
    swept.plan()
    assert len(opened) == MANY


# Damage.


def test_damaged_memory_changes_no_plan(swept: World) -> None:
    """Every byte in turn, and every length."""
    swept.add("torn", 50)
    expected = without_memory(swept)
    path = swept.ours / "facts"
    whole = path.read_bytes()
    rng = random.Random(1)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ (1 << rng.randrange(8)),)) + whole[at + 1 :])
        assert told(swept.plan()) == expected, at
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert told(swept.plan()) == expected, length


def test_something_else_in_its_place_is_no_error_and_is_replaced(swept: World, opened: list[str]) -> None:
    path = swept.ours / "facts"
    expected = without_memory(swept)
    path.unlink()
    path.mkdir()
    assert told(swept.plan()) == expected
    path.rmdir()
    os.mkfifo(path)
    assert told(swept.plan()) == expected
    swept.sweep()
    opened.clear()
    swept.plan()
    assert opened == []


def test_memory_that_cannot_be_written_costs_nothing_but_time(
    world: World, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Learned, "_write", full)
    world.add_many("complete", range(1, MANY + 1))
    run = world.sweep()
    assert (run.unreachable, run.summary.failed, os.path.exists(world.ours / "facts")) == ([], 0, False)
    assert not (world.ours / "facts.new").exists()
    world.plan()
    assert len(opened) == 2 * MANY


def test_what_a_killed_run_was_writing_is_replaced(swept: World) -> None:
    (swept.ours / "facts.new").write_bytes(b"half")
    swept.add("complete", 50)
    swept.sweep()
    assert not (swept.ours / "facts.new").exists()


# Forgery.


def forge(world: World, **lies: Any) -> None:
    """Let the memory say something else of every session."""
    with root_of(world) as root:
        known = memory.recall(root, memory.about(world.place, VERSION))
        sessions = [
            msgspec.structs.replace(session, **lies)
            for number, block in enumerate(known.blocks)
            for session in memory._decode(frames.decompress(known.frame(number), block.size))
        ]
        known.close()
    content = memory._encode(sessions)
    packed = frames.compress(content, 1)
    block = Block(ALL[0], ALL[-1], 0, len(packed), len(content), len(sessions))
    listed = memory._encode(memory._List(memory.about(world.place, VERSION), [block]))
    about = frames.compress(listed, 1)
    end = memory._TRAILER.pack(len(packed), len(about), len(listed), b"maintfct")
    (world.ours / "facts").write_bytes(packed + about + end)


@pytest.mark.parametrize(
    "lie", ["store", "kind", "bytes", "pointers", "payload", "two", "none", "root", "path"]
)
def test_forged_memory_leads_to_no_other_file(swept: World, opened: list[str], lie: str) -> None:
    print_of = opening.fingerprint((swept.sessions / entry(3)).stat())
    one = Member("sessions", "../../home/secret", print_of)
    lies: dict[str, Any] = {
        "store": {"store": "other"},
        "kind": {"kind": "outrig"},
        "bytes": {"bytes": 1},
        "pointers": {"pointers": (one,)},
        "payload": {"payload": (one,)},
        "two": {"members": (one, one)},
        "none": {"members": ()},
        "root": {"members": (Member("state", entry(3), print_of),)},
        "path": {"members": (one,)},
    }
    forge(swept, **lies[lie])
    swept.rules(OLD)
    found = told(swept.plan())
    assert sorted(opened) == ALL
    assert found == without_memory(swept)


# Parts.


def blocks(*firsts: str) -> list[Block]:
    return [Block(first, first + "z", 0, 1, 1, 1) for first in firsts]


def test_parts_end_where_frames_do() -> None:
    entries = [f"{number:04}" for number in range(3000)]
    parts = list(Memory("", None, blocks("0000", "0900", "2100")).parts([entries], 1000))
    assert [part[0] for part in parts] == ["0000", "0900", "2100"]


def test_small_frames_become_one_part_and_large_ones_several() -> None:
    entries = [f"{number:04}" for number in range(5000)]
    parts = list(Memory("", None, blocks("0000", "0100", "0200", "0300")).parts([entries], 1000))
    assert sum(map(len, parts)) == len(entries)
    assert all(500 <= len(part) < 2000 for part in parts)


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1999, 2000, 12_345])
def test_parts_are_all_entries_in_order(count: int) -> None:
    entries = [f"{number:05}" for number in range(count)]
    for firsts in ([], ["00000", "00500", "09000"], ["99999"]):
        parts = list(Memory("", None, blocks(*firsts)).parts([entries], 1000))
        assert [each for part in parts for each in part] == entries
        assert all(parts)
        cut = [entries[at : at + 700] for at in range(0, count, 700)]
        streamed = list(Memory("", None, blocks(*firsts)).parts(cut, 1000))
        assert [each for part in streamed for each in part] == entries


def test_names_of_memory_are_ours() -> None:
    assert names.is_ours(names.FACTS)
    assert names.is_ours(names.FACTS_NEW)


# Whatever happens.


@pytest.mark.parametrize("seed", range(6))
def test_after_any_changes_memory_and_files_agree(world: World, seed: int) -> None:
    rng = random.Random(seed)
    world.add_many("complete", range(1, 40))
    for _ in range(8):
        for number in rng.sample(range(1, 60), 6):
            path = world.sessions / entry(number)
            match rng.randrange(5):
                case 0:
                    path.unlink(missing_ok=True)
                case 1:
                    world.add("torn", number, days=rng.choice([0.1, 3]))
                case 2:
                    world.add("complete", number, days=rng.uniform(0, 60))
                case 3 if path.exists():
                    os.utime(path, (world.now - 5, world.now - 5))
                case _:
                    world.add("empty", number, days=rng.uniform(0, 4))
        if rng.random() < 0.7:
            world.sweep()
        if (world.ours / "facts").exists():
            world.rules(rng.choice([OLD, KEEPING]))
            assert told(world.plan()) == without_memory(world)


def test_very_many_sessions_give_the_same_plan_as_if_they_were_few(
    swept: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept.add("torn", 50)
    swept.add("complete", 52, days=40)
    swept.rules(KEEPING)
    expected = told(swept.plan())
    monkeypatch.setattr(listing, "MANY", 3)
    assert told(swept.plan()) == without_memory(swept) == expected
