"""The weaknesses of rec that its notes number W1 to W17, two more, and what is done about each that concerns us.

W10 (no fsync of folders) is the business of `tests/store`; W17 (upstream's tests run in the user's own store) is
seen to in `test_real_rec`.
"""

import os
import stat
import time
from pathlib import Path

import pytest
from rec_world import (
    BEGAN,
    DAY,
    DEAD,
    FOOT,
    HEAD,
    HOUR,
    ID,
    LEAKED,
    ONE,
    TORN,
    TWO,
    RecStore,
    records_of,
)

import maint
from maint.run import Run
from policies import Policy
from store.facts import Owner, State
from store.layouts.rec import LAYOUT
from store.layouts.rec.specimens import command, footer, header

POLICY = """\
version: 1
timezone: UTC
passes:
  - stale-locks: {idle_for: 24h}
  - recover: {idle_for: 24h}
  - delete-empty: {idle_for: 2d}
  - litter: {older_than: 2d}
"""


@pytest.fixture
def store(tmp_path: Path) -> RecStore:
    return RecStore(tmp_path, time.time())


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    return maint.load(str(file))


def rules(tmp_path: Path, passes: str) -> Policy:
    """A policy of these passes alone."""
    file = tmp_path / "rules.yaml"
    file.write_text(f"version: 1\ntimezone: UTC\npasses:\n{passes}")
    return maint.load(str(file))


def sweep(store: RecStore, policy: Policy) -> Run:
    run = maint.sweep(policy, [store.place])
    assert (run.summary.failed, run.summary.lost, run.refused) == (0, 0, [])
    return run


def done(store: RecStore, policy: Policy) -> dict[str, int]:
    return {str(verb): count for verb, count in sweep(store, policy).summary.done.items() if count}


def locks(store: RecStore) -> list[str]:
    return sorted(os.listdir(store.state))


def test_w1_crashed_session_is_recovered_though_the_state_has_another_id(
    store: RecStore, policy: Policy
) -> None:
    path = store.session(HEAD + ONE + TWO, age=3 * DAY)
    store.recording(age=3 * DAY)
    store.lock(age=3 * DAY)
    assert done(store, policy) == {"recover": 1, "unlock": 2}
    head, *_, foot = records_of(path.read_bytes())
    assert head["recovered"] is True
    assert foot["command_count"] == 2


def test_w2_dead_process_is_no_crash_while_anything_of_the_recording_is_young(
    store: RecStore, policy: Policy
) -> None:
    path = store.session(HEAD + ONE, age=9 * DAY)
    store.recording(age=9 * DAY)
    store.lock(str(DEAD).encode(), age=9 * DAY)
    store.pending(age=20 * HOUR)
    assert done(store, policy) == {}
    assert path.read_bytes() == HEAD + ONE


def test_w3_recording_whose_state_was_listed_away_waits_and_is_then_recovered(
    store: RecStore, policy: Policy
) -> None:
    path = store.session(HEAD + ONE, age=20 * HOUR)
    assert done(store, policy) == {}
    store.session(path.read_bytes(), age=25 * HOUR)
    assert done(store, policy) == {"recover": 1}


def test_w4_process_of_another_user_counts_as_running(store: RecStore) -> None:
    os.utime(store.lock(b"1"), (store.now, store.now))
    assert store.listing().locks[0].owner is Owner.HOLDS


@pytest.mark.parametrize("content", [b"0", b"4294967295", b"2147483648"])
def test_w4_numbers_that_are_no_process_do_not_count_as_running(
    store: RecStore, policy: Policy, content: bytes
) -> None:
    store.lock(content, age=3 * DAY)
    assert done(store, policy) == {"unlock": 1}


def test_w4_lock_whose_number_was_given_away_is_stale(store: RecStore, policy: Policy) -> None:
    store.lock(str(os.getpid()).encode(), age=30 * DAY)
    assert done(store, policy) == {"unlock": 1}


def test_w5_waiting_command_is_removed_when_nothing_is_recorded(store: RecStore, policy: Policy) -> None:
    store.pending(age=3 * DAY)
    assert done(store, policy) == {"unlock": 1}
    assert locks(store) == []


def test_w5_waiting_command_of_a_recording_stays(store: RecStore, policy: Policy) -> None:
    store.session(HEAD + ONE, age=HOUR * 2)
    store.recording(age=9 * DAY)
    store.pending(age=9 * DAY)
    assert done(store, policy) == {}
    assert locks(store) == ["pending.json", "recording.json"]


def test_w5_session_with_nothing_but_a_leaked_stop_is_empty(store: RecStore, policy: Policy) -> None:
    store.session(HEAD + LEAKED + footer(BEGAN + 9, 1), age=3 * DAY)
    assert done(store, policy) == {"delete-empty": 1}


def test_w6_bad_line_costs_itself_and_nothing_else(store: RecStore, policy: Policy) -> None:
    path = store.session(HEAD + ONE + b"\xff\n" + TWO + TORN, age=3 * DAY)
    assert done(store, policy) == {"recover": 1}
    assert ONE + TWO in path.read_bytes()


def test_w7_lock_and_state_stay_when_the_session_could_not_be_recovered(
    store: RecStore, policy: Policy
) -> None:
    # They are the only thing that leads to it.
    content = HEAD + b'{"type":"note"}\n' + ONE
    path = store.session(content, age=3 * DAY)
    store.recording(age=3 * DAY)
    store.lock(age=3 * DAY)
    run = sweep(store, policy)
    assert not run.summary.done.total()
    assert path.read_bytes() == content
    assert locks(store) == ["recording.json", "recording.lock"]
    assert any("none of rec's" in problem.text for problem in run.summary.problems)


def test_w8_recovered_session_ends_with_a_footer_that_says_interrupted(
    store: RecStore, policy: Policy
) -> None:
    path = store.session(HEAD + ONE + TWO, age=3 * DAY)
    sweep(store, policy)
    *_, foot = records_of(path.read_bytes())
    assert foot == {"type": "footer", "ended_at": BEGAN + 123.5, "command_count": 2, "status": "interrupted"}
    found = store.facts()
    assert (found.state, found.ended) == (State.RECOVERED, BEGAN + 123.5)


def test_w9_recovered_session_is_as_private_as_it_was(store: RecStore, policy: Policy) -> None:
    path = store.session(HEAD + ONE, age=3 * DAY)
    path.chmod(0o600)
    before = os.umask(0)
    try:
        sweep(store, policy)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = [each for each in (store.sessions / ".maint").rglob(path.name) if each.is_file()]
    assert [stat.S_IMODE(each.stat().st_mode) for each in kept] == [0o600]


def test_w11_length_of_a_session_does_not_matter_to_its_survey(
    store: RecStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = b"".join(command(i, "make", BEGAN + i) for i in range(40_000))
    store.session(HEAD + commands + footer(BEGAN + 50_000, 40_000))
    real = os.pread
    read: list[int] = []

    def counted(fd: int, length: int, offset: int) -> bytes:
        data = real(fd, length, offset)
        read.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", counted)
    assert store.facts().records == 40_002
    assert sum(read) <= 64 * 1024


def test_w12_of_lines_that_two_shells_wrote_into_each_other_the_whole_ones_are_kept(
    store: RecStore, policy: Policy
) -> None:
    path = store.session(HEAD + ONE + ONE[:70] + TWO + ONE[70:] + TWO, age=3 * DAY)
    sweep(store, policy)
    assert path.read_bytes().count(TWO) == 2
    assert path.read_bytes().count(ONE) == 1


def test_w13_header_that_nothing_followed_goes_to_the_trash(store: RecStore, policy: Policy) -> None:
    store.session(HEAD, age=3 * DAY)
    assert done(store, policy) == {"delete-empty": 1}


def test_w13_session_without_header_is_told_and_kept(store: RecStore, policy: Policy) -> None:
    path = store.session(ONE + TWO, age=300 * DAY)
    run = sweep(store, policy)
    assert any("it has no header" in problem.text for problem in run.summary.problems)
    assert path.read_bytes() == ONE + TWO


def test_w14_what_goes_to_the_trash_is_as_private_as_it_was(store: RecStore, policy: Policy) -> None:
    path = store.session(HEAD, age=3 * DAY)
    path.chmod(0o600)
    sweep(store, policy)
    (kept,) = (store.sessions / ".maint/trash").rglob(path.name)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE((store.sessions / ".maint").stat().st_mode) == 0o700


def test_w15_setting_that_rec_ignores_is_ignored() -> None:
    at_home = LAYOUT.default_roots({}, "/home/ana", "linux")
    assert LAYOUT.default_roots({"REC_STORAGE_PATH": "/elsewhere"}, "/home/ana", "linux") == at_home


def test_w16_empty_session_can_be_brought_back(store: RecStore, policy: Policy) -> None:
    path = store.session(HEAD, age=3 * DAY)
    assert done(store, policy) == {"delete-empty": 1}
    assert not path.exists()
    run = maint.restore([ID], [store.place])
    assert run.summary.done.total() == 1
    assert path.read_bytes() == HEAD


def test_w16_recovery_can_be_taken_back(store: RecStore, policy: Policy) -> None:
    content = HEAD + ONE + TORN
    path = store.session(content, age=3 * DAY)
    store.recording(age=3 * DAY)
    store.lock(age=3 * DAY)
    run = sweep(store, policy)
    maint.undo(run.id, [store.place])
    assert path.read_bytes() == content
    assert locks(store) == ["recording.json", "recording.lock"]


# What rec's own tests say of it (section 10), where we do the same, or do it otherwise on purpose.


def test_lock_of_a_dead_process_goes_with_its_state(store: RecStore, policy: Policy) -> None:
    store.lock(b"4000000000", age=3 * DAY)
    store.recording(age=3 * DAY)
    assert done(store, policy) == {"unlock": 2}
    assert locks(store) == []


def test_lock_of_a_live_process_stays_with_its_state(store: RecStore, policy: Policy) -> None:
    store.recording(age=3 * DAY)
    os.utime(store.lock(str(os.getpid()).encode()), (store.now, store.now))
    assert done(store, policy) == {}
    assert locks(store) == ["recording.json", "recording.lock"]


@pytest.mark.parametrize("content", [b"", b"not-a-number"])
def test_lock_without_a_number_goes_once_it_was_silent_for_long(
    store: RecStore, policy: Policy, content: bytes
) -> None:
    store.lock(content, age=HOUR * 2)
    assert done(store, policy) == {}
    store.lock(content, age=3 * DAY)
    assert done(store, policy) == {"unlock": 1}


def test_recovery_keeps_two_commands_renames_and_unlocks(store: RecStore, policy: Policy) -> None:
    path = store.session(HEAD + ONE + TWO, age=3 * DAY)
    store.lock(age=3 * DAY)
    store.recording(age=3 * DAY)
    sweep(store, policy)
    head, one, two, foot = records_of(path.read_bytes())
    assert (head["name"][:10], head["recovered"], head["id"], foot["command_count"]) == (
        "recovered-",
        True,
        ID,
        2,
    )
    assert (one["command"], two["command"]) == ("git pull", "make test")
    assert path.name == f"{ID}.ndjson"
    assert locks(store) == []


def test_recovery_discards_nothing_for_good(store: RecStore, policy: Policy) -> None:
    # rec deletes a session of no commands at once; here it waits in the trash.
    path = store.session(HEAD, age=3 * DAY)
    store.lock(age=3 * DAY)
    store.recording(age=3 * DAY)
    assert done(store, policy) == {"delete-empty": 1, "unlock": 2}
    (kept,) = (store.sessions / ".maint/trash").rglob(path.name)
    assert kept.read_bytes() == HEAD


def test_lock_whose_session_is_not_in_the_store_goes(store: RecStore, policy: Policy) -> None:
    store.lock(age=3 * DAY)
    store.recording(age=3 * DAY, session_path="/nowhere/x.ndjson")
    assert done(store, policy) == {"unlock": 2}


def test_recovered_name_is_of_the_moment_of_the_crash_and_one_that_rec_accepts(
    store: RecStore, policy: Policy
) -> None:
    store.session(HEAD + ONE, age=3 * DAY)
    sweep(store, policy)
    name = store.facts().name
    assert name == time.strftime("recovered-%Y-%m-%d-%H%M%S", time.gmtime(BEGAN + 62.5))
    assert name.replace("-", "").replace("_", "").isalnum()


def test_two_that_crashed_in_one_second_get_two_names(store: RecStore, policy: Policy) -> None:
    ids = [f"{number:08}-0000-4000-8000-000000000000" for number in range(3)]
    for id_ in ids:
        store.session(header(id_, "x", BEGAN) + ONE, age=3 * DAY, id_=id_)
    sweep(store, policy)
    assert len({store.facts(id_).name for id_ in ids}) == 3


def test_no_temp_file_and_no_backup_is_left_beside_the_sessions(store: RecStore, policy: Policy) -> None:
    store.session(HEAD + ONE, age=3 * DAY)
    sweep(store, policy)
    assert sorted(os.listdir(store.sessions)) == [".maint", f"{ID}.ndjson"]


@pytest.mark.parametrize("damaged", [b"", HEAD + ONE[:-9], TORN, bytes(99)])
def test_w18_neither_of_two_goes_of_which_each_has_what_the_other_lacks(
    store: RecStore, policy: Policy, damaged: bytes
) -> None:
    session = store.session(damaged, age=9 * DAY)
    backup = store.put(f"{ID}.ndjson.bak", HEAD + ONE + FOOT, 9 * DAY)
    for _ in range(3):
        sweep(store, policy)
    assert (session.read_bytes(), backup.read_bytes()) == (damaged, HEAD + ONE + FOOT)


def test_w18_session_under_the_name_of_a_temp_file_is_kept_and_told(store: RecStore, policy: Policy) -> None:
    temp = store.put(f"{ID}.ndjson.tmp", HEAD + ONE + FOOT, 9 * DAY)
    run = sweep(store, policy)
    assert "give it that name to have one" in run.summary.problems[0].text
    temp.rename(store.sessions / f"{ID}.ndjson")
    assert store.facts().state is State.COMPLETE


def test_w19_recording_that_is_still_marked_goes_nowhere_before_it_was_recovered(
    store: RecStore, tmp_path: Path
) -> None:
    session = store.session(HEAD + ONE, age=60 * DAY)
    store.recording(age=60 * DAY)
    store.lock(age=60 * DAY)
    for passes in ("  - archive: {older_than: 30d}\n", "  - prune: {older_than: 30d}\n"):
        assert sweep(store, rules(tmp_path, passes)).summary.done == {}
    assert session.read_bytes() == HEAD + ONE
    both = "  - stale-locks: {idle_for: 24h}\n  - recover: {idle_for: 24h}\n"
    assert done(store, rules(tmp_path, both))["recover"] == 1
    assert os.listdir(store.state) == []


def test_backup_of_a_failed_rename_is_kept_while_its_session_is_damaged(
    store: RecStore, policy: Policy
) -> None:
    store.session(HEAD + ONE[:-9], age=HOUR * 30)
    backup = store.put(f"{ID}.ndjson.bak", HEAD + ONE + FOOT, 9 * DAY)
    sweep(store, policy)
    assert backup.exists()


def test_empty_store_is_swept_without_a_word(store: RecStore, policy: Policy) -> None:
    run = sweep(store, policy)
    assert (run.summary.sessions, run.summary.problems, run.summary.planned.total()) == (0, [], 0)
