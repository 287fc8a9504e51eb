"""What Copilot gets wrong about its own sessions, P1 to P6, and what is done about each."""

import fcntl
import os
import time
from pathlib import Path

import pytest
from copilot_world import DAY, ID, OTHER, Copilot, whole

import maint
from store.facts import State
from store.layouts.copilot.specimens import DEAD, begun, ended, session_id, turn

DEFAULT = "  - stale-locks: {idle_for: 24h}\n  - recover: {idle_for: 24h}\n  - delete-empty: {idle_for: 2d}\n"
ARCHIVE = "  - archive: {older_than: 30d}\n"


@pytest.fixture
def store(tmp_path: Path) -> Copilot:
    return Copilot(tmp_path, float(int(time.time())))


def old(store: Copilot, id_: str = ID, days: float = 40.0, **also: bytes) -> Path:
    return store.session(whole(id_, store.now - days * DAY), id_, age=days * DAY, **also)


def test_p1_old_sessions_go_into_packs_whole_and_come_back_as_they_were(store: Copilot) -> None:
    old(store, plan_dot_md=b"# Plan\n", files__deep__a_dot_txt=b"a", session_dot_db=os.urandom(4096))
    old(store, OTHER, days=2.0)
    (store.folder / ID / "files/deep").chmod(0o700)
    before = store.snapshot()
    assert store.done(ARCHIVE) == {"archive": 1}
    assert [path.name for path in store.folder.iterdir() if path.name != ".maint"] == [OTHER]
    assert maint.restore([ID], [store.place]).summary.done == {"restore": 1}
    assert store.snapshot() == before


def test_p1_pruned_session_comes_back_with_its_empty_folders(store: Copilot) -> None:
    old(store)
    before = store.snapshot()
    run = store.sweep("  - prune: {older_than: 30d}\n")
    assert store.sessions() == {}
    maint.undo(run.id, [store.place])
    assert store.snapshot() == before


def test_p2_session_in_which_nobody_said_anything_goes_and_one_with_a_plan_stays(store: Copilot) -> None:
    store.session(None, age=9 * DAY)
    store.session(None, OTHER, age=9 * DAY, plan_dot_md=b"# Plan\n")
    assert store.done(DEFAULT) == {"delete-empty": 1}
    assert list(store.sessions()) == [OTHER]


def test_p3_marks_of_a_killed_process_go_and_its_session_stays(store: Copilot) -> None:
    store.session(begun(ID, store.now - 9 * DAY) + turn(store.now - 9 * DAY), age=9 * DAY)
    store.marks(DEAD, age=9 * DAY)
    store.marks(DEAD + 1, age=9 * DAY, hold=False)
    assert store.done(DEFAULT) == {"unlock": 2}
    assert not list((store.folder / ID).glob("inuse.*"))
    assert store.facts().state is State.COMPLETE


def test_p3_mark_that_is_held_again_by_the_time_it_is_to_go_stays(store: Copilot) -> None:
    old(store)
    store.marks(DEAD, age=9 * DAY)
    plan = maint.plan(store.policy(DEFAULT), [store.place]).plan
    assert plan is not None
    assert plan.stores[0].planned.total() == 1
    with (store.folder / f"{ID}/inuse.{DEAD}.hold").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert store.done(DEFAULT + ARCHIVE) == {}
    assert store.done(DEFAULT)["unlock"] == 1


@pytest.mark.parametrize("broken", ["torn", "zeros", "glued"])
def test_p4_session_with_a_line_that_is_no_event_is_made_whole(store: Copilot, broken: str) -> None:
    began = store.now - 9 * DAY
    kept = begun(ID, began) + turn(began)
    more = {
        "torn": turn(began + 60)[:50],
        "zeros": bytes(512),
        "glued": turn(began + 60)[:50] + ended(began + 70),
    }
    path = store.session(kept + more[broken], age=9 * DAY) / "events.jsonl"
    run = store.sweep(DEFAULT)
    assert run.summary.done == {"recover": 1}
    assert path.read_bytes() == kept + (ended(began + 70) if broken == "glued" else b"")
    assert store.facts().state is State.COMPLETE
    maint.undo(run.id, [store.place])
    assert path.read_bytes() == kept + more[broken]


def test_p5_session_that_a_process_has_open_and_never_writes_to_stays_for_as_long(store: Copilot) -> None:
    old(store, days=400.0)
    store.marks(DEAD, age=400 * DAY)
    before = store.snapshot()
    with (store.folder / f"{ID}/inuse.{DEAD}.hold").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert store.done(DEFAULT + "  - prune: {older_than: 30d}\n") == {}
    assert store.snapshot() == before


def test_p6_copies_of_its_own_mending_are_part_of_the_session(store: Copilot) -> None:
    copy = "events.jsonl.backup-before-recovery-" + "0f" * 32
    old(store)
    store.put(f"{ID}/{copy}", whole()[:-9], age=40 * DAY)
    assert store.done(ARCHIVE) == {"archive": 1}
    assert not (store.folder / ID).exists()
    maint.restore([ID], [store.place])
    assert (store.folder / ID / copy).read_bytes() == whole()[:-9]


def test_one_session_that_cannot_be_read_hinders_no_other(store: Copilot) -> None:
    for number in range(3, 9):
        old(store, session_id(number))
    (store.folder / session_id(9)).write_bytes(b"x")
    store.session(b"\xff" * 99, session_id(10), age=40 * DAY)
    assert store.done(ARCHIVE) == {"archive": 6}
