"""The weaknesses of opendev that its notes number O1 to O19, and what is done about each that this layout can answer.

Not here: O11 (file modes) and O16 (no retention) are for policies, O12 is for the kind of crash snapshots, O18 and O19
concern agent teams and the hashes of paths, which nothing of ours reads.
"""

import os
from pathlib import Path

import pytest
from opendev_world import (
    BEGAN,
    DAY,
    ENDED,
    HOUR,
    ID,
    NOW,
    OTHER,
    RECORD,
    TALK,
    OpendevStore,
    member_paths,
    replayed,
)

from store.facts import Owner, State
from store.layouts.opendev import LAYOUT
from store.layouts.opendev.specimens import PROJECT, added, created, entry, index, payload, record

CREATED = created(ID, BEGAN)
SAID = added(ID, 2, "user", "add a retry", BEGAN + 5)
KEPT, COMPARE = "the temp file is kept, because", "compare the two and remove"
LOCK = f"{PROJECT}/memory/.consolidation.lock"


@pytest.fixture
def store(tmp_path: Path) -> OpendevStore:
    return OpendevStore(tmp_path)


def test_o1_session_that_crashed_before_its_first_save_is_found_and_made_whole(store: OpendevStore) -> None:
    store.session(events=CREATED + SAID)
    assert store.facts().state is State.CRASHED
    store.mend()
    assert store.facts().state is State.RECOVERED


def test_o2_lock_files_are_litter_because_they_hold_nobody_out(store: OpendevStore) -> None:
    store.session()
    store.put(f"{PROJECT}/sessions-index.json", index(entry(ID, BEGAN, ENDED)))
    locks = [f"{PROJECT}/{ID}.events.jsonl.lock", f"{PROJECT}/sessions-index.json.lock"]
    for lock in locks:
        store.put(lock)
    assert store.litter() == locks
    assert store.facts().state is State.COMPLETE


def test_o3_session_that_two_writers_dropped_from_the_list_is_listed_again(store: OpendevStore) -> None:
    store.session()
    store.put(f"{PROJECT}/sessions-index.json", index())
    assert store.damage() == ["1 session is missing from it"]
    assert [each["sessionId"] for each in store.reindex(all_=True)] == [ID]


def test_o4_both_places_are_stores_and_none_is_made(tmp_path: Path) -> None:
    roots = LAYOUT.default_roots({}, str(tmp_path), "linux")
    assert len(roots) == 2
    assert os.listdir(tmp_path) == []


def test_o5_project_whose_folder_is_gone_keeps_its_sessions(store: OpendevStore) -> None:
    store.session()
    store.put(f"{PROJECT}/OPENDEV_PROJECT_PATH", b"/not/mounted")
    assert store.facts().state is State.COMPLETE


def test_o6_two_projects_in_one_folder_are_told_apart_by_their_records(store: OpendevStore) -> None:
    store.put(f"{PROJECT}/OPENDEV_PROJECT_PATH", b"/home/ana/app")
    store.session()
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED, working_directory="/home/ana-app"), jsonl=TALK)
    assert {each.project for each in store.sessions().values()} == {"/home/ana/app", "/home/ana-app"}


def test_o7_project_whose_last_session_goes_keeps_an_index_and_with_it_its_memory(
    store: OpendevStore,
) -> None:
    store.put(f"{PROJECT}/memory/MEMORY.md", b"# Memory")
    assert store.reindexed(ID) is not None
    assert not LAYOUT.knows("data", f"{PROJECT}/memory/MEMORY.md")


def test_o8_folder_with_nothing_but_its_marker_is_not_ours_to_judge(store: OpendevStore) -> None:
    store.put(f"{PROJECT}/OPENDEV_PROJECT_PATH", b"/home/ana/app")
    listing = store.listing()
    assert (listing.entries, listing.leftovers, listing.indexes, listing.problems) == ([], [], [], [])
    assert not LAYOUT.owns_folder("data", PROJECT)


def test_o9_what_a_delete_forgets_goes_with_its_session_or_is_found_behind_it(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK, events=CREATED, debug=payload(BEGAN))
    store.put(f"file-history/{ID}/manifest.json", b"{}")
    assert len(store.facts().members) == 5
    for kind in ("json", "jsonl", "events.jsonl", "debug"):
        os.remove(store.project / f"{ID}.{kind}")
    assert store.litter() == []
    store.put(f"file-history/{ID}/manifest.json", b"{}", age=30 * DAY + HOUR)
    assert store.litter() == [f"file-history/{ID}"]


def test_o9_payloads_alone_are_told_and_no_litter(store: OpendevStore) -> None:
    store.session(debug=payload(BEGAN))
    store.put(f"file-history/{ID}/manifest.json", b"{}", age=40 * DAY)
    found = store.facts()
    assert (found.state, found.empty, found.payload, len(found.members)) == (State.CORRUPT, None, (), 2)
    assert found.evidence == (
        "only its payloads are left: it crashed before its first save, or its delete was interrupted"
    )
    assert store.litter() == []
    assert store.refusal() == "nothing of it can be made whole"


def test_o9_children_of_a_session_that_is_gone_age_by_themselves(store: OpendevStore) -> None:
    store.session(json=record(ID, BEGAN, ENDED, parent_id=OTHER), jsonl=TALK)
    assert store.facts().parent is None


def test_o9_event_log_that_a_delete_forgot_does_not_bring_its_session_back(store: OpendevStore) -> None:
    store.session(events=CREATED + added(ID, 2, "assistant", "Done.", BEGAN))
    assert store.facts().state is State.UNKNOWN


def test_o10_record_and_transcript_of_different_saves_are_a_session(store: OpendevStore) -> None:
    store.session(json=record(ID, BEGAN, ENDED + HOUR), jsonl=TALK)
    assert store.facts().state is State.COMPLETE


def test_o10_newest_words_in_a_temp_file_alone_are_no_litter(store: OpendevStore) -> None:
    store.session()
    store.put(f"{PROJECT}/.{ID}.jsonl.tmp", TALK + TALK)
    store.session(id_=OTHER, jsonl=b"")
    os.remove(store.project / f"{OTHER}.jsonl")
    store.put(f"{PROJECT}/.{OTHER}.jsonl.tmp", TALK)
    assert store.litter() == []
    assert store.problems() == [
        f"{PROJECT}/.{ID}.jsonl.tmp: {KEPT} it may hold more of session {ID} than its transcript: {COMPARE} one",
        f"{PROJECT}/.{OTHER}.jsonl.tmp: {KEPT} session {OTHER} has no transcript but this",
    ]


def test_o10_words_that_a_killed_first_save_left_in_its_temp_file_become_its_transcript(
    store: OpendevStore,
) -> None:
    store.session(json=RECORD)
    store.put(f"{PROJECT}/.{ID}.jsonl.tmp", TALK)
    assert store.facts().empty is False
    store.mend()
    assert (store.facts().state, (store.project / f"{ID}.jsonl").read_bytes()) == (State.COMPLETE, TALK)


@pytest.mark.parametrize("broken", [b"", b"{", None])
def test_o10_temp_file_of_a_record_that_is_damaged_or_missing_is_kept(
    store: OpendevStore, broken: bytes | None
) -> None:
    store.session({} if broken is None else {"json": broken}, jsonl=TALK)
    store.put(f"{PROJECT}/.{ID}.json.tmp", RECORD)
    assert store.litter() == []
    assert "is missing or damaged: compare the two and remove one" in store.problems()[0]


def test_o10_temp_file_beside_a_session_that_was_recovered_without_it_is_kept(store: OpendevStore) -> None:
    store.session(events=CREATED + SAID)
    names = [f"{PROJECT}/.{ID}.json.tmp", f"{PROJECT}/.{ID}.jsonl.tmp"]
    for name in names:
        store.put(name, RECORD[:20])
    store.mend()
    assert store.litter() == []
    assert store.problems() == [
        f"{name}: {KEPT} session {ID} was recovered without it: {COMPARE} it" for name in names
    ]


def test_o10_temp_file_of_a_record_with_messages_in_it_is_kept(store: OpendevStore) -> None:
    store.session()
    store.put(f"{PROJECT}/.{ID}.json.tmp", record(ID, BEGAN, ENDED, messages=[{"role": "user"}]))
    assert store.litter() == []
    assert "it holds messages of session" in store.problems()[0]


def test_o10_temp_files_of_saves_that_went_through_later_are_litter(store: OpendevStore) -> None:
    store.session()
    names = [f".{ID}.json.tmp", f".{ID}.jsonl.tmp", ".sessions-index-tmp.json"]
    for name in names:
        store.put(f"{PROJECT}/{name}", b"{")
    store.put(f"{PROJECT}/.{OTHER}.json.tmp", b"")
    assert sorted(store.litter()) == sorted(f"{PROJECT}/{name}" for name in (*names, f".{OTHER}.json.tmp"))


def test_o13_lock_on_a_memory_is_stale_when_lock_and_memory_are_silent(store: OpendevStore) -> None:
    store.put(LOCK, b"locked", age=9 * DAY)
    store.put(f"{PROJECT}/memory/MEMORY.md", b"# Memory", age=3 * DAY)
    (lock,) = store.listing().locks
    assert (lock.id, lock.owner, lock.last_changed) == (LOCK, Owner.GONE, NOW - 3 * DAY)
    assert lock.evidence == "it names no process, and only silence tells that its owner is gone"


def test_o13_lock_on_a_memory_that_says_something_else_is_not_understood(store: OpendevStore) -> None:
    store.put(LOCK, b"4711 on build01")
    (lock,) = store.listing().locks
    assert lock.owner is Owner.UNKNOWN


def test_o13_temp_file_of_a_memory_is_litter_only_beside_that_memory(store: OpendevStore) -> None:
    tmp = f"{PROJECT}/memory/MEMORY.md.tmp"
    store.put(tmp, b"# Mem")
    assert store.litter() == []
    store.put(f"{PROJECT}/memory/MEMORY.md", b"# Memory")
    assert store.litter() == [tmp]


@pytest.mark.parametrize("id_", ["../../x", "/etc/passwd", "a/b", "..", ".", "", "a\nb", "a" * 300])
def test_o14_id_of_a_model_does_not_lead_out_of_its_folder(store: OpendevStore, id_: str) -> None:
    store.session(json=record(ID, BEGAN, ENDED, id=id_, parent_id=id_), jsonl=TALK)
    found = store.facts()
    assert (found.state, found.parent) == (State.UNKNOWN, None)
    assert found.evidence.isprintable()
    assert not LAYOUT.knows("data", f"{PROJECT}/{id_}/../{ID}.json")


def test_o15_log_is_numbered_on_from_its_highest_number(store: OpendevStore) -> None:
    again = added(ID, 1, "user", "after a torn line the numbers began anew", BEGAN + 9)
    store.session(events=CREATED + SAID + added(ID, 3, "user", "x", BEGAN) + again + SAID[:50])
    written = store.mended()[f"{PROJECT}/{ID}.events.jsonl"]
    assert [each["seq"] for each in replayed(written)] == [1, 2, 3, 1, 4, 5]


def test_o15_torn_tail_goes_and_nothing_is_numbered_for_a_session_with_a_record(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK, events=CREATED + SAID + b"{")
    (written,) = store.mended().values()
    assert [each["seq"] for each in replayed(written)] == [1, 2]


def test_o15_recovered_log_ends_in_a_line_short_enough_to_be_counted_on_from(store: OpendevStore) -> None:
    store.session(events=CREATED + added(ID, 7, "user", "x" * 9000, BEGAN) + b"{")
    last = store.mended()[f"{PROJECT}/{ID}.events.jsonl"].split(b"\n")[-2]
    assert len(last) < 4096
    assert replayed(last)[0]["seq"] == 9


def test_o16_payloads_can_be_told_from_the_session(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK, debug=payload(BEGAN) * 1000)
    assert member_paths(store.facts().payload) == [f"{PROJECT}/{ID}.debug"]


def test_o17_process_id_of_a_remote_that_is_gone_is_a_stale_lock(store: OpendevStore) -> None:
    for name, pid in (
        ("remote-00d1f6a2b3c4e5f6.pid", "4000000000"),
        ("remote-11d1f6a2b3c4e5f6.pid", str(os.getpid())),
    ):
        (store.remote / name).write_bytes(pid.encode())
    (store.remote / "notes.pid").write_bytes(b"1")
    store.now += 10 * 365 * DAY
    assert [(lock.id, lock.owner, lock.members[0].root) for lock in store.listing().locks] == [
        ("remote-00d1f6a2b3c4e5f6.pid", Owner.GONE, "tmp"),
        ("remote-11d1f6a2b3c4e5f6.pid", Owner.HOLDS, "tmp"),
    ]


def test_o17_folder_of_remotes_that_is_a_link_is_left_alone(store: OpendevStore, tmp_path: Path) -> None:
    store.remote.rename(tmp_path / "elsewhere")
    store.remote.symlink_to(tmp_path / "elsewhere")
    (store.remote / "remote-00d1f6a2b3c4e5f6.pid").write_bytes(b"4000000000")
    listing = store.listing()
    assert listing.locks == []
    assert [each.text for each in listing.problems] == [
        "expected the folder of the remote control, but it is a symbolic link; left alone"
    ]


def test_o17_missing_folder_of_remotes_holds_no_locks(store: OpendevStore) -> None:
    store.remote.rmdir()
    assert store.listing().locks == []
