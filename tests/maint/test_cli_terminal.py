"""What a person at a terminal sees, and how two signals end a run."""

import errno
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest
from maint_world import World, run_all

from store.layouts.rec.specimens import session_id


def at_terminal(world: World, *arguments: str, shell: bool = False, **env: str) -> tuple[int, str]:
    """The exit code, and everything that the program wrote to a terminal."""
    leader, terminal = pty.openpty()
    process = world.start(
        *arguments, stdin=terminal, stdout=terminal, stderr=terminal, env=world.env | {"TERM": "xterm"} | env
    )
    os.close(terminal)
    written = b""
    try:
        while data := os.read(leader, 65536):
            written += data
    except OSError as error:
        if error.errno != errno.EIO:  # which says that nobody writes any more
            raise
    finally:
        os.close(leader)
    return process.wait(), written.decode().replace("\r\n", "\n")


@pytest.fixture
def ill(world: World) -> World:
    world.add("torn", 2)
    world.add("empty", 3)
    world.add("corrupt", 4)
    return world


def test_person_is_told_what_was_done(ill: World) -> None:
    code, text = at_terminal(ill, "sweep")
    assert code == 0
    assert [
        part for part in ("recovered: 1", "empty ones moved to trash: 1", "3 sessions") if part not in text
    ] == []


def test_person_is_told_of_a_problem_every_time(ill: World) -> None:
    texts = [at_terminal(ill, "sweep")[1] for _ in range(2)]
    assert [session_id(4) in text for text in texts] == [True, True]


def test_person_is_told_that_there_is_no_store(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.sessions.rmdir()
    assert "there is no store" in at_terminal(world, "sweep")[1]


def test_person_is_told_who_holds_the_store_at_once(ill: World) -> None:
    holder = subprocess.Popen(
        ["flock", str(ill.sessions), "sh", "-c", "echo; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    code, text = at_terminal(ill, "sweep")
    holder.communicate(b"\n")
    assert (code, "held by another maintainer" in text) == (75, True)


def busy_world(world: World) -> World:
    """So many sessions that a sweep of them takes longer than it takes to draw."""
    return many(world, "crashed", 2000)


def test_progress_is_drawn_on_a_terminal_and_taken_away_again(world: World) -> None:
    _, text = at_terminal(busy_world(world), "sweep")
    assert "carrying out" in text
    assert "carrying out" not in text.rpartition("\x1b[2K")[2]


def test_dumb_terminal_gets_no_escapes_and_no_progress(world: World) -> None:
    _, text = at_terminal(busy_world(world), "sweep", TERM="dumb")
    assert ("\x1b" in text, "carrying out" in text, "recovered: 2,000" in text) == (False, False, True)


def test_no_color_is_honoured(world: World) -> None:
    _, text = at_terminal(busy_world(world), "sweep", NO_COLOR="1")
    assert "carrying out" in text
    assert re.findall(r"\x1b\[[0-9;]*[1-9][0-9;]*m", text) == []


@pytest.mark.parametrize("arguments", [["status"], ["plan"], ["list"], ["--help"]])
def test_names_cannot_steer_the_terminal(ill: World, arguments: list[str]) -> None:
    ill.add("torn", 5, name="\x1b[31mred\x07\u202e")
    _, text = at_terminal(ill, *arguments, TERM="dumb")
    assert [char for char in ("\x1b", "\x07", "\u202e") if char in text] == []


# Signals.


def many(world: World, kind: str = "empty", count: int = 3000) -> World:
    world.rules(rest="limits: {max_removed: unlimited}\n")
    content = world.add(kind, 1).read_bytes()
    for number in range(2, count + 1):
        id_ = session_id(number)
        world.put(f"{id_}.ndjson", content.replace(session_id(1).encode(), id_.encode()))
    return world


def until_it_acts(world: World, process: subprocess.Popen[bytes]) -> None:
    """Read the lines of a sweep until the first outcome."""
    assert process.stdout is not None
    for line in process.stdout:
        if b'"type":"outcome"' in line:
            return
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_sweep_in_good_order(world: World, number: signal.Signals) -> None:
    treasure = many(world, "crashed", 2000).treasure()
    process = world.start("sweep", "--json", "--jobs", "2", bufsize=0)
    until_it_acts(world, process)
    process.send_signal(number)
    (answer,) = run_all([process])
    summary = answer.summary
    assert (answer.code, summary["type"], summary["stopped"], answer.err) == (
        128 + number,
        "summary",
        True,
        "",
    )
    assert 0 < summary["done"]["recover"] < 2000
    log = world.maint("log", summary["run"], "--json").lines
    assert (log[-1]["type"], log[-1]["stopped"], log[-1]["done"]) == ("end", True, summary["done"])
    rest = world.maint("sweep", "--json").summary["done"]["recover"]
    assert summary["done"]["recover"] + rest == 2000
    assert world.lost(treasure) == []


def test_second_signal_ends_at_once_and_loses_nothing(world: World) -> None:
    treasure = many(world, "crashed", 600).treasure()
    process = world.start("sweep", "--json", "--jobs", "2", bufsize=0)
    until_it_acts(world, process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    (answer,) = run_all([process])
    assert (answer.code in {130, 143}, "Traceback" in answer.err) == (True, False)
    assert (world.is_free(), world.lost(treasure)) == (True, [])
    assert world.maint("sweep").code == 0
    assert {each["state"] for each in world.maint("list", "--json").lines} == {"recovered"}


def test_signal_during_the_survey_changes_nothing(world: World) -> None:
    before = many(world, "crashed", 600).snapshot()
    process = world.start("plan")
    process.send_signal(signal.SIGINT)
    (answer,) = run_all([process])
    assert (world.snapshot(), "Traceback" in answer.err) == (before, False)


def test_signal_ends_the_wait_for_a_store(world: World) -> None:
    holder = subprocess.Popen(
        ["flock", str(world.sessions), "sh", "-c", "echo; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    process = world.start("sweep", "--wait", "10min")
    while not world.ours.exists():  # which is the last thing before it waits
        os.sched_yield()
    process.send_signal(signal.SIGTERM)
    (answer,) = run_all([process])
    holder.communicate(b"\n")
    assert (answer.code, "Traceback" in answer.err) == (143, False)
