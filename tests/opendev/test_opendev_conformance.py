"""What opendev's own tests hold of its files, said again in our words of what we read and what we write.

Counterparts of its tests of the index, the listing, the session manager, the event store, the copies of files, whole
life cycles, and records of its Python age; those of parts that nothing of ours touches have none.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from opendev_world import BEGAN, ENDED, ID, OTHER, TALK, OpendevStore, loaded, replayed

from store.facts import State
from store.layouts.opendev.specimens import (
    PROJECT,
    added,
    created,
    entry,
    event,
    index,
    message,
    moment,
    record,
    transcript,
)

INDEX = f"{PROJECT}/sessions-index.json"
PYTHON_RECORD: dict[str, Any] = {
    "id": "test12345678",
    "created_at": "2024-06-15T10:30:00Z",
    "updated_at": "2024-06-15T11:00:00Z",
    "messages": [
        {
            "role": "user",
            "content": "Hello",
            "timestamp": "2024-06-15T10:30:00Z",
            "tokens": None,
            "provenance": None,
        },
        {
            "role": "assistant",
            "content": "Of course!",
            "timestamp": "2024-06-15T10:30:05Z",
            "tokens": 150,
            "tool_calls": [],
        },
    ],
    "working_directory": "/home/user/project",
    "metadata": {"title": "Test Session", "summary": "A test", "tags": ["test"]},
    "playbook": {"bullets": {}},
    "file_changes": [
        {
            "type": "modified",
            "file_path": "src/main.py",
            "old_path": None,
            "lines_added": 5,
            "lines_removed": 2,
        }
    ],
    "thread_id": None,
    "parent_id": None,
    "time_archived": None,
    "last_activity": None,
    "slug": "test-session",
}


@pytest.fixture
def store(tmp_path: Path) -> OpendevStore:
    return OpendevStore(tmp_path)


def saved(store: OpendevStore, count: int) -> list[str]:
    ids = [f"session-{n}" for n in range(count)]
    for id_ in ids:
        store.session(id_=id_, json=record(id_, BEGAN, ENDED), jsonl=TALK)
    return ids


# Index and listing.


def test_index_that_does_not_exist_lists_nothing(store: OpendevStore) -> None:
    assert store.listing().indexes == []


def test_index_that_is_written_can_be_read(store: OpendevStore) -> None:
    (id_,) = saved(store, 1)
    (listed,) = store.reindex(all_=True)
    assert (listed["sessionId"], listed["channel"]) == (id_, "cli")


def test_session_that_is_listed_twice_over_has_one_entry(store: OpendevStore) -> None:
    saved(store, 2)
    store.reindex(all_=True)
    assert len(store.reindex("session-0")) == 2


def test_removed_entry_leaves_the_other(store: OpendevStore) -> None:
    saved(store, 2)
    store.reindex(all_=True)
    for kind in ("json", "jsonl"):
        os.remove(store.project / f"session-0.{kind}")
    assert [each["sessionId"] for each in store.reindex("session-0")] == ["session-1"]


def test_three_saved_sessions_are_listed(store: OpendevStore) -> None:
    ids = saved(store, 3)
    assert [each["sessionId"] for each in store.reindex(all_=True)] == ids
    assert sorted(store.sessions()) == ids


def test_channel_and_user_of_a_session_are_listed(store: OpendevStore) -> None:
    store.session(json=record(ID, BEGAN, ENDED, channel="telegram", channel_user_id="user123"), jsonl=TALK)
    (listed,) = store.reindex(all_=True)
    assert (listed["channel"], listed["channelUserId"]) == ("telegram", "user123")


def test_session_that_was_put_aside_is_listed_as_that(store: OpendevStore) -> None:
    store.session(json=record(ID, BEGAN, ENDED, time_archived=moment(ENDED)), jsonl=TALK)
    (listed,) = store.reindex(all_=True)
    assert listed["timeArchived"] == moment(ENDED)
    assert store.facts().state is State.COMPLETE


def test_sessions_of_two_projects_are_kept_apart(store: OpendevStore) -> None:
    store.session()
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=TALK, at="projects/-srv-b")
    assert [each["sessionId"] for each in store.reindex(all_=True)] == [ID]
    assert {each.path.split("/")[1] for each in store.sessions().values()} == {"-home-ana-app", "-srv-b"}


# Records and transcripts.


def test_record_of_the_python_program_is_read(store: OpendevStore) -> None:
    store.session(id_="test12345678", json=json.dumps(PYTHON_RECORD, indent=2).encode())
    found = store.facts("test12345678")
    assert (found.state, found.name, found.tags, found.records) == (
        State.COMPLETE,
        "Test Session",
        ("test",),
        2,
    )
    assert (found.project, found.ended_at) == ("/home/user/project", 1718449200.0)
    (listed,) = store.reindex(all_=True)
    assert (listed["messageCount"], listed["totalTokens"], listed["summary"]) == (2, 151, "A test")
    assert (listed["summaryFiles"], listed["summaryAdditions"], listed["summaryDeletions"]) == (1, 5, 2)


def test_record_of_the_oldest_form_keeps_its_messages(store: OpendevStore) -> None:
    content = record("legacy-test", BEGAN, ENDED, messages=[message("user", "old format", BEGAN)])
    store.session(id_="legacy-test", json=content)
    assert store.facts("legacy-test").records == 1


def test_metadata_of_a_session_outlives_its_mending(store: OpendevStore) -> None:
    log = created(ID, BEGAN) + added(ID, 2, "user", "hi", BEGAN)
    for seq, (key, value) in enumerate(
        {"mode": "PLAN", "thinking_level": "High", "autonomy_level": "Auto"}.items(), 3
    ):
        log += event(ID, seq, "MetadataUpdated", BEGAN, key=key, value=value)
    store.session(events=log)
    metadata = json.loads(store.mended()[f"{PROJECT}/{ID}.json"])["metadata"]
    assert metadata == {
        "mode": "PLAN",
        "thinking_level": "High",
        "autonomy_level": "Auto",
        "title": "recovered-x",
        "recovered": True,
    }


def test_fork_is_a_child_of_its_source(store: OpendevStore) -> None:
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=TALK)
    store.session(
        json=record(ID, BEGAN, ENDED, parent_id=OTHER, metadata={"title": "t (fork #1)"}), jsonl=TALK
    )
    found = store.facts()
    assert (found.parent, found.name) == (OTHER, "t (fork #1)")


@pytest.mark.parametrize("text", ["日本語 émoji 🎉", "a\u2028b\x85c\r", '"\\\n\t', "\x00"])
def test_text_of_every_script_goes_through_a_mending(store: OpendevStore, text: str) -> None:
    store.session(events=created(ID, BEGAN) + added(ID, 2, "user", text, BEGAN))
    (said,) = loaded(store.mended()[f"{PROJECT}/{ID}.jsonl"])
    assert said["content"] == text
    talk = transcript(message("user", text, BEGAN))
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED), jsonl=talk + b"{")
    assert loaded(store.mended(OTHER)[f"{PROJECT}/{OTHER}.jsonl"]) == loaded(talk)


def test_five_hundred_messages_go_through_a_mending(store: OpendevStore) -> None:
    said = b"".join(added(ID, n, "user", f"message {n}", BEGAN + n) for n in range(2, 502))
    store.session(events=created(ID, BEGAN) + said)
    texts = [each["content"] for each in loaded(store.mended()[f"{PROJECT}/{ID}.jsonl"])]
    assert texts == [f"message {n}" for n in range(2, 502)]


# Event logs.


def test_numbers_of_events_go_on_by_one(store: OpendevStore) -> None:
    store.session(events=created(ID, BEGAN) + b"".join(added(ID, n, "user", "x", BEGAN) for n in range(2, 7)))
    written = replayed(store.mended(name=None)[f"{PROJECT}/{ID}.events.jsonl"])
    assert [each["seq"] for each in written] == [1, 2, 3, 4, 5, 6, 7]
    assert {each["aggregate_id"] for each in written} == {ID}


def test_every_event_of_ours_has_all_fields_and_an_id_of_its_own(store: OpendevStore) -> None:
    store.session(events=created(ID, BEGAN) + added(ID, 2, "user", "x", BEGAN))
    *_, title, mark = replayed(store.mended()[f"{PROJECT}/{ID}.events.jsonl"])
    assert set(title) == set(mark) == {"id", "aggregate_id", "seq", "event_type", "data", "timestamp"}
    assert title["id"] != mark["id"]
    assert title["data"]["type"] == title["event_type"]


def test_undo_of_several_events_never_takes_the_first(store: OpendevStore) -> None:
    log = created(ID, BEGAN) + b"".join(added(ID, n, "user", f"m{n}", BEGAN) for n in (2, 3, 4))
    store.session(events=log + event(ID, 5, "Tombstone", BEGAN, undo_to_seq=1, reason="undo"))
    assert store.mended()[f"{PROJECT}/{ID}.jsonl"] == b""
    store.session(events=log + event(ID, 5, "Tombstone", BEGAN, undo_to_seq=3, reason="undo"))
    assert [each["content"] for each in loaded(store.mended()[f"{PROJECT}/{ID}.jsonl"])] == ["m2", "m3"]


# A whole life.


def test_life_of_a_session_from_its_first_event_to_its_delete(store: OpendevStore) -> None:
    store.session(events=created(ID, BEGAN), age=60)
    assert store.facts().state is State.LIVE
    store.session(json=record(ID, BEGAN, ENDED), jsonl=TALK)
    store.put(INDEX, index(entry(ID, BEGAN, ENDED)))
    store.put(f"{PROJECT}/{ID}.events.jsonl", created(ID, BEGAN) + added(ID, 2, "assistant", "Done.", BEGAN))
    assert (store.facts().state, store.damage()) == (State.COMPLETE, [])
    for kind in ("json", "jsonl"):
        os.remove(store.project / f"{ID}.{kind}")
    store.put(INDEX, index())
    assert (store.facts().state, store.damage(), store.litter()) == (State.UNKNOWN, [], [])
