import posixpath
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_world import PACK, SHA, entry, head

from store import frames, manifest
from store.facts import Account, State
from store.frames import Damaged
from store.manifest import Entry, PackedFolder, PackedMember

paths = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=9).filter(
        lambda part: part not in {".", "..", ".maint"}
    ),
    min_size=1,
    max_size=4,
).map("/".join)
members = st.builds(
    PackedMember,
    root=st.sampled_from(["sessions", "state"]),
    path=paths,
    size=st.integers(0, 2**40),
    mtime_ns=st.integers(-(2**62), 2**62),
    mode=st.integers(0, 0o7777),
    sha256=st.just(SHA),
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
)
moments = st.none() | st.floats(-6e10, 2e11)
accounts = st.builds(
    Account,
    state=st.sampled_from(State),
    name=st.none() | st.text(st.characters(codec="utf-8")),
    started_at=moments,
    ended_at=moments,
    records=st.none() | st.integers(0, 2**40),
    tags=st.none() | st.tuples(st.text(st.characters(codec="utf-8"))),
)
entries = st.builds(
    Entry,
    id=st.text(st.characters(codec="utf-8")),
    members=st.lists(members, min_size=1, max_size=4).map(tuple),
    account=accounts,
    packed=st.integers(0, 2**40),
    at=st.integers(0, 2**30),
    frame=st.integers(0, 2**18),
).map(
    lambda each: msgspec.structs.replace(
        each,
        folders=tuple(
            PackedFolder(root=member.root, path=folder, mode=0o750)
            for member in each.members
            if (folder := posixpath.dirname(member.path))
            and all((folder, member.root) != (other.path, other.root) for other in each.members)
        ),
    )
)


@settings(deadline=None, database=None)
@given(told=st.lists(entries, max_size=4))
def test_manifest_is_read_back(told: list[Entry]) -> None:
    first = head(sessions=len(told), frames=((10, 20, "0" * 32),), replaces=PACK)
    text = manifest.encode_head(first) + b"".join(map(manifest.encode_entry, told))
    found, lines = manifest.parse(text)
    assert found == first
    assert list(manifest.entries(lines)) == told


def text_of(first: Any, *lines: bytes) -> bytes:
    return b"".join((msgspec.json.encode(first), b"\n", *lines))


ONE = manifest.encode_entry(entry())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"{}\n",
        b"null\n",
        b"\xff\n",
        b"[" * 200_000 + b"\n",
        b'{"x":' * 100_000 + b"\n",
        text_of(head())[:-1],
        text_of(head(sessions=1)),
        text_of(head(sessions=1), ONE[:-1]),
        text_of(head(sessions=1), ONE, ONE),
        text_of(head(sessions=-1)),
        text_of(head(sessions=10**30)),
        text_of(head(format=2)),
        text_of(head(roots=())),
        text_of(head(level=0)),
        text_of(head(level=10**9)),
        text_of(head(pack="x")),
        text_of(head(pack="../" + PACK)),
        text_of({**msgspec.to_builtins(head()), "frames": [[1, 2]]}),
        text_of({**msgspec.to_builtins(head()), "frames": [["1", 2, ""]]}),
        text_of({key: value for key, value in msgspec.to_builtins(head()).items() if key != "run"}),
    ],
)
def test_what_is_no_manifest_is_damaged(text: bytes) -> None:
    with pytest.raises(Damaged, match=r"^its manifest "):
        manifest.parse(text)


@pytest.mark.parametrize(
    "told",
    [
        ((0, 0, ""),),
        ((-1, 10, ""),),
        ((10, -1, ""),),
        ((2000, 10, ""),),
        ((10, 1 << 40, ""),),
        ((1 << 70, 1 << 70, ""),),
    ],
)
def test_frame_that_cannot_be_is_damaged(told: Any) -> None:
    with pytest.raises(Damaged, match="frame that cannot be"):
        manifest.spans_of(head(frames=told))


def test_digest_that_is_none_is_damaged() -> None:
    with pytest.raises(Damaged, match="digest that is none"):
        manifest.digests_of(head(frames=((1, 1, "xy"),)))


def test_manifest_of_a_hundred_million_lines_is_not_counted_out() -> None:
    text = text_of(head(sessions=1 << 26)) + b"\n" * (1 << 26)
    tracemalloc.start()
    try:
        with pytest.raises(Damaged, match="contradicts itself"):
            manifest.parse(text)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


HOSTILE_MEMBERS: list[dict[str, Any]] = [
    {"path": ""},
    {"path": "/etc/passwd"},
    {"path": "../x"},
    {"path": "a/../../x"},
    {"path": "a/./b"},
    {"path": "a//b"},
    {"path": "a/"},
    {"path": "a\0b"},
    {"path": ".maint"},
    {"path": ".maint/lock"},
    {"path": ".maint/journal/x"},
    {"root": ""},
    {"root": ".."},
    {"root": "a/b"},
    {"root": "a\0"},
    {"size": -1},
    {"size": 1 << 63},
    {"size": 10**400},
    {"mtime_ns": 1 << 63},
    {"mtime_ns": -(1 << 63)},
    {"mtime_ns": 10**400},
    {"mode": -1},
    {"mode": 0o10000},
    {"uid": -1},
    {"uid": (1 << 32) - 1},
    {"gid": -1},
    {"gid": 10**30},
    {"link": ""},
    {"link": "a\0b"},
    {"link": "/etc/passwd"},
    {"link": ".."},
    {"link": "../x"},
    {"path": "a/b", "link": "../../x"},
    {"path": "a/b", "link": "c/../../../x"},
    {"link": "b", "size": 1},
]


@pytest.mark.parametrize("changes", HOSTILE_MEMBERS, ids=str)
def test_file_that_no_store_has_is_damaged(changes: dict[str, Any]) -> None:
    line = manifest.encode_entry(entry(**changes))
    with pytest.raises(Damaged):
        manifest.checked_entry(line)


@pytest.mark.parametrize(
    "changes",
    [
        {"members": ()},
        {"at": -1},
        {"at": 1 << 63},
        {"frame": -1},
        {"frame": 10**30},
        {"packed": -1},
        {"packed": 1 << 63},
        {"members": entry(size=1 << 62).members * 3},
        {"account": Account(started_at=1e300)},
        {"account": Account(ended_at=-1e12)},
        {"account": Account(last_record_at=3e11)},
        {"account": Account(records=-1)},
        {"account": Account(records=1 << 63)},
    ],
    ids=str,
)
def test_line_that_cannot_be_is_damaged(changes: dict[str, Any]) -> None:
    line = manifest.encode_entry(msgspec.structs.replace(entry(), **changes))
    with pytest.raises(Damaged):
        manifest.checked_entry(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        ONE[:-2],
        b"[" * 200_000,
        b'{"id":"a","members":' + b"[" * 100_000,
        b'{"x":' + b"[" * 100_000,
        ONE.replace(b'"size":0', b'"size":1.5'),
        ONE.replace(b'"size":0', b'"size":1e999'),
        ONE.replace(b'"size":0', b'"size":' + b"9" * 10_000),
        ONE.replace(b'"id":"a"', b'"id":"\\ud800"'),
        ONE.replace(b'"id":"a"', b'"id":"\xff"'),
    ],
)
def test_what_is_no_line_is_damaged(line: bytes) -> None:
    with pytest.raises(Damaged, match="a line of its manifest cannot be read"):
        manifest.checked_entry(line)


FOLDERS = (
    PackedFolder(root="sessions", path="p", mode=0o755),
    PackedFolder(root="sessions", path="p/q", mode=0o700),
    PackedFolder(root="sessions", path="p/bare", mode=0o7777),
    PackedFolder(root="sessions", path="p/bare/in", mode=0),
)


def test_folders_of_a_session_and_empty_ones_in_them_are_taken() -> None:
    told = msgspec.structs.replace(entry("p/q/a"), folders=FOLDERS)
    assert manifest.checked_entry(manifest.encode_entry(told)) == told


def test_line_of_a_session_without_folders_of_its_own_is_as_it_always_was() -> None:
    assert b"folders" not in ONE
    assert manifest.checked_entry(ONE).folders == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"path": ""},
        {"path": "."},
        {"path": ".."},
        {"path": "/p"},
        {"path": "p/../p"},
        {"path": "p/"},
        {"path": "p\0"},
        {"path": ".maint"},
        {"path": ".maint/x"},
        {"path": "other"},
        {"path": "other/x"},
        {"path": "p/x/y"},
        {"path": "p/q/a"},
        {"path": "p/q/a/b"},
        {"root": "state"},
        {"root": ""},
        {"root": ".."},
        {"root": "a/b"},
        {"mode": -1},
        {"mode": 0o10000},
        {"mode": 10**30},
    ],
    ids=str,
)
def test_folder_that_is_none_of_the_sessions_is_damaged(changes: dict[str, Any]) -> None:
    folder = msgspec.structs.replace(FOLDERS[0], **changes)
    line = manifest.encode_entry(msgspec.structs.replace(entry("p/q/a"), folders=(folder,)))
    with pytest.raises(Damaged):
        manifest.checked_entry(line)


@pytest.mark.parametrize(
    "told",
    [b"1", b"[1]", b"[{}]", b'[{"root":"sessions","path":"p","mode":"x"}]', b"[" * 100_000],
)
def test_what_are_no_folders_is_damaged(told: bytes) -> None:
    with pytest.raises(Damaged):
        manifest.checked_entry(ONE[:-2] + b',"folders":' + told + b"}")


@pytest.mark.parametrize("link", ["b", "./b", "b/../c", "c/d", "x/../../b"])
def test_links_that_stay_in_the_store_are_taken(link: str) -> None:
    line = manifest.encode_entry(entry("p/a", link=link))
    assert manifest.checked_entry(line).members[0].link == link


def test_fields_of_a_later_version_are_passed_over() -> None:
    first = {**msgspec.to_builtins(head(sessions=1)), "later": {"x": [1]}}
    _, (line,) = manifest.parse(text_of(first, ONE.replace(b'"id"', b'"later":1,"id"')))
    assert manifest.checked_entry(line) == entry()


def test_names_in_the_tar_tell_the_roots_apart() -> None:
    assert manifest.member_name("sessions", "a/b", "sessions") == "a/b"
    assert manifest.member_name("state", "a/b", "sessions") == "@state/a/b"


def test_member_knows_what_it_takes_of_a_tar() -> None:
    for size in (0, 1, 512, 513):
        one = entry("a" * 200, size=size).members[0]
        assert one.tar_size("sessions") == len(one.header("sessions")) + size + -size % 512


def test_spans_follow_upon_each_other() -> None:
    told = ((10, 20, "00" * 16), (30, 40, "ff" * 16))
    assert manifest.spans_of(head(frames=told)) == [frames.Span(0, 10, 20), frames.Span(10, 30, 40)]
    assert manifest.digests_of(head(frames=told)) == [b"\0" * 16, b"\xff" * 16]
    assert manifest.frames_of([(10, 20, b"\0" * 16), (30, 40, b"\xff" * 16)]) == told
