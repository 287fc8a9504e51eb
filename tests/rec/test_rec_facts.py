"""What the layout makes of the bytes of one session: sections 2 and 7 of the format's notes."""

import json
import os
from pathlib import Path

import pytest
from rec_world import (
    BEGAN,
    DAY,
    FOOT,
    HEAD,
    ID,
    LEAKED,
    NOW,
    ONE,
    OTHER,
    TORN,
    TWO,
    RecStore,
)

from store.facts import Session, State
from store.layouts.rec.records import rename_header
from store.layouts.rec.specimens import command, footer, header

MEBIBYTE = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> RecStore:
    return RecStore(tmp_path)


def state_of(store: RecStore, content: bytes) -> tuple[State, bool | None]:
    """The verdict and the emptiness of a session of these bytes."""
    store.session(content)
    found = store.facts()
    return found.state, found.empty


def changed(line: bytes, old: bytes, new: bytes) -> bytes:
    assert old in line
    return line.replace(old, new)


def test_complete_session_gives_all_its_facts(store: RecStore) -> None:
    path = store.session(header(ID, "deploy", BEGAN, tags=["a", "b"]) + ONE + TWO + FOOT)
    found = store.facts()
    assert (found.id, found.name, found.tags, found.project) == (ID, "deploy", ("a", "b"), "/home/ana/app")
    assert (found.state, found.has_footer, found.records, found.empty) == (State.COMPLETE, True, 4, False)
    assert (found.started_at, found.ended_at, found.ended) == (BEGAN, BEGAN + 300, BEGAN + 300)
    assert (found.bytes, found.last_changed) == (path.stat().st_size, NOW - 2 * DAY)
    assert (found.path, found.members[0].root) == (f"{ID}.ndjson", "sessions")


def test_header_alone_is_crashed_and_empty(store: RecStore) -> None:
    store.session(HEAD)
    found = store.facts()
    assert (found.state, found.empty, found.records, found.has_footer) == (State.CRASHED, True, 1, False)
    assert (found.ended_at, found.last_record_at, found.ended) == (None, None, NOW - 2 * DAY)


def test_header_without_its_newline_is_crashed_and_empty(store: RecStore) -> None:
    store.session(HEAD[:-1])
    found = store.facts()
    assert (found.state, found.empty, found.name) == (State.CRASHED, True, "deploy")


def test_file_without_a_byte_is_crashed_and_empty(store: RecStore) -> None:
    assert state_of(store, b"") == (State.CRASHED, True)


def test_file_of_blank_lines_is_crashed_and_empty(store: RecStore) -> None:
    assert state_of(store, b"\n \t\r\n\n") == (State.CRASHED, True)


def test_session_without_footer_ends_with_its_last_command(store: RecStore) -> None:
    store.session(HEAD + ONE + TWO)
    found = store.facts()
    assert (found.state, found.has_footer, found.records) == (State.CRASHED, False, 3)
    assert (found.ended_at, found.ended) == (None, BEGAN + 123.5)


def test_command_that_never_ended_counts_from_its_start(store: RecStore) -> None:
    open_ended = b'{"type":"command","index":0,"command":"x","cwd":"/","started_at":%.1f}\n' % (BEGAN + 60)
    store.session(HEAD + open_ended)
    assert store.facts().ended == BEGAN + 60


def test_footer_then_command_has_no_footer(store: RecStore) -> None:
    store.session(HEAD + ONE + footer(BEGAN + 90, 1) + TWO)
    found = store.facts()
    assert (found.state, found.has_footer, found.ended) == (State.CRASHED, False, BEGAN + 123.5)


@pytest.mark.parametrize("status", ["completed", "interrupted", "recording"])
def test_every_footer_status_of_rec_ends_a_session(store: RecStore, status: str) -> None:
    assert state_of(store, HEAD + ONE + footer(BEGAN + 90, 1, status)) == (State.COMPLETE, False)


@pytest.mark.parametrize(
    "foot",
    [
        pytest.param(footer(BEGAN + 90, 1, "paused"), id="status of a later rec"),
        pytest.param(changed(FOOT, b',"status":"completed"', b""), id="no status"),
        pytest.param(b'{"type":"note","text":"of a later rec"}\n', id="type of a later rec"),
        pytest.param(b'{"text":"of somebody else"}\n', id="no type"),
        pytest.param(changed(TWO, b'"index":1', b'"index":4294967296'), id="index beyond 32 bits"),
        pytest.param(
            changed(TWO, b'"exit_code":0', b'"exit_code":2147483648'), id="exit code beyond 32 bits"
        ),
        pytest.param(changed(TWO, b'"cwd":"/home/ana/app",', b""), id="command without folder"),
    ],
)
def test_last_record_that_is_none_of_recs_makes_it_unknown(store: RecStore, foot: bytes) -> None:
    assert state_of(store, HEAD + ONE + foot) == (State.UNKNOWN, False)
    assert store.facts().evidence == "its last record is none of rec's"


def test_torn_last_line_is_crashed_and_says_how_much(store: RecStore) -> None:
    assert state_of(store, HEAD + ONE + TORN) == (State.CRASHED, False)
    assert store.facts().evidence == f"it ends in {len(TORN)} bytes that are no complete record"


def test_torn_first_command_is_not_empty(store: RecStore) -> None:
    assert state_of(store, HEAD + TORN) == (State.CRASHED, False)


def test_leaked_stop_and_a_torn_command_are_not_empty(store: RecStore) -> None:
    assert state_of(store, HEAD + LEAKED + TORN) == (State.CRASHED, False)


def test_record_that_only_lacks_its_newline_is_whole(store: RecStore) -> None:
    store.session(HEAD + ONE + TWO[:-1])
    found = store.facts()
    assert (found.records, found.ended, found.evidence) == (3, BEGAN + 123.5, "it has no footer")


def test_footer_that_only_lacks_its_newline_is_a_footer(store: RecStore) -> None:
    assert state_of(store, HEAD + ONE + FOOT[:-1]) == (State.COMPLETE, False)


def test_torn_line_behind_a_footer_is_crashed(store: RecStore) -> None:
    assert state_of(store, HEAD + ONE + FOOT + TORN) == (State.CRASHED, False)


def test_tail_of_zeros_is_crashed(store: RecStore) -> None:
    assert state_of(store, HEAD + ONE + bytes(512)) == (State.CRASHED, False)


def test_header_and_zeros_are_empty(store: RecStore) -> None:
    assert state_of(store, HEAD + bytes(512)) == (State.CRASHED, True)


def test_only_zeros_are_corrupt(store: RecStore) -> None:
    assert state_of(store, bytes(4096)) == (State.CORRUPT, None)


def test_carriage_returns_are_tolerated(store: RecStore) -> None:
    content = (HEAD + ONE + FOOT).replace(b"\n", b"\r\n")
    assert state_of(store, content) == (State.COMPLETE, False)
    assert store.facts().records == 3


def test_carriage_returns_do_not_fill_an_empty_session(store: RecStore) -> None:
    assert state_of(store, (HEAD + FOOT).replace(b"\n", b"\r\n")) == (State.COMPLETE, True)


def test_blank_lines_are_no_records(store: RecStore) -> None:
    assert state_of(store, b"\n \n" + HEAD + b"\r\n\t\n" + FOOT + b"\n  \n") == (State.COMPLETE, True)
    assert store.facts().records == 2


def test_line_separators_of_unicode_end_no_line(store: RecStore) -> None:
    # Python's own idea of lines would cut this command in four.
    store.session(HEAD + changed(ONE, b"git pull", "a\u2028b\u2029c\x85d".encode()) + FOOT)
    assert (store.facts().state, store.facts().records) == (State.COMPLETE, 3)


def test_byte_order_mark_is_corrupt_as_it_is_to_rec(store: RecStore) -> None:
    assert state_of(store, b"\xef\xbb\xbf" + HEAD + ONE + FOOT) == (State.CORRUPT, None)


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (ONE, "it has no header: its first record is a command"),
        (FOOT, "it has no header: its first record is a footer"),
        (b"hello\n", "its first line is no header"),
        (HEAD[:40] + b"\n", "its first line is no header"),
        (changed(HEAD, b'"id"', b'"ID"'), "its first line is no header"),
        (b'{"type":"header"}\n', "its first line is no header"),
    ],
)
def test_session_without_header_is_corrupt_and_says_what_it_has(
    store: RecStore, first: bytes, why: str
) -> None:
    assert state_of(store, first + TWO + FOOT) == (State.CORRUPT, None)
    assert store.facts().evidence == why


def test_torn_header_is_corrupt(store: RecStore) -> None:
    assert state_of(store, HEAD[:60]) == (State.CORRUPT, None)


def test_type_may_stand_anywhere(store: RecStore) -> None:
    def last(line: bytes) -> bytes:
        record = json.loads(line)
        return json.dumps(
            {**{k: v for k, v in record.items() if k != "type"}, "type": record["type"]}
        ).encode()

    assert state_of(store, b"\n".join(map(last, (HEAD, ONE, FOOT))) + b"\n") == (State.COMPLETE, False)


def test_unknown_fields_are_ignored(store: RecStore) -> None:
    more = b',"later":{"type":"footer","deep":[[[{}]]]}}\n'
    content = b"".join(line[:-2] + more for line in (HEAD, ONE, FOOT))
    assert state_of(store, content) == (State.COMPLETE, False)


def test_whole_seconds_without_a_point_are_times(store: RecStore) -> None:
    content = (
        header(ID, "deploy", int(BEGAN)) + command(0, "x", int(BEGAN) + 1, 1) + footer(int(BEGAN) + 3, 1)
    )
    store.session(content)
    assert (store.facts().started_at, store.facts().ended_at) == (BEGAN, BEGAN + 3)


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"NaN", b"9" * 5000, b'"1"', b"true", b"01.5"])
def test_footer_with_an_impossible_time_is_no_end(store: RecStore, number: bytes) -> None:
    foot = b'{"type":"footer","ended_at":%s,"command_count":1,"status":"completed"}\n' % number
    state, _ = state_of(store, HEAD + ONE + foot)
    assert state in (State.CRASHED, State.UNKNOWN)
    assert store.facts().ended == store.facts().last_changed


def test_number_of_5000_digits_in_a_field_nobody_knows_is_ignored(store: RecStore) -> None:
    assert state_of(store, HEAD[:-2] + b',"pi":' + b"3" * 5000 + b"}\n" + FOOT)[0] is State.COMPLETE


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deep_json_is_a_verdict_and_not_an_error(store: RecStore, depth: int) -> None:
    store.session(HEAD + ONE[:-2] + b',"deep":' + b"[" * depth + b"]" * depth + b"}\n")
    assert store.facts().state is State.CRASHED
    store.session(HEAD[:-2] + b',"deep":' + b"[" * depth + b"]" * depth + b"}\n" + ONE)
    assert store.facts().state is (State.CRASHED if depth == 100 else State.CORRUPT)


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\x01"])
def test_text_that_is_no_text_is_no_record(store: RecStore, text: bytes) -> None:
    assert state_of(store, HEAD + changed(ONE, b"git pull", text)) == (State.CRASHED, False)
    assert state_of(store, changed(HEAD, b"deploy", text) + ONE) == (State.CORRUPT, None)


def test_garbage_last_line_is_crashed(store: RecStore) -> None:
    assert state_of(store, HEAD + ONE + b"\xff\xfe garbage\n") == (State.CRASHED, False)
    assert store.facts().evidence == "its last line is no record"


def test_garbage_between_header_and_footer_is_not_empty(store: RecStore) -> None:
    assert state_of(store, HEAD + TORN + b"\n" + FOOT) == (State.COMPLETE, False)


def test_name_of_the_first_of_two_headers_counts(store: RecStore) -> None:
    store.session(HEAD + header(ID, "again", BEGAN + 1) + FOOT)
    found = store.facts()
    assert (found.name, found.empty) == ("deploy", False)


def test_header_of_another_session_makes_it_unknown(store: RecStore) -> None:
    store.session(header(OTHER, "copy", BEGAN) + ONE + FOOT)
    found = store.facts()
    assert (found.id, found.state) == (ID, State.UNKNOWN)
    assert OTHER in found.evidence


def test_header_with_a_hostile_id_is_shown_harmless(store: RecStore) -> None:
    store.session(header("\x1b[2J" + "x" * 500, "copy", BEGAN) + FOOT)
    evidence = store.facts().evidence
    assert "\x1b" not in evidence
    assert len(evidence) < 200


def test_stem_need_not_be_a_uuid(store: RecStore) -> None:
    store.put("imported-notes.ndjson", header("imported-notes", "notes", BEGAN) + ONE + FOOT)
    found = store.facts("imported-notes")
    assert (found.state, found.name) == (State.COMPLETE, "notes")


@pytest.mark.parametrize("version", [3, 255, 10**30])
def test_later_version_is_unknown_whatever_else_it_says(store: RecStore, version: int) -> None:
    for rest in (b"", ONE, ONE + FOOT, ONE + TORN):
        store.session(header(ID, "new", BEGAN, version=version) + rest)
        assert store.facts().state is State.UNKNOWN


def test_header_lacking_what_no_fact_needs_is_still_seen(store: RecStore) -> None:
    slim = b'{"type":"header","id":"%s","name":"slim","started_at":%.1f}\n' % (ID.encode(), BEGAN)
    store.session(slim + ONE + FOOT)
    found = store.facts()
    assert (found.state, found.name, found.tags, found.project) == (State.COMPLETE, "slim", (), None)


def test_marked_and_whole_is_recovered(store: RecStore) -> None:
    store.session(header(ID, "recovered-x", BEGAN, recovered=True) + ONE + FOOT)
    assert (store.facts().state, store.facts().has_footer) == (State.RECOVERED, True)


def test_marked_without_footer_is_recovered_but_lacks_its_end(store: RecStore) -> None:
    store.session(header(ID, "recovered-x", BEGAN, recovered=True) + ONE)
    assert (store.facts().state, store.facts().has_footer) == (State.RECOVERED, False)


@pytest.mark.parametrize("mark", [None, False])
def test_mark_that_marks_nothing_is_no_recovery(store: RecStore, mark: object) -> None:
    assert state_of(store, header(ID, "x", BEGAN, recovered=mark) + ONE + FOOT) == (State.COMPLETE, False)


def test_header_larger_than_any_window_is_read(store: RecStore) -> None:
    wide = header(ID, "wide", BEGAN, env={"PATH": "/nix/store:" * 20_000, "PWD": "/w"})
    store.session(wide + ONE + footer(BEGAN + 90, 1))
    found = store.facts()
    assert (found.state, found.name, found.project, found.records) == (State.COMPLETE, "wide", "/w", 3)
    store.session(wide + footer(BEGAN + 90, 0))
    assert store.facts().empty is True
    store.session(wide + b"x\r\n" + footer(BEGAN + 90, 0))
    assert store.facts().empty is False


def test_long_session_without_footer_is_not_empty_and_not_counted(store: RecStore) -> None:
    store.session(HEAD + b"".join(command(i, "make", BEGAN + i) for i in range(500)))
    found = store.facts()
    assert (found.state, found.empty, found.records) == (State.CRASHED, False, None)


def test_long_session_is_counted_by_its_footer(store: RecStore) -> None:
    commands = b"".join(command(i, "make", BEGAN + i) for i in range(500))
    store.session(HEAD + commands + footer(BEGAN + 600, 500))
    assert (store.facts().empty, store.facts().records) == (False, 502)


def test_last_line_of_30_megabytes_is_read(store: RecStore) -> None:
    store.session(HEAD + command(0, "x" * (30 * MEBIBYTE), BEGAN + 60))
    found = store.facts()
    assert (found.state, found.empty, found.ended) == (State.CRASHED, False, BEGAN + 62.5)


def test_torn_line_of_30_megabytes_is_crashed(store: RecStore) -> None:
    store.session(HEAD + ONE + TORN + b"x" * (30 * MEBIBYTE))
    assert (store.facts().state, store.facts().empty) == (State.CRASHED, False)


def sparse(store: RecStore, content: bytes, end: bytes = b"") -> Session:
    """The facts of a file of 2 GiB that has these bytes at its ends and a hole between."""
    path = store.session(content)
    os.truncate(path, (1 << 31) - len(end))
    with path.open("ab") as file:
        file.write(end)
    os.utime(path, (NOW - 2 * DAY, NOW - 2 * DAY))
    return store.facts()


def test_two_gibibytes_of_zeros_are_unknown(store: RecStore) -> None:
    assert sparse(store, b"").state is State.UNKNOWN


def test_header_before_two_gibibytes_of_zeros_is_unknown(store: RecStore) -> None:
    found = sparse(store, HEAD + ONE)
    assert (found.state, found.name) == (State.UNKNOWN, "deploy")


def test_two_gibibytes_with_two_good_ends_are_complete(store: RecStore) -> None:
    assert sparse(store, HEAD + ONE, b"\n" + FOOT).state is State.COMPLETE


# Emptiness: none of its records is a command of a person.


def test_stopped_without_a_command_is_empty(store: RecStore) -> None:
    assert state_of(store, HEAD + footer(BEGAN + 9, 0)) == (State.COMPLETE, True)


@pytest.mark.parametrize("end", [b"", footer(BEGAN + 9, 1), footer(BEGAN + 9, 1)[:-1]])
def test_only_the_stop_of_the_session_before_is_empty(store: RecStore, end: bytes) -> None:
    assert state_of(store, HEAD + LEAKED + end)[1] is True


def test_stop_that_was_typed_within_the_session_is_not_empty(store: RecStore) -> None:
    assert state_of(store, HEAD + command(0, "rec stop", BEGAN + 9) + footer(BEGAN + 9, 1))[1] is False


@pytest.mark.parametrize("text", ["rec stop now", "make", "rec  stop", ""])
def test_other_command_from_before_the_session_is_not_empty(store: RecStore, text: str) -> None:
    assert state_of(store, HEAD + command(0, text, BEGAN - 600) + footer(BEGAN + 9, 1))[1] is False


def test_leaked_stop_and_one_command_are_not_empty(store: RecStore) -> None:
    assert state_of(store, HEAD + LEAKED + TWO + footer(BEGAN + 300, 2))[1] is False


def test_footer_that_counts_commands_that_are_not_there_is_empty(store: RecStore) -> None:
    # rec counts lines of text; nothing that could be kept is lost with this one.
    assert state_of(store, HEAD + footer(BEGAN + 9, 7))[1] is True


def test_footer_that_counts_no_commands_does_not_empty_a_session(store: RecStore) -> None:
    assert state_of(store, HEAD + ONE + footer(BEGAN + 9, 0))[1] is False


# What recovering must not make of a session.


@pytest.mark.parametrize("rest", [b"", FOOT, footer(BEGAN + 9, 0), LEAKED + FOOT])
def test_session_that_was_recovered_was_not_empty(store: RecStore, rest: bytes) -> None:
    assert state_of(store, rename_header(HEAD, "recovered-x") + rest) == (State.RECOVERED, False)


@pytest.mark.parametrize(
    "rest",
    [
        TORN,
        TORN + b"\n",
        b"no record\n",
        TORN + b"\n" + FOOT + b"x",
        LEAKED + TORN,
        b"no record\n" + bytes(9),
    ],
)
def test_session_of_which_nothing_would_be_left_is_not_to_be_mended(store: RecStore, rest: bytes) -> None:
    store.session(HEAD + rest)
    facts = store.facts()
    assert (facts.state, facts.empty, facts.mendable) == (State.CRASHED, False, False)
    assert "all that was recorded in it" in facts.evidence


@pytest.mark.parametrize("rest", [ONE + TORN, bytes(40) + TWO + b"x", TORN + ONE, b"no record\n" + ONE[:-1]])
def test_session_with_a_whole_command_is_to_be_mended(store: RecStore, rest: bytes) -> None:
    store.session(HEAD + rest)
    assert (store.facts().state, store.facts().mendable) == (State.CRASHED, True)


def test_second_header_is_told_before_anybody_tries_to_mend_it(store: RecStore) -> None:
    store.session(HEAD + ONE + HEAD + TWO)
    assert (store.facts().mendable, store.facts().evidence) == (False, "there is a second header in it")


def test_command_behind_a_footer_is_told(store: RecStore) -> None:
    store.session(HEAD + ONE + FOOT + TWO)
    assert store.facts().evidence == "a command follows its footer"
