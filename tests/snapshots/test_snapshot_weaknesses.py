"""What opendev's own tests of its snapshots hold, held of our sweeps; and the weaknesses O1 and O12 of its notes.

Its cleaner is never called, and takes no account of who still works; ours is a policy.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from snapshot_world import DAY, HOUR, ID, NAME, OTHER, WHOLE, Snapshots, place_at

import maint
from maint.run import Run
from policies import Policy
from store.facts import State
from store.layouts.opendev_snapshots.specimens import SUFFIX, snapshot

TIDY = """\
  - recover: {idle_for: 24h}
  - delete-empty: {idle_for: 2d}
  - litter: {older_than: 2d}
"""
PRUNE = "  - prune: {older_than: 30d}\n"
PRUNE_COMPLETE = "  - prune: {where: {state: complete}, older_than: 30d}\n"
PRUNE_CRASHED = "  - prune: {where: {state: crashed}, older_than: 30d}\n"
PRUNE_CORRUPT = "  - prune: {where: {state: corrupt}, older_than: 30d}\n"

Rules = Callable[[str], Policy]


@pytest.fixture
def store(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path, float(int(time.time())))


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    """A policy of these passes."""

    def load(passes: str) -> Policy:
        file = tmp_path / "policy.yaml"
        file.write_text(f"version: 1\ntimezone: UTC\nlimits: {{max_removed: unlimited}}\npasses:\n{passes}")
        return maint.load(str(file))

    return load


def sweep(store: Snapshots, policy: Policy) -> Run:
    run = maint.sweep(policy, [store.place])
    assert (run.summary.failed, run.summary.lost, run.summary.skipped) == (0, 0, 0)
    return run


def gone(store: Snapshots, policy: Policy) -> list[str]:
    """The names that a sweep takes away."""
    before = names(store)
    sweep(store, policy)
    return sorted(before - names(store))


def names(store: Snapshots) -> set[str]:
    return {path.name for path in store.folder.iterdir() if path.name != ".maint"}


def aged(store: Snapshots, days: float, id_: str = ID, *, completed: bool = False) -> Path:
    content = snapshot(id_, store.now - days * DAY, completed=completed)
    return store.save(content, days * DAY, id_)


# What opendev's tests hold.


def test_snapshot_that_was_only_begun_is_not_completed_and_empty(store: Snapshots) -> None:
    store.save(
        snapshot("sess-1", store.now - 3 * DAY, message_count=0, last_tool_results=[], cost_usd=0.0),
        id_="sess-1",
    )
    found = store.facts("sess-1")
    assert (found.state, found.records, found.empty) == (State.CRASHED, 0, True)


def test_what_was_saved_is_what_is_read(store: Snapshots) -> None:
    content = snapshot(
        "session-abc",
        store.now - 3 * DAY,
        message_count=42,
        cost_usd=0.15,
        project_dir="/my/project",
    )
    store.save(content, id_="session-abc")
    found = store.facts("session-abc")
    assert (found.records, found.project, found.state) == (42, "/my/project", State.CRASHED)


def test_of_a_completed_and_an_incomplete_one_only_the_latter_crashed(store: Snapshots, rules: Rules) -> None:
    aged(store, 31, "s1", completed=True)
    aged(store, 31, "s2")
    assert gone(store, rules(PRUNE_CRASHED)) == [f"s2{SUFFIX}"]


def test_what_was_removed_is_gone_and_nothing_is_left_to_remove(store: Snapshots, rules: Rules) -> None:
    aged(store, 31)
    assert gone(store, rules(PRUNE)) == [NAME]
    assert store.survey() == []
    assert gone(store, rules(PRUNE)) == []


def test_old_one_goes_and_new_one_stays_whatever_else_they_say(store: Snapshots, rules: Rules) -> None:
    store.save(snapshot("old-session", 1.0), 2 * DAY, "old-session")
    aged(store, 2, "new-session")
    assert gone(store, rules(PRUNE)) == [f"old-session{SUFFIX}"]


def test_removal_is_by_the_stamp_to_the_millisecond(store: Snapshots, rules: Rules) -> None:
    for id_, more in (("older", -0.001), ("of-that-age", 0.0), ("younger", 0.001)):
        store.save(snapshot(id_, store.now - 30 * DAY + more), id_=id_)
    run = maint.plan(rules(PRUNE), [store.place], at=store.now)
    assert run.plan is not None
    assert [action.session for action in run.plan.stores[0].actions()] == ["older"]


def test_stamp_in_the_future_never_goes(store: Snapshots, rules: Rules) -> None:
    store.save(snapshot(ID, 0, snapshot_timestamp_ms=2**63 - 1, completed=True), 400 * DAY)
    assert gone(store, rules(PRUNE + TIDY)) == []


def test_age_greater_than_the_epoch_removes_nothing(store: Snapshots, rules: Rules) -> None:
    store.save(snapshot(ID, 0.001), 400 * DAY)
    assert gone(store, rules("  - prune: {older_than: 200y}\n")) == []


def test_what_was_removed_comes_back_byte_for_byte(store: Snapshots, rules: Rules) -> None:
    path = aged(store, 31)
    content = path.read_bytes()
    run = sweep(store, rules(PRUNE))
    assert not path.exists()
    _, impossible = maint.undo(run.id, [store.place])
    assert (impossible, path.read_bytes()) == ([], content)


# O1: nothing detects a crashed session.


def test_o1_crashed_session_is_told_and_left_as_it_is(store: Snapshots, rules: Rules) -> None:
    path = aged(store, 3)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    assert gone(store, rules(TIDY)) == []
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert store.facts().state is State.CRASHED


def test_o1_session_of_an_agent_at_work_is_not_taken_however_old_its_stamp(
    store: Snapshots, rules: Rules
) -> None:
    store.save(snapshot(ID, store.now - 400 * DAY), age=60)
    assert gone(store, rules(PRUNE + PRUNE_CRASHED)) == []


def test_o1_crashed_sessions_are_pruned_by_age_if_a_policy_says_so(store: Snapshots, rules: Rules) -> None:
    aged(store, 31)
    aged(store, 29, OTHER)
    assert gone(store, rules(PRUNE)) == [NAME]


def test_o1_crashed_sessions_stay_where_a_policy_prunes_completed_ones(
    store: Snapshots, rules: Rules
) -> None:
    aged(store, 31)
    aged(store, 31, OTHER, completed=True)
    assert gone(store, rules(PRUNE_COMPLETE)) == [f"{OTHER}{SUFFIX}"]


def test_o1_snapshot_in_which_nothing_happened_goes_the_way_of_the_empty_ones(
    store: Snapshots, rules: Rules
) -> None:
    store.save(snapshot(ID, store.now - 3 * DAY, message_count=0, last_tool_results=[]), 3 * DAY)
    assert gone(store, rules(TIDY)) == [NAME]


# O12: what cannot be loaded, and temp files, stay for ever.


def test_o12_snapshot_that_cannot_be_loaded_stays_where_no_policy_names_it(
    store: Snapshots, rules: Rules
) -> None:
    store.save(WHOLE[:100], 400 * DAY)
    assert gone(store, rules(PRUNE + TIDY)) == []
    assert store.facts().state is State.CORRUPT


def test_o12_snapshot_that_cannot_be_loaded_is_pruned_by_the_age_of_its_file(
    store: Snapshots, rules: Rules
) -> None:
    store.save(WHOLE[:100], 31 * DAY)
    store.save(b"", 29 * DAY, OTHER)
    assert gone(store, rules(PRUNE_CORRUPT)) == [NAME]


def test_o12_snapshot_of_another_session_is_never_pruned(store: Snapshots, rules: Rules) -> None:
    store.save(snapshot(OTHER, store.now - 400 * DAY), 400 * DAY)
    assert gone(store, rules(PRUNE + PRUNE_CORRUPT + PRUNE_CRASHED)) == []


def test_o12_temp_files_go_when_they_are_old(store: Snapshots, rules: Rules) -> None:
    aged(store, 3)
    store.put(f"{NAME}.tmp", WHOLE[:50], 3 * DAY)
    store.put(f"{OTHER}{SUFFIX}.tmp", WHOLE[:50], HOUR)
    assert gone(store, rules(TIDY)) == [f"{NAME}.tmp"]


def test_o12_last_whole_copy_of_a_damaged_snapshot_does_not_go(store: Snapshots, rules: Rules) -> None:
    store.save(bytes(len(WHOLE)), 3 * DAY)
    store.put(f"{NAME}.tmp", WHOLE, 3 * DAY)
    assert gone(store, rules(TIDY)) == []


def test_home_without_opendev_is_left_without(tmp_path: Path, rules: Rules) -> None:
    folder = Snapshots(tmp_path).folder
    shutil.rmtree(tmp_path / "home")
    run = maint.sweep(rules(TIDY), [place_at(folder)])
    assert run.summary.done == {}
    assert not (tmp_path / "home").exists()
