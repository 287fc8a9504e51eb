"""What the recorder's state folder makes of a session: live or crashed, and what of its files may go."""

import os
import time
from pathlib import Path

import psutil
import pytest
from rec_world import BEGAN, DAY, DEAD, FOOT, HEAD, HOUR, ID, NOW, ONE, OTHER, TORN, RecStore

from store.facts import Lock, Owner, Place, State
from store.layouts.rec.specimens import header


@pytest.fixture
def store(tmp_path: Path) -> RecStore:
    return RecStore(tmp_path)


def locks(store: RecStore) -> dict[str, Lock]:
    return {lock.id: lock for lock in store.listing().locks}


def state_of(store: RecStore, id_: str = ID) -> State:
    return store.facts(id_).state


# Which session is meant.


def test_session_is_found_by_its_path_though_the_ids_differ(store: RecStore) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.recording(age=HOUR)
    assert state_of(store) is State.LIVE
    assert locks(store)["recording.json"].session == ID


def test_session_of_a_moved_store_is_found_by_the_last_part_of_its_path(store: RecStore) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.recording(age=HOUR, session_path=f"/home/elsewhere/sessions/{ID}.ndjson")
    assert state_of(store) is State.LIVE


def test_session_is_found_by_its_id_where_that_is_right(store: RecStore) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.recording(age=HOUR, id=ID, session_path="/elsewhere/x.ndjson", name="other")
    assert state_of(store) is State.LIVE


def test_session_is_found_by_name_and_start_where_the_path_leads_nowhere(store: RecStore) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.recording(age=HOUR, session_path=f"/elsewhere/{OTHER}.ndjson")
    assert state_of(store) is State.LIVE


@pytest.mark.parametrize("fields", [{"name": "other"}, {"started_at": BEGAN - 1}, {"started_at": BEGAN + 60}])
def test_session_of_another_name_or_start_is_not_meant(store: RecStore, fields: dict[str, object]) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.recording(age=HOUR, session_path=f"/elsewhere/{OTHER}.ndjson", **fields)
    assert state_of(store) is State.CRASHED


def test_session_renamed_while_it_is_recorded_is_still_meant(store: RecStore) -> None:
    store.session(header(ID, "renamed", BEGAN) + ONE, age=HOUR)
    store.recording(age=HOUR)
    assert state_of(store) is State.LIVE


def test_other_sessions_are_not_live_because_one_is(store: RecStore) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.session(header(OTHER, "other", BEGAN) + ONE, age=HOUR, id_=OTHER)
    store.recording(age=HOUR)
    assert (state_of(store), state_of(store, OTHER)) == (State.LIVE, State.CRASHED)


def test_session_with_a_footer_is_complete_though_the_state_was_left(store: RecStore) -> None:
    store.session(HEAD + ONE + FOOT, age=HOUR)
    store.recording(age=HOUR)
    assert state_of(store) is State.COMPLETE


@pytest.mark.parametrize(
    "path", ["", "/", "..", f"../{ID}.ndjson/..", f"{ID}.ndjson\0", "/\0", "\ud7ff" * 9000]
)
def test_hostile_path_points_at_nothing(store: RecStore, path: str) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.recording(age=HOUR, session_path=path, name="other")
    assert state_of(store) is State.CRASHED
    assert locks(store)["recording.json"].session is None


# Live, or crashed.


def test_recording_that_was_active_lately_is_live_though_its_process_is_gone(store: RecStore) -> None:
    store.session(HEAD + ONE, age=DAY - 1)
    store.recording()
    store.lock()
    assert state_of(store) is State.LIVE
    assert locks(store)["recording.lock"].owner is Owner.GONE


def test_recording_silent_beyond_the_grace_has_crashed(store: RecStore) -> None:
    store.session(HEAD + ONE, age=DAY + 1)
    store.recording(age=DAY + 1)
    store.lock(age=DAY + 1)
    found = store.facts()
    assert found.state is State.CRASHED
    assert "silent" in found.evidence


@pytest.mark.parametrize("what", ["session", "recording", "lock", "pending"])
def test_any_file_of_a_recording_is_a_sign_of_life(store: RecStore, what: str) -> None:
    ages = dict.fromkeys(("recording", "lock", "pending"), 2 * DAY) | {what: HOUR}
    store.session(HEAD + ONE, age=ages.get("session", 2 * DAY))
    store.recording(age=ages["recording"])
    store.lock(age=ages["lock"])
    store.pending(age=ages["pending"])
    found = store.facts()
    assert (found.state, found.last_changed) == (State.LIVE, NOW - HOUR)


def test_session_without_any_state_has_crashed_however_young(store: RecStore) -> None:
    # What `rec list` leaves of a recording; how young it may be taken is for the policy's idle_for.
    store.session(HEAD + ONE, age=1)
    assert state_of(store) is State.CRASHED


@pytest.mark.skipif(not os.path.exists("/proc/sys/fs/leases-enable"), reason="the kernel knows no leases")
def test_session_open_for_writing_is_live_without_any_state(store: RecStore) -> None:
    path = store.session(HEAD + ONE, age=9 * DAY)
    with path.open("ab"):
        found = store.facts()
        assert (found.state, found.evidence) == (State.LIVE, "a process has it open for writing")
    assert state_of(store) is State.CRASHED


def test_reading_a_session_keeps_nobody_from_writing_it(store: RecStore) -> None:
    path = store.session(HEAD + ONE)
    with path.open("rb"):
        assert state_of(store) is State.CRASHED
    with path.open("ab") as file:
        file.write(FOOT)
    assert state_of(store) is State.COMPLETE


def test_file_without_header_is_live_while_it_is_recorded(store: RecStore) -> None:
    # The session was deleted by hand, and rec went on appending.
    store.session(ONE, age=HOUR)
    store.recording(age=HOUR)
    assert state_of(store) is State.LIVE


def test_file_without_header_is_corrupt_once_its_recording_fell_silent(store: RecStore) -> None:
    store.session(ONE)
    store.recording()
    assert state_of(store) is State.CORRUPT


def test_torn_recording_is_live_while_it_is_active(store: RecStore) -> None:
    store.session(HEAD + TORN, age=HOUR)
    store.recording(age=HOUR)
    assert state_of(store) is State.LIVE


# The process in the lock.


def test_lock_of_a_running_process_keeps_a_silent_recording_alive(store: RecStore) -> None:
    store.session(HEAD + ONE)
    store.recording()
    now = int(time.time())
    os.utime(store.lock(str(os.getpid()).encode()), (now, now))
    assert state_of(store) is State.LIVE
    assert locks(store)["recording.lock"].owner is Owner.HOLDS


def test_lock_whose_number_was_given_to_a_later_process_is_nobodys(store: RecStore) -> None:
    store.session(HEAD + ONE)
    store.recording(pid=os.getpid())
    store.lock(str(os.getpid()).encode())
    assert psutil.Process().create_time() > NOW - 2 * DAY
    assert state_of(store) is State.CRASHED
    assert {lock.owner for lock in locks(store).values()} == {Owner.GONE}


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"0", b"4294967295", b"-1", b"4000000000", b"\xff\xfe", b"1e3", b"9" * 5000]
)
def test_lock_that_names_no_process_is_nobodys(store: RecStore, content: bytes) -> None:
    store.session(HEAD + ONE)
    store.recording()
    store.lock(content)
    assert state_of(store) is State.CRASHED
    assert {lock.owner for lock in locks(store).values()} == {Owner.GONE}


@pytest.mark.parametrize("text", ["+%d", "000%d", " %d\n"])
def test_number_is_read_as_rec_reads_it(store: RecStore, text: str) -> None:
    now = int(time.time())
    os.utime(store.lock((text % os.getpid()).encode()), (now, now))
    assert locks(store)["recording.lock"].owner is Owner.HOLDS


def test_state_without_a_lock_names_its_own_process(store: RecStore) -> None:
    store.session(HEAD + ONE)
    now = int(time.time())
    os.utime(store.recording(pid=os.getpid()), (now, now))
    assert locks(store)["recording.json"].owner is Owner.HOLDS


# State that cannot be understood: any session without a footer may be the one.


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"pid":1}', b" " * (1 << 17)]
)
def test_corrupt_state_makes_every_unfinished_session_live_for_a_while(
    store: RecStore, content: bytes
) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.session(header(OTHER, "other", BEGAN) + ONE + FOOT, age=HOUR, id_=OTHER)
    state = store.put("recording.json", content, HOUR, within=store.state)
    assert (state_of(store), state_of(store, OTHER)) == (State.LIVE, State.COMPLETE)
    os.utime(state, (NOW - 2 * DAY, NOW - 2 * DAY))
    store.session(HEAD + ONE)
    assert state_of(store) is State.CRASHED


def test_lock_alone_makes_every_unfinished_session_live_for_a_while(store: RecStore) -> None:
    store.session(HEAD + ONE)
    store.lock(age=HOUR)
    assert state_of(store) is State.LIVE


def test_waiting_command_alone_makes_nothing_live(store: RecStore) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.pending(age=1)
    assert state_of(store) is State.CRASHED
    (lock,) = store.listing().locks
    assert (lock.id, lock.owner, lock.guard, lock.session) == ("pending.json", Owner.GONE, None, None)


def test_missing_state_folder_means_that_nothing_is_recorded(store: RecStore) -> None:
    store.session(HEAD + ONE, age=1)
    store.state.rmdir()
    assert state_of(store) is State.CRASHED
    assert (store.listing().locks, store.problems()) == ([], [])


def test_state_folder_that_nobody_knows_makes_young_sessions_live(store: RecStore) -> None:
    place = Place(
        "rec", "rec", {label: path for label, path in store.place.roots.items() if label != "state"}
    )
    store.session(HEAD + ONE, age=HOUR)
    assert store.facts(place=place).state is State.LIVE
    store.session(HEAD + ONE)
    assert store.facts(place=place).state is State.CRASHED


def test_state_folder_that_is_none_makes_every_unfinished_session_live(store: RecStore) -> None:
    store.session(HEAD + ONE, age=99 * DAY)
    store.state.rmdir()
    store.state.write_bytes(b"")
    assert state_of(store) is State.LIVE
    (problem,) = store.listing().problems
    assert problem.grave


@pytest.mark.parametrize("name", ["recording.lock", "recording.json"])
@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_state_file_that_is_none_makes_every_unfinished_session_live(
    store: RecStore, name: str, kind: str
) -> None:
    store.session(HEAD + ONE, age=99 * DAY)
    path = store.state / name
    match kind:
        case "link":
            path.symlink_to("/etc/hostname")
        case "folder":
            path.mkdir()
        case _:
            os.mkfifo(path)
    assert state_of(store) is State.LIVE
    assert name in store.problems()[0]
    assert store.listing().locks == []


def test_session_that_is_meant_is_live_while_the_lock_cannot_be_read(store: RecStore) -> None:
    store.session(HEAD + ONE)
    store.session(header(OTHER, "other", BEGAN) + ONE, id_=OTHER)
    store.recording()
    (store.state / "recording.lock").mkdir()
    assert (state_of(store), state_of(store, OTHER)) == (State.LIVE, State.CRASHED)
    assert {lock.owner for lock in locks(store).values()} == {Owner.UNKNOWN}


def test_every_unfinished_session_is_live_while_only_the_waiting_command_can_be_read(store: RecStore) -> None:
    store.session(HEAD + ONE)
    store.pending()
    (store.state / "recording.json").symlink_to("/etc/hostname")
    assert state_of(store) is State.LIVE
    assert {lock.owner for lock in locks(store).values()} == {Owner.UNKNOWN}


# The files of the recorder as things that may go.


def test_locks_know_their_session_their_guard_and_their_order(store: RecStore) -> None:
    store.session(HEAD + ONE, age=3 * DAY)
    store.pending()
    store.recording()
    store.lock()
    found = sorted(store.listing().locks, key=lambda lock: lock.order)
    assert [lock.id for lock in found] == ["pending.json", "recording.json", "recording.lock"]
    assert {lock.session for lock in found} == {ID}
    assert {lock.guard for lock in found} == {found[-1].members[0]}
    assert {lock.last_changed for lock in found} == {NOW - 2 * DAY}


def test_locks_of_an_active_recording_are_as_young_as_its_session(store: RecStore) -> None:
    store.session(HEAD + ONE, age=HOUR)
    store.recording(age=9 * DAY)
    store.lock(age=9 * DAY)
    assert {lock.last_changed for lock in store.listing().locks} == {NOW - HOUR}


def test_locks_of_a_recording_in_another_store_are_as_young_as_that_session(
    store: RecStore, tmp_path: Path
) -> None:
    # Two stores of one user share his state folder, and cron may see the one that is not recorded to.
    there = tmp_path / "other/sessions"
    there.mkdir(parents=True)
    path = store.put(f"{OTHER}.ndjson", header(OTHER, "other", BEGAN) + ONE, HOUR, within=there)
    store.recording(age=9 * DAY, session_path=str(path))
    store.lock(age=9 * DAY)
    assert {lock.last_changed for lock in store.listing().locks} == {NOW - HOUR}


def test_other_files_in_the_state_folder_are_not_ours_to_know(store: RecStore) -> None:
    store.put("recording.lock.old", str(DEAD).encode(), within=store.state)
    store.put("history.db", b"x", within=store.state)
    assert (store.listing().locks, store.problems()) == ([], [])


def test_crashed_session_that_is_still_marked_says_so_as_a_fact(store: RecStore) -> None:
    store.session(HEAD + ONE)
    assert not store.facts().recording
    store.recording()
    store.lock()
    assert (store.facts().state, store.facts().recording) == (State.CRASHED, True)
    store.session(HEAD + ONE + FOOT)
    assert not store.facts().recording
