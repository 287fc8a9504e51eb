"""What Codex does to its own sessions, and what sweeps make of it: the rows of the table in `store/layouts/README.md`."""

import os
import time
from pathlib import Path

import pytest
from codex_world import DAY, ID, OTHER, THIRD, Codex

import maint
from maint import explaining
from store.facts import State
from store.layouts.codex.specimens import early, header, path_of, surroundings, thread, turn

ARCHIVE = "  - archive: {older_than: 30d}\n"
PRUNE = "  - prune: {older_than: 30d}\n"
RECOVER = "  - recover: {idle_for: 24h}\n"
EMPTY = "  - delete-empty: {idle_for: 2d}\n"


@pytest.fixture
def store(tmp_path: Path) -> Codex:
    return Codex(tmp_path, float(int(time.time())))


def path(store: Codex, id_: str, days: float) -> str:
    return path_of(id_, store.now - days * DAY)


def fork(store: Codex, id_: str, base: str, days: float) -> None:
    began = store.now - days * DAY
    store.save(header(id_, began, history_base={"thread_id": base}) + turn(began), id_, age=days * DAY)


def child(store: Codex, id_: str, parent: str, days: float) -> None:
    store.save(thread(id_, store.now - days * DAY, parent_thread_id=parent), id_, age=days * DAY)


# C1: nothing is ever removed.


def test_c1_old_threads_go_into_packs_and_come_back_as_they_were(store: Codex) -> None:
    first, second = store.save(age=40 * DAY), store.save(id_=OTHER, age=50 * DAY, archived=True)
    store.save(id_=THIRD, age=DAY)
    before = {
        each: (each.read_bytes(), each.stat().st_mtime_ns, each.stat().st_mode) for each in (first, second)
    }
    assert store.gone(ARCHIVE) == {str(each.relative_to(store.folder)) for each in before}
    assert maint.restore([ID, OTHER], [store.place]).summary.done == {"restore": 2}
    assert before == {
        each: (each.read_bytes(), each.stat().st_mtime_ns, each.stat().st_mode) for each in (first, second)
    }


# C2: a fork rests on the records of another thread.


@pytest.mark.parametrize("passes", [ARCHIVE, PRUNE, "  - prune: {older_than: 30d, keep: {last: 1}}\n"])
def test_c2_thread_that_a_fork_rests_on_stays_and_goes_once_that_has_gone(store: Codex, passes: str) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    fork(store, THIRD, OTHER, 2)
    assert store.gone(passes) == set()
    (store.folder / path(store, THIRD, 2)).unlink()
    store.save(id_=THIRD, age=2 * DAY)  # now one that rests on nothing
    assert store.gone(passes) == {path(store, OTHER, 40)}
    assert store.gone(passes) == {path(store, ID, 90)}


def test_c2_fork_that_is_protected_holds_what_it_rests_on_too(store: Codex) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    with (store.folder / path(store, OTHER, 40)).open("ab"):
        assert store.gone(ARCHIVE) == set()


def test_c2_why_it_stays_is_explained(store: Codex) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    fork(store, THIRD, ID, 40)
    policy = store.policy(PRUNE)
    told = explaining.explain(ID, policy, [store.place]).protected
    assert told is not None
    assert told.reason == f"2 sessions go on from its records, such as {OTHER}, and it stays for as long"
    assert explaining.explain(OTHER, policy, [store.place]).protected is None


def test_c2_thread_that_others_rest_on_is_ended_where_it_is_torn(store: Codex) -> None:
    began = store.now - 90 * DAY
    torn = thread(ID, began) + b'{"timestamp"'
    base = store.save(torn, age=90 * DAY)
    fork(store, OTHER, ID, 40)
    store.sweep(RECOVER)
    assert base.read_bytes() == torn + b"\n"


# C3: the threads of agents.


def test_c3_thread_of_an_agent_goes_with_the_one_that_began_it(store: Codex) -> None:
    store.save(age=10 * DAY)
    child(store, OTHER, ID, 40)
    assert store.gone(PRUNE) == set()
    (store.folder / path(store, ID, 10)).unlink()
    store.save(age=35 * DAY)
    assert store.gone(PRUNE) == {path(store, ID, 35), path(store, OTHER, 40)}


def test_c3_thread_of_an_agent_whose_beginner_is_gone_goes_by_its_own_age(store: Codex) -> None:
    child(store, OTHER, ID, 40)
    assert store.gone(PRUNE) == {path(store, OTHER, 40)}


# C4: half a line.


@pytest.mark.parametrize("tail", [b'{"timestamp":"2026-1', bytes(700)], ids=["torn", "zeros"])
def test_c4_torn_line_is_ended_and_the_thread_is_complete(store: Codex, tail: bytes) -> None:
    began = store.now - 3 * DAY
    torn = thread(ID, began) + tail
    file = store.save(torn, age=3 * DAY)
    file.chmod(0o644)
    assert store.facts().state is State.CRASHED
    run = store.sweep(RECOVER)
    assert run.summary.done == {"recover": 1}
    assert file.read_bytes() == torn + b"\n"
    assert file.stat().st_mode & 0o777 == 0o644
    assert (store.facts().state, store.facts().ended) == (State.COMPLETE, began + 10)
    assert store.sweep(RECOVER).summary.done == {}
    maint.undo(run.id, [store.place])
    assert file.read_bytes() == torn


# C5: files that are made new.


def test_c5_age_of_a_thread_that_was_put_away_is_that_of_its_last_record(store: Codex) -> None:
    file = store.save(age=40 * DAY, archived=True)
    os.utime(file, (store.now - 60, store.now - 60))
    assert store.gone(PRUNE) == {str(file.relative_to(store.folder))}


# C7: threads with nothing in them.


def test_c7_thread_in_which_only_the_program_spoke_goes_the_way_of_the_empty_ones(store: Codex) -> None:
    began = store.now - 3 * DAY
    store.save(header(ID, began) + surroundings(began), age=3 * DAY)
    store.save(early(OTHER, began, said=False), OTHER, age=3 * DAY)
    store.save(early(THIRD, began), THIRD, age=3 * DAY)
    assert store.gone(EMPTY) == {path(store, ID, 3), path(store, OTHER, 3)}


# C8, C9: what is no session.


def test_c8_lock_of_a_writer_stays(store: Codex) -> None:
    store.put(f"thread-writer-locks/{ID}.lock", b"", 400 * DAY)
    passes = "  - stale-locks: {idle_for: 24h}\n  - litter: {older_than: 2d}\n"
    assert store.gone(passes + PRUNE) == set()


def test_c9_databases_and_settings_stay_as_they_are(store: Codex) -> None:
    others = ("state_5.sqlite", "state_5.sqlite-wal", "history.jsonl", "session_index.jsonl", "config.toml")
    for name in others:
        store.put(name, b"x", 400 * DAY)
    store.save(age=40 * DAY)
    assert store.gone(PRUNE + EMPTY + RECOVER) == {path(store, ID, 40)}
    assert {name for name in others if (store.folder / name).read_bytes() == b"x"} == set(others)
