"""What becomes of a crashed session: whole records byte for byte and in order, a marked header, one true footer."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rec_world import (
    BEGAN,
    FOOT,
    HEAD,
    ID,
    LEAKED,
    MEMBER,
    ONE,
    OTHER,
    TORN,
    TWO,
    RecStore,
    mended,
    records_of,
    refusal,
)

from store import edges
from store.facts import State
from store.layout import Unmendable
from store.layouts.rec import LAYOUT
from store.layouts.rec.mend import RecMend
from store.layouts.rec.records import decode, decode_header, is_foreign
from store.layouts.rec.specimens import command, footer

MARKED = HEAD.replace(b'"name":"deploy"', b'"name":"recovered-x"').replace(
    b'"started', b'"recovered":true,"started'
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x"


def end_of(count: int, ended: float) -> bytes:
    return footer(ended, count, "interrupted")


def test_session_gets_a_mark_a_name_and_a_footer(path: Path) -> None:
    assert mended(path, HEAD + ONE + TWO) == MARKED + ONE + TWO + end_of(2, BEGAN + 123.5)


def test_torn_tail_is_set_aside(path: Path) -> None:
    assert mended(path, HEAD + ONE + TORN) == MARKED + ONE + end_of(1, BEGAN + 62.5)


def test_tail_of_zeros_is_set_aside(path: Path) -> None:
    assert mended(path, HEAD + ONE + bytes(999)) == MARKED + ONE + end_of(1, BEGAN + 62.5)


def test_last_record_without_newline_gets_one(path: Path) -> None:
    assert mended(path, HEAD + ONE[:-1]) == MARKED + ONE + end_of(1, BEGAN + 62.5)


def test_garbage_between_records_is_set_aside(path: Path) -> None:
    content = HEAD + b"garbage\n" + ONE + TORN + b"\n" + TWO + b"\xff\n"
    assert mended(path, content) == MARKED + ONE + TWO + end_of(2, BEGAN + 123.5)


def test_carriage_returns_of_kept_lines_stay(path: Path) -> None:
    content = HEAD + ONE[:-1] + b"\r\n" + TORN
    assert mended(path, content) == MARKED + ONE[:-1] + b"\r\n" + end_of(1, BEGAN + 62.5)


def test_blank_lines_go_and_are_not_counted_as_set_aside(path: Path) -> None:
    path.write_bytes(b"\n" + HEAD + b" \r\n" + ONE + b"\n\n")
    assert told_of(path) == "kept 1 command, added a footer"


def test_session_that_ends_in_a_footer_gets_no_second_one(path: Path) -> None:
    assert mended(path, HEAD + ONE + FOOT + TORN) == MARKED + ONE + FOOT
    assert mended(path, HEAD + ONE + FOOT[:-1]) == MARKED + ONE + FOOT


def test_footer_in_the_middle_is_kept_and_a_true_one_follows(path: Path) -> None:
    # rec takes the last one; whole records are never thrown away.
    early = footer(BEGAN + 90, 1)
    assert mended(path, HEAD + ONE + early + TWO) == MARKED + ONE + early + TWO + end_of(2, BEGAN + 123.5)


def test_footer_counts_what_is_there_and_not_what_the_indexes_say(path: Path) -> None:
    same = command(7, "x", BEGAN + 60)
    (*_, foot) = records_of(mended(path, HEAD + same * 3))
    assert foot["command_count"] == 3


def test_footer_ends_with_the_last_command_that_has_a_time(path: Path) -> None:
    open_ended = b'{"type":"command","index":0,"command":"x","cwd":"/","started_at":%.1f}\n' % (BEGAN + 777)
    (*_, foot) = records_of(mended(path, HEAD + ONE + open_ended))
    assert foot["ended_at"] == BEGAN + 777


def test_session_without_a_command_ends_when_it_last_changed(path: Path) -> None:
    (*_, foot) = records_of(mended(path, HEAD + TORN, changed=BEGAN + 999))
    assert (foot["ended_at"], foot["command_count"]) == (BEGAN + 999, 0)


def test_name_is_kept_where_none_is_given(path: Path) -> None:
    (head, *_) = records_of(mended(path, HEAD + ONE, name=None))
    assert (head["name"], head["recovered"]) == ("deploy", True)


@pytest.mark.parametrize("mark", ["true", "false", "null"])
def test_old_mark_is_replaced(path: Path, mark: str) -> None:
    marked = HEAD[:-2] + f',"recovered":{mark}}}\n'.encode()
    assert mended(path, marked + ONE) == MARKED + ONE + end_of(1, BEGAN + 62.5)


def test_name_with_quotes_and_accents_is_json(path: Path) -> None:
    (head, *_) = records_of(mended(path, HEAD + ONE, name='é "x"\n\u2028'))
    assert head["name"] == 'é "x"\n\u2028'


def test_values_of_the_header_keep_their_bytes(path: Path) -> None:
    odd = (
        b'{ "type":"header" ,"version":2,"zeros":1.50000,"big":%s,"exp":1E+2,"esc":"\\u00e9\\/","deep":[1 , 2],'
        b'"id":"%s","name":"deploy","started_at":1770628443.5182730}\n'
    ) % (b"9" * 5000, ID.encode())
    told = mended(path, odd + ONE)
    for value in (
        b'"zeros":1.50000',
        b'"exp":1E+2',
        b'"esc":"\\u00e9\\/"',
        b'"deep":[1 , 2]',
        b"1770628443.5182730",
    ):
        assert value in told
    assert b"9" * 5000 in told


def test_leaked_stop_is_kept_like_any_command(path: Path) -> None:
    assert LEAKED in mended(path, HEAD + LEAKED + ONE)


# Two appends on one line.


def test_record_behind_a_torn_one_on_the_same_line_is_kept(path: Path) -> None:
    # The hook was killed while it wrote; the shell lived on, and its next command was appended to the torn line.
    assert mended(path, HEAD + ONE + TORN + TWO) == MARKED + ONE + TWO + end_of(2, BEGAN + 123.5)


def test_record_behind_the_zeros_of_a_power_cut_is_kept(path: Path) -> None:
    assert mended(path, HEAD + ONE + bytes(512) + TWO) == MARKED + ONE + TWO + end_of(2, BEGAN + 123.5)


def test_record_before_zeros_is_kept(path: Path) -> None:
    assert mended(path, HEAD + ONE[:-1] + bytes(512)) == MARKED + ONE + end_of(1, BEGAN + 62.5)


def test_records_without_a_newline_between_are_both_kept(path: Path) -> None:
    assert mended(path, HEAD + ONE[:-1] + TWO) == MARKED + ONE + TWO + end_of(2, BEGAN + 123.5)


def test_record_quoted_in_a_torn_command_is_not_taken_for_one(path: Path) -> None:
    quoted = json.dumps(f"echo '{ONE.decode()[:-1]}'").encode()
    torn = TORN.replace(b'"make inst', quoted)
    assert mended(path, HEAD + torn + b"\n" + TWO) == MARKED + TWO + end_of(1, BEGAN + 123.5)


# What cannot be mended is left alone, and says why.


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it holds no complete record"),
        (b"\n\n", "it holds no complete record"),
        (bytes(4096), "it holds no complete record"),
        (HEAD[:50], "it holds no complete record"),
        (ONE + TWO, "its first record is no header"),
        (FOOT, "its first record is no header"),
        (b"garbage\n" + ONE, "its first record is no header"),
        (HEAD + ONE + HEAD, f"there is a second header at byte {len(HEAD + ONE)}"),
        (HEAD + b'{"type":"note"}\n' + ONE, f"the record at byte {len(HEAD)} is none of rec's"),
        (HEAD + ONE + b"{}\n", f"the record at byte {len(HEAD + ONE)} is none of rec's"),
        (HEAD.replace(b"build01", b"b\xff") + ONE, "the record at byte 0 is no UTF-8"),
        (HEAD + ONE[:-2] + b',"x":"\xff"}\n', f"the record at byte {len(HEAD)} is no UTF-8"),
    ],
)
def test_session_that_holds_what_nobody_knows_is_left_alone(path: Path, content: bytes, why: str) -> None:
    assert refusal(path, content) == why


def test_line_beyond_all_limits_is_left_alone(path: Path) -> None:
    path.write_bytes(HEAD + ONE)
    with path.open("ab") as file:
        file.truncate(edges.RECORD_LIMIT * 2)
    with path.open("rb") as file, pytest.raises(Unmendable, match="too long"):
        list(LAYOUT.mend(ID, (MEMBER,), "x", BEGAN).build(file.fileno(), MEMBER.path))


# What is told of it.


def told_of(path: Path) -> str:
    mend = RecMend(MEMBER, "recovered-x", BEGAN)
    with path.open("rb") as file:
        for _ in mend.build(file.fileno(), MEMBER.path):
            pass
    return mend.account()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HEAD + ONE, "kept 1 command, added a footer"),
        (HEAD + ONE + TWO + FOOT, "kept 2 commands"),
        (
            HEAD + ONE + TORN,
            f"kept 1 command, added a footer, set aside {len(TORN)} bytes, which stay in the backup",
        ),
        (
            HEAD + TORN + ONE,
            f"kept 1 command, added a footer, set aside {len(TORN)} bytes, which stay in the backup",
        ),
    ],
)
def test_account_says_what_was_done(path: Path, content: bytes, told: str) -> None:
    path.write_bytes(content)
    assert told_of(path) == told


# The same, of anything.

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
seconds = st.floats(0, 4e9) | st.integers(0, 4_000_000_000)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
KNOWN = {
    *("type", "version", "id", "name", "shell", "os", "hostname", "env", "tags", "recovered", "started_at"),
    *("index", "command", "cwd", "ended_at", "exit_code", "duration_ms", "command_count", "status"),
}
unknown_fields = st.dictionaries(text.filter(lambda key: key not in KNOWN), json_values, max_size=2)


def as_line(draw: st.DrawFn, record: dict[str, Any]) -> bytes:
    """The record as one line, in one of the ways in which JSON may be written."""
    items = list(record.items())
    if draw(st.booleans()):
        items = draw(st.permutations(items))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
    line = json.dumps(dict(items), ensure_ascii=draw(st.booleans()), separators=separators)
    return line.encode() + draw(st.sampled_from([b"", b"\r", b" "]))


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    fields = {
        "type": "header",
        "version": 2,
        "id": draw(st.sampled_from([ID, OTHER])),
        "name": draw(text),
        "shell": draw(text),
        "os": draw(text),
        "hostname": draw(text),
        "env": draw(st.dictionaries(text, text, max_size=2)),
        "tags": draw(st.lists(text, max_size=2)),
        "started_at": draw(seconds),
    }
    if draw(st.booleans()):
        fields["recovered"] = draw(st.booleans())
    return as_line(draw, fields | draw(unknown_fields))


@st.composite
def commands(draw: st.DrawFn) -> bytes:
    fields: dict[str, Any] = {
        "type": "command",
        "index": draw(st.integers(0, 2**32 - 1)),
        "command": draw(text),
        "cwd": draw(text),
        "started_at": draw(seconds),
    }
    if draw(st.booleans()):
        fields["ended_at"] = draw(seconds | st.none())
        fields["exit_code"] = draw(st.integers(-(2**31), 2**31 - 1) | st.none())
        fields["duration_ms"] = draw(st.integers(0, 2**64 - 1) | st.none())
    return as_line(draw, fields | draw(unknown_fields))


@st.composite
def footers(draw: st.DrawFn) -> bytes:
    status = draw(st.sampled_from(["completed", "interrupted", "recording"]))
    fields = {
        "type": "footer",
        "ended_at": draw(seconds),
        "command_count": draw(st.integers(0, 99)),
        "status": status,
    }
    return as_line(draw, fields)


def is_garbage(line: bytes) -> bool:
    """Whether nobody could take these bytes for a record, nor for anything that a record starts in."""
    return decode(line) is None and not is_foreign(line) and b"\n" not in line and b'{"type":"' not in line


garbage = (st.binary(max_size=40) | st.just(bytes(64)) | st.just(TORN[10:])).filter(is_garbage)
records = commands() | footers()


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """A record that was cut; sometimes so late that it is whole, sometimes so early that nothing is left."""
    line = draw(records)
    return line[: draw(st.integers(0, len(line)))]


bodies = st.lists(st.tuples(st.booleans(), records) | st.tuples(st.just(None), garbage), max_size=8)


def values_of(line: bytes) -> Iterator[tuple[str, bytes]]:
    """The fields of a header with the bytes of their values, told by a decoder that is not the one under test."""
    decoder = json.JSONDecoder()
    line_text = line.decode()
    at = line_text.index("{") + 1
    while True:
        at += len(line_text[at:]) - len(line_text[at:].lstrip(" \t,"))
        if line_text[at] == "}":
            return
        key, at = decoder.raw_decode(line_text, at)
        at += len(line_text[at:]) - len(line_text[at:].lstrip(" \t:"))
        _, end = decoder.raw_decode(line_text, at)
        yield key, line_text[at:end].encode()
        at = end


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=headers(), body=bodies, tail=torn() | garbage, name=text | st.none())
@example(head=HEAD[:-1], body=[(True, ONE[:-1]), (None, bytes(64))], tail=TORN, name="recovered-x")
@example(head=HEAD[:-1], body=[(True, FOOT[:-1])], tail=b"", name=None)
def test_every_whole_record_survives_byte_for_byte_and_in_order(
    path: Path, head: bytes, body: list[tuple[bool | None, bytes]], tail: bytes, name: str | None
) -> None:
    glue = [(line if whole is not False else line.rstrip()) + b"\n" for whole, line in body]
    result = mended(path, head + b"\n" + b"".join(glue) + tail, name)
    kept = [
        line for line in [*(line[:-1] for line in glue), tail] if line.strip() and decode(line) is not None
    ]

    lines = result.removesuffix(b"\n").split(b"\n")
    added = not kept or b'"footer"' not in kept[-1] or json.loads(kept[-1])["type"] != "footer"
    assert lines[1 : len(lines) - added] == kept
    assert result.endswith(b"\n")

    # Every line is a record, and there is nothing left to mend but what rec itself could read.
    assert all(decode(line) is not None for line in lines)
    marked = decode_header(lines[0])
    assert marked is not None
    assert marked.recovered

    # Of the header only the name and the mark are new.
    before, after = dict(values_of(head)), dict(values_of(lines[0]))
    assert after.pop("recovered") == b"true"
    before.pop("recovered", None)
    if name is not None:
        assert json.loads(after.pop("name")) == name
        before.pop("name")
    assert after == before
    assert list(after) == list(before)

    foot = json.loads(lines[-1])
    assert foot["type"] == "footer"
    if added:
        count = sum(json.loads(line)["type"] == "command" for line in kept)
        assert (foot["command_count"], foot["status"]) == (count, "interrupted")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=headers(), body=bodies, tail=torn() | garbage)
def test_mending_what_was_mended_changes_nothing(
    path: Path, head: bytes, body: list[tuple[bool | None, bytes]], tail: bytes
) -> None:
    content = head + b"\n" + b"".join(line + b"\n" for _, line in body) + tail
    once = mended(path, content)
    assert mended(path, once) == once


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300) | st.lists(torn() | headers() | garbage).map(b"".join))
def test_anything_is_mended_or_refused_with_a_reason(path: Path, content: bytes) -> None:
    why = refusal(path, content)
    assert why is None or (why[0].islower() and why.isprintable())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4))
def test_bytes_that_rot_cost_only_their_own_record(path: Path, flips: list[tuple[int, int]]) -> None:
    body = bytearray(b"".join(command(i, f"make {i}", BEGAN + i) for i in range(20)))
    for at, mask in flips:
        body[at % len(body)] ^= mask
    content = HEAD + bytes(body)
    if refusal(path, content) is None:
        result = mended(path, content)
        hit = {body.count(b"\n", 0, at % len(body)) for at, _ in flips}
        for i in range(20):
            line = command(i, f"make {i}", BEGAN + i)
            if not hit & {i - 1, i, i + 1}:
                assert line in result


def test_mended_session_is_recovered_in_the_eyes_of_the_survey(tmp_path: Path) -> None:
    store = RecStore(tmp_path)
    for content in (HEAD + ONE + TORN, HEAD + ONE + FOOT + TWO, HEAD + ONE + bytes(99), HEAD + TORN + ONE):
        store.session(mended(tmp_path / "x", content))
        found = store.facts()
        assert (found.state, found.has_footer, found.empty) == (State.RECOVERED, True, False)
        assert found.name == "recovered-x"


HEADER_LINE = HEAD.rstrip(b"\n")
LINES = [
    HEADER_LINE,
    command(1, "make", 2.0).rstrip(b"\n"),
    command(2, "it is \u00e4", 3.0).rstrip(b"\n"),
    footer(4.0, 1).rstrip(b"\n"),
    b'{"type":"command","x":\n{"y":1},"index":0,"command":"x","cwd":"/","started_at":1.0}',
    b"",
    b" ",
    b'{"type":"comm',
    b"\0\0",
    b'{"type":"other"}',
]


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(LINES), max_size=8),
    st.lists(st.sampled_from([b"\n", b"", b" ", b"\r\n", b"\n\n"]), min_size=9, max_size=9),
    st.sampled_from([16, 200, 1 << 16]),
)
def test_what_is_taken_by_the_block_is_what_it_is_line_by_line(
    path: Path, lines: list[bytes], ends: list[bytes], block: int
) -> None:
    content = HEADER_LINE + ends[0] + b"".join(line + end for line, end in zip(lines, ends[1:], strict=False))
    path.write_bytes(content)

    def made(*, by_block: bool) -> tuple[bytes, str] | str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(edges, "BLOCK", block)
            if not by_block:
                patch.setattr(RecMend, "_commands_at", lambda *_, **__: None)
            fd = os.open(path, os.O_RDONLY)
            try:
                mend = RecMend(MEMBER, None, 5.0)
                return b"".join(mend.build(fd, path.name)), mend.account()
            except Unmendable as why:
                return str(why)
            finally:
                os.close(fd)

    assert made(by_block=True) == made(by_block=False)


def test_two_commands_on_one_line_are_two_lines_even_where_a_blank_one_makes_up_for_it(path: Path) -> None:
    one = command(1, "make", 2.0).rstrip(b"\n")
    path.write_bytes(HEADER_LINE + b"\n" + one + one + b"\n\n")
    fd = os.open(path, os.O_RDONLY)
    lines = b"".join(RecMend(MEMBER, None, 5.0).build(fd, path.name)).splitlines()
    os.close(fd)
    assert lines[1:3] == [one, one]
