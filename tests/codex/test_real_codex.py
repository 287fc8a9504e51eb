"""The real Codex beside us: what it leaves is surveyed rightly, and what we leave it can go on with.

In the place of the model's server is one of ours, on this machine (`model`). Everything here runs in a home of its own.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from codex_world import place_at
from model import Model

from store.facts import Problem, Session, State
from store.layout import Moment
from store.layouts.codex import LAYOUT

CODEX = os.environ.get("MAINT_REAL_CODEX") or shutil.which("codex") or ""
MAINT = [sys.executable, "-c", "from maint.cli import main; main()"]
PATIENCE = 90.0
DAY = 86_400.0

pytestmark = pytest.mark.real
if not os.access(CODEX, os.X_OK):
    pytest.skip("no real codex: name one in MAINT_REAL_CODEX, or put it on the PATH", allow_module_level=True)

CONFIG = """\
model = "test"
model_provider = "here"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.here]
name = "here"
base_url = "{address}"
wire_api = "responses"
"""
LIMITS = "limits: {max_removed: unlimited, min_idle: 1s}\n"
ARCHIVE = "  - archive: {older_than: 1s}\n"
RECOVER = "  - recover: {idle_for: 1s}\n"
PRUNE = "  - prune: {older_than: 1s}\n"


class Real:
    """A home in which the real Codex works, and our program sweeps."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.home, self.project = folder / "home", folder / "project"
        self.folder = self.home / ".codex"
        for each in (self.folder, self.project, folder / "tmp"):
            each.mkdir(parents=True)
        (self.folder / "config.toml").write_text(CONFIG.format(address=model.address))
        self.policy = folder / "policy.yaml"
        self.env = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],  # it may be a program of node's
            "TMPDIR": str(folder / "tmp"),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
            "NO_PROXY": "127.0.0.1",
        }

    # The program.

    def start(self, *args: str, **more: Any) -> "subprocess.Popen[str]":
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen([CODEX, *args], env=self.env, cwd=self.project, text=True, **pipes | more)

    def codex(self, *args: str, fails: bool = False) -> str:
        """All that Codex says; it must succeed, or, with ``fails``, must not."""
        with self.start(*args) as process:
            told, _ = process.communicate(timeout=PATIENCE)
        assert (process.returncode != 0) == fails, (args, process.returncode, told)
        return told

    def ask(self, prompt: str, *options: str) -> str:
        """The id of a thread that begins with this prompt, when it has been answered."""
        before = self.ids()
        self.codex("exec", "--skip-git-repo-check", *options, prompt)
        return max(self.ids() - before, key=lambda id_: not self.facts(id_).parent)

    def go_on(self, id_: str, *, fails: bool = False) -> str:
        return self.codex("exec", "resume", "--skip-git-repo-check", id_, "and now?", fails=fails)

    def fork(self, id_: str) -> str:
        """The id of a fork of a thread, which has been asked something, too."""
        before = self.ids()
        with self.start("app-server", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            told = {"clientInfo": {"name": "test", "version": "1"}}
            for number, (method, params) in enumerate(
                (("initialize", told), ("thread/fork", {"threadId": id_})), 1
            ):
                asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                process.stdin.write(json.dumps(asked) + "\n")
                process.stdin.flush()
                while (answer := json.loads(process.stdout.readline())).get("id") != number:
                    pass
                assert "error" not in answer, answer
            process.stdin.close()
            process.wait(PATIENCE)
        (found,) = self.ids() - before
        self.go_on(found)
        return found

    # What is there.

    def survey(self, grace: float = DAY) -> list[Session | Problem]:
        place = place_at(self.folder)
        listing = LAYOUT.discover(place, Moment(time.time(), grace))
        assert listing.problems == []
        return list(LAYOUT.read(place, listing.context, listing.entries))

    def ids(self) -> set[str]:
        return {each.id for each in self.survey() if isinstance(each, Session)}

    def facts(self, id_: str, grace: float = 0.0) -> Session:
        (found,) = [each for each in self.survey(grace) if isinstance(each, Session) and each.id == id_]
        return found

    def path(self, id_: str) -> Path:
        return self.folder / self.facts(id_).path

    # Ours.

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
        """The threads that a sweep takes away, once all of them are older than a second."""
        time.sleep(1.1)
        before = self.ids()
        self.maint("sweep", passes=passes)
        return before - self.ids()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    with Model() as model:
        yield Real(tmp_path, model)


def test_thread_that_was_answered_is_complete_and_tells_its_facts(real: Real) -> None:
    began = time.time()
    found = real.facts(real.ask("run: echo 4711"), grace=DAY)
    assert (found.state, found.empty, found.project) == (State.COMPLETE, False, str(real.project))
    assert found.started_at is not None
    assert began - 1 < found.started_at <= found.ended <= time.time() + 1
    shown = real.maint("show", found.id)
    assert "user    run: echo 4711" in shown
    assert '{"cmd": "echo 4711"}' in shown
    assert "codex   Answer" in shown


@contextlib.contextmanager
def working(real: Real) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process that waits for the end of an answer, and its thread."""
    with real.start("exec", "--skip-git-repo-check", "wait", stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + PATIENCE
            while not (ids := real.ids()) or "Answer" not in real.path(next(iter(ids))).read_text():
                assert time.monotonic() < until
                time.sleep(0.1)
            yield process, next(iter(ids))
        finally:
            process.kill()


def test_thread_that_is_worked_on_is_live_and_stays_and_a_killed_one_can_be_gone_on_with(real: Real) -> None:
    with working(real) as (process, id_):
        found = real.facts(id_)
        assert (found.state, found.evidence) == (State.LIVE, "a process has it open for writing")
        assert real.sweep(PRUNE) == set()
        for child in psutil.Process(process.pid).children(recursive=True):  # what node has started
            child.kill()
    until = time.monotonic() + PATIENCE
    while real.facts(id_).state is State.LIVE:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert real.facts(id_).state in (State.COMPLETE, State.CRASHED)
    real.sweep(RECOVER)
    assert "Answer" in real.go_on(id_)


def test_torn_line_is_ended_by_us_as_by_the_program_itself(real: Real) -> None:
    ours, theirs = real.ask("one"), real.ask("two")
    torn = b'{"timestamp":"2026-11-30T08:4'
    before = {id_: real.path(id_).read_bytes() + torn for id_ in (ours, theirs)}
    for id_, content in before.items():
        real.path(id_).write_bytes(content)
    real.go_on(theirs)
    assert real.path(theirs).read_bytes().startswith(before[theirs] + b"\n{")
    assert real.facts(ours).state is State.CRASHED
    real.sweep(RECOVER)
    assert real.path(ours).read_bytes() == before[ours] + b"\n"
    real.go_on(ours)
    assert real.path(ours).read_bytes().startswith(before[ours] + b"\n{")
    assert {real.facts(id_).state for id_ in before} == {State.COMPLETE}


@pytest.mark.parametrize(("passes", "back"), [(ARCHIVE, "restore"), (PRUNE, "restore"), (PRUNE, "undo")])
def test_thread_that_we_took_is_missing_and_can_be_gone_on_with_when_it_is_back(
    real: Real, passes: str, back: str
) -> None:
    id_ = real.ask("one")
    content = real.path(id_).read_bytes()
    assert real.sweep(passes) == {id_}
    real.go_on(id_, fails=True)  # what is in our folders is not found
    if back == "restore":
        real.maint("restore", id_)
    else:
        (run,) = [path.stem for path in (real.folder / ".maint/journal").glob("*.ndjson")]
        real.maint("undo", run)
    assert real.path(id_).read_bytes() == content
    real.go_on(id_)
    assert real.path(id_).read_bytes().startswith(content)


def test_fork_holds_what_it_rests_on(real: Real) -> None:
    base = real.ask("one")
    fork = real.fork(base)
    assert real.facts(fork).rests_on == base
    assert real.sweep() == {fork}
    assert real.sweep() == {base}
    real.maint("restore", fork)
    assert real.ids() == {base, fork}  # what it rests on comes back, too
    assert "Answer" in real.go_on(fork)
    real.path(base).rename(real.home / "away")
    assert base in real.go_on(fork, fails=True)  # which is why
    assert base in next(each.text for each in real.survey() if isinstance(each, Problem))
    assert base in real.maint("sweep", "--json")


def test_thread_of_an_agent_goes_with_the_one_that_began_it(real: Real) -> None:
    began = real.ask("spawn", "--enable", "multi_agent")
    (agent,) = real.ids() - {began}
    assert real.facts(agent).parent == began
    with real.path(began).open("ab"):
        assert real.sweep() == set()
    assert real.sweep() == {began, agent}


def test_thread_that_was_put_away_keeps_its_age(real: Real) -> None:
    id_ = real.ask("one")
    before = real.facts(id_)
    real.codex("archive", id_)
    found = real.facts(id_)
    assert found.path.startswith("archived_sessions/")
    assert (found.ended, found.state) == (before.ended, State.COMPLETE)
    assert real.sweep() == {id_}
    real.maint("restore", id_)
    real.codex("unarchive", id_)
    real.go_on(id_)
