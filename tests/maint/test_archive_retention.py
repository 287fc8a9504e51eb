"""What expires in packs: marked first, out of the pack later, and out of the trash last; and how it comes back."""

import os
from pathlib import Path

import pytest
from archive_world import (
    OLD,
    archive_pass,
    archived,
    archiving,
    contents,
    file_name,
    in_store,
    listed,
    marks,
    marks_of,
    packs,
    unfinished,
)
from maint_world import DAY, Answer, World, ids

from store.layouts.rec.specimens import session_id

OF_ARCHIVED = "  - prune: {{of: archived, {}}}\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A pack, made yesterday, with five sessions of various ages."""
    world = archiving(tmp_path)
    for number, days in ((1, OLD), (2, 200), (3, 300), (4, 400), (5, 500)):
        world.add("complete", number, days, name=f"of-{days}", tags=["release"] if number == 5 else [])
    assert world.maint("sweep").code == 0
    world.ahead = DAY
    return world


def expiring(world: World, options: str, rest: str = "") -> World:
    world.rules(archive_pass() + OF_ARCHIVED.format(options), rest)
    return world


def swept(world: World) -> Answer:
    """A sweep. The marks it made are of that moment, whatever the disk's clock says."""
    before = {path: path.stat().st_mtime_ns for path in (world.ours / "archive").glob("*.marks")}
    answer = world.maint("sweep", "--json")
    for path in (world.ours / "archive").glob("*.marks"):
        if path.stat().st_mtime_ns != before.get(path):
            world.age(path, -world.ahead / DAY)
    return answer


def trashed_packs(world: World) -> list[Path]:
    return sorted((world.ours / "trash").rglob("*.tar.zst"))


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ("older_than: 1y", (4, 5)),
        ("older_than: 1y, where: {not: {tags: [release]}}", (4,)),
        ("older_than: 100d, keep: {last: 2}", (3, 4, 5)),
        ("older_than: 100d, keep: {last: 1, tags: [release], names: [of-3*]}", (2, 4)),
        ("older_than: 100d, max_count: 3", (4, 5)),
        ("older_than: 100d, max_total: 1B", (2, 3, 4, 5)),
        ("older_than: 100d, max_total: 1GiB", ()),
        ("older_than: 9y", ()),
    ],
)
def test_what_the_policy_lets_go_is_marked_and_listed_no_more(
    world: World, options: str, gone: tuple[int, ...]
) -> None:
    before = archived(world)
    expiring(world, options)
    answer = world.maint("sweep", "--json")
    assert (answer.code, answer.summary["done"]) == (0, {"prune": len(gone)} if gone else {})
    assert sorted(marks_of(world)) == ids(*gone)
    assert sorted(listed(world)) == ids(*({1, 2, 3, 4, 5} - set(gone)))
    assert archived(world) == before  # no byte of a pack has changed


def test_protected_sessions_do_not_expire(world: World) -> None:
    expiring(world, "older_than: 1y", "protect:\n  - {tags: [release]}\n")
    assert swept(world).summary["done"] == {"prune": 1}
    assert sorted(marks_of(world)) == ids(4)


def test_what_was_archived_a_moment_ago_does_not_expire_yet(world: World) -> None:
    world.add("complete", 6, 600)
    expiring(world, "older_than: 550d")
    assert swept(world).summary["done"] == {"archive": 1}
    assert swept(world).summary["planned"] == {}
    world.ahead += DAY
    assert swept(world).summary["done"] == {"prune": 1}


def test_limits_hold_for_what_expires(world: World) -> None:
    expiring(world, "older_than: 100d", "limits: {max_expired: {fraction: 1%, at_least: 3}}\n")
    answer = world.maint("sweep")
    assert (answer.code, "refused" in answer.err, marks_of(world)) == (3, True, {})
    plan = answer.err.split("maint apply ")[1].split()[0]
    answer = world.maint("apply", plan)
    assert (answer.code, len(marks_of(world))) == (0, 4)


def test_expired_sessions_come_back_by_undo_and_stay(world: World) -> None:
    expiring(world, "older_than: 1y")
    swept(world)
    answer = world.maint("undo", world.journals()[-1])
    assert (answer.code, answer.err, "brought back: 2" in answer.out) == (0, "", True)
    assert sorted(listed(world)) == ids(1, 2, 3, 4, 5)
    assert swept(world).summary["planned"] == {}
    world.ahead += 15 * DAY
    assert swept(world).summary["done"] == {"prune": 2}


# Compaction.


@pytest.fixture
def marked(world: World) -> World:
    """Two of five have expired, a day ago."""
    expiring(world, "older_than: 1y")
    assert swept(world).summary["done"] == {"prune": 2}
    return world


def test_pack_is_not_rewritten_at_once(marked: World) -> None:
    assert swept(marked).summary["planned"] == {}
    marked.ahead += DAY
    assert swept(marked).summary["done"] == {"compact": 1}
    assert swept(marked).summary["planned"] == {}


def test_pack_is_rewritten_without_what_has_expired(marked: World) -> None:
    (old,) = packs(marked)
    before = contents(old)
    marked.ahead += DAY
    answer = swept(marked)
    (new,) = packs(marked)
    assert new.name != old.name
    assert contents(new) == {name: before[name] for name in map(file_name, (1, 2, 3))}
    assert (marks(new), sorted(listed(marked)), unfinished(marked)) == ({}, ids(1, 2, 3), [])
    (kept,) = trashed_packs(marked)
    assert (kept.name, contents(kept), sorted(marks(kept))) == (old.name, before, ids(4, 5))
    outcome = next(line for line in answer.lines if line["type"] == "outcome")
    assert (outcome["verb"], outcome["session"], outcome["pack"]) == ("compact", old.name, new.name)
    assert answer.summary["bytes_packed"] == new.stat().st_size
    assert marked.maint("restore", "*").code == 0
    assert len(in_store(marked)) == 3


def test_pack_of_which_little_is_dead_is_not_rewritten(world: World) -> None:
    world.add_many("complete", range(10, 30), OLD)
    for path in world.sessions.glob("*.ndjson"):
        world.age(path, OLD)
    assert world.maint("sweep").code == 0
    world.ahead += DAY
    expiring(world, "older_than: 30d, max_count: 24")
    assert swept(world).summary["done"] == {"prune": 1}
    world.ahead += DAY
    assert sum(len(marks(pack)) for pack in packs(world)) == 1
    assert swept(world).summary["planned"] in ({}, {"compact": 1})


def test_compaction_and_then_expiry_are_taken_back(marked: World) -> None:
    (old,) = packs(marked)
    expiry = marked.journals()[-1]
    marked.ahead += DAY
    swept(marked)
    compaction = marked.journals()[-1]
    (new,) = packs(marked)
    answer = marked.maint("undo", expiry)
    assert (answer.code, "was rewritten since" in answer.err) == (1, True)
    answer = marked.maint("undo", compaction)
    assert (answer.code, answer.err) == (0, "")
    assert (packs(marked), sorted(set(marks(new).values()))) == ([old, new], ["taken back"])
    assert sorted(listed(marked)) == ids(1, 2, 3)
    answer = marked.maint("undo", expiry)
    assert (answer.code, answer.err) == (0, "")
    assert sorted(listed(marked)) == ids(1, 2, 3, 4, 5)
    marked.rules(archive_pass())
    assert swept(marked).summary["planned"] == {}
    marked.ahead += 15 * DAY
    assert swept(marked).summary["done"] == {"compact": 1}  # the one that was made for nothing
    assert packs(marked) == [old]
    assert sorted(listed(marked)) == ids(1, 2, 3, 4, 5)


def test_compaction_is_not_taken_back_half(marked: World) -> None:
    (old,) = packs(marked)
    marked.ahead += DAY
    swept(marked)
    old.write_bytes(b"somebody's")
    answer = marked.maint("undo", marked.journals()[-1])
    assert (answer.code, old.read_bytes()) == (1, b"somebody's")
    answer = marked.maint("list", "--archived", "--json")
    assert sorted(line["session"] for line in answer.lines) == ids(1, 2, 3)
    assert (answer.code, f"{old}: this pack is damaged" in answer.err) == (0, True)


def test_trashed_pack_ends_after_the_grace_period(marked: World) -> None:
    marked.ahead += DAY
    swept(marked)
    marked.ahead += 13 * DAY
    assert swept(marked).summary["planned"] == {}
    marked.ahead += 2 * DAY
    answer = swept(marked)
    assert (answer.code, answer.summary["done"]) == (0, {"expire-trash": 2})
    assert (trashed_packs(marked), sorted(listed(marked))) == ([], ids(1, 2, 3))


def test_marks_of_the_same_night_stay_in_the_trash_with_their_pack(marked: World) -> None:
    marked.ahead += DAY
    swept(marked)
    (kept,) = trashed_packs(marked)
    for path in kept.parent.iterdir():
        marked.age(path, -(marked.ahead + 60) / DAY)  # as if the run had taken a minute
    answer = swept(marked)
    assert (answer.code, answer.err, trashed_packs(marked)) == (0, "", [kept])
    assert len(list(kept.parent.iterdir())) == 2


def test_pack_in_which_nothing_counts_goes_to_the_trash(world: World) -> None:
    (old,) = packs(world)
    expiring(world, "older_than: 35d")
    assert swept(world).summary["done"] == {"prune": 5}
    world.ahead += DAY
    answer = swept(world)
    assert (answer.code, answer.summary["done"]) == (0, {"compact": 1})
    assert (packs(world), [path.name for path in trashed_packs(world)]) == ([], [old.name])
    answer = world.maint("undo", world.journals()[-1])
    assert (answer.code, answer.err, packs(world)) == (0, "", [old])
    assert swept(world).summary["planned"] == {}
    world.ahead += 15 * DAY
    assert swept(world).summary["done"] == {"compact": 1}
    world.ahead += 15 * DAY
    assert swept(world).summary["done"] == {"expire-trash": 2}


def test_what_expires_in_the_night_of_a_compaction_goes_with_it(marked: World) -> None:
    marked.ahead += 70 * DAY  # the one of 300 days is as old as a year by then
    answer = swept(marked)
    assert (answer.code, answer.summary["done"]) == (0, {"prune": 1, "compact": 1})
    (new,) = packs(marked)
    assert sorted(contents(new)) == sorted(map(file_name, (1, 2)))
    assert sorted(listed(marked)) == ids(1, 2)
    assert swept(marked).summary["planned"] == {}


def test_damaged_pack_is_not_rewritten(marked: World) -> None:
    (old,) = packs(marked)
    data = bytearray(old.read_bytes())
    data[50] ^= 1
    found = old.stat()
    old.write_bytes(data)
    os.utime(old, ns=(found.st_atime_ns, found.st_mtime_ns))
    marked.ahead += DAY
    answer = marked.maint("sweep")
    assert (answer.code, "it is damaged" in answer.err, packs(marked)) == (1, True, [old])
    assert unfinished(marked) == []


def test_plan_of_expiry_and_compaction_is_saved_and_applied(marked: World) -> None:
    marked.ahead += 70 * DAY
    answer = marked.maint("plan", "-o", "plan.ndjson")
    assert (answer.code, "rewrite packs: 1" in answer.out) == (0, True)
    answer = marked.maint("apply", "plan.ndjson")
    assert (answer.code, answer.err) == (0, "")
    assert sorted(listed(marked)) == ids(1, 2)
    before = packs(marked)
    answer = marked.maint("apply", "plan.ndjson", "--json")
    assert (answer.code, answer.summary["failed"], packs(marked)) == (0, 0, before)
    assert session_id(1) in listed(marked)
