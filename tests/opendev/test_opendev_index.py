"""The list of a project's sessions: what is wrong with it, and how it is made true without touching the rest."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from opendev_world import ANSWERED, ASKED, BEGAN, DAY, ENDED, ID, NOW, OTHER, RECORD, TALK, OpendevStore

from store.layout import Unmendable
from store.layouts.opendev import LAYOUT
from store.layouts.opendev.specimens import PROJECT, call, entry, index, message, moment, record, transcript

INDEX = f"{PROJECT}/sessions-index.json"
THIRD = "a0b1c2d3e4f5"
EMPTY = b'{\n  "version": 1,\n  "entries": []\n}'


@pytest.fixture
def store(tmp_path: Path) -> OpendevStore:
    return OpendevStore(tmp_path)


def saved(store: OpendevStore, *ids: str, age: float = 2 * DAY) -> None:
    for id_ in ids:
        store.session(id_=id_, json=record(id_, BEGAN, ENDED), jsonl=TALK, age=age)


def entry_of(id_: str, **more: Any) -> dict[str, Any]:
    return entry(id_, BEGAN, ENDED, **({"totalTokens": 17} | more))


# What is wrong.


def test_index_that_tells_the_truth_is_not_damaged(store: OpendevStore) -> None:
    saved(store, ID, OTHER)
    store.put(INDEX, index(entry_of(OTHER), entry_of(ID)))
    assert store.damage() == []


def test_index_that_forgot_and_kept_what_is_gone_is_damaged(store: OpendevStore) -> None:
    saved(store, ID, OTHER)
    store.put(INDEX, index(entry_of(ID), entry_of(THIRD)))
    found = store.the_index()
    assert found.evidence == "1 session is missing from it, 1 entry leads nowhere"
    assert (found.id, found.root, found.path, len(found.members)) == (INDEX, "data", INDEX, 1)
    assert found.last_changed == NOW - 2 * DAY


def test_missing_index_is_damaged_where_there_are_sessions(store: OpendevStore) -> None:
    saved(store, ID, OTHER, age=3 * DAY)
    found = store.the_index()
    assert found.evidence == "it is missing; 2 sessions are missing from it"
    assert (found.members, found.last_changed) == ((), NOW - 3 * DAY)


def test_project_without_sessions_and_index_is_not_damaged(store: OpendevStore) -> None:
    store.put(f"{PROJECT}/OPENDEV_PROJECT_PATH", b"/home/ana/app")
    assert store.damage() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"version":1}',
        b'{"version":1,"entries":[{"sessionId":"x"}]}',
        b'{"version":"1","entries":[]}',
        b'{"version":2',
        b'{"version":2}x',
        b'{"version":2.5,"entries":[]}',
        b'{"version":true,"entries":[]}',
        index(entry_of(ID, totalTokens=-1)),
        index(entry_of(ID, tags=None)),
        b"\xff" + index(),
        b"[" * 100_000,
    ],
)
def test_index_that_opendev_cannot_read_is_damaged_and_made_anew(store: OpendevStore, content: bytes) -> None:
    saved(store, ID)
    store.put(INDEX, content)
    assert store.damage() == ["it cannot be read by its program; 1 session is missing from it"]
    assert store.reindex(all_=True) == [entry_of(ID)]
    assert store.damage() == []


@pytest.mark.parametrize(
    "content",
    [
        index(entry_of(ID), version=999),
        index(version=0),
        b'{"version":2}',
        b'{"version":-1,"sessions":{"x":[1]}}',
        b'{"entries":[{"later":1}],"version":2}',
    ],
)
def test_index_of_another_version_is_told_and_left_to_its_program(
    store: OpendevStore, content: bytes
) -> None:
    saved(store, ID)
    store.put(INDEX, content)
    version = json.loads(content)["version"]
    assert store.damage() == []
    assert store.problems() == [
        f"{INDEX}: the index of a project has version {version}, which belongs to another opendev; left alone"
    ]
    for all_ in (False, True):
        with pytest.raises(Unmendable, match="belongs to another opendev"):
            store.reindexed(ID, all_=all_)


def test_session_that_is_young_may_be_about_to_be_listed(store: OpendevStore) -> None:
    store.put(INDEX, index())
    saved(store, ID, age=60)
    assert store.damage() == []
    assert store.damage(grace=30) == ["1 session is missing from it"]


@pytest.mark.parametrize(
    "content", [b"", b"{}", RECORD[:80], record(OTHER, BEGAN, ENDED), record(ID, BEGAN, ENDED, channel=5)]
)
def test_record_that_opendev_could_not_load_is_not_missed(store: OpendevStore, content: bytes) -> None:
    store.session(json=content, jsonl=TALK)
    store.put(INDEX, index())
    assert store.damage() == []
    assert store.reindexed(all_=True) is None


def test_unsaved_session_is_not_missed(store: OpendevStore) -> None:
    store.session(events=b"")
    store.put(INDEX, index())
    assert store.damage() == []


def test_entry_whose_transcript_is_left_is_the_last_that_is_known_of_it(store: OpendevStore) -> None:
    store.session(jsonl=TALK)
    store.put(INDEX, index(entry_of(ID)))
    assert store.damage() == []
    assert store.reindexed(ID) is None


def test_index_that_is_a_link_is_left_alone(store: OpendevStore, tmp_path: Path) -> None:
    saved(store, ID)
    (tmp_path / "elsewhere").write_bytes(index())
    os.symlink(tmp_path / "elsewhere", store.data / INDEX)
    assert store.damage() == []
    assert store.problems() == [f"{INDEX}: the index of a project is a symbolic link; left alone"]


# How it is made true.


def test_removed_session_loses_its_entry_and_all_others_keep_their_bytes(store: OpendevStore) -> None:
    saved(store, ID)
    odd = (
        json.dumps(entry_of(ID, later={"n": 0}), indent=2)
        .replace("\n", "\n    ")
        .replace('"n": 0', '"n": 1.50, "n": 1E400')
    )
    content = '{\n  "version": 1,\n  "entries": [\n    %s,\n    %s\n  ],\n  "note":   [1,2]\n}'
    gone = json.dumps(entry_of(OTHER))
    store.put(INDEX, (content % (gone, odd)).encode())
    assert (
        store.reindexed(OTHER)
        == (content.replace("%s,\n    %s", "%s").replace('"note":   ', '"note": ') % odd).encode()
    )


def test_last_session_leaves_an_empty_index_that_keeps_its_project(store: OpendevStore) -> None:
    store.put(INDEX, index(entry_of(ID)))
    assert store.reindexed(ID) == EMPTY


def test_index_is_made_where_there_is_none(store: OpendevStore) -> None:
    assert store.reindexed(ID) == EMPTY
    saved(store, ID, OTHER)
    assert store.reindexed(THIRD) == index(entry_of(ID), entry_of(OTHER))


def test_only_what_was_named_is_looked_at(store: OpendevStore) -> None:
    saved(store, ID, OTHER)
    store.put(INDEX, index(entry_of(THIRD)))
    assert [each["sessionId"] for each in store.reindex(OTHER)] == [THIRD, OTHER]
    assert store.reindexed(OTHER) is None
    assert [each["sessionId"] for each in store.reindex(all_=True)] == [OTHER, ID]


def test_shared_id_is_the_one_of_this_project(store: OpendevStore) -> None:
    store.put(INDEX, index(entry_of(ID)))
    assert store.reindexed(f"{ID}@-home-ana-app") == EMPTY


def test_listed_session_keeps_its_entry_whatever_else_its_record_says(store: OpendevStore) -> None:
    saved(store, ID)
    same = moment(ENDED).replace("+00:00", "Z")
    store.put(INDEX, index(entry_of(ID, title="older", totalTokens=1, modified=same)))
    assert store.reindexed(ID) is None
    assert store.reindexed(all_=True) is None


@pytest.mark.parametrize(
    "wrong", [{"messageCount": 3}, {"modified": moment(ENDED - 1)}, {"modified": "noon"}]
)
def test_entry_of_a_named_session_is_made_anew_when_its_files_say_otherwise(
    store: OpendevStore, wrong: dict[str, Any]
) -> None:
    saved(store, ID, OTHER)
    later = {"later": {"n": [1, 2]}} | entry_of(ID, title="older", tags=["a"]) | wrong
    store.put(INDEX, index(later, entry_of(OTHER, messageCount=9)))
    assert store.reindexed(all_=True) is None
    assert store.reindexed(THIRD) is None
    written = store.reindexed(ID)
    renewed = {"later": {"n": [1, 2]}} | entry_of(ID)
    assert written == index(renewed, entry_of(OTHER, messageCount=9))
    store.put(INDEX, written or b"")
    assert store.reindexed(ID) is None


def test_what_an_entry_holds_besides_keeps_its_bytes_when_it_is_made_anew(store: OpendevStore) -> None:
    saved(store, ID)
    odd = index(entry_of(ID, messageCount=9, later=0)).replace(b'"later": 0', b'"later": [1.50,\n 1E400]')
    store.put(INDEX, odd)
    assert store.reindexed(ID) == odd.replace(b'"messageCount": 9', b'"messageCount": 2')


def test_entry_keeps_its_bytes_where_its_files_cannot_be_read(store: OpendevStore) -> None:
    store.session(json=b"", jsonl=TALK)
    store.session(id_=OTHER, json=record(OTHER, BEGAN, ENDED))
    os.symlink("/etc/passwd", store.project / f"{OTHER}.jsonl")
    store.put(INDEX, index(entry_of(ID, messageCount=9), entry_of(OTHER, messageCount=9)))
    assert store.reindexed(ID, OTHER) is None


@pytest.mark.parametrize("talk", [transcript(ASKED) + b'{"role":', transcript(ASKED) + bytes(9), None])
def test_entry_of_a_crashed_session_is_what_its_program_said_last(
    store: OpendevStore, talk: bytes | None
) -> None:
    store.session({"json": RECORD} | ({} if talk is None else {"jsonl": talk}))
    store.put(INDEX, index(entry_of(ID)))
    assert store.reindexed(ID) is None
    store.put(INDEX, index())
    assert [each["messageCount"] for each in store.reindex(ID)] == [0 if talk is None else 1]


def test_session_whose_transcript_is_not_to_be_touched_is_not_missed(store: OpendevStore) -> None:
    saved(store, OTHER)
    store.session(json=RECORD)
    os.symlink("/etc/passwd", store.project / f"{ID}.jsonl")
    store.put(INDEX, index(entry_of(OTHER)))
    assert store.damage() == []
    assert store.reindexed(all_=True) is None


def test_index_is_laid_out_as_opendev_does_it(store: OpendevStore) -> None:
    saved(store, OTHER, ID)
    assert store.reindexed(all_=True) == index(entry_of(ID), entry_of(OTHER))


def test_new_entry_says_what_a_save_would(store: OpendevStore) -> None:
    changes = [
        {"type": "created", "file_path": "a", "lines_added": 3},
        {"type": "modified", "file_path": "a", "lines_removed": 2, "lines_added": 1},
    ]
    metadata = {"title": "t", "summary": "s", "tags": ["x"], "session_model": {"m": 1}}
    written = record(
        ID,
        BEGAN,
        ENDED,
        created_at="2024-06-15T10:30:00Z",
        updated_at="2024-06-15T12:30:00.120394871+02:00",
        time_archived="2024-06-16T00:00:00.5Z",
        metadata=metadata,
        file_changes=changes,
        channel="telegram",
        channel_user_id="u1",
        thread_id="t1",
        owner_id="o1",
    )
    counted = message("assistant", "x", BEGAN, tokens=212)
    store.session(json=written, jsonl=transcript(ASKED, counted) + b"garbage\n" + transcript(ANSWERED))
    assert store.reindex(all_=True) == [
        {
            "sessionId": ID,
            "created": "2024-06-15T10:30:00+00:00",
            "modified": "2024-06-15T10:30:00.120394871+00:00",
            "messageCount": 3,
            "totalTokens": 6 + 212 + 5 + 6,
            "title": "t",
            "summary": "s",
            "tags": ["x"],
            "workingDirectory": "/home/ana/app",
            "hasSessionModel": True,
            "channel": "telegram",
            "channelUserId": "u1",
            "threadId": "t1",
            "ownerId": "o1",
            "summaryAdditions": 4,
            "summaryDeletions": 2,
            "summaryFiles": 1,
            "timeArchived": "2024-06-16T00:00:00.500+00:00",
        }
    ]


def test_new_entry_of_the_oldest_form_counts_the_messages_of_the_record(store: OpendevStore) -> None:
    store.session(
        json=record(ID, BEGAN, ENDED, messages=[ASKED, message("user", "1234", BEGAN, tool_calls=[call()])])
    )
    (found,) = store.reindex(all_=True)
    assert (found["messageCount"], found["totalTokens"]) == (2, 6 + 1 + 6)


def test_new_entries_stand_behind_the_old_ones_in_the_order_of_their_beginnings(store: OpendevStore) -> None:
    saved(store, OTHER)
    store.put(INDEX, index(entry_of(OTHER)))
    store.session(id_=ID, json=record(ID, BEGAN, ENDED), jsonl=TALK)
    store.session(id_=THIRD, json=record(THIRD, BEGAN - 9, ENDED), jsonl=TALK)
    assert [each["sessionId"] for each in store.reindex(all_=True)] == [OTHER, THIRD, ID]


def test_session_that_comes_back_gets_the_entry_it_had(store: OpendevStore) -> None:
    saved(store, ID)
    store.put(INDEX, index())
    before = index(entry_of(ID, totalTokens=99, later="kept"))
    written = store.reindexed(ID, older=[b"garbage", before])
    assert written == before


def test_older_entry_of_a_session_that_went_on_since_does_not_count(store: OpendevStore) -> None:
    saved(store, ID)
    store.put(INDEX, index())
    older = [index(entry(ID, BEGAN, ENDED - 60)), index(entry_of(ID, messageCount=1))]
    assert store.reindexed(ID, older=older) == index(entry_of(ID))


def test_index_too_large_to_be_read_is_left_alone(store: OpendevStore) -> None:
    saved(store, ID)
    with store.put(INDEX, index()).open("r+b") as file:
        file.truncate(33 << 20)
    assert store.problems() == [f"{INDEX}: the index of a project is larger than 32 MiB; left alone"]
    with pytest.raises(Unmendable):
        store.reindexed(all_=True)


def test_opendev_is_a_kind_with_an_index() -> None:
    assert LAYOUT.has_index
