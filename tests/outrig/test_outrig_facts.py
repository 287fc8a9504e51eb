"""What the layout makes of sessions, whatever era wrote them, and whatever became of them."""

import os
from pathlib import Path
from typing import Any

import pytest
from outrig_world import (
    BEGAN,
    DAY,
    ENDED,
    FROZEN,
    GOING,
    HOUR,
    ID,
    NOW,
    OTHER,
    STDERR,
    OutrigStore,
    paths,
)

from store.facts import Problem, Session, State
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.records import stamp
from store.layouts.outrig.specimens import finished, record, written


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutrigStore:
    return OutrigStore(tmp_path, monkeypatch)


# Records of all eras.


def frozen(store: OutrigStore, era: str) -> Session:
    content = (FROZEN / f"{era}.json").read_bytes()
    id_ = content.split(b'"')[3].decode()
    store.session(content, id_=id_, fs=STDERR)
    return store.facts(id_)


def test_record_of_the_first_era_is_read_under_the_old_name_of_its_image(store: OutrigStore) -> None:
    found = frozen(store, "era-a")
    assert (found.state, found.tags, found.name) == (State.COMPLETE, ("planning",), None)
    assert (found.started_at, found.ended_at) == (1779271872.5, 1779273660.0)
    assert found.project == "/srv/app"


def test_record_of_the_second_era_is_read(store: OutrigStore) -> None:
    found = frozen(store, "era-b")
    assert (found.state, found.tags, found.name) == (State.COMPLETE, ("outrig-standard",), "coding")


def test_record_with_sidecars_and_nanoseconds_is_read(store: OutrigStore) -> None:
    found = frozen(store, "era-c")
    assert (found.state, found.tags) == (State.COMPLETE, ("coding",))
    assert found.started_at == pytest.approx(1783874656.101224, abs=1e-6)
    assert found.ended_at == pytest.approx(1783874898.559901, abs=1e-6)


def test_record_of_a_borrowed_container_without_image_or_agent_is_read(store: OutrigStore) -> None:
    found = frozen(store, "era-d")
    assert (found.state, found.tags, found.name) == (State.COMPLETE, (), None)


def test_record_without_an_end_is_read(store: OutrigStore) -> None:
    store.containers()
    found = frozen(store, "killed")
    assert (found.state, found.ended_at, found.has_footer) == (State.CRASHED, None, False)


def test_fields_that_nobody_knows_and_null_where_it_may_stand_are_no_matter(store: OutrigStore) -> None:
    fields = record(ID, BEGAN) | {"ended_at": None, "exit_code": None, "agent_name": None, "future": [{}]}
    store.containers()
    store.session(written(fields))
    assert store.facts().state is State.CRASHED


@pytest.mark.parametrize(
    "field", ["id", "started_at", "container_name", "image_tag", "working_dir", "session_dir"]
)
def test_record_without_a_field_that_outrig_requires_is_corrupt_and_says_which(
    store: OutrigStore, field: str
) -> None:
    without: dict[str, Any] = {field: None}
    store.session(finished(ID, BEGAN, **without), fs=STDERR)
    found = store.facts()
    assert (found.state, found.started_at, found.project) == (State.CORRUPT, None, None)
    assert f"`{field}`" in found.evidence


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("exit_code", 2**31),
        ("exit_code", "0"),
        ("exit_code", 1.5),
        ("started_at", "yesterday"),
        ("started_at", "2026-09-18T13:13:20"),
        ("started_at", 1790000000),
        ("ended_at", ""),
        ("sidecar_container_names", [1]),
        ("sidecar_container_names", "x"),
        ("working_dir", ["/"]),
        ("agent_name", {}),
    ],
)
def test_record_with_a_value_that_outrig_would_refuse_is_corrupt(
    store: OutrigStore, field: str, value: Any
) -> None:
    store.session(finished(ID, BEGAN, **{field: value}))
    assert store.facts().state is State.CORRUPT


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (bytes(300), "zeros"),
        (ENDED[:60], "truncated"),
        (ENDED + ENDED, "trailing"),
        (b"[]", "array"),
        (b"null", "null"),
        (ENDED.replace(b"coding", b"\xff"), "UTF-8"),
        (b'{"a":' * 20_000, "nested"),
        (b'{"a":' + b"[" * 60_000 + b"]" * 60_000 + b"}", "nested"),
        (b"\xef\xbb\xbf" + ENDED, "byte 0"),
    ],
    ids=range(11),
)
def test_record_that_is_damaged_is_corrupt_and_says_how(
    store: OutrigStore, content: bytes, told: str
) -> None:
    store.session(content)
    found = store.facts()
    assert (found.state, found.empty) == (State.CORRUPT, None)
    assert told in found.evidence
    assert found.evidence.isprintable()


def test_record_too_long_to_be_one_is_unknown_and_not_read(store: OutrigStore) -> None:
    store.session(ENDED + b" " * (300 << 10))
    assert (store.facts().state, store.facts().evidence) == (
        State.UNKNOWN,
        "its record is too long to be read",
    )


def test_record_of_another_session_is_unknown(store: OutrigStore) -> None:
    store.session(finished(OTHER, BEGAN))
    found = store.facts()
    assert (found.id, found.state) == (ID, State.UNKNOWN)
    assert OTHER in found.evidence


# States.


def test_session_with_an_end_and_an_exit_code_is_complete(store: OutrigStore) -> None:
    store.session(fs=STDERR)
    found = store.facts()
    assert (found.state, found.has_footer, found.ended_at) == (State.COMPLETE, True, BEGAN + 242.5)
    assert (found.last_record_at, found.records, found.parent, found.mendable) == (None, None, None, True)


def test_session_with_an_end_but_no_exit_code_is_recovered(store: OutrigStore) -> None:
    store.session(written(record(ID, BEGAN, ended_at=stamp(BEGAN + 9))))
    found = store.facts()
    assert (found.state, found.has_footer, found.ended) == (State.RECOVERED, True, BEGAN + 9)


def test_session_with_an_exit_code_but_no_end_is_unknown(store: OutrigStore) -> None:
    store.containers()
    store.session(written(record(ID, BEGAN, exit_code=0)))
    assert store.facts().state is State.UNKNOWN


def test_session_without_an_end_whose_containers_are_gone_has_crashed(store: OutrigStore) -> None:
    store.containers(
        every=[
            {"Names": [f"outrig-{ID}"], "State": "exited"},
            {"Names": ["unrelated"], "State": "running"},
        ]
    )
    store.session(GOING, fs=STDERR)
    found = store.facts()
    assert (found.state, found.ended, found.last_changed) == (State.CRASHED, NOW - 2 * DAY, NOW - 2 * DAY)


def test_session_whose_container_runs_lives_however_long_it_was_silent(store: OutrigStore) -> None:
    store.runs(f"outrig-{ID}")
    store.session(GOING, age=300 * DAY)
    assert store.facts().state is State.LIVE


def test_session_that_ended_lives_while_its_container_runs(store: OutrigStore) -> None:
    store.runs("borrowed")
    store.session(finished(ID, BEGAN, container_name="borrowed"))
    assert (store.facts().state, store.facts().evidence) == (State.LIVE, "its container borrowed runs")


def test_session_lives_while_a_sidecar_runs(store: OutrigStore) -> None:
    store.runs("side-b")
    store.session(finished(ID, BEGAN, sidecar_container_names=["side-a", "side-b"]))
    assert store.facts().state is State.LIVE


def test_session_that_cannot_be_read_lives_while_the_container_in_it_runs(store: OutrigStore) -> None:
    torn = written(record(ID, BEGAN, container_name='b"o\u00fc'))[:-40]
    store.session(torn)
    store.containers()
    assert store.facts().state is State.CORRUPT
    store.runs('b"o\u00fc')
    assert store.facts().state is State.LIVE
    store.runs(f"outrig-{ID}")
    assert store.facts().state is State.LIVE


def test_session_that_changed_lately_lives_though_there_is_no_container_yet(store: OutrigStore) -> None:
    store.containers()
    store.session(GOING, age=23 * HOUR)
    assert store.facts().state is State.LIVE
    assert store.facts(grace=22 * HOUR).state is State.CRASHED


def test_youngest_of_all_members_decides_how_long_a_session_was_silent(store: OutrigStore) -> None:
    store.containers()
    folder = store.session(GOING, age=9 * DAY, fs=STDERR)
    store.put("logs/subagent-a/subagent-b.log", b"x", HOUR, within=folder)
    found = store.facts()
    assert (found.state, found.last_changed) == (State.LIVE, NOW - HOUR)


def test_launcher_counts_among_what_changed(store: OutrigStore) -> None:
    folder = store.session(age=9 * DAY)
    store.put("outrig-enter", b"\x7fELF", 3 * DAY, within=folder)
    assert store.facts().last_changed == NOW - 3 * DAY


def test_session_whose_log_somebody_writes_lives(store: OutrigStore) -> None:
    store.containers()
    folder = store.session(GOING, fs=STDERR, db=STDERR)
    with (folder / "logs/fs.stderr").open("ab"):
        assert store.facts().state is State.LIVE
    assert store.facts().state is State.CRASHED


def test_session_without_an_end_is_unknown_where_nobody_can_be_asked(store: OutrigStore) -> None:
    store.session(GOING, age=2 * DAY)
    age = NOW + 5 * 365 * DAY  # changed after this machine started, however long it has been up
    os.utime(store.sessions / ID / "session.json", (age, age))
    store.now = age + 2 * DAY
    found = store.facts()
    assert found.state is State.UNKNOWN
    assert "there is no podman" in found.evidence


def test_session_without_an_end_from_before_the_machine_started_has_crashed_whoever_can_be_asked(
    store: OutrigStore,
) -> None:
    store.session(GOING, age=NOW - DAY)
    found = store.facts()
    assert found.state is State.CRASHED
    assert "machine started" in found.evidence


def test_session_that_ended_is_complete_where_nobody_can_be_asked(store: OutrigStore) -> None:
    store.session()
    assert store.facts().state is State.COMPLETE


# Members.


def test_members_are_the_record_the_launcher_and_all_logs(store: OutrigStore) -> None:
    folder = store.session(ENDED, zed=b"12", fs=b"345")
    store.put("outrig-enter", b"\x7fELF", within=folder)
    store.put("logs/subagent-a/subagent-b/subagent-c.log", b"6", within=folder)
    store.put("logs/network.jsonl", b"{}\n", within=folder)
    found = store.facts()
    logs = [
        f"{ID}/logs/fs.stderr",
        f"{ID}/logs/network.jsonl",
        f"{ID}/logs/subagent-a/subagent-b/subagent-c.log",
        f"{ID}/logs/zed.stderr",
    ]
    assert paths(found.members) == [f"{ID}/session.json", f"{ID}/outrig-enter", *logs]
    assert paths(found.payload) == logs
    assert found.bytes == len(ENDED) + 4 + 2 + 3 + 1 + 3
    assert {member.root for member in found.members} == {"sessions"}
    for member in found.members:
        seen = (store.sessions / member.path).stat()
        assert (member.fingerprint.inode, member.fingerprint.size) == (seen.st_ino, seen.st_size)
        assert LAYOUT.knows(member.root, member.path)
        assert LAYOUT.session_of(member.root, member.path) == ID
    assert found.pointers == ()


def test_files_of_somebody_else_are_no_members_and_are_told(store: OutrigStore) -> None:
    folder = store.session()
    for name in ("KEEP_ME.txt", "a\nb", "photos/cat.jpg"):
        store.put(name, b"mine", within=folder)
    assert paths(store.facts().members) == [f"{ID}/session.json"]
    assert store.problems() == [
        f"{ID}: holds what outrig did not make, and will go on holding it: KEEP_ME.txt, a\\nb, photos"
    ]


def test_logs_that_are_no_folder_are_no_member(store: OutrigStore, tmp_path: Path) -> None:
    folder = store.session()
    (folder / "logs").rmdir()
    (folder / "logs").write_bytes(b"mine")
    assert paths(store.facts().members) == [f"{ID}/session.json"]
    assert store.problems() == [f"{ID}/logs: is no folder; left alone"]
    (folder / "logs").unlink()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/secret").write_bytes(b"x")
    (folder / "logs").symlink_to(tmp_path / "other")
    assert paths(store.facts().members) == [f"{ID}/session.json"]
    assert store.facts().empty is None


def test_links_fifos_and_second_names_among_logs_are_no_members(store: OutrigStore, tmp_path: Path) -> None:
    folder = store.session(fs=STDERR)
    logs = folder / "logs"
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_bytes(b"x")
    (logs / "link").symlink_to(tmp_path / "secret/key")
    (logs / "folder").symlink_to(tmp_path / "secret")
    os.mkfifo(logs / "fifo")
    os.link(tmp_path / "secret/key", logs / "second")
    (logs / os.fsdecode(b"\xff")).write_bytes(b"x")
    assert paths(store.facts().members) == [f"{ID}/session.json", f"{ID}/logs/fs.stderr"]
    assert sorted(store.problems()) == [
        f"{ID}/logs/\\xff: has a name that cannot be shown; left alone",
        f"{ID}/logs/fifo: is a FIFO; left alone",
        f"{ID}/logs/folder: is a symbolic link; left alone",
        f"{ID}/logs/link: is a symbolic link; left alone",
        f"{ID}/logs/second: has more than one hard link; left alone",
    ]


def test_very_many_things_that_are_no_logs_are_told_in_a_few_lines(store: OutrigStore) -> None:
    folder = store.session()
    for i in range(300):
        (folder / f"logs/{i}").symlink_to("/")
    assert len(store.problems()) == 6
    assert store.problems()[-1] == f"{ID}: has 295 more logs that are none; left alone"


def test_logs_nested_too_deeply_make_a_session_unknown(store: OutrigStore) -> None:
    folder = store.session()
    store.put("logs/" + "a/" * 31 + "b", b"x", within=folder)
    assert store.facts().state is State.COMPLETE
    store.put("logs/" + "a/" * 32 + "b", b"x", within=folder)
    assert store.facts().state is State.UNKNOWN


def test_launcher_that_is_a_folder_or_a_link_is_no_member(store: OutrigStore) -> None:
    folder = store.session()
    (folder / "outrig-enter").symlink_to("/bin/sh")
    assert paths(store.facts().members) == [f"{ID}/session.json"]
    assert store.problems() == [f"{ID}/outrig-enter: is a symbolic link; left alone"]
    (folder / "outrig-enter").unlink()
    (folder / "outrig-enter").mkdir()
    assert paths(store.facts().members) == [f"{ID}/session.json"]


# Emptiness.


@pytest.mark.parametrize(
    ("content", "logged", "empty"),
    [
        (GOING, b"", True),
        (GOING, b"x", False),
        (finished(ID, BEGAN, code=1), b"", True),
        (finished(ID, BEGAN, code=1), b"x", False),
        (finished(ID, BEGAN, code=0), b"", None),
        (finished(ID, BEGAN, code=0), b"x", False),
        (written(record(ID, BEGAN, ended_at=stamp(BEGAN + 9))), b"", None),
    ],
)
def test_session_is_empty_if_nothing_was_logged_and_it_did_not_end_well(
    store: OutrigStore, content: bytes, logged: bytes, empty: bool | None
) -> None:
    store.containers()
    store.session(content, fs=logged, db=b"")
    assert store.facts().empty is empty


def test_session_without_logs_at_all_is_empty_if_it_never_ended(store: OutrigStore) -> None:
    store.containers()
    store.put(f"{ID}/session.json", GOING)
    assert store.facts().empty is True


def test_session_is_not_called_empty_while_something_lies_there_that_is_not_looked_at(
    store: OutrigStore,
) -> None:
    store.containers()
    folder = store.session(GOING)
    os.mkfifo(folder / "logs/fifo")
    assert store.facts().empty is None
    (folder / "logs/fifo").unlink()
    assert store.facts().empty is True
    store.put("result.txt", b"mine", within=folder)
    assert store.facts().empty is None


def test_temp_file_does_not_make_a_session_less_empty(store: OutrigStore) -> None:
    store.containers()
    folder = store.session(GOING)
    store.put(".tmpAb12Cd", b"{", within=folder)
    assert store.facts().empty is True


# Listing.


def test_folders_without_a_record_and_plain_files_are_not_listed(store: OutrigStore) -> None:
    store.session()
    store.put("notes.txt", b"x")
    store.put(f"{OTHER}.tar.zst", b"x")
    store.put("archive/x", b"x")
    store.put(".maint/session.json", ENDED)
    assert (store.ids(), store.problems()) == ([ID], [])


def test_session_under_a_name_of_somebody_elses_making_is_listed_but_not_believed(
    store: OutrigStore,
) -> None:
    store.session(id_="copy-of-it")
    assert store.facts("copy-of-it").state is State.UNKNOWN


@pytest.mark.parametrize("name", ["a b", "-x", "ünï", os.fsdecode(b"\xff"), "a\nb", ".hidden"])
def test_record_in_a_folder_whose_name_is_no_sessions_is_told(store: OutrigStore, name: str) -> None:
    store.session(id_=name)
    assert store.ids() == []
    (told,) = store.problems()
    assert "no session of outrig's has such a name" in told
    assert told.isprintable()


def test_missing_root_is_an_error_of_the_listing(store: OutrigStore) -> None:
    store.sessions.rmdir()
    with pytest.raises(FileNotFoundError):
        store.listing()
    assert LAYOUT.targets(store.place) == {}


def test_session_that_went_away_since_it_was_listed_is_no_problem(store: OutrigStore) -> None:
    folder = store.session()
    place, listing = store.place, store.listing()
    (folder / "session.json").unlink()
    assert list(LAYOUT.read(place, listing.context, listing.entries)) == []
    (folder / "logs").rmdir()
    folder.rmdir()
    assert list(LAYOUT.read(place, listing.context, listing.entries)) == []


def test_folder_that_became_a_link_since_it_was_listed_is_not_followed(
    store: OutrigStore, tmp_path: Path
) -> None:
    folder = store.session(fs=STDERR)
    place, listing = store.place, store.listing()
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    (found,) = LAYOUT.read(place, listing.context, listing.entries)
    assert isinstance(found, Problem)


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "second"])
def test_record_that_is_no_plain_file_makes_no_session(store: OutrigStore, tmp_path: Path, kind: str) -> None:
    folder = store.session()
    file = folder / "session.json"
    file.rename(tmp_path / "elsewhere")
    match kind:
        case "link":
            file.symlink_to(tmp_path / "elsewhere")
        case "folder":
            file.mkdir()
        case "fifo":
            os.mkfifo(file)
        case _:
            os.link(tmp_path / "elsewhere", file)
    assert store.ids() == []
    (told,) = store.problems()
    assert told.startswith(f"{ID}/session.json: expected a record of outrig's, but it ")


# Lines for a person.


def test_lines_are_shown_as_they_stand_and_brackets_are_not() -> None:
    for line in (b"{", b"}", b"", b"  \r", b"  },"):
        assert LAYOUT.describe("sessions", f"{ID}/session.json", line) in (None, "  },")
    assert LAYOUT.describe("sessions", f"{ID}/session.json", b'  "exit_code": 0') == '  "exit_code": 0'
    assert (
        LAYOUT.describe("sessions", f"{ID}/logs/fs.stderr", b"\x1b[31mred\xff\0") == "\\x1b[31mred\\xff\\x00"
    )
    assert LAYOUT.describe("dir-0123456789abcdef", "logs/outrig-enter", b"x") == "x"


def test_launcher_has_no_lines() -> None:
    assert LAYOUT.describe("sessions", f"{ID}/outrig-enter", b"\x7fELF") is None
    assert LAYOUT.describe("dir-0123456789abcdef", "outrig-enter", b"\x7fELF") is None


def test_line_of_megabytes_is_cut() -> None:
    shown = LAYOUT.describe("sessions", f"{ID}/logs/a", b"x" * (4 << 20))
    assert shown is not None
    assert len(shown) < 70_000
    assert shown.endswith(" ...")
