"""What becomes of a crashed session: whole lines byte for byte, nothing beside them, and records as opendev writes them."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opendev_world import (
    BEGAN,
    DAY,
    ID,
    OTHER,
    RECORD,
    TALK,
    TORN,
    OpendevStore,
    loaded,
    replayed,
    suffixes,
)

from store.facts import Fingerprint, Member, State
from store.layout import Unmendable
from store.layouts.opendev import LAYOUT
from store.layouts.opendev.specimens import PROJECT, added, created, event, moment, payload

CREATED = created(ID, BEGAN)
SAID = added(ID, 2, "user", "add a retry", BEGAN + 5)
TRANSCRIPT, LOG, META = (f"{PROJECT}/{ID}.{kind}" for kind in ("jsonl", "events.jsonl", "json"))


@pytest.fixture
def store(tmp_path: Path) -> OpendevStore:
    return OpendevStore(tmp_path)


# A torn last line.


@pytest.mark.parametrize("tail", [TORN, bytes(700), b"\xff\xfe", b"[" * 5000])
def test_torn_transcript_keeps_its_whole_lines_and_nothing_else(store: OpendevStore, tail: bytes) -> None:
    store.session(json=RECORD, jsonl=TALK + tail)
    assert store.mended() == {TRANSCRIPT: TALK}
    store.mend()
    found = store.facts()
    assert (found.state, found.records, found.name, found.empty) == (
        State.COMPLETE,
        2,
        "work on 3f9c",
        False,
    )


def test_mended_transcript_of_no_messages_is_not_taken_for_an_empty_session(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=b"garbage\n" + TORN)
    store.mend()
    assert (store.facts().state, store.facts().empty) == (State.COMPLETE, False)


@pytest.mark.parametrize("tail", [TORN, bytes(9000), b"\n \n" + TORN])
def test_transcript_without_a_whole_line_is_not_mended(store: OpendevStore, tail: bytes) -> None:
    store.session(json=RECORD, jsonl=tail)
    assert store.refusal() == "there is no whole line in it"


def test_bad_lines_and_carriage_returns_in_the_middle_stay(store: OpendevStore) -> None:
    kept = TALK + b"garbage\r\n\n\xff\n" + TALK
    store.session(json=RECORD, jsonl=kept + TORN)
    assert store.mended()[TRANSCRIPT] == kept


def test_torn_log_keeps_its_whole_events_and_nothing_else(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK, events=CREATED + SAID + SAID[:80])
    assert store.mended() == {LOG: CREATED + SAID}
    store.mend()
    assert store.facts().state is State.COMPLETE


def test_both_torn_are_mended_one_after_the_other(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK + TORN, events=CREATED + SAID[:80])
    assert list(store.mended()) == [TRANSCRIPT]
    store.mend()
    assert store.facts().state is State.CRASHED
    assert list(store.mended()) == [LOG]
    store.mend()
    assert store.facts().state is State.COMPLETE


def test_file_that_was_finished_since_is_not_mended(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK + TORN)
    session = store.facts()
    mend = LAYOUT.mend(session.id, session.members, None, session.last_changed)
    store.put(TRANSCRIPT, TALK)
    with pytest.raises(Unmendable, match="its last line is whole"):
        store.built(mend, TRANSCRIPT)


def test_log_that_ends_in_no_event_is_not_mended(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK, events=CREATED + b'{"a":1}\n' + SAID[:80])
    assert not store.facts().mendable
    assert store.refusal() == "the last whole line of its event log is no event"


def test_log_of_another_session_is_not_mended(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK, events=created(OTHER, BEGAN) + SAID[:80])
    assert not store.facts().mendable
    assert store.refusal() == "its event log is of another session"


def test_healthy_session_is_not_mended(store: OpendevStore) -> None:
    store.session()
    assert store.refusal() == "its last line is whole"
    store.session(id_=OTHER, json=b"{}")
    assert store.refusal(OTHER) == "nothing of it can be made whole"


def test_account_says_what_was_set_aside(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=TALK + TORN)
    session = store.facts()
    mend = LAYOUT.mend(session.id, session.members, None, session.last_changed)
    store.built(mend, TRANSCRIPT)
    assert mend.account() == f"kept every whole line, set aside {len(TORN)} bytes, which stay in the backup"


# A transcript that is still a temp file.

TMP = f"{PROJECT}/.{ID}.jsonl.tmp"


@pytest.mark.parametrize(
    ("content", "written"),
    [
        (TALK, TALK),
        (TALK[:-1], TALK),
        (TALK + TORN, TALK),
        (TALK + bytes(700), TALK),
        (TALK + b"garbage\n\xff\n", TALK + b"garbage\n\xff\n"),
        (TALK * 9000 + TORN, TALK * 9000),
    ],
    ids=["whole", "no newline", "torn", "zeros", "bad lines", "long"],
)
def test_transcript_is_made_of_the_whole_lines_of_its_temp_file(
    store: OpendevStore, content: bytes, written: bytes
) -> None:
    store.session(json=RECORD)
    store.put(TMP, content)
    assert store.mended() == {TRANSCRIPT: written}
    store.mend()
    found = store.facts()
    assert (found.state, found.empty, suffixes(found)) == (State.COMPLETE, False, ["json", "jsonl"])


def test_temp_file_is_litter_once_its_transcript_was_made(store: OpendevStore) -> None:
    store.session(json=RECORD)
    store.put(TMP, TALK)
    assert store.litter() == []
    store.mend()
    assert store.litter() == [TMP]


def test_half_a_message_in_a_temp_file_is_kept_and_told(store: OpendevStore) -> None:
    store.session(json=RECORD)
    store.put(TMP, TALK + TORN)
    session = store.facts()
    mend = LAYOUT.mend(session.id, session.members, None, session.last_changed)
    store.built(mend, TRANSCRIPT)
    assert mend.account() == (
        "made its transcript from the temp file of the save that was interrupted, "
        f"but for {len(TORN)} bytes, which stay there"
    )
    store.mend()
    assert store.litter() == []
    assert "it may hold more of session" in store.problems()[0]


def test_transcript_in_the_way_of_a_temp_file_is_not_replaced(store: OpendevStore) -> None:
    store.session(json=RECORD, jsonl=b"")
    store.put(TMP, TALK)
    assert store.refusal() == "its last line is whole"


def test_temp_file_of_another_session_is_not_used() -> None:
    nothing = Fingerprint(0, 0, 0, 0, 0)
    for tmp in (f"{PROJECT}/.{OTHER}.jsonl.tmp", f"projects/-srv-b/.{ID}.jsonl.tmp"):
        members = tuple(Member("data", path, nothing) for path in (META, tmp))
        with pytest.raises(Unmendable):
            LAYOUT.mend(ID, members, None, 0.0)


# Never saved.


def test_lonely_log_becomes_a_session_and_its_log_comes_last(store: OpendevStore) -> None:
    store.session(events=CREATED + SAID + SAID[:80])
    written = store.mended()
    assert list(written) == [TRANSCRIPT, META, LOG]
    (said,) = loaded(written[TRANSCRIPT])
    assert (said["role"], said["content"], said["timestamp"]) == ("user", "add a retry", moment(BEGAN + 5))
    assert written[LOG].startswith(CREATED + SAID)
    assert [(each["seq"], each["event_type"]) for each in replayed(written[LOG])[2:]] == [
        (3, "TitleChanged"),
        (4, "MetadataUpdated"),
    ]
    store.mend()
    found = store.facts()
    assert (found.state, found.name, found.records, found.has_footer) == (
        State.RECOVERED,
        "recovered-x",
        1,
        True,
    )
    assert (found.started_at, found.ended_at, found.project) == (BEGAN, BEGAN + 5, "/home/ana/app")


def test_record_is_laid_out_as_opendev_does_it(store: OpendevStore) -> None:
    store.session(events=created(ID, BEGAN, parent_id=OTHER, metadata={"mode": "plan"}) + SAID)
    assert (
        store.mended(name="Recovered, é")[META].decode()
        == f"""\
{{
  "id": "{ID}",
  "created_at": "{moment(BEGAN)}",
  "updated_at": "{moment(BEGAN + 5)}",
  "messages": [],
  "context_files": [],
  "working_directory": "/home/ana/app",
  "metadata": {{
    "mode": "plan",
    "title": "Recovered, é",
    "recovered": true
  }},
  "file_changes": [],
  "channel": "cli",
  "chat_type": "direct",
  "channel_user_id": "",
  "delivery_context": {{}},
  "workspace_confirmed": false,
  "parent_id": "{OTHER}",
  "subagent_sessions": {{}},
  "slug": "recovered"
}}"""
    )


def test_numbers_escapes_and_unknown_keys_of_values_keep_their_bytes(store: OpendevStore) -> None:
    calls = b'[{"id":"t","name":"B","parameters":{"n":1.50,"big":123456789012345678901234567890,"e":"\\u00e9","f":1E400}}]'
    said = added(ID, 2, "assistant", "x", BEGAN, tool_calls=[]).replace(
        b'"tool_calls":[]', b'"tool_calls":' + calls
    )
    store.session(events=CREATED + said)
    assert calls in store.mended()[TRANSCRIPT]
    assert said in store.mended()[LOG]


def test_name_is_kept_where_none_is_given(store: OpendevStore) -> None:
    store.session(events=created(ID, BEGAN, title="as it was") + SAID)
    written = store.mended(name=None)
    assert json.loads(written[META])["metadata"] == {"title": "as it was", "recovered": True}
    assert [each["event_type"] for each in replayed(written[LOG])[2:]] == ["MetadataUpdated"]


def test_changes_of_the_log_are_replayed(store: OpendevStore) -> None:
    change = {"id": "fc", "type": "modified", "file_path": "a.py", "lines_added": 5}
    log = (
        CREATED
        + SAID
        + event(ID, 3, "MessageEdited", BEGAN, seq=0, content="said better")
        + event(ID, 4, "TitleChanged", BEGAN, title="first")
        + event(ID, 5, "MetadataUpdated", BEGAN, key="mode", value="plan")
        + event(ID, 6, "FileChangeRecorded", BEGAN, file_change=change)
    )
    store.session(events=log)
    written = store.mended(name=None)
    made = json.loads(written[META])
    assert [each["content"] for each in loaded(written[TRANSCRIPT])] == ["said better"]
    assert made["metadata"] == {"title": "first", "mode": "plan", "recovered": True}
    assert made["file_changes"] == [change]


def test_undone_events_do_not_come_back(store: OpendevStore) -> None:
    log = (
        CREATED
        + SAID
        + added(ID, 3, "user", "no", BEGAN)
        + event(ID, 4, "Tombstone", BEGAN, undo_to_seq=2, reason="")
    )
    store.session(events=log + added(ID, 5, "user", "yes", BEGAN))
    assert [each["content"] for each in loaded(store.mended()[TRANSCRIPT])] == ["add a retry", "yes"]


def test_session_that_is_deleted_after_it_was_recovered_stays_deleted(store: OpendevStore) -> None:
    store.session(events=CREATED + SAID)
    store.mend()
    for kind in ("json", "jsonl"):
        os.remove(store.project / f"{ID}.{kind}")
    found = store.facts()
    assert (found.state, found.evidence) == (
        State.UNKNOWN,
        "only its event log is left: deleted after it was recovered",
    )
    assert store.refusal() == "it was recovered before, and deleted since"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (SAID, "its first event does not create a session"),
        (CREATED[:50], "it holds no complete event"),
        (CREATED + b"garbage\n" + SAID, f"the line at byte {len(CREATED)} is no event"),
        (CREATED + event(ID, 2, "Later", BEGAN), "event 2 cannot be replayed ('Later')"),
        (CREATED + CREATED, "event 1 cannot be replayed ('SessionCreated')"),
        (
            CREATED + event(ID, 2, "MessageEdited", BEGAN, seq=4, content=""),
            "event 2 cannot be replayed ('MessageEdited')",
        ),
        (CREATED + added(ID, 2, "user", "x", BEGAN, content=5), "event 2 holds no message"),
        (CREATED + added(ID, 2, "tool", "x", BEGAN), "event 2 cannot be replayed ('MessageAdded')"),
        (
            CREATED + SAID + SAID + event(ID, 3, "Tombstone", BEGAN, undo_to_seq=1),
            "it undoes events by numbers that repeat",
        ),
        (CREATED + event(ID, 2, "Tombstone", BEGAN, undo_to_seq=0), "all of it was undone"),
        (CREATED.replace(moment(BEGAN).encode(), b"noon"), "event 1 carries no time"),
    ],
)
def test_log_that_opendev_would_not_replay_is_left_as_it_is(
    store: OpendevStore, log: bytes, reason: str
) -> None:
    store.session(events=log, debug=payload(BEGAN))
    assert store.refusal() == reason
    assert store.facts().state in (State.CRASHED, State.UNKNOWN)
    assert store.facts().state is State.UNKNOWN or not store.facts().mendable


def test_mending_is_asked_twice_and_gives_the_same(store: OpendevStore) -> None:
    store.session(events=CREATED + SAID + SAID[:80])
    assert store.mended() == store.mended()


def test_session_of_a_shared_id_is_mended_under_its_own(store: OpendevStore) -> None:
    store.session(events=CREATED + SAID)
    store.session(at="projects/-srv-b")
    written = store.mended(f"{ID}@-home-ana-app")
    assert json.loads(written[META])["id"] == ID


def test_log_too_long_for_an_unsaved_session_is_not_mended(store: OpendevStore) -> None:
    store.session(events=CREATED, debug=b"x")
    with (store.project / f"{ID}.events.jsonl").open("r+b") as file:
        file.truncate(17 << 20)
    os.utime(store.project / f"{ID}.events.jsonl", (store.now - 2 * DAY,) * 2)
    found = store.facts()
    assert (found.state, found.mendable, found.empty) == (State.CRASHED, False, False)
    assert store.refusal() == "its event log is too long for a session that was never saved"


def test_members_that_make_no_session_are_not_mended() -> None:
    nothing = Fingerprint(0, 0, 0, 0, 0)
    for paths in ([f"{PROJECT}/{ID}.debug"], [META], [TRANSCRIPT, LOG], ["x"], [LOG, TRANSCRIPT]):
        with pytest.raises(Unmendable):
            LAYOUT.mend(ID, tuple(Member("data", path, nothing) for path in paths), None, 0.0)


# Of any bytes.


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.sampled_from([TALK, b"garbage\n", b"\n", b"\xff\n", b"\0\0\n"]), max_size=4),
    cut=st.binary(max_size=60),
)
def test_every_whole_line_survives_whatever_stands_behind_it(
    store: OpendevStore, lines: list[bytes], cut: bytes
) -> None:
    content = b"".join(lines) + cut
    store.session(json=RECORD, jsonl=content)
    found = store.facts()
    if found.state is State.CRASHED:
        whole = content[: content.rfind(b"\n") + 1]
        if whole.strip():
            assert store.mended() == {TRANSCRIPT: whole}
        else:
            assert store.refusal() == "there is no whole line in it"
            assert not found.mendable
        assert found.empty is False
    else:
        assert found.state is State.COMPLETE


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(CREATED + SAID)), more=st.binary(max_size=40))
def test_log_cut_anywhere_is_mended_or_says_why_not(store: OpendevStore, cut: int, more: bytes) -> None:
    for kind in ("json", "jsonl"):
        (store.project / f"{ID}.{kind}").unlink(missing_ok=True)
    store.session(events=(CREATED + SAID)[:cut] + more)
    if store.facts().state is State.CRASHED and store.facts().mendable:
        store.mend()
        assert store.facts().state is State.RECOVERED
        assert (
            replayed((store.project / f"{ID}.events.jsonl").read_bytes())[-1]["event_type"]
            == "MetadataUpdated"
        )
    else:
        assert store.refusal() is not None
