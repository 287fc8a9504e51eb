"""Giving a crashed session an end, and touching nothing else of its record."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from outrig_world import BEGAN, ENDED, FROZEN, GOING, ID, MEMBER, OutrigStore, mended, refusal, rows

from store.facts import State
from store.layout import Unmendable
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.mend import with_end
from store.layouts.outrig.records import pairs_of, stamp
from store.layouts.outrig.specimens import record, written


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "session.json"


def test_end_stands_behind_the_beginning_and_every_other_byte_stays(file: Path) -> None:
    killed = (FROZEN / "killed.json").read_bytes()
    started = b'  "started_at": "2026-08-01T07:02:10.884120556Z",\n'
    before, after = killed.split(started)
    made = mended(file, killed, changed=1785571330.25)
    assert made == before + started + b'  "ended_at": "2026-08-01T08:02:10.25Z",\n' + after


def test_mended_session_is_recovered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = OutrigStore(tmp_path, monkeypatch)
    store.containers()
    folder = store.session(GOING, fs=b"x")
    before = store.facts()
    assert before.state is State.CRASHED
    mend = LAYOUT.mend(ID, before.members, None, before.last_changed)
    assert (mend.source, mend.paths) == (before.members[0], (f"{ID}/session.json",))
    fd = os.open(folder / "session.json", os.O_RDONLY)
    try:
        made = b"".join(mend.build(fd, mend.paths[0]))
        assert b"".join(mend.build(fd, mend.paths[0])) == made
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    finally:
        os.close(fd)
    store.put(f"{ID}/session.json", made)
    after = store.facts()
    assert (after.state, after.ended_at, after.has_footer) == (State.RECOVERED, before.last_changed, True)
    assert refusal(tmp_path / "again", made) == "it has an end already"
    assert "no exit code" in mend.account()


def test_name_is_not_for_us_to_give(file: Path) -> None:
    assert not LAYOUT.names_sessions
    file.write_bytes(GOING)
    fd = os.open(file, os.O_RDONLY)
    try:
        named = b"".join(LAYOUT.mend(ID, (MEMBER,), "recovered-x", BEGAN).build(fd, MEMBER.path))
    finally:
        os.close(fd)
    assert named == mended(file, GOING, BEGAN)
    assert b"recovered-x" not in named


def test_end_is_no_earlier_than_the_beginning(file: Path) -> None:
    assert rows(mended(file, GOING, changed=BEGAN - 999))["ended_at"] == stamp(BEGAN)


def test_null_in_the_place_of_the_end_is_replaced_because_outrig_refuses_a_field_given_twice(
    file: Path,
) -> None:
    for content in (
        GOING.replace(b",\n", b',\n  "ended_at": null,\n', 1),
        GOING.replace(b"\n}", b',\n  "ended_at" : null\n}'),
        GOING.replace(b",\n", b',\n  "\\u0065nded_at": null,\n', 1),
    ):
        made = mended(file, content)
        assert made.count(b"nded_at") == 1
        assert made == content.replace(b"null", b'"%s"' % stamp(BEGAN + 999).encode())


@pytest.mark.parametrize(
    "dump",
    [
        {"separators": (",", ":")},
        {"indent": 4},
        {"indent": "\t"},
        {"separators": (" , ", " : ")},
        {"sort_keys": True},
    ],
    ids=str,
)
def test_record_that_was_laid_out_otherwise_stays_so(file: Path, dump: dict[str, Any]) -> None:
    fields = record(ID, BEGAN) | {"note": {"started_at": "x", "deep": [{"ended_at": '}"]\\'}]}, "ü": 1e3}
    content = json.dumps(fields, **dump).encode()
    made = mended(file, content)
    assert rows(made) == rows(content) | {"ended_at": stamp(BEGAN + 999)}
    assert len(made) > len(content)
    assert json.dumps(rows(made), **dump).encode() == made or dump.get("sort_keys") or " , " in str(dump)


def test_fields_that_nobody_knows_keep_their_bytes(file: Path) -> None:
    content = GOING.replace(
        b'{\n  "id"',
        b'{\n  "x\\u0041": [1.50, 1E5, "\\/", {"a" : {}, "b":[ ]}],\n  "big": 123456789012345678901234567890,\n  "id"',
    )
    made = mended(file, content)
    assert made.startswith(content[: content.index(b'"started_at"')])
    assert made.endswith(content[content.index(b'  "container_name"') :])


def test_windows_line_ends_stay(file: Path) -> None:
    made = mended(file, GOING.replace(b"\n", b"\r\n"))
    assert made.count(b"\r\n") == made.count(b"\n") == GOING.count(b"\n") + 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (ENDED, "it has an end already"),
        (written(record(ID, BEGAN, ended_at=stamp(BEGAN + 9))), "it has an end already"),
        (written(record(ID, BEGAN, exit_code=0)), "it has an exit code, but no end"),
        (b"", "its record is empty"),
        (GOING[:90], "its record cannot be read: Input data was truncated"),
        (GOING + b" " * (300 << 10), "its record is too long to be read"),
        (GOING.replace(b"coding", b"\xff"), "its record is no UTF-8"),
        (GOING.replace(b"\n}", b',\n  "started_at": "2026-09-15T00:00:00Z"\n}'), "as outrig never does it"),
        (GOING.replace(b"\n}", b',\n  "agent_name": "other"\n}'), "as outrig never does it"),
        (GOING.replace(b"\n}", b',\n  "x": 1,\n  "x": 2\n}'), "as outrig never does it"),
    ],
    ids=range(10),
)
def test_session_that_cannot_be_given_an_end_is_left_as_it_is(file: Path, content: bytes, why: str) -> None:
    told = refusal(file, content)
    assert told is not None
    assert why in told
    assert told.isprintable()


@pytest.mark.parametrize("changed", [-1e18, -1.0, 0.0])
def test_time_before_the_beginning_is_none(changed: float) -> None:
    assert rows(with_end(GOING, changed))["ended_at"] == stamp(BEGAN)


@pytest.mark.parametrize("changed", [1e12, 1e18, float("inf"), float("nan")])
def test_time_that_no_calendar_has_mends_nothing(changed: float) -> None:
    with pytest.raises(Unmendable):
        with_end(GOING, changed)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (1.5, "1970-01-01T00:00:01.5Z"),
        (1783874656.101224, "2026-07-12T16:44:16.101224Z"),
        (-62135596800.0, "0001-01-01T00:00:00Z"),
    ],
)
def test_time_is_written_as_outrig_writes_it(at: float, text: str) -> None:
    assert stamp(at) == text


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b"{", b'{"a"', b'{"a":', b'{"a":1', b'{"a":[', b'{"a" 1}', b'{"a":1 "b":2}', b'{"a":"x'],
)
def test_fields_of_what_is_no_record_are_an_error_and_no_endless_search(content: bytes) -> None:
    with pytest.raises(ValueError, match="not the record"):
        list(pairs_of(content))
