"""What the layout makes of a session of Copilot: its state, its facts, and what is left alone."""

import fcntl
import os
import time
from pathlib import Path
from typing import Any

import pytest
from copilot_world import DAY, HOUR, ID, NOW, OTHER, Copilot, whole

from store.facts import Owner, State
from store.layout import Unmendable
from store.layouts.copilot import LAYOUT
from store.layouts.copilot.mend import CopilotMend
from store.layouts.copilot.records import name_in
from store.layouts.copilot.specimens import DEAD, begun, ended, event, turn, workspace

BEGAN = NOW - 2 * DAY
START = begun(ID, BEGAN)
TURN = turn(BEGAN)
TORN = TURN[:-40]


@pytest.fixture
def store(tmp_path: Path) -> Copilot:
    return Copilot(tmp_path)


def of(store: Copilot, events: bytes | None, **also: bytes) -> tuple[State, bool | None]:
    store.session(events, ID, age=2 * DAY, **also)
    found = store.facts()
    return found.state, found.empty


def test_session_gives_its_facts(store: Copilot) -> None:
    store.session(whole(), plan_dot_md=b"# Plan\n")
    found = store.facts()
    assert (found.id, found.name, found.project) == (ID, "Flaky test", "/home/ana/app")
    assert (found.started_at, found.ended_at, found.records, found.has_footer) == (BEGAN, BEGAN + 20, 8, True)
    assert (found.state, found.empty, found.evidence) == (State.COMPLETE, False, "it was shut down")
    names = [member.path.removeprefix(f"{ID}/") for member in found.members]
    assert names[0] == "events.jsonl"
    assert set(names[1:]) == {
        ".workspace-fork.lock",
        "checkpoints/index.md",
        "plan.md",
        "rewind-file-snapshots/tracking.json",
        "workspace.yaml",
    }
    assert found.bytes == sum(
        path.stat().st_size for path in (store.folder / ID).rglob("*") if path.is_file()
    )
    assert store.problems() == []


def test_session_that_was_not_shut_down_is_as_old_as_its_last_event(store: Copilot) -> None:
    store.session(START + TURN)
    found = store.facts()
    assert (found.state, found.ended_at, found.last_record_at) == (State.COMPLETE, None, BEGAN + 10)


@pytest.mark.parametrize(
    "events",
    [START + TORN, START + TURN + bytes(99), START + TORN + ended(BEGAN + 20), START + TURN + b"no event\n"],
)
def test_session_whose_last_line_is_no_event_has_crashed(store: Copilot, events: bytes) -> None:
    assert of(store, events) == (State.CRASHED, False)
    assert store.facts(grace=3 * DAY).state is State.LIVE  # it may be written at this moment


@pytest.mark.parametrize("events", [(START + TURN)[:-1], START + TURN + b"\n \n"])
def test_line_that_lacks_only_its_newline_is_whole(store: Copilot, events: bytes) -> None:
    assert of(store, events) == (State.COMPLETE, False)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (b"", State.CORRUPT),
        (bytes(99), State.CORRUPT),
        (TURN, State.CORRUPT),
        (b"{}\n", State.CORRUPT),
        (begun(OTHER, BEGAN) + TURN, State.UNKNOWN),
        (begun(ID, BEGAN, version=2) + TURN, State.UNKNOWN),
        (begun(ID, BEGAN, version="1") + TURN, State.UNKNOWN),
    ],
)
def test_session_that_begins_with_no_start_of_its_own_is_left_alone(
    store: Copilot, events: bytes, state: State
) -> None:
    assert of(store, events) == (state, None)


# Empty.


@pytest.mark.parametrize(
    ("events", "also", "empty"),
    [
        (None, {}, True),
        (START + ended(BEGAN), {}, True),
        (START + event("session.model_change", BEGAN, newModel="x") + ended(BEGAN), {}, True),
        (START + event("session.later", BEGAN), {}, False),
        (START + event("user.message", BEGAN, content=""), {}, False),
        (None, {"plan_dot_md": b"# Plan"}, False),
        (None, {"files__notes_dot_txt": b""}, False),
        (None, {"checkpoints__001_dot_md": b"# 1"}, False),
        (START, {"research__a_dot_md": b"x"}, False),
        (None, {"session_dot_db": b"SQLite"}, None),
    ],
)
def test_session_is_empty_in_which_nobody_said_or_did_anything(
    store: Copilot, events: bytes | None, also: dict[str, bytes], empty: bool | None
) -> None:
    assert of(store, events, **also) == (State.COMPLETE, empty)


def test_long_session_is_not_empty_and_its_events_are_not_counted(store: Copilot) -> None:
    assert of(store, START + TURN * 400 + ended(BEGAN)) == (State.COMPLETE, False)
    assert store.facts().records is None


# Who uses it.


@pytest.mark.parametrize("events", [None, START + TURN, START + TORN])
def test_session_whose_file_a_process_holds_is_live(store: Copilot, events: bytes | None) -> None:
    store.session(events, age=40 * DAY)
    store.marks(DEAD, age=40 * DAY)
    with (store.folder / f"{ID}/inuse.{DEAD}.hold").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (found,) = store.listing().locks
        assert (found.owner, store.facts().state) == (Owner.HOLDS, State.LIVE)
    (found,) = store.listing().locks
    assert (found.owner, store.facts().state is State.LIVE) == (Owner.GONE, False)


def test_without_a_file_to_hold_the_number_of_the_process_tells(store: Copilot) -> None:
    store.session(START + TURN)
    store.marks(DEAD, hold=False)
    assert [each.owner for each in store.listing().locks] == [Owner.GONE]
    store.now = os.path.getmtime("/proc/self/cmdline") + HOUR
    store.marks(os.getpid(), hold=False, age=0)
    assert {each.owner for each in store.listing().locks} == {Owner.GONE, Owner.HOLDS}
    assert store.facts().state is State.LIVE


def test_marks_are_no_part_of_the_session(store: Copilot) -> None:
    store.session(START + TURN)
    store.marks(DEAD)
    assert not any("inuse" in member.path for member in store.facts().members)
    (found,) = store.listing().locks
    assert (found.session, found.guard in found.members, len(found.members)) == (ID, True, 2)
    assert LAYOUT.session_of("sessions", f"{ID}/inuse.5.lock") is None


@pytest.mark.parametrize("suffix", ["lock", "hold"])
def test_mark_that_is_a_link_makes_the_session_live_and_is_told(store: Copilot, suffix: str) -> None:
    store.session(START + TURN)
    (store.folder / f"{ID}/inuse.5.{suffix}").symlink_to("/etc/hostname")
    assert (store.listing().locks, store.facts().state) == ([], State.LIVE)
    assert any(f"inuse.5.{suffix}" in each for each in store.problems())


# What lies there and is none.


def linked(path: Path) -> None:
    (path / "files/link").symlink_to("/etc/passwd")


def piped(path: Path) -> None:
    os.mkfifo(path / "files/pipe")


def twice(path: Path) -> None:
    os.link(path / "workspace.yaml", path / "files/second")


@pytest.mark.parametrize("plant", [linked, piped, twice])
def test_session_with_what_cannot_be_moved_is_left_alone_as_a_whole(store: Copilot, plant: Any) -> None:
    plant(store.session(START + TURN))
    assert store.facts().state is State.UNKNOWN
    assert len(store.problems()) > 0


def test_folder_without_anything_is_litter_and_one_with_marks_alone_is_none(store: Copilot) -> None:
    (store.folder / ID).mkdir()
    store.marks(DEAD, OTHER)
    (found,) = store.listing().leftovers
    assert (found.id, [each.session for each in store.listing().locks]) == (ID, [OTHER])
    assert store.sessions() == {}


@pytest.mark.parametrize("name", [".session-operation-locks", "notes", f"{ID}.jsonl", f"{ID}x"])
def test_what_has_no_name_of_a_session_is_somebody_elses(store: Copilot, name: str) -> None:
    store.put(f"{name}/events.jsonl", whole())
    assert (store.survey(), store.problems(), store.listing().leftovers) == ([], [], [])


def test_file_or_link_in_the_place_of_a_session_is_told(store: Copilot) -> None:
    (store.folder / ID).write_bytes(b"x")
    (store.folder / OTHER).symlink_to("/etc")
    assert (len(store.problems()), store.sessions()) == (2, {})


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"name: Flaky test", "Flaky test"),
        (b'name: "a: \\"b\\""', 'a: "b"'),
        (b"name: 'it''s'", "it's"),
        ("name: \u00fcber".encode(), "\u00fcber"),
        (b"name: |", None),
        (b"name: ", None),
        (b"name: \xff", None),
        (b'name: "torn', None),
        (b"user_named: false", None),
    ],
)
def test_name_is_read_where_it_stands_on_its_line(line: bytes, name: str | None) -> None:
    assert name_in(b"id: x\n" + line + b"\ncwd: /\n") == name


def test_default_place_is_that_of_the_program() -> None:
    told = LAYOUT.default_roots({}, "/home/ana", "linux")
    assert told == {"": {"sessions": "/home/ana/.copilot/session-state"}}
    told = LAYOUT.default_roots({"COPILOT_HOME": "/srv/cop/"}, "/home/ana", "linux")
    assert told == {"": {"sessions": "/srv/cop/session-state"}}
    assert LAYOUT.default_roots({"COPILOT_HOME": "cop"}, "/home/ana", "linux")[""]["sessions"].startswith(
        "/home"
    )


# Mending.


def mended(store: Copilot, events: bytes) -> bytes:
    path = store.session(events) / "events.jsonl"
    mend = CopilotMend(store.facts().members[0])
    with path.open("rb") as file:
        return b"".join(mend.build(file.fileno(), f"{ID}/events.jsonl"))


@pytest.mark.parametrize(
    ("events", "kept"),
    [
        (START + TORN, START + TURN[: TURN[:-1].rfind(b"\n") + 1]),
        (START + TURN + bytes(99), START + TURN),
        (START + TURN[:-1], START + TURN),
        (START + b"no event\n" + TURN, START + TURN),
        (START + TORN + ended(BEGAN + 20), START + TURN[: TURN[:-1].rfind(b"\n") + 1] + ended(BEGAN + 20)),
        (START + bytes(9) + TURN + b"\xff\n", START + TURN),
    ],
)
def test_every_whole_event_keeps_its_bytes(store: Copilot, events: bytes, kept: bytes) -> None:
    assert mended(store, events) == kept


@pytest.mark.parametrize("events", [TURN, b"no event\n", b'{"type":"x"}\n' + START])
def test_events_without_a_beginning_are_not_mended(store: Copilot, events: bytes) -> None:
    with pytest.raises(Unmendable):
        mended(store, events)


def test_events_are_shown_as_what_was_said_and_run() -> None:
    told = [LAYOUT.describe("sessions", f"{ID}/events.jsonl", line) for line in (START + TURN).splitlines()]
    assert [each for each in told if each is not None] == [
        "header   in /home/ana/app",
        "user     why does the test flake?",
        'call     bash {"command":"make test"}',
        "copilot  It sleeps on wall time.",
    ]
    assert LAYOUT.describe("sessions", f"{ID}/workspace.yaml", workspace(ID, BEGAN)) is None


def test_id_that_somebody_gave_in_capital_letters_is_one(store: Copilot) -> None:
    given = ID.upper().replace("0", "A")
    store.session(whole(given), given)
    assert (store.facts(given).state, store.problems()) == (State.COMPLETE, [])


@pytest.mark.parametrize("listed", ['{"%s": {"working": false}}', '{"%s": {"wor'])
def test_session_that_is_listed_as_open_lives_while_a_process_of_the_program_does(
    tmp_path: Path, listed: str
) -> None:
    store = Copilot(tmp_path, now=time.time())
    store.session(whole())
    store.session(whole(OTHER), OTHER)
    store.put("../open-sessions-state.json", (listed % ID).encode())
    assert {each.state for each in store.sessions().values()} == {State.COMPLETE}
    store.put(f"../logs/process-1796000000000-{DEAD}.log", b"", age=0)
    assert {each.state for each in store.sessions().values()} == {State.COMPLETE}
    store.put(f"../logs/process-1796000000001-{os.getpid()}.log", b"", age=0)
    assert store.sessions()[ID].state is State.LIVE
    assert "listed as open" in store.sessions()[ID].evidence
    assert store.sessions()[OTHER].state is State.COMPLETE
    store.put(f"../logs/process-1796000000001-{os.getpid()}.log", b"", age=365 * DAY)
    assert store.sessions()[ID].state is State.COMPLETE


def test_session_with_all_that_was_said_in_half_an_event_is_not_mended(store: Copilot) -> None:
    store.session(START + TURN[:60])
    found = store.facts()
    assert (found.state, found.empty, found.mendable) == (State.CRASHED, False, False)
    assert "all that was said" in found.evidence
    store.session(START + TURN + TURN[:60])
    assert store.facts().mendable
    store.session(START + bytes(90))
    assert (store.facts().empty, store.facts().mendable) == (True, True)


def test_mending_refuses_to_leave_a_session_in_which_nothing_was_said(store: Copilot) -> None:
    store.session(START + TURN[:60])
    mend = LAYOUT.mend(ID, store.facts().members, None, NOW)
    fd = os.open(store.folder / ID / "events.jsonl", os.O_RDONLY)
    try:
        with pytest.raises(Unmendable, match="what was said"):
            list(mend.build(fd, mend.paths[0]))
    finally:
        os.close(fd)
