"""The real Copilot beside us: what it leaves is surveyed rightly, and what we leave it can go on with.

In the place of the model's server is one of ours, on this machine (`completions`). Everything here runs in a home of its
own.
"""

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from completions import Completions
from copilot_world import place_at

from store.facts import Owner, Session, State
from store.layout import Moment
from store.layouts.copilot import LAYOUT

COPILOT = os.environ.get("MAINT_REAL_COPILOT") or shutil.which("copilot") or ""
MAINT = [sys.executable, "-c", "from maint.cli import main; main()"]
PATIENCE = 90.0
DAY = 86_400.0

pytestmark = pytest.mark.real
if not os.access(COPILOT, os.X_OK):
    pytest.skip(
        "no real copilot: name one in MAINT_REAL_COPILOT, or put it on the PATH", allow_module_level=True
    )

LIMITS = "limits: {max_removed: unlimited, min_idle: 1s}\n"
ARCHIVE = "  - archive: {older_than: 1s}\n"
TIDY = "  - stale-locks: {idle_for: 1s}\n  - recover: {idle_for: 1s}\n  - delete-empty: {idle_for: 1s}\n"


class Real:
    """A home in which the real Copilot works, and our program sweeps."""

    def __init__(self, folder: Path, model: Completions) -> None:
        self.home, self.project = folder / "home", folder / "project"
        self.folder = self.home / ".copilot/session-state"
        for each in (self.folder, self.project, folder / "tmp"):
            each.mkdir(parents=True)
        self.policy = folder / "policy.yaml"
        self.env = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "TMPDIR": str(folder / "tmp"),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
            "NO_PROXY": "127.0.0.1",
            "COPILOT_OFFLINE": "true",
            "COPILOT_AUTO_UPDATE": "false",
            "COPILOT_PROVIDER_BASE_URL": model.address,
            "COPILOT_PROVIDER_API_KEY": "none",
            "COPILOT_MODEL": "test",
        }

    def start(self, *args: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [COPILOT, *args, "--allow-all-tools"],
            env=self.env,
            cwd=self.project,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def copilot(self, *args: str, fails: bool = False) -> str:
        """All that Copilot says; it must succeed, or, with ``fails``, must not."""
        with self.start(*args) as process:
            told, _ = process.communicate(timeout=PATIENCE)
        assert (process.returncode != 0) == fails, (args, process.returncode, told)
        return told

    def ask(self, prompt: str) -> str:
        """The id of a session that begins with this prompt, when it has been answered."""
        before = self.ids()
        self.copilot("-p", prompt)
        (found,) = self.ids() - before
        return found

    def go_on(self, id_: str, *, fails: bool = False) -> str:
        return self.copilot(f"--resume={id_}", "-p", "and now?", fails=fails)

    def sessions(self, grace: float = 0.0) -> dict[str, Session]:
        place = place_at(self.folder)
        listing = LAYOUT.discover(place, Moment(time.time(), grace))
        assert listing.problems == []
        read = LAYOUT.read(place, listing.context, listing.entries)
        return {each.id: each for each in read if isinstance(each, Session)}

    def ids(self) -> set[str]:
        return set(self.sessions())

    def owners(self) -> list[Owner]:
        return [each.owner for each in LAYOUT.discover(place_at(self.folder), Moment(time.time(), 0.0)).locks]

    def maint(self, *args: str, passes: str = ARCHIVE) -> str:
        self.policy.write_text(f"version: 1\ntimezone: UTC\n{LIMITS}passes:\n{passes}")
        said = subprocess.run(
            [*MAINT, *args, "--policy", str(self.policy)],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert said.returncode == 0, (args, said.returncode, said.stdout, said.stderr)
        return said.stdout

    def sweep(self, passes: str = ARCHIVE) -> set[str]:
        """The sessions that a sweep takes away, once all of them are older than a second."""
        time.sleep(1.1)
        before = self.ids()
        self.maint("sweep", passes=passes)
        return before - self.ids()

    @contextlib.contextmanager
    def in_a_terminal(self, *args: str) -> Iterator["subprocess.Popen[str]"]:
        """A process that somebody sees, with its project trusted, once it shows something; it is killed in the end."""
        config = self.home / ".copilot/config.json"
        config.write_text(json.dumps({"trusted_folders": [str(self.project)]}))
        ours, its = pty.openpty()
        process = subprocess.Popen(
            [COPILOT, *args],
            env=self.env | {"TERM": "xterm-256color"},
            cwd=self.project,
            text=True,
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
        os.close(its)
        reader = threading.Thread(target=_drain, args=(ours,), daemon=True)
        reader.start()
        try:
            yield process
        finally:
            _kill(process)
            reader.join(PATIENCE)
            os.close(ours)


def _drain(terminal: int) -> None:
    with contextlib.suppress(OSError):  # nobody is at the other end any more
        while os.read(terminal, 1 << 16):
            pass


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    with Completions() as model:
        yield Real(tmp_path, model)


@pytest.fixture
def working(real: Real) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process whose turn does not end, and the id of its session."""
    process = real.start("-p", "wait for it")
    try:
        deadline = time.monotonic() + PATIENCE
        while not any("inuse" in str(path) for path in real.folder.rglob("*")) or not list(
            real.folder.rglob("events.jsonl")
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (id_,) = real.ids()
        yield process, id_
    finally:
        _kill(process)


def _kill(process: "subprocess.Popen[str]") -> None:
    """Kill it and all that it has started: what is killed first may be what has only started it."""
    started: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
    for each in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.kill()
    process.communicate(timeout=PATIENCE)
    psutil.wait_procs(started, PATIENCE)


def test_session_that_was_answered_is_complete_and_tells_its_facts(real: Real) -> None:
    id_ = real.ask("why does it flake?")
    found = real.sessions()[id_]
    assert (found.state, found.evidence, found.empty) == (State.COMPLETE, "it was shut down", False)
    assert (found.project, found.name) == (str(real.project), "why does it flake?")
    assert found.started_at is not None
    assert found.ended_at is not None
    assert 0 <= found.ended_at - found.started_at < PATIENCE
    assert real.owners() == []
    assert "user     why does it flake?" in real.maint("show", id_)


def test_session_that_is_worked_on_is_live_and_stays_and_what_a_killed_one_leaves_goes(
    real: Real, working: tuple["subprocess.Popen[str]", str]
) -> None:
    process, id_ = working
    assert (real.sessions()[id_].state, real.owners()) == (State.LIVE, [Owner.HOLDS])
    assert real.sweep(TIDY + ARCHIVE) == set()
    assert process.poll() is None
    _kill(process)
    assert (real.sessions()[id_].state, real.owners()) == (State.COMPLETE, [Owner.GONE])
    assert real.sweep(TIDY) == set()
    assert real.owners() == []
    real.go_on(id_)
    assert real.sessions()[id_].evidence == "it was shut down"


def test_session_that_is_only_open_in_a_terminal_is_live_and_stays(real: Real) -> None:
    id_ = real.ask("why?")
    assert real.sessions()[id_].state is State.COMPLETE
    with real.in_a_terminal(f"--resume={id_}"):
        deadline = time.monotonic() + PATIENCE
        while real.sessions()[id_].state is not State.LIVE:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert real.sweep() == set()
    assert real.sessions()[id_].state is State.COMPLETE
    assert real.sweep(TIDY + ARCHIVE) == {id_}


@pytest.mark.parametrize("broken", ["torn", "zeros", "glued"])
def test_session_that_we_mended_is_gone_on_with_without_another_mending(real: Real, broken: str) -> None:
    id_ = real.ask("why?")
    path = real.folder / id_ / "events.jsonl"
    whole = path.read_bytes()
    last = whole[whole[:-1].rfind(b"\n") + 1 :]
    path.write_bytes({"torn": whole[:-30], "zeros": whole + bytes(512), "glued": whole[:-30] + last}[broken])
    assert real.sessions()[id_].state is State.CRASHED
    real.sweep(TIDY)
    assert real.sessions()[id_].state is State.COMPLETE
    real.go_on(id_)
    assert list((real.folder / id_).glob("*backup-before-recovery*")) == []


def test_session_that_we_took_is_missing_and_can_be_gone_on_with_when_it_is_back(real: Real) -> None:
    id_ = real.ask("why?")
    before = {path: path.read_bytes() for path in (real.folder / id_).rglob("*") if path.is_file()}
    assert real.sweep() == {id_}
    assert not (real.folder / id_).exists()
    assert "No session" in real.go_on(id_, fails=True)
    real.maint("restore", id_)
    assert {path: path.read_bytes() for path in (real.folder / id_).rglob("*") if path.is_file()} == before
    real.go_on(id_)
    assert real.sessions()[id_].state is State.COMPLETE


def test_program_minds_neither_our_folder_nor_what_is_in_it(real: Real) -> None:
    id_ = real.ask("why?")
    assert real.sweep() == {id_}
    assert (real.folder / ".maint").is_dir()
    other = real.ask("and what else?")
    assert real.ids() == {other}
    assert (real.folder / ".maint/archive").is_dir()
