"""What Codex does to its own sessions, and what sweeps make of it: the rows of the table in `store/layouts/README.md`."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from codex_world import DAY, ID, OTHER, THIRD, Codex

import maint
from maint import carrying_out, explaining, interface
from store import frames
from store.facts import Problem, Session, State
from store.layouts.codex import LAYOUT
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


def test_c2_thread_that_a_fork_rests_on_goes_into_a_pack_when_that_has(store: Codex) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    fork(store, THIRD, OTHER, 2)
    assert store.gone(ARCHIVE) == set()
    (store.folder / path(store, THIRD, 2)).unlink()
    store.save(id_=THIRD, age=2 * DAY)  # now one that rests on nothing
    assert store.gone(ARCHIVE) == {path(store, OTHER, 40)}
    assert store.gone(ARCHIVE) == {path(store, ID, 90)}
    assert maint.restore([OTHER], [store.place]).summary.done == {"restore": 2}


@pytest.mark.parametrize("passes", [PRUNE, "  - prune: {older_than: 30d, keep: {last: 1}}\n"])
def test_c2_thread_that_a_fork_rests_on_goes_into_the_trash_when_that_has_left_it(
    store: Codex, passes: str
) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    store.save(id_=THIRD, age=2 * DAY)
    assert store.gone(passes) == {path(store, OTHER, 40)}
    assert store.gone(passes) == set()
    assert maint.restore([OTHER], [store.place]).summary.done == {"restore": 1}
    (store.folder / path(store, OTHER, 40)).unlink()
    assert store.gone(passes) == {path(store, ID, 90)}


def test_c2_fork_that_is_protected_holds_what_it_rests_on_too(store: Codex) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    with (store.folder / path(store, OTHER, 40)).open("ab"):
        assert store.gone(ARCHIVE) == set()


def test_c2_why_it_stays_is_explained(store: Codex) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    policy = store.policy(PRUNE)
    told = explaining.explain(ID, policy, [store.place]).protected
    assert told is not None
    assert told.reason == f"{OTHER} goes on from its records, and needs them"
    assert explaining.explain(OTHER, policy, [store.place]).protected is None
    assert explaining.explain(ID, store.policy(RECOVER), [store.place]).protected is None


def test_c2_thread_that_others_rest_on_is_ended_where_it_is_torn_and_never_made_shorter(store: Codex) -> None:
    began = store.now - 90 * DAY
    torn = thread(ID, began) + b'{"timestamp"'
    base = store.save(torn, age=90 * DAY)
    run = store.sweep(RECOVER)
    assert base.read_bytes() == torn + b"\n"
    fork(store, OTHER, ID, 40)
    done, _ = maint.undo(run.id, [store.place])
    assert (done.summary.done, done.summary.skipped) == ({}, 1)
    assert base.read_bytes() == torn + b"\n"


def test_c2_undo_that_was_killed_before_it_refused_anything_is_not_done_by_who_settles_it(
    store: Codex, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = store.now - 90 * DAY
    base = store.save(thread(ID, began) + b'{"timestamp"', age=90 * DAY)
    run = store.sweep(RECOVER)
    whole = base.read_bytes()
    fork(store, OTHER, ID, 40)

    def dies(*_: object) -> None:
        os._exit(9)

    pid = os.fork()
    if not pid:
        monkeypatch.setattr(carrying_out, "outcomes_of", dies)  # all is intended, and nothing was said of it
        maint.undo(run.id, [store.place])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    maint.sweep(store.policy(EMPTY), [store.place])
    assert base.read_bytes() == whole


def test_c2_both_copies_stay_of_a_thread_that_is_there_twice(store: Codex) -> None:
    store.save(age=90 * DAY)
    store.save(age=80 * DAY, archived=True)
    fork(store, OTHER, ID, 2)
    assert store.gone(PRUNE) == set()


@pytest.mark.parametrize(
    "how", ["compressed", "second name", "link", "no header", "behind a line", "other case"]
)
def test_c2_fork_that_is_no_session_to_us_holds_what_it_rests_on(store: Codex, how: str) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID.upper() if how == "other case" else ID, 2)
    file = store.folder / path(store, OTHER, 2)
    content = file.read_bytes()
    match how:
        case "compressed":
            file.with_name(f"{file.name}.zst").write_bytes(frames.compress(content, 3))
            file.unlink()
        case "second name":
            os.link(file, store.folder / "second")
        case "link":
            file.rename(store.folder / "first")
            file.symlink_to(store.folder / "first")
        case "no header":
            file.write_bytes(content.replace(b"}\n", b"\n", 1))
        case "behind a line":
            file.write_bytes(b"{}\n" + content)
    assert store.gone(PRUNE) == set()


def test_c2_fork_that_is_put_away_while_the_store_is_read_holds_everything(
    store: Codex, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 2)
    file = store.folder / path(store, OTHER, 2)
    read = type(LAYOUT).read

    def moved(*args: Any) -> Iterator[Session | Problem]:
        if file.exists():
            (store.folder / "archived_sessions").mkdir()
            file.rename(store.folder / "archived_sessions" / file.name)
        return read(*args)

    monkeypatch.setattr(type(LAYOUT), "read", moved)
    run = maint.sweep(store.policy(PRUNE), [store.place])
    assert run.summary.done == {}
    assert any("may rest on" in each.text for each in run.summary.problems)
    assert (store.folder / path(store, ID, 90)).exists()


def test_c2_fork_that_was_made_since_the_plan_is_seen_when_it_is_carried_out(store: Codex) -> None:
    store.save(age=90 * DAY)
    said, gone = store.applied(PRUNE, lambda: fork(store, OTHER, ID, 0.001))
    assert f"{OTHER} goes on from its records" in said
    assert gone == set()


def test_c2_what_a_fork_rests_on_does_not_end_in_a_pack_before_it(store: Codex) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    assert store.gone(ARCHIVE) | store.gone(ARCHIVE) == {path(store, ID, 90), path(store, OTHER, 40)}
    expire = "  - prune: {of: archived, older_than: 60d}\n"
    assert store.sweep(expire).summary.done == {}  # a fork in a pack rests on it
    maint.restore([OTHER], [store.place])  # which brings back both
    assert store.there() == {path(store, ID, 90), path(store, OTHER, 40)}
    (store.folder / path(store, ID, 90)).unlink()
    assert store.sweep(expire).summary.done == {}  # one in the store does
    assert store.sweep("  - prune: {of: archived, older_than: 30d}\n").summary.done == {}


def test_c2_what_a_fork_in_a_pack_rests_on_goes_into_a_pack_but_not_into_the_trash(store: Codex) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    assert store.gone(ARCHIVE) == {path(store, OTHER, 40)}
    told = explaining.explain(ID, store.policy(PRUNE), [store.place]).protected
    assert told is not None
    assert told.reason == "a session in a pack or in the trash goes on from its records"
    assert store.gone(PRUNE) == set()
    assert store.gone(ARCHIVE) == {path(store, ID, 90)}


def test_c2_what_a_fork_rests_on_comes_back_with_it_from_wherever_both_are(store: Codex) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 60)
    fork(store, THIRD, OTHER, 40)
    assert store.gone(PRUNE) == {path(store, THIRD, 40)}
    assert store.gone(ARCHIVE) == {path(store, OTHER, 60)}
    assert store.gone(ARCHIVE) == {path(store, ID, 90)}
    maint.restore([OTHER], [store.place])
    (store.folder / path(store, ID, 90)).unlink()  # by somebody else
    assert maint.restore([THIRD], [store.place]).summary.done == {"restore": 2}
    assert store.there() == {path(store, ID, 90), path(store, OTHER, 60), path(store, THIRD, 40)}


def test_c2_what_many_rest_on_comes_back_with_them_though_it_does_not_match(store: Codex) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 60)
    fork(store, THIRD, OTHER, 40)
    assert len(store.gone(ARCHIVE) | store.gone(ARCHIVE) | store.gone(ARCHIVE)) == 3
    assert interface.restore_all([THIRD], [store.place]).summary.done == {"restore": 3}
    assert store.there() == {path(store, ID, 90), path(store, OTHER, 60), path(store, THIRD, 40)}
    (store.folder / path(store, THIRD, 40)).unlink()  # by somebody else
    assert interface.restore_all([THIRD], [store.place]).summary.done == {"restore": 1}


def test_c2_what_was_put_away_does_not_come_back_a_second_time(store: Codex) -> None:
    base = store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    assert store.gone(ARCHIVE) == {path(store, OTHER, 40)}
    store.sweep("  - archive: {older_than: 30d, originals: keep}\n")
    (store.folder / "archived_sessions").mkdir()
    base.rename(store.folder / "archived_sessions" / base.name)
    assert maint.restore([OTHER], [store.place]).summary.done == {"restore": 1}
    assert len(store.there()) == 2


@pytest.mark.parametrize("how", ["unmounted", "damaged"])
def test_c2_where_a_pack_cannot_be_read_nothing_ends(store: Codex, tmp_path: Path, how: str) -> None:
    store.save(age=90 * DAY)
    fork(store, OTHER, ID, 40)
    into = tmp_path / "disk"
    into.mkdir()
    assert store.gone(f"  - archive: {{older_than: 30d, into: {into}}}\n") == {path(store, OTHER, 40)}
    if how == "unmounted":
        into.rename(tmp_path / "away")
    else:
        (pack,) = into.rglob("*.tar.zst")
        pack.write_bytes(pack.read_bytes()[:-9])
    assert store.gone(PRUNE) == set()


def test_c2_child_of_a_thread_that_is_refused_is_refused_with_it(store: Codex) -> None:
    store.save(age=90 * DAY)
    child(store, THIRD, ID, 80)
    assert store.applied(ARCHIVE, lambda: fork(store, OTHER, ID, 0.001))[1] == set()


def test_c2_fork_that_does_not_say_on_which_holds_everything(store: Codex) -> None:
    store.save(age=90 * DAY)
    began = store.now - 2 * DAY
    store.save(header(OTHER, began, history_base={"rollout": ID}) + turn(began), OTHER)
    assert store.gone(PRUNE) == set()


def test_c2_others_go_in_the_stead_of_what_a_fork_rests_on(store: Codex) -> None:
    for age in (90, 80, 70):
        store.save(id_=ID[:-2] + str(age), age=age * DAY)
    fork(store, OTHER, ID[:-2] + "90", 40)
    assert store.gone("  - prune: {older_than: 30d, keep: {last: 3}}\n") == set()
    assert store.gone("  - prune: {older_than: 30d, keep: {last: 2}}\n") == {path(store, ID[:-2] + "80", 80)}


def test_c2_fork_in_which_nobody_has_said_anything_stays(store: Codex) -> None:
    store.save(age=90 * DAY)
    began = store.now - 5 * DAY
    store.save(header(OTHER, began, history_base={"thread_id": ID}), OTHER, age=5 * DAY)
    assert store.gone(EMPTY) == set()


# C3: the threads of agents.


def test_c3_thread_of_an_agent_goes_with_the_one_that_began_it(store: Codex) -> None:
    store.save(age=10 * DAY)
    child(store, OTHER, ID, 40)
    assert store.gone(PRUNE) == set()
    (store.folder / path(store, ID, 10)).unlink()
    store.save(age=35 * DAY)
    assert store.gone(PRUNE) == {path(store, ID, 35), path(store, OTHER, 40)}


@pytest.mark.parametrize("passes", [ARCHIVE, PRUNE])
def test_c3_thread_of_an_agent_stays_where_the_one_that_began_it_does_after_all(
    store: Codex, passes: str
) -> None:
    began = store.save(age=90 * DAY)
    child(store, OTHER, ID, 80)
    child(store, THIRD, OTHER, 70)

    def go_on() -> None:
        with began.open("ab") as file:
            file.write(turn(store.now - DAY))

    said, gone = store.applied(passes, go_on)
    assert (said.count("was not seen to"), gone) == (2, set())


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
