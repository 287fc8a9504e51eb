"""Plans over real stores: who gets what, in which order, under which name, and what is refused as a whole."""

import random
from pathlib import Path

import pytest
from maint_world import DAY, EVERYTHING, NOW, World, content, ids, rules, verbs

from maint import interface, whereabouts
from maint.actions import Action
from maint.journal import timestamp
from maint.run import Run
from store import names
from store.facts import Place
from store.layouts.rec.specimens import session_id


@pytest.fixture
def old(tmp_path: Path) -> World:
    """A world in which it is, and stays, February of 2026: nothing in it asks the clock."""
    return World(tmp_path, NOW)


def actions(run: Run) -> list[Action]:
    assert run.plan is not None
    return [action for store in run.plan.stores for action in store.actions()]


def refusals(run: Run) -> str:
    return "; ".join(run.refused)


def test_second_sweep_at_once_counts_what_the_first_recovered_as_the_first_did(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.policy = rules(EVERYTHING + "  - prune: {older_than: 1d, keep: {last: 4}}\n")
    world.add_many("crashed", range(1, 4), days=3)
    world.add_many("complete", range(4, 10), days=5)
    assert verbs(world.sweep()) != {}
    assert verbs(world.sweep()) == {}


# Order.


def test_plan_is_the_same_whatever_the_listing_order(old: World) -> None:
    old.policy = rules(
        "  - prune: {older_than: 1d, keep: {last: 3}, where: {state: complete}}\n  - recover: {idle_for: 1d}\n"
    )
    numbers = list(range(1, 21))
    files = [old.add("crashed" if n % 2 else "complete", n) for n in numbers]
    first = [(a.verb, a.session, a.name, a.reason) for a in actions(old.plan())]
    contents = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    random.Random(1).shuffle(files)
    for path in files:
        old.put(path.name, contents[path])
    assert [(a.verb, a.session, a.name, a.reason) for a in actions(old.plan())] == first


def test_locks_come_after_all_sessions_and_in_the_order_of_their_owner(old: World) -> None:
    old.add("torn", 1)
    old.add("empty", 2)
    old.lock(1)
    planned = [(str(each.verb), Path(each.path).name) for each in actions(old.plan())]
    assert [name for verb, name in planned if verb == "unlock"] == [
        "pending.json",
        "recording.json",
        "recording.lock",
    ]
    assert [verb for verb, _ in planned[-3:]] == ["unlock"] * 3


@pytest.mark.parametrize(("kind", "after"), [("torn", True), ("bare", True), ("complete", False)])
def test_lock_waits_for_the_session_it_points_at_if_that_one_is_due(
    old: World, kind: str, after: bool
) -> None:
    old.add(kind, 1)
    old.lock(1)
    waits_for = {each.after for each in actions(old.plan()) if each.verb == "unlock"}
    assert waits_for == {session_id(1) if after else None}


@pytest.mark.parametrize("kind", ["torn", "foreign"])
def test_lock_of_a_session_that_lives_or_that_nobody_understands_stays(old: World, kind: str) -> None:
    path = old.add(kind, 1)
    old.lock(1)
    with path.open("ab"):
        assert old.planned() == {}


def test_end_of_trash_comes_last(world: World) -> None:
    world.add("empty", 1)
    world.sweep()
    world.add("torn", 2)
    run = world.plan(world.now + 20 * DAY)
    assert [str(each.verb) for each in actions(run)] == ["recover", "expire-trash"]


# Names.


def test_sessions_that_crashed_in_one_second_get_names_of_their_own(old: World) -> None:
    old.add_many("crashed", range(1, 31))
    given = [each.name for each in actions(old.plan())]
    assert len(set(given)) == 30
    assert all(name is not None and name.startswith("recovered-2026-01-30-02") for name in given)


def test_name_that_a_session_of_the_store_bears_is_not_given(old: World) -> None:
    old.add("crashed", 1)
    (only,) = [each.name for each in actions(old.plan())]
    old.add("complete", 2, name=only)
    (other,) = [each.name for each in actions(old.plan())]
    assert other not in {None, only}


def test_template_and_time_zone_make_the_name(old: World) -> None:
    old.policy = rules("  - recover: {idle_for: 1d, name: 'saved-%Y%m%d-%H%M%S'}\n", zone="Asia/Tokyo")
    old.add("crashed", 1)
    assert [each.name for each in actions(old.plan())] == ["saved-20260130-114000"]


# Comparisons.


def test_keep_last_counts_every_session_of_the_store(old: World) -> None:
    old.policy = rules("  - prune: {older_than: 7d, keep: {last: 2}}\n")
    for n in range(1, 5):
        old.add("complete", n, days=5 * n)
    assert sorted(old.planned()) == ids(3, 4)


def test_group_by_compares_within_each_project(old: World) -> None:
    old.policy = rules("  - prune: {older_than: 7d, keep: {last: 1}, group_by: [project]}\n")
    for n, project in ((1, "/a"), (2, "/a"), (3, "/b")):
        old.add("complete", n, days=10 * n, env={"PWD": project})
    assert sorted(old.planned()) == ids(2)


def test_protected_session_counts_for_keep_but_does_not_go(old: World) -> None:
    old.policy = rules("  - prune: {older_than: 7d, keep: {last: 1}}\n", "protect: [{name: mine}]\n")
    old.add("complete", 1, days=10, name="mine")
    old.add("complete", 2, days=20)
    old.add("complete", 3, days=30, name="mine")
    assert sorted(old.planned()) == ids(2)


def test_cap_on_the_total_removes_the_oldest(old: World) -> None:
    size = old.add("complete", 1, days=10).stat().st_size
    old.policy = rules(f"  - prune: {{older_than: 7d, max_total: {2 * size + size // 2}B}}\n")
    old.add("complete", 2, days=20)
    old.add("complete", 3, days=30)
    assert sorted(old.planned()) == ids(3)


def test_session_kept_by_one_pass_is_not_pruned_by_the_next(old: World) -> None:
    old.policy = rules("  - prune: {older_than: 7d, keep: {last: 9}}\n  - prune: {older_than: 8d}\n")
    old.add("complete", 1, days=10)
    assert old.planned() == {}


def test_session_claimed_before_is_not_compared(old: World) -> None:
    old.policy = rules("  - recover: {idle_for: 1d}\n  - prune: {older_than: 7d, keep: {last: 1}}\n")
    old.add("crashed", 1, days=10)
    old.add("complete", 2, days=20)
    assert old.planned() == {session_id(1): "recover"}


# Limits.


def test_more_than_may_be_removed_refuses_the_whole_plan(old: World) -> None:
    old.policy = rules(rest="limits: {max_removed: {fraction: 10%, at_least: 2}}\n")
    old.add_many("empty", range(1, 4))
    assert "max_removed" in refusals(old.plan())


def test_as_much_as_may_be_removed_is_not_refused(old: World) -> None:
    old.policy = rules(rest="limits: {max_removed: {fraction: 10%, at_least: 3}}\n")
    old.add_many("empty", range(1, 4))
    assert refusals(old.plan()) == ""


def test_share_is_of_the_sessions_that_were_found(old: World) -> None:
    old.policy = rules(rest="limits: {max_removed: {fraction: 50%, at_least: 1}}\n")
    old.add_many("empty", range(1, 4))
    assert refusals(old.plan()) != ""
    old.add_many("complete", range(4, 7))
    assert refusals(old.plan()) == ""


def test_recovering_and_unlocking_remove_no_session(old: World) -> None:
    old.policy = rules(rest="limits: {max_removed: {fraction: 1%, at_least: 1}}\n")
    old.add_many("crashed", range(1, 9))
    old.lock(1)
    assert refusals(old.plan()) == ""


def test_end_of_trash_has_a_limit_of_its_own(world: World) -> None:
    world.add_many("empty", range(1, 4))
    world.sweep()
    world.policy = rules(rest="limits: {max_expired: {fraction: 10%, at_least: 2}}\n")
    assert "max_expired" in refusals(world.plan(world.now + 20 * DAY))


def test_clock_behind_the_last_run_removes_nothing(world: World) -> None:
    world.sweep()
    path = world.add("empty", 1, days=9)
    world.add("torn", 2, days=9)
    before = world.snapshot()
    assert "the clock is" in refusals(world.sweep(now=world.now - DAY / 2))
    assert world.snapshot() == before
    path.unlink()
    assert dict(world.sweep(now=world.now - DAY / 2).summary.done) == {"recover": 1}


def test_another_time_that_is_asked_about_is_no_fault_of_the_clock(world: World) -> None:
    world.sweep()
    world.add("empty", 1, days=9)
    assert refusals(world.plan(world.now - DAY / 2)) == ""


def test_many_sessions_from_the_future_remove_nothing(old: World) -> None:
    old.add("empty", 1)
    old.add_many("complete", range(2, 12), days=-1)
    assert refusals(old.plan()) == ""
    old.add("complete", 12, days=-1)
    assert "is the clock right?" in refusals(old.plan())


# Trash.


def test_trash_ends_when_it_has_been_kept_for_long_enough(world: World) -> None:
    world.add("empty", 1)
    world.sweep()
    assert verbs(world.plan(world.now + 14 * DAY - 60)) == {}
    assert verbs(world.plan(world.now + 14 * DAY + 60)) == {session_id(1): "expire-trash"}


def test_backups_end_like_trash(world: World) -> None:
    world.add("crashed", 1)
    world.sweep()
    assert verbs(world.plan(world.now + 14 * DAY + 60)) == {session_id(1): "expire-trash"}


def test_without_expiry_trash_stays(world: World) -> None:
    world.add("empty", 1)
    world.sweep()
    assert verbs(world.plan(world.now + 99 * DAY, expire=False)) == {}


def backdate(world: World, days: float) -> None:
    """Make the only run that left something in the trash one of so many days ago."""
    for folder in ("trash", "backup"):
        for run in (world.ours / folder).glob("*") if (world.ours / folder).exists() else ():
            for path in run.rglob("*.ndjson"):
                world.age(path, days + 1)
            run.rename(run.with_name(names.new_run_id(world.now - days * DAY, b"old")))


def test_sweep_ends_what_is_ripe_and_nothing_else(world: World) -> None:
    world.add("empty", 1, days=40)
    world.sweep()
    backdate(world, 15)
    world.add("empty", 2)
    run = world.sweep()
    assert dict(run.summary.done) == {"delete-empty": 1, "expire-trash": 1}
    assert world.waiting() == [f"{session_id(2)}.ndjson"]


def test_ripe_backup_ends_and_its_session_stays(world: World) -> None:
    path = world.add("crashed", 1, days=40)
    world.sweep()
    backdate(world, 15)
    assert dict(world.sweep().summary.done) == {"expire-trash": 1}
    assert (world.waiting("backup"), path.exists()) == ([], True)


def test_session_brought_back_by_hand_is_left_alone_for_as_long_as_trash_is_kept(world: World) -> None:
    world.add("empty", 1)
    world.undo(world.sweep().id)
    assert verbs(world.plan(world.now + 13 * DAY)) == {}
    assert verbs(world.plan(world.now + 15 * DAY)) == {session_id(1): "delete-empty"}


def test_session_restored_by_id_is_left_alone_too(world: World) -> None:
    world.add("empty", 1)
    world.sweep()
    interface.restore([session_id(1)], [world.place])
    assert world.planned() == {}


# Several stores.


def test_store_that_cannot_be_read_does_not_stop_the_others(old: World, tmp_path: Path) -> None:
    old.add("empty", 1)
    gone = Place("gone", "rec", {"sessions": str(tmp_path / "nowhere")})
    run = interface.plan(old.policy, [gone, old.place], at=NOW, jobs=1)
    assert [each.place.name for each in run.unreachable] == ["gone"]
    assert verbs(run) == {session_id(1): "delete-empty"}


def test_plan_changes_nothing_at_all(old: World) -> None:
    old.add("torn", 1)
    old.lock(1)
    before = {path: path.lstat().st_mtime_ns for path in old.folder.rglob("*")}
    old.plan()
    assert {path: path.lstat().st_mtime_ns for path in old.folder.rglob("*")} == before


def test_policies_name_stores_by_path(old: World, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    old.rules(rest=f"stores: {{team: {{kind: rec, path: {elsewhere}}}}}\n")
    assert [(place.name, place.path) for place in whereabouts.places(old.policy, old.env)] == [
        ("team", str(elsewhere))
    ]


def test_moments_are_written_with_the_offset_of_the_policys_zone() -> None:
    assert timestamp(NOW, rules()) == "2026-02-02T02:40:00+00:00"


def test_worlds_are_what_they_say() -> None:
    assert content("complete", session_id(1), NOW).count(b"\n") == 4
