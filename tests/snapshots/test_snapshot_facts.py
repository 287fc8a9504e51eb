"""What the layout makes of the bytes of one snapshot."""

import json
import os
from pathlib import Path

import pytest
from snapshot_world import DAY, DONE, HOUR, ID, NAME, NOW, OTHER, SAVED, UUID, WHOLE, Snapshots

from store.facts import Session, State
from store.layouts.opendev_snapshots import LAYOUT
from store.layouts.opendev_snapshots.snapshot import LIMIT
from store.layouts.opendev_snapshots.specimens import RESULT, SUFFIX, snapshot, without

FIELDS = tuple(json.loads(WHOLE))
EXAMPLE = b"""{
  "session_id": "3f9c0a7d-21b",
  "message_count": 14,
  "last_tool_results": [
    {
      "tool_name": "Bash",
      "call_id": "toolu_01Xq",
      "output_preview": "running 12 tests ...",
      "success": true
    }
  ],
  "snapshot_timestamp_ms": 1777023611402,
  "completed": false,
  "project_dir": "/home/ana/app",
  "cost_usd": 0.2145
}"""


@pytest.fixture
def store(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path)


def valued(field: str, value: bytes) -> bytes:
    """A snapshot with these bytes for the value of a field, which may be no JSON of Python's."""
    return snapshot(ID, SAVED, **{field: "here"}).replace(b'"here"', value)


def test_snapshot_gives_all_its_facts(store: Snapshots) -> None:
    path = store.save(EXAMPLE)
    found = store.facts()
    assert (found.id, found.kind, found.project, found.records) == (ID, LAYOUT.kind, "/home/ana/app", 14)
    assert (found.started_at, found.ended_at, found.ended) == (None, 1777023611.402, 1777023611.402)
    assert (found.bytes, found.last_changed) == (path.stat().st_size, NOW - 2 * DAY)
    assert [(each.root, each.path) for each in found.members] == [("snapshots", NAME)]
    assert (found.name, found.tags, found.has_footer, found.parent) == (None, (), True, None)


def test_completed_snapshot_is_complete_however_young(store: Snapshots) -> None:
    store.save(DONE, age=1)
    assert store.facts().state is State.COMPLETE


def test_incomplete_snapshot_saved_within_the_grace_period_is_live(store: Snapshots) -> None:
    store.save(WHOLE, age=HOUR)
    assert store.facts(grace=2 * HOUR).state is State.LIVE


def test_incomplete_snapshot_silent_for_the_grace_period_is_crashed_and_not_to_be_mended(
    store: Snapshots,
) -> None:
    store.save(WHOLE, age=2 * HOUR)
    found = store.facts(grace=2 * HOUR)
    assert (found.state, found.mendable, found.evidence) == (
        State.CRASHED,
        False,
        "it was never marked as completed",
    )


def test_file_that_was_touched_lately_is_live_whatever_its_stamp(store: Snapshots) -> None:
    store.save(snapshot(ID, NOW - 400 * DAY), age=60)
    assert store.facts().state is State.LIVE


def test_age_is_told_by_the_stamp_and_not_by_the_file(store: Snapshots) -> None:
    store.save(snapshot(ID, NOW - 40 * DAY, completed=True), age=HOUR)
    found = store.facts()
    assert (found.ended, found.last_changed) == (NOW - 40 * DAY, NOW - HOUR)


def test_stamp_in_the_future_is_taken_as_it_is(store: Snapshots) -> None:
    assert store.of(snapshot(ID, NOW + 400 * DAY, completed=True)).ended == NOW + 400 * DAY


@pytest.mark.parametrize(
    ("messages", "results", "empty"), [(0, [], True), (1, [], False), (0, [RESULT], False)]
)
def test_snapshot_without_message_and_result_is_empty(
    store: Snapshots, messages: int, results: list[object], *, empty: bool
) -> None:
    content = snapshot(ID, SAVED, message_count=messages, last_tool_results=results)
    assert store.of(content).empty is empty


def test_snapshot_of_another_session_is_unknown(store: Snapshots) -> None:
    found = store.of(snapshot(OTHER, SAVED, completed=True))
    assert (found.state, found.evidence) == (State.UNKNOWN, f"it is a snapshot of another session, {OTHER}")


def test_id_that_hides_something_is_shown_as_text(store: Snapshots) -> None:
    assert store.of(snapshot("\x1b[2J\n" * 99, SAVED)).evidence.isprintable()


@pytest.mark.parametrize("id_", ["3f9c0a7d21be", "3f9c0a7d-21b", UUID, "task_1", "sess-1", "v1.2"])
def test_every_id_that_opendev_makes_is_one(store: Snapshots, id_: str) -> None:
    store.save(snapshot(id_, SAVED), id_=id_)
    assert store.facts(id_).state is State.CRASHED


def test_fields_that_nobody_knows_are_ignored(store: Snapshots) -> None:
    assert store.of(snapshot(ID, SAVED, pid=1, schema={"version": [2]})).state is State.CRASHED


def test_whole_number_is_a_cost(store: Snapshots) -> None:
    assert store.of(snapshot(ID, SAVED, cost_usd=3)).state is State.CRASHED


def test_text_in_any_script_is_text(store: Snapshots) -> None:
    assert store.of(snapshot(ID, SAVED, project_dir="/home/анна\u2028/app")).project == "/home/анна\u2028/app"


@pytest.mark.parametrize("field", FIELDS)
def test_field_that_is_missing_makes_it_corrupt_and_is_named(store: Snapshots, field: str) -> None:
    found = store.of(without(field, WHOLE))
    assert (found.state, found.empty, found.records) == (State.CORRUPT, None, None)
    assert field in found.evidence


@pytest.mark.parametrize("field", FIELDS)
def test_null_makes_it_corrupt(store: Snapshots, field: str) -> None:
    assert store.of(snapshot(ID, SAVED, **{field: None})).state is State.CORRUPT


def test_field_of_a_result_that_is_missing_makes_it_corrupt(store: Snapshots) -> None:
    short = {key: value for key, value in RESULT.items() if key != "success"}
    assert store.of(snapshot(ID, SAVED, last_tool_results=[RESULT, short])).state is State.CORRUPT


@pytest.mark.parametrize("field", ["message_count", "snapshot_timestamp_ms"])
@pytest.mark.parametrize(
    "value",
    [b"-1", b"14.0", b"1e3", b'"14"', b"true", b"18446744073709551616", b"9223372036854775808", b"9" * 6000],
    ids=lambda value: value[:24].decode(),
)
def test_number_that_opendev_could_not_have_counted_makes_it_corrupt(
    store: Snapshots, field: str, value: bytes
) -> None:
    assert store.of(valued(field, value)).state is State.CORRUPT


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"1e999", b"null", b'"1"', b"9" * 6000])
def test_cost_that_is_no_number_makes_it_corrupt(store: Snapshots, value: bytes) -> None:
    assert store.of(valued("cost_usd", value)).state is State.CORRUPT


def test_largest_number_that_is_taken_is_taken(store: Snapshots) -> None:
    found = store.of(snapshot(ID, 0, snapshot_timestamp_ms=2**63 - 1, message_count=2**63 - 1))
    assert (found.state, found.records) == (State.CRASHED, 2**63 - 1)


@pytest.mark.parametrize(
    ("content", "evidence"),
    [
        pytest.param(b"", "it is empty", id="nothing"),
        pytest.param(bytes(512), "it holds nothing but zeros", id="zeros"),
        pytest.param(WHOLE[:-20], "it is no whole JSON", id="cut off"),
        pytest.param(WHOLE + bytes(9), "it is no whole JSON", id="zeros behind it"),
        pytest.param(WHOLE + WHOLE, "it is no whole JSON", id="two"),
        pytest.param(b"\xef\xbb\xbf" + WHOLE, "it is no whole JSON", id="byte order mark"),
        pytest.param(b"hello", "it is no whole JSON", id="text"),
        pytest.param(WHOLE.replace(b"ana", b"\xff"), "it is no UTF-8", id="no UTF-8"),
        pytest.param(
            WHOLE.replace(b"{", b'{"x": "\xff",', 1), "it is no UTF-8", id="no UTF-8 where none looks"
        ),
        pytest.param(WHOLE.replace(b"ana", b"\\ud800"), "it is no whole JSON", id="half a character"),
        pytest.param(b"[1]", "opendev could not load it: expected `object`, got `array`", id="an array"),
        pytest.param(b"null", "opendev could not load it: expected `object`, got `null`", id="null"),
    ],
)
def test_bytes_that_opendev_cannot_load_are_corrupt_and_it_is_said_why(
    store: Snapshots, content: bytes, evidence: str
) -> None:
    found = store.of(content)
    assert (found.state, found.evidence, found.empty) == (State.CORRUPT, evidence, None)
    assert (found.ended_at, found.ended, found.has_footer) == (None, NOW - 2 * DAY, False)


@pytest.mark.parametrize("closed", [b"]", b""])
def test_what_is_nested_too_deeply_is_unknown(store: Snapshots, closed: bytes) -> None:
    deep = b"[" * 200_000 + closed * 200_000
    assert store.of(WHOLE.replace(b"{", b'{"x": ' + deep + b",", 1)).state is State.UNKNOWN


def test_file_larger_than_any_snapshot_is_unknown_and_not_read(store: Snapshots) -> None:
    path = store.save()
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    os.utime(path, (NOW - 2 * DAY, NOW - 2 * DAY))
    found = store.facts()
    assert (found.state, found.bytes) == (State.UNKNOWN, 1 << 40)


def test_largest_file_that_is_read_is_read(store: Snapshots) -> None:
    assert store.of(WHOLE + b" " * (LIMIT - len(WHOLE))).state is State.CRASHED


def test_many_are_read_in_the_order_in_which_they_are_asked_for(store: Snapshots) -> None:
    ids = [f"{number:012x}" for number in range(50)]
    for id_ in reversed(ids):
        store.save(snapshot(id_, SAVED), id_=id_)
    found = [each.id for each in store.survey() if isinstance(each, Session)]
    assert found == ids
    assert store.listing().entries == [id_ + SUFFIX for id_ in ids]
