"""What the layout makes of the files of one session: sections 2 to 4 and 7 of the format's notes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from opendev_world import (
    ANSWERED,
    ASKED,
    BEGAN,
    DAY,
    ENDED,
    HOUR,
    ID,
    NOW,
    OTHER,
    RECORD,
    TALK,
    TORN,
    OpendevStore,
    member_paths,
    suffixes,
)

from store.facts import Session, State
from store.layouts.opendev import LAYOUT
from store.layouts.opendev.specimens import (
    GLOBAL,
    PROJECT,
    added,
    created,
    event,
    message,
    payload,
    record,
    transcript,
)


@pytest.fixture
def store(tmp_path: Path) -> OpendevStore:
    return OpendevStore(tmp_path)


def state_of(store: OpendevStore, **files: bytes) -> tuple[State, bool | None]:
    """The verdict and the emptiness of a session of these files."""
    store.session(files)
    found = store.facts()
    return found.state, found.empty


def with_fields(**more: Any) -> bytes:
    return record(ID, BEGAN, ENDED, **more)


CREATED = created(ID, BEGAN)
SAID = added(ID, 2, "user", "hello", BEGAN + 5)
ANSWER = added(ID, 3, "assistant", "Done.", BEGAN + 60)
COMPLETE_EMPTY = {"json": with_fields(metadata={}), "jsonl": b""}


def test_complete_session_gives_all_its_facts(store: OpendevStore) -> None:
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=TALK)
    store.session(
        json=with_fields(metadata={"title": "retry", "tags": ["a", 1, "b"]}, parent_id=OTHER), jsonl=TALK
    )
    found = store.facts()
    assert (found.id, found.name, found.tags, found.project) == (ID, "retry", ("a", "b"), "/home/ana/app")
    assert (found.state, found.has_footer, found.records, found.empty) == (State.COMPLETE, True, 2, False)
    assert (found.started_at, found.ended_at, found.ended) == (BEGAN, ENDED, ENDED)
    assert (found.last_changed, found.parent) == (NOW - 2 * DAY, OTHER)
    assert (found.path, found.members[0].root) == (f"{PROJECT}/{ID}.json", "data")


def test_all_files_of_a_session_are_its_members_the_record_first_and_the_payloads_its_payload(
    store: OpendevStore,
) -> None:
    store.session(debug=payload(BEGAN), events=CREATED, json=RECORD, jsonl=TALK)
    store.put(f"file-history/{ID}/manifest.json", b"{}")
    store.put(f"file-history/{ID}/00d1f6a2b3c4e5f6@v2", b"x", age=DAY + HOUR)
    store.put(f"file-history/{ID}/notes.txt", b"mine")
    found = store.facts()
    assert suffixes(found)[:4] == ["json", "jsonl", "events.jsonl", "debug"]
    assert member_paths(found.members[4:]) == [
        f"file-history/{ID}/00d1f6a2b3c4e5f6@v2",
        f"file-history/{ID}/manifest.json",
    ]
    assert member_paths(found.payload) == [f"{PROJECT}/{ID}.debug"]
    assert found.last_changed == NOW - DAY - HOUR
    assert found.bytes == sum((store.data / path).stat().st_size for path in member_paths(found.members))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-06-15T10:30:00Z", 1718447400.0),
        ("2024-06-15T10:30:00+00:00", 1718447400.0),
        ("2024-06-15T12:30:00.5+02:00", 1718447400.5),
        ("2024-06-15T10:30:00", 1718447400.0),
        ("2024-06-15T10:30:00.123456789+00:00", 1718447400.123456),
    ],
)
def test_times_are_read_in_every_form_that_opendev_reads(
    store: OpendevStore, text: str, seconds: float
) -> None:
    store.session(json=with_fields(created_at=text, updated_at=text), jsonl=TALK)
    found = store.facts()
    assert found.started_at == found.ended_at == seconds


@pytest.mark.parametrize("text", ["yesterday", "", "2024-13-01T00:00:00Z", "9" * 5000])
def test_session_with_a_time_that_opendev_cannot_read_is_unknown(store: OpendevStore, text: str) -> None:
    store.session(json=with_fields(updated_at=text), jsonl=TALK)
    assert store.facts().state is State.UNKNOWN


def test_json_with_an_id_and_nothing_else_of_a_session_is_nobodys_empty_session(store: OpendevStore) -> None:
    store.session({"json": b'{"id": "%s", "rows": [1, 2]}' % ID.encode()})
    assert store.facts().state is State.UNKNOWN


def test_session_without_times_counts_from_when_it_changed(store: OpendevStore) -> None:
    store.session(json=with_fields(created_at=None, updated_at=None), jsonl=TALK)
    found = store.facts()
    assert (found.state, found.ended) == (State.COMPLETE, NOW - 2 * DAY)


def test_project_comes_from_the_marker_where_the_record_has_none(store: OpendevStore) -> None:
    store.session(json=with_fields(working_directory=None), jsonl=TALK)
    store.put(f"{PROJECT}/OPENDEV_PROJECT_PATH", b"/home/ana/elsewhere")
    assert store.facts().project == "/home/ana/elsewhere"


def test_project_without_a_marker_is_read(store: OpendevStore) -> None:
    store.session(json=with_fields(working_directory=None), jsonl=TALK)
    found = store.facts()
    assert (found.state, found.project) == (State.COMPLETE, None)


def test_session_of_the_oldest_form_counts_the_messages_of_its_record(store: OpendevStore) -> None:
    store.session(json=with_fields(messages=[ASKED, ANSWERED, ASKED]))
    found = store.facts()
    assert (found.state, found.records, found.empty) == (State.COMPLETE, 3, False)


def test_transcript_without_a_message_leaves_those_of_the_record(store: OpendevStore) -> None:
    store.session(json=with_fields(messages=[ASKED]), jsonl=b"\n")
    assert store.facts().records == 1


def test_record_with_an_unknown_key_is_read(store: OpendevStore) -> None:
    assert state_of(store, json=with_fields(playbook={"a": [1]}, later=None), jsonl=TALK) == (
        State.COMPLETE,
        False,
    )


def test_long_transcript_is_not_counted(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK * 100)
    found = store.facts()
    assert (found.state, found.records, found.empty) == (State.COMPLETE, None, False)


def test_bad_line_in_the_middle_of_a_transcript_is_passed_over(store: OpendevStore) -> None:
    assert state_of(store, json=RECORD, jsonl=TALK + b"garbage\n" + TALK) == (State.COMPLETE, False)


def test_last_line_that_lacks_only_its_newline_is_whole(store: OpendevStore) -> None:
    assert state_of(store, json=RECORD, jsonl=TALK[:-1]) == (State.COMPLETE, False)


# Running or not.


def test_session_of_which_any_file_changed_within_the_grace_counts_as_living(store: OpendevStore) -> None:
    store.session()
    store.put(f"file-history/{ID}/manifest.json", b"{}", age=DAY - 60)
    found = store.facts()
    assert found.state is State.LIVE
    assert "no process id" in found.evidence


def test_session_is_over_when_it_is_silent_for_longer_than_the_grace(store: OpendevStore) -> None:
    store.session(age=DAY + 1)
    assert store.facts().state is State.COMPLETE
    assert store.facts(grace=2 * DAY).state is State.LIVE


def test_session_from_the_future_counts_as_living(store: OpendevStore) -> None:
    store.session(age=-DAY)
    assert store.facts().state is State.LIVE


def test_torn_file_that_a_process_has_open_for_writing_is_alive(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK + TORN)
    with (store.project / f"{ID}.jsonl").open("ab"):
        assert store.facts().state is State.LIVE
    assert store.facts().state is State.CRASHED


def test_lonely_log_that_a_process_has_open_for_writing_is_alive(store: OpendevStore) -> None:
    store.session(events=CREATED)
    with (store.project / f"{ID}.events.jsonl").open("ab"):
        assert store.facts().state is State.LIVE


# Crashed.


@pytest.mark.parametrize("tail", [TORN, bytes(512), b'{"a":1}\0\0', b"\xff", b"[" * 5000])
def test_torn_tail_of_a_transcript_is_a_crash(store: OpendevStore, tail: bytes) -> None:
    store.session(json=RECORD, jsonl=TALK + tail)
    found = store.facts()
    assert (found.state, found.empty, found.records) == (State.CRASHED, False, 2)
    assert found.evidence == f"its transcript ends in {len(tail)} bytes that are no complete line"
    assert suffixes(found)[:2] == ["json", "jsonl"]


def test_torn_tail_of_an_event_log_is_a_crash(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK, events=CREATED + SAID[:90], debug=b"")
    found = store.facts()
    assert (found.state, found.mendable) == (State.CRASHED, True)
    assert suffixes(found) == ["json", "events.jsonl", "jsonl", "debug"]


@pytest.mark.parametrize("kind", ["jsonl", "events"])
@pytest.mark.parametrize("tail", [TORN, bytes(300), b"\n\n" + TORN, b"\xff"])
def test_file_without_a_whole_line_crashed_but_cannot_be_mended(
    store: OpendevStore, kind: str, tail: bytes
) -> None:
    store.session({"json": RECORD, "jsonl": TALK} | {kind: tail})
    found = store.facts()
    assert (found.state, found.mendable, found.empty) == (State.CRASHED, False, False)
    assert f"is nothing but {len(tail.lstrip())} bytes that are no complete line" in found.evidence
    assert store.refusal() == "there is no whole line in it"


def test_half_an_event_that_is_all_that_was_said_stays(store: OpendevStore) -> None:
    # Without it the session would be empty, and nobody would know that it was not.
    store.session(COMPLETE_EMPTY, events=CREATED + SAID[:90])
    found = store.facts()
    assert (found.state, found.empty, found.mendable) == (State.CRASHED, False, False)
    assert found.evidence == (
        "its event log ends in 90 bytes that are no complete line, and that is all that was said in it"
    )


def test_zeros_behind_an_event_log_leave_a_session_as_empty_as_it_was(store: OpendevStore) -> None:
    assert state_of(store, **COMPLETE_EMPTY, events=CREATED + bytes(90)) == (State.CRASHED, True)
    assert state_of(store, **COMPLETE_EMPTY, events=CREATED + SAID + bytes(90)) == (State.CRASHED, False)


# A save that was killed between its two renames.

TMP = f"{PROJECT}/.{ID}.jsonl.tmp"


def test_transcript_that_is_still_a_temp_file_is_a_crash_and_no_litter(store: OpendevStore) -> None:
    store.session(json=with_fields(metadata={}))
    store.put(TMP, TALK, age=DAY + HOUR)
    found = store.facts()
    assert (found.state, found.empty, found.mendable, found.has_footer, found.records) == (
        State.CRASHED,
        False,
        True,
        True,
        2,
    )
    assert found.evidence == "its save was interrupted: what was said stands in a temp file alone"
    assert member_paths(found.members) == [f"{PROJECT}/{ID}.json", TMP]
    assert (found.last_changed, found.bytes) == (
        NOW - DAY - HOUR,
        len(with_fields(metadata={})) + len(TALK),
    )
    assert (store.litter(), store.problems()) == ([], [])


def test_temp_file_of_a_save_that_goes_on_keeps_its_session_alive(store: OpendevStore) -> None:
    store.session(json=with_fields(metadata={}))
    store.put(TMP, TALK)
    with (store.data / TMP).open("ab"):
        assert store.facts().state is State.LIVE
    store.put(TMP, TALK, age=60)
    assert store.facts().state is State.LIVE


def test_empty_transcript_in_the_way_of_a_temp_file_is_told_and_never_empty(store: OpendevStore) -> None:
    store.session(COMPLETE_EMPTY)
    store.put(TMP, TALK)
    found = store.facts()
    assert (found.state, found.empty, found.mendable) == (State.CRASHED, False, False)
    assert found.evidence.endswith("stands in a temp file alone, and its transcript is empty")
    assert suffixes(found)[:2] == ["json", "jsonl"]
    assert TMP in member_paths(found.members)
    assert [each.partition(": ")[0] for each in store.problems()] == [TMP]


@pytest.mark.parametrize("content", [TORN, b"garbage\n", b"{}\n" + TALK, bytes(500), b"\n"])
def test_temp_file_that_begins_with_no_message_is_told_and_its_session_stays(
    store: OpendevStore, content: bytes
) -> None:
    store.session(json=with_fields(metadata={}))
    store.put(TMP, content)
    found = store.facts()
    assert (found.state, found.empty, found.mendable) == (State.CRASHED, False, False)
    assert found.evidence.endswith("in a temp file alone, which begins with no complete message")
    assert [each.partition(": ")[0] for each in store.problems()] == [TMP]
    assert store.litter() == []


def test_record_that_has_its_messages_needs_no_temp_file(store: OpendevStore) -> None:
    store.session(json=with_fields(messages=[ASKED]))
    store.put(TMP, TALK)
    found = store.facts()
    assert (found.state, found.records) == (State.COMPLETE, 1)
    assert [each.partition(": ")[0] for each in store.problems()] == [TMP]


def test_temp_file_without_a_byte_is_litter(store: OpendevStore) -> None:
    store.session(json=with_fields(metadata={}))
    store.put(TMP, b"")
    assert store.litter() == [TMP]
    assert member_paths(store.facts().members)[0] == f"{PROJECT}/{ID}.json"


def test_temp_file_beside_a_transcript_is_none_of_its_sessions_files(store: OpendevStore) -> None:
    store.session()
    store.put(TMP, TALK + TALK, age=60)
    found = store.facts()
    assert (found.state, suffixes(found)) == (State.COMPLETE, ["json", "jsonl"])


def test_temp_file_with_a_line_too_long_to_be_read_is_unknown(store: OpendevStore) -> None:
    store.session(json=with_fields(metadata={}))
    path = store.put(TMP, TALK)
    with path.open("r+b") as file:
        file.truncate(40 << 20)
    os.utime(path, (NOW - 2 * DAY,) * 2)
    assert store.facts().state is State.UNKNOWN
    assert [each.partition(": ")[0] for each in store.problems()][:1] == [TMP]


def test_lonely_log_without_an_answer_crashed_before_the_first_save(store: OpendevStore) -> None:
    store.session(events=CREATED + SAID)
    found = store.facts()
    assert (found.state, found.empty, found.mendable, found.has_footer) == (State.CRASHED, False, True, False)
    assert (found.started_at, found.ended_at, found.ended) == (BEGAN, None, BEGAN + 5)
    assert (found.records, found.project, found.tags) == (1, "/home/ana/app", ())


def test_lonely_log_with_an_answer_was_saved_and_deleted(store: OpendevStore) -> None:
    store.session(events=CREATED + SAID + ANSWER)
    found = store.facts()
    assert (found.state, found.evidence) == (
        State.UNKNOWN,
        "only its event log is left: deleted by its program, or crashed while it saved",
    )


def test_answer_that_waits_for_a_tool_is_no_completed_turn(store: OpendevStore) -> None:
    waiting = [
        {"id": "t", "name": "Bash", "parameters": {}, "timestamp": "2026-01-01T00:00:00Z", "approved": True}
    ]
    log = CREATED + added(ID, 2, "assistant", "", BEGAN + 9, tool_calls=waiting)
    assert state_of(store, events=log) == (State.CRASHED, False)
    done = [waiting[0] | {"error": "interrupted"}]
    store.put(
        f"{PROJECT}/{ID}.events.jsonl", CREATED + added(ID, 2, "assistant", "", BEGAN + 9, tool_calls=done)
    )
    assert store.facts().state is State.UNKNOWN


@pytest.mark.parametrize("type_", ["SessionForked", "SessionUnarchived"])
def test_change_that_is_saved_at_once_was_saved(store: OpendevStore, type_: str) -> None:
    log = CREATED + event(ID, 2, type_, BEGAN, source_session_id=OTHER, fork_point=None)
    assert state_of(store, events=log)[0] is State.UNKNOWN


@pytest.mark.parametrize("beside", [f"{ID}.debug", f".{ID}.json.tmp"])
def test_what_a_delete_would_have_removed_tells_a_crash(store: OpendevStore, beside: str) -> None:
    store.session(events=CREATED + ANSWER)
    store.put(f"{PROJECT}/{beside}", b"x")
    assert store.facts().state is State.CRASHED


def test_half_an_event_was_somebodys_word(store: OpendevStore) -> None:
    assert state_of(store, events=CREATED + SAID[:90]) == (State.CRASHED, False)


def test_zeros_behind_the_first_event_are_nobodys_word(store: OpendevStore) -> None:
    assert state_of(store, events=CREATED + bytes(90)) == (State.CRASHED, True)


def test_log_without_a_byte_is_empty_and_cannot_be_mended(store: OpendevStore) -> None:
    store.session(events=b"")
    found = store.facts()
    assert (found.state, found.empty, found.mendable) == (State.CRASHED, True, False)


def test_lonely_log_of_another_session_is_unknown(store: OpendevStore) -> None:
    store.session(events=created(OTHER, BEGAN))
    assert store.facts().state is State.UNKNOWN


# Recovered, damaged, unknown.


def test_record_that_says_so_is_recovered(store: OpendevStore) -> None:
    assert state_of(store, json=with_fields(metadata={"recovered": True}), jsonl=b"") == (
        State.RECOVERED,
        False,
    )
    assert store.facts().has_footer


@pytest.mark.parametrize(
    "content", [b"", RECORD[:99], bytes(400), b"\xff" + RECORD, RECORD.replace(b"app", b"\xfe")]
)
def test_record_that_is_no_json_is_corrupt(store: OpendevStore, content: bytes) -> None:
    store.session(json=content, jsonl=TALK)
    found = store.facts()
    assert (found.state, found.name, found.has_footer) == (State.CORRUPT, None, False)


def test_transcript_alone_is_corrupt(store: OpendevStore) -> None:
    store.session(jsonl=TALK, events=CREATED)
    found = store.facts()
    assert (found.state, found.evidence) == (
        State.CORRUPT,
        "its record is gone, only its transcript is left: an interrupted delete",
    )


@pytest.mark.parametrize(
    ("content", "evidence"),
    [
        (b"{}", "its record carries no id: to opendev it is a new session each time"),
        (record(OTHER, BEGAN, ENDED), f"its record is of another session, {OTHER}"),
        (b"[]", "its record is JSON, but none that opendev could read"),
        (with_fields(messages={}), "its record is JSON, but none that opendev could read"),
        (with_fields(created_at=5), "its record is JSON, but none that opendev could read"),
    ],
)
def test_record_that_is_not_what_it_should_be_is_unknown(
    store: OpendevStore, content: bytes, evidence: str
) -> None:
    store.session(json=content, jsonl=TALK)
    found = store.facts()
    assert (found.state, found.evidence) == (State.UNKNOWN, evidence)


# Empty.


def test_session_with_a_title_and_no_transcript_is_not_empty(store: OpendevStore) -> None:
    # A title is made from what was said, and each save writes a transcript: this save came to no end.
    assert state_of(store, json=RECORD) == (State.COMPLETE, False)
    assert state_of(store, json=with_fields(metadata={})) == (State.COMPLETE, True)


def test_session_that_was_opened_and_closed_is_empty(store: OpendevStore) -> None:
    assert state_of(store, **COMPLETE_EMPTY, events=CREATED, debug=b"") == (State.COMPLETE, True)


@pytest.mark.parametrize(
    "more",
    [
        {"jsonl": transcript(ASKED)},
        {"json": with_fields(messages=[ASKED])},
        {"json": with_fields(subagent_sessions={"t": OTHER})},
        {"json": with_fields(file_changes=[{"type": "created", "file_path": "x"}])},
        {"events": CREATED + SAID},
        {"debug": payload(BEGAN)},
    ],
    ids=lambda more: next(iter(more)),
)
def test_session_is_not_empty_with_any_of_these(store: OpendevStore, more: dict[str, bytes]) -> None:
    assert state_of(store, **(COMPLETE_EMPTY | more)) == (State.COMPLETE, False)


TELLS = [
    event(ID, 2, "FileChangeRecorded", BEGAN, file_change={"type": "created", "file_path": "x"}),
    event(ID, 2, "MessageEdited", BEGAN, seq=0, content="edited"),
    event(ID, 2, "TitleChanged", BEGAN, title="what was asked"),
    event(ID, 2, "Tombstone", BEGAN, undo_to_seq=1, reason="x"),
    event(ID, 2, "ToolOutputAdded", BEGAN, content="of a later version"),
    b"no event\n",
]


@pytest.mark.parametrize("told", TELLS)
def test_session_is_not_empty_with_an_event_of_anything_said_or_done(
    store: OpendevStore, told: bytes
) -> None:
    assert state_of(store, **COMPLETE_EMPTY, events=CREATED + told) == (State.COMPLETE, False)


@pytest.mark.parametrize("told", TELLS[:-1])
def test_event_log_that_is_alone_is_not_empty_with_such_an_event(store: OpendevStore, told: bytes) -> None:
    assert state_of(store, events=CREATED + told) == (State.CRASHED, False)


@pytest.mark.parametrize("kind", ["MetadataUpdated", "SessionArchived", "SessionUnarchived"])
def test_event_for_which_nobody_said_or_did_anything_fills_no_session(store: OpendevStore, kind: str) -> None:
    told = event(ID, 2, kind, BEGAN, key="mode", value="plan", time_archived="2026-01-01T00:00:00Z")
    assert state_of(store, **COMPLETE_EMPTY, events=CREATED + told + bytes(9) + b"\n") == (
        State.COMPLETE,
        True,
    )


def test_session_that_changed_files_is_not_empty(store: OpendevStore) -> None:
    store.put(f"file-history/{ID}/manifest.json", b"{}")
    assert state_of(store, **COMPLETE_EMPTY) == (State.COMPLETE, False)


def test_long_event_log_leaves_it_open_whether_a_session_is_empty(store: OpendevStore) -> None:
    log = CREATED + event(ID, 2, "MetadataUpdated", BEGAN, key="mode", value="x" * 20_000)
    assert state_of(store, **COMPLETE_EMPTY, events=log) == (State.COMPLETE, None)


# Ids and folders.


def test_id_of_two_projects_is_told_apart_by_the_project(store: OpendevStore) -> None:
    store.session()
    store.session(at="projects/-srv-b")
    store.session(at=GLOBAL)
    store.put(f"file-history/{ID}/manifest.json", b"{}")
    assert set(store.sessions()) == {f"{ID}@-home-ana-app", f"{ID}@-srv-b", f"{ID}@sessions"}
    assert {len(each.members) for each in store.sessions().values()} == {2}
    assert store.problems() == [
        f"file-history/{ID}: it may belong to either of several sessions of that id; left alone"
    ]


def test_parent_of_an_id_that_is_used_twice_is_the_one_of_the_same_project(store: OpendevStore) -> None:
    for at in (PROJECT, "projects/-srv-b"):
        store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=TALK, at=at)
    store.session(json=with_fields(parent_id=OTHER), jsonl=TALK)
    assert store.facts().parent == f"{OTHER}@-home-ana-app"


def test_parent_that_is_gone_or_of_another_project_is_none(store: OpendevStore) -> None:
    store.session(json=with_fields(parent_id=OTHER), jsonl=TALK)
    assert store.facts().parent is None
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=TALK, at="projects/-srv-b")
    assert store.facts().parent is None
    store.session(id_=OTHER, jsonl=TALK)
    assert store.facts(ID).parent is None
    store.put(f"{PROJECT}/{OTHER}.json", b"")
    assert store.facts(ID).parent == f"{OTHER}@-home-ana-app"


def test_session_that_was_never_saved_has_a_parent_while_that_is_there(store: OpendevStore) -> None:
    store.session(events=created(ID, BEGAN, parent_id=OTHER) + SAID)
    assert store.facts().parent is None
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=TALK)
    assert store.facts().parent == OTHER


def test_sessions_may_be_each_others_parents(store: OpendevStore) -> None:
    store.session(json=with_fields(parent_id=OTHER), jsonl=TALK)
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED, parent_id=ID), jsonl=TALK)
    assert {each.id: each.parent for each in store.sessions().values()} == {ID: OTHER, OTHER: ID}


@pytest.mark.parametrize("parent", ["sessions-index", "file-history", "x.events", "../x", "/etc/passwd"])
def test_parent_that_is_no_session_is_none(store: OpendevStore, parent: str) -> None:
    store.session(json=with_fields(parent_id=parent), jsonl=TALK)
    store.put(f"{PROJECT}/sessions-index.json", b"{}")
    store.put(f"{PROJECT}/file-history.json", b"{}")
    assert store.facts().parent is None


def test_session_is_not_its_own_parent(store: OpendevStore) -> None:
    store.session(json=with_fields(parent_id=ID), jsonl=TALK)
    assert store.facts().parent is None


@pytest.mark.parametrize(
    "id_", ["3f9c0a7d-21b", "0b8e6c1a-58a7-4f6d-8a0e-6f0d1f0c9b77", "task.one_2", "a" * 128]
)
def test_ids_of_every_age_are_sessions(store: OpendevStore, id_: str) -> None:
    store.session(id_=id_, json=record(id_, BEGAN, ENDED), jsonl=TALK)
    assert store.facts(id_).state is State.COMPLETE


@pytest.mark.parametrize(
    "name", ["two words.json", "-x.json", "a" * 129 + ".jsonl", "é.json", "x.events.json"]
)
def test_other_names_of_sessions_are_left_alone(store: OpendevStore, name: str) -> None:
    store.put(f"{PROJECT}/{name}", RECORD)
    assert store.sessions() == {}
    (problem,) = store.problems()
    assert problem.endswith("its name cannot be one of opendev's session files; left alone")


def test_what_is_none_of_a_sessions_files_is_not_spoken_of(store: OpendevStore) -> None:
    for name in (
        "OPENDEV_PROJECT_PATH",
        "file-history.json",
        "memory/MEMORY.md",
        "memory/x.json",
        "notes.txt",
    ):
        store.put(f"{PROJECT}/{name}", b"x")
    store.put("projects/README", b"x")
    store.put("settings.json", b"{}")
    listing = store.listing()
    assert (listing.entries, listing.problems, listing.leftovers, listing.indexes) == ([], [], [], [])


def test_store_without_projects_has_no_sessions(store: OpendevStore) -> None:
    store.project.rmdir()
    store.project.parent.rmdir()
    assert store.listing().entries == []


def test_store_without_a_folder_is_an_error(store: OpendevStore, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        store.listing()


def test_session_that_was_deleted_since_it_was_listed_is_not_spoken_of(store: OpendevStore) -> None:
    store.session()
    listing = store.listing()
    os.remove(store.project / f"{ID}.jsonl")
    assert list(LAYOUT.read(store.place, listing.context, listing.entries)) == []


def test_listing_travels_to_another_process(store: OpendevStore) -> None:
    import pickle  # noqa: PLC0415

    store.session()
    listing = pickle.loads(pickle.dumps(store.listing()))
    (found,) = LAYOUT.read(store.place, listing.context, listing.entries)
    assert isinstance(found, Session)


# Roots.


def test_default_stores_are_both_the_old_place_and_that_of_xdg() -> None:
    assert LAYOUT.default_roots({}, "/home/x", "linux") == {
        "": {"data": "/home/x/.opendev", "tmp": "/tmp/opendev-telegram-remote"},
        "xdg": {"data": "/home/x/.local/share/opendev"},
    }
    env = {"XDG_DATA_HOME": "/d", "TMPDIR": "/t/", "OPENDEV_DIR": "relative"}
    assert LAYOUT.default_roots(env, "/home/x", "linux") == {
        "": {"data": "/home/x/.opendev", "tmp": "/t/opendev-telegram-remote"},
        "xdg": {"data": "/d/opendev"},
    }
    mac = LAYOUT.default_roots({}, "/home/x", "darwin")
    assert mac["xdg"] == {"data": "/home/x/Library/Application Support/opendev"}


def test_a_named_folder_is_the_only_default_store() -> None:
    assert LAYOUT.default_roots({"OPENDEV_DIR": "/o/"}, "/home/x", "linux") == {
        "": {"data": "/o", "tmp": "/tmp/opendev-telegram-remote"}
    }


def test_policy_may_name_the_data_folder_or_its_projects(store: OpendevStore) -> None:
    data = str(store.data)
    assert LAYOUT.roots({"path": f"{data}/"}, {}, "/home/x") == {"data": data}
    assert LAYOUT.roots({"path": f"{data}/projects"}, {}, "/home/x") == {"data": data}
    assert LAYOUT.roots({"path": data, "remote": "/r"}, {}, "/home/x") == {"data": data, "tmp": "/r"}
    own = LAYOUT.roots({"path": "/home/x/.opendev"}, {}, "/home/x")
    assert own == {"data": "/home/x/.opendev", "tmp": "/tmp/opendev-telegram-remote"}


# Names.


@pytest.mark.parametrize(
    ("path", "session"),
    [
        (f"{PROJECT}/{ID}.json", ID),
        (f"{PROJECT}/{ID}.jsonl", ID),
        (f"{PROJECT}/{ID}.events.jsonl", ID),
        (f"{PROJECT}/{ID}.debug", ID),
        (f"{GLOBAL}/{ID}.json", ID),
        (f"file-history/{ID}/manifest.json", ID),
        (f"file-history/{ID}/00d1f6a2b3c4e5f6@v12", ID),
        (f"file-history/{ID}/.3b241101-e2bb-4255-8caf-4136c566a962.tmp", None),
        (f"{PROJECT}/sessions-index.json", None),
        (f"{PROJECT}/{ID}.events.jsonl.lock", None),
        (f"{PROJECT}/.{ID}.json.tmp", None),
        (f"{PROJECT}/.{ID}.jsonl.tmp", ID),
        (f"{PROJECT}/memory/.consolidation.lock", None),
        ("plans/.plans-idx-tmp", None),
    ],
)
def test_every_path_that_may_become_a_member_is_known_and_belongs_to_its_session(
    path: str, session: str | None
) -> None:
    assert LAYOUT.knows("data", path)
    assert LAYOUT.session_of("data", path) == session
    listed = f"{path.rpartition('/')[0]}/sessions-index.json"
    is_listed = (
        path.endswith((".json", ".jsonl")) and session is not None and path.startswith((PROJECT, GLOBAL))
    )
    assert LAYOUT.index_of("data", path) == (listed if is_listed else None)


@pytest.mark.parametrize(
    "path",
    [
        "",
        f"{ID}.json",
        f"projects/{ID}.json",
        f"projects/../{ID}.json",
        f"/{PROJECT}/{ID}.json",
        f"{PROJECT}/../{ID}.json",
        f"{PROJECT}/x/{ID}.json",
        f"projects/.maint/{ID}.json",
        f"projects/a\nb/{ID}.json",
        f"projects/\udcff/{ID}.json",
        f"{PROJECT}/OPENDEV_PROJECT_PATH",
        f"{PROJECT}/file-history.json",
        f"{PROJECT}/file-history.jsonl",
        f"{PROJECT}/memory/MEMORY.md",
        f"{PROJECT}/.json",
        f"{PROJECT}/{ID}.json\n",
        "file-history/../manifest.json",
        f"file-history/{ID}/other",
        "plans/plans-index.json",
        "settings.json",
        ".maint/lock",
    ],
)
def test_no_other_path_is_known(path: str) -> None:
    assert not LAYOUT.knows("data", path)
    assert LAYOUT.session_of("data", path) is None
    assert LAYOUT.index_of("data", path) is None
    assert not LAYOUT.knows("tmp", path)


def test_folder_of_a_sessions_copies_is_the_only_one_that_is_its_own() -> None:
    assert LAYOUT.owns_folder("data", f"file-history/{ID}")
    for path in ("file-history", PROJECT, f"{PROJECT}/{ID}", "file-history/..", f"x/file-history/{ID}", ""):
        assert not LAYOUT.owns_folder("data", path)


def test_process_ids_are_known_in_their_own_root_alone() -> None:
    assert LAYOUT.knows("tmp", "remote-00d1f6a2b3c4e5f6.pid")
    assert not LAYOUT.knows("data", "remote-00d1f6a2b3c4e5f6.pid")
    assert not LAYOUT.knows("tmp", "remote-x.pid")
    assert LAYOUT.session_of("tmp", "remote-00d1f6a2b3c4e5f6.pid") is None


# Lines for a person.


@pytest.mark.parametrize(
    ("kind", "line", "shown"),
    [
        ("json", b'    "title": "Fix \\u001b[31m retry",', r"title        Fix \x1b[31m retry"),
        ("json", b'  "created_at": "2026-04-24T09:32:16+00:00",', "created_at   2026-04-24T09:32:16+00:00"),
        ("json", b'  "messages": [],', None),
        ("json", b"{", None),
        (
            "json",
            json.dumps({"id": "x", "metadata": {"title": "one line"}}).encode(),
            "session      one line",
        ),
        ("jsonl", transcript(message("user", "a\nb", BEGAN))[:-1], "user         a\\nb"),
        ("jsonl", transcript(ANSWERED)[:-1], "assistant    It sleeps on wall time. [1 tool call]"),
        ("jsonl", b"\xff\x00", "no message of opendev's: \N{REPLACEMENT CHARACTER}\\x00"),
        ("jsonl", b"", None),
        ("events.jsonl", ANSWER[:-1], "event 3      MessageAdded: assistant, 5 characters"),
        (
            "events.jsonl",
            event(ID, 4, "TitleChanged", BEGAN, title="new")[:-1],
            "event 4      TitleChanged: new",
        ),
        ("events.jsonl", b"x", "no event of opendev's: x"),
        ("debug", payload(BEGAN)[:-1], None),
    ],
)
def test_lines_are_shown_to_a_person(kind: str, line: bytes, shown: str | None) -> None:
    assert LAYOUT.describe("data", f"{PROJECT}/{ID}.{kind}", line) == shown


def test_temp_file_of_a_transcript_is_shown_as_one() -> None:
    shown = LAYOUT.describe("data", f"{PROJECT}/.{ID}.jsonl.tmp", transcript(ASKED)[:-1])
    assert shown == "user         why does retry_test flake?"


def test_copies_are_not_shown() -> None:
    assert LAYOUT.describe("data", f"file-history/{ID}/manifest.json", b'"title": "x"') is None


# What a session may hold that is not asked about by itself, and when it ended.


@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"summary": "what was found"}},
        {"metadata": {"tags": ["keep"]}},
        {"metadata": {"plan": "three steps"}},
        {"context_files": ["/home/ana/app/main.rs"]},
        {"delivery_context": {"chat": 5}},
        {"of_a_later_version": [{"role": "user"}]},
    ],
    ids=str,
)
def test_session_is_not_empty_whose_record_holds_more(store: OpendevStore, more: dict[str, Any]) -> None:
    said = with_fields(**({"metadata": {}} | more))
    assert state_of(store, json=said, jsonl=b"") == (State.COMPLETE, False)


def test_session_is_empty_whose_record_holds_settings_and_nothing(store: OpendevStore) -> None:
    settings = {"mode": "plan", "thinking_level": 2, "tags": [], "summary": None, "title": "x"}
    said = with_fields(metadata=settings, of_a_later_version=None, another={})
    assert state_of(store, json=said, jsonl=b"") == (State.COMPLETE, True)


@pytest.mark.parametrize("name", [f".{ID}.jsonl.tmp", f".{ID}.json.tmp"])
def test_session_with_a_temp_file_beside_its_log_is_not_empty(store: OpendevStore, name: str) -> None:
    store.session(events=CREATED)
    assert store.facts().empty is True
    store.put(f"{store.project.relative_to(store.data)}/{name}", transcript(ASKED))
    assert store.facts().empty is False


@pytest.mark.parametrize("more", [{"title": "given"}, {"metadata": {"plan": "x"}}])
def test_session_that_was_created_with_words_is_not_empty(store: OpendevStore, more: dict[str, Any]) -> None:
    assert state_of(store, events=created(ID, BEGAN, **more)) == (State.CRASHED, False)


def test_session_with_copies_that_may_be_its_own_is_not_empty(store: OpendevStore) -> None:
    store.session(COMPLETE_EMPTY)
    store.session(COMPLETE_EMPTY, at="projects/-srv-b")
    assert {each.empty for each in store.sessions().values()} == {True}
    store.put(f"file-history/{ID}/manifest.json", b"{}")
    assert {each.empty for each in store.sessions().values()} == {False}


def test_session_ended_with_its_last_event_where_that_was_never_saved(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK, events=CREATED + added(ID, 2, "assistant", "x", NOW - HOUR))
    assert store.facts().ended_at == NOW - HOUR
    store.session(json=RECORD, jsonl=TALK, events=CREATED)
    assert store.facts().ended_at == ENDED


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_time_that_no_calendar_has_in_utc_leaves_a_session_alone(store: OpendevStore, text: str) -> None:
    store.session(json=with_fields(updated_at=text), jsonl=TALK)
    assert store.facts().state is State.UNKNOWN
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=TALK)
    assert store.damage() != []
    store.reindex(all_=True)  # the list of the others can be made true
    assert [each["sessionId"] for each in store.entries()] == [OTHER]


def test_half_an_event_as_the_only_word_is_left_as_it_is(store: OpendevStore) -> None:
    store.session(events=CREATED + SAID[:90])
    assert (store.facts().empty, store.facts().mendable) == (False, False)
    assert "all that was said in it" in store.facts().evidence


def test_change_of_a_file_that_is_none_leaves_a_log_unmended(store: OpendevStore) -> None:
    store.session(events=CREATED + event(ID, 2, "FileChangeRecorded", BEGAN, file_change=["x"]))
    assert store.facts().mendable is False


def test_temp_file_that_outlived_a_delete_brings_nothing_back(store: OpendevStore) -> None:
    answered = message("assistant", "Done.", BEGAN + 9, tool_calls=[])
    log = CREATED + SAID + event(ID, 3, "MessageAdded", BEGAN + 9, **answered)
    store.session(events=log)
    assert store.facts().state is State.UNKNOWN  # deleted by its owner, as far as anybody can tell
    temp = f"{store.project.relative_to(store.data)}/.{ID}.json.tmp"
    store.put(temp, RECORD, age=6 * DAY)
    assert store.facts().state is State.UNKNOWN
    store.put(temp, RECORD)
    assert store.facts().state is State.CRASHED


# Temp files of saves.

OTHERS = transcript(message("user", "words that stand nowhere else", BEGAN + 5))


@pytest.mark.parametrize(
    ("kind", "content", "kept"),
    [
        ("jsonl", OTHERS, True),
        ("jsonl", transcript(ASKED), False),
        ("jsonl", transcript(ASKED) + OTHERS[:20], False),
        ("jsonl", b"no message\n", False),
        ("json", RECORD, False),
        ("json", RECORD[:90], False),
        ("json", b"{}", False),
        ("json", with_fields(metadata={"title": "another one"}), True),
        ("json", with_fields(file_changes=[{"type": "created", "file_path": "x"}]), True),
        ("json", with_fields(subagent_sessions={"t": OTHER}), True),
        ("json", with_fields(messages=[ASKED]), True),
    ],
)
def test_temp_file_is_litter_where_its_session_has_all_that_is_in_it(
    store: OpendevStore, kind: str, content: bytes, kept: bool
) -> None:
    store.session(json=RECORD, jsonl=TALK)
    store.put(f"{store.project.relative_to(store.data)}/.{ID}.{kind}.tmp", content)
    told = [each for each in store.problems() if ".tmp" in each]
    assert (len(told), len(store.litter())) == ((1, 0) if kept else (0, 1))


def test_torn_temp_file_with_more_messages_than_its_record_is_kept(store: OpendevStore) -> None:
    whole = with_fields(messages=[ASKED, ASKED, ANSWERED])
    store.session(json=with_fields(messages=[ASKED]))
    store.put(f"{store.project.relative_to(store.data)}/.{ID}.json.tmp", whole[:-9])
    assert store.litter() == []
