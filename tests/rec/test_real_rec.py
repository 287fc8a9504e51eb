"""The real recorder beside us: what it leaves is surveyed rightly, and what we leave it can go on with.

Everything here runs in a home of its own: rec deletes in the user's store otherwise.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rec_world import BEGAN, DAY, FOOT, ONE, TORN, TWO, lines_of, records_of

import maint
from store.facts import Place, Problem, Session, State
from store.layout import Moment
from store.layouts.rec import LAYOUT
from store.layouts.rec.records import decode
from store.layouts.rec.specimens import footer, header

REC = os.environ.get("MAINT_REAL_REC") or shutil.which("rec") or ""
MAINT = [sys.executable, "-c", "from maint.cli import main; main()"]
PATIENCE = 60.0

pytestmark = pytest.mark.real
if not os.access(REC, os.X_OK):
    pytest.skip("no real rec: name one in MAINT_REAL_REC, or put it on the PATH", allow_module_level=True)

RECOVER_ONLY = """\
version: 1
timezone: UTC
passes:
  - recover: {idle_for: 1h}
"""
PRUNE = """\
version: 1
timezone: UTC
passes:
  - prune: {where: {state: complete}, older_than: 1d}
"""


class Real:
    """A home in which the real rec records, and our program sweeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "HOME": f"{folder}/home",
            "XDG_DATA_HOME": f"{folder}/data",
            "XDG_STATE_HOME": f"{folder}/state",
            "XDG_CONFIG_HOME": f"{folder}/config",
            "XDG_CACHE_HOME": f"{folder}/cache",
            "XDG_RUNTIME_DIR": f"{folder}/run",
            "PATH": "/usr/bin:/bin",
            "PWD": f"{folder}/home",
            "SHELL": "/bin/sh",
            "TZ": "UTC",
            "LANG": "C.UTF-8",
        }
        for name in ("home", "data", "state", "config", "cache", "run"):
            (folder / name).mkdir()
        self.place = Place("rec", "rec", LAYOUT.default_roots(self.env, self.env["HOME"], sys.platform)[""])
        self.sessions = Path(self.place.path)
        self.state = Path(self.place.roots["state"])

    # The recorder.

    def rec(self, *args: str, fails: bool = False) -> str:
        """What rec says on stdout; it must succeed, or, with ``fails``, must not."""
        told = subprocess.run(
            [REC, *args],
            env=self.env,
            cwd=self.folder / "home",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (told.returncode != 0) == fails, (args, told.returncode, told.stdout, told.stderr)
        return told.stdout

    def start(self, name: str) -> Path:
        """A new recording; the file of its session."""
        before = self.files()
        self.rec("start", "-n", name)
        (path,) = self.files() - before
        return path

    def run(self, *texts: str, code: int = 0) -> None:
        """These commands, as the hooks of a shell record them."""
        for text in texts:
            self.rec("_hook", "preexec", text)
            self.rec("_hook", "precmd", str(code))

    def list_(self) -> dict[str, dict[str, Any]]:
        """The rows of rec's own list, by id."""
        return {row["id"]: row for row in json.loads(self.rec("list", "--json"))}

    def files(self) -> set[Path]:
        return set(self.sessions.glob("*.ndjson")) if self.sessions.exists() else set()

    def locks(self) -> list[str]:
        return sorted(os.listdir(self.state))

    # The maintainer.

    def survey(self) -> list[Session | Problem]:
        listing = LAYOUT.discover(self.place, Moment(time.time(), DAY))
        return [*listing.problems, *LAYOUT.read(self.place, listing.context, listing.entries)]

    def facts(self, path: Path) -> Session:
        (found,) = [each for each in self.survey() if isinstance(each, Session) and each.id == path.stem]
        return found

    def age(self, days: float = 3.0) -> None:
        """Let time pass: everything that is there is so much older."""
        for folder in (self.sessions, self.state):
            for path in folder.iterdir():
                if path.is_file():
                    then = path.stat().st_mtime - days * DAY
                    os.utime(path, (then, then))

    def maint(self, *args: str, policy: str | None = None) -> list[dict[str, Any]]:
        """What our program says with ``--json``; it must succeed."""
        chosen: list[str] = []
        if policy is not None:
            file = self.folder / "policy.yaml"
            file.write_text(policy)
            chosen = ["--policy", str(file)]
        told = subprocess.run(
            [*MAINT, *args, *chosen, "--json"],
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert told.returncode == 0, (args, told.returncode, told.stdout, told.stderr)
        return [json.loads(line) for line in told.stdout.splitlines()]

    def sweep(self, policy: str | None = None) -> dict[str, int]:
        """How often each verb was done; nothing may fail."""
        summary = self.maint("sweep", policy=policy)[-1]
        assert (summary["failed"], summary["lost"]) == (0, 0)
        done: dict[str, int] = summary["done"]
        return {verb: count for verb, count in done.items() if count}

    def crashed(self, name: str = "work", *texts: str) -> Path:
        """A session whose terminal was closed days ago."""
        path = self.start(name)
        self.run(*(texts or ("git pull", "make test")))
        self.age()
        return path


@pytest.fixture
def real(tmp_path: Path) -> Real:
    return Real(tmp_path)


def commands_of(path: Path) -> list[str]:
    return [record["command"] for record in records_of(path.read_bytes()) if record["type"] == "command"]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        os.sched_yield()


# What rec leaves, and what we make of it.


def test_rec_writes_where_we_look(real: Real) -> None:
    path = real.start("work")
    assert path.parent == real.sessions
    assert real.locks() == ["recording.json", "recording.lock"]


def test_w17_rec_is_never_let_into_the_home_of_whoever_runs_the_tests(real: Real) -> None:
    places = {key: path for key, path in real.env.items() if key == "HOME" or key.startswith("XDG_")}
    assert len(places) == 6
    assert all(Path(path).parent == real.folder for path in places.values())
    assert real.start("work").is_relative_to(real.folder)


def test_rec_ignores_its_own_setting_of_a_place_as_we_do(real: Real) -> None:
    real.env["REC_STORAGE_PATH"] = str(real.folder / "elsewhere")
    assert real.start("work").parent == real.sessions
    assert LAYOUT.default_roots(real.env, real.env["HOME"], sys.platform)[""] == real.place.roots


def test_recording_just_begun_is_live(real: Real) -> None:
    began = time.time()
    found = real.facts(real.start("work"))
    assert (found.state, found.empty, found.records, found.name) == (State.LIVE, True, 1, "work")
    assert found.started_at is not None
    assert began - 1 <= found.started_at <= time.time()


def test_recording_is_live_and_counted(real: Real) -> None:
    path = real.start("work")
    real.run("git pull", "make 'ünïcode'", "a\nb")
    found = real.facts(path)
    assert (found.state, found.empty, found.records) == (State.LIVE, False, 4)
    assert found.project == str(real.folder / "home")
    assert found.last_record_at is not None


def test_recording_whose_command_still_runs_is_live(real: Real) -> None:
    path = real.start("work")
    real.age()
    assert real.facts(path).state is State.CRASHED
    real.rec("_hook", "preexec", "sleep 99999")
    assert real.facts(path).state is State.LIVE


def test_stopped_recording_is_complete(real: Real) -> None:
    path = real.start("work")
    real.run("git pull", "make test", code=2)
    real.rec("stop")
    found = real.facts(path)
    assert (found.state, found.records, found.empty) == (State.COMPLETE, 4, False)
    foot = list(records_of(path.read_bytes()))[-1]
    assert (found.ended_at, foot["command_count"], foot["status"]) == (foot["ended_at"], 2, "completed")
    assert real.locks() == []


def test_stop_that_leaks_into_the_next_recording_leaves_it_empty(real: Real) -> None:
    real.start("first")
    real.run("make")
    real.rec("_hook", "preexec", "rec stop")  # the shell's hook, for the command that ends the recording
    real.rec("stop")
    assert real.locks() == ["pending.json"]
    path = real.start("second")
    real.rec("_hook", "precmd", "0")
    assert commands_of(path) == ["rec stop"]
    assert real.facts(path).empty is True
    real.rec("stop")
    found = real.facts(path)
    assert (found.state, found.empty) == (State.COMPLETE, True)


def test_command_left_waiting_goes_before_it_leaks(real: Real) -> None:
    real.start("first")
    real.rec("_hook", "preexec", "rec stop")
    real.rec("stop")
    real.age()
    assert real.sweep()["unlock"] == 1
    path = real.start("second")
    real.rec("_hook", "precmd", "0")
    assert commands_of(path) == []


def test_imported_session_is_complete(real: Real) -> None:
    script = real.folder / "script.sh"
    script.write_text("#!/bin/sh\nmake\nmake install\n")
    real.rec("import", str(script), "-n", "imported")
    (path,) = real.files()
    found = real.facts(path)
    assert (found.state, found.name, found.records) == (State.COMPLETE, "imported", 4)


def test_renamed_tagged_and_copied_sessions_are_complete(real: Real) -> None:
    real.start("work")
    real.run("make")
    real.rec("stop")
    real.rec("rename", "work", "other")
    real.rec("tag", "other", "keep")
    real.rec("copy", "other", "second")
    found = [each for each in real.survey() if isinstance(each, Session)]
    assert {(each.name, each.state) for each in found} == {
        ("other", State.COMPLETE),
        ("second", State.COMPLETE),
    }
    assert ("keep",) in {each.tags for each in found}
    assert LAYOUT.discover(real.place, Moment(time.time(), DAY)).leftovers == []


# Killed at awkward moments.


def test_crash_after_the_header_is_crashed_and_empty(real: Real) -> None:
    path = real.start("work")
    real.age()
    found = real.facts(path)
    assert (found.state, found.empty) == (State.CRASHED, True)
    assert real.sweep() == {"delete-empty": 1, "unlock": 2}
    real.rec("start", "-n", "again")


def test_crash_between_header_and_state_is_crashed_and_empty(real: Real) -> None:
    path = real.start("work")
    for name in real.locks():
        (real.state / name).unlink()
    assert (real.facts(path).state, real.facts(path).empty) == (State.CRASHED, True)


def test_crash_while_a_command_ran_leaves_it_waiting(real: Real) -> None:
    path = real.start("work")
    real.run("make")
    real.rec("_hook", "preexec", "reboot")
    real.age()
    assert real.locks() == ["pending.json", "recording.json", "recording.lock"]
    assert real.facts(path).state is State.CRASHED
    assert real.sweep() == {"recover": 1, "unlock": 3}
    assert real.locks() == []
    assert real.list_()[path.stem]["command_count"] == 1


def test_hooks_killed_at_any_moment_leave_what_can_be_made_whole(real: Real) -> None:
    for round_ in range(10):
        path = real.start(f"round-{round_}")
        real.run("first")
        for text in ("make", "make " + "x" * 20_000, "make install"):
            real.rec("_hook", "preexec", text)
            with subprocess.Popen(
                [REC, "_hook", "precmd", "0"], env=real.env, cwd=real.folder / "home"
            ) as hook:
                for _ in range(round_ * 10_000):
                    pass  # another moment each time
                hook.kill()
        real.age()
        found = real.facts(path)
        assert (found.state, found.empty) == (State.CRASHED, False)
        whole = [line for line in lines_of(path.read_bytes())[1:] if decode(line) is not None]
        assert real.sweep()["recover"] == 1
        assert real.list_()[path.stem]["command_count"] == len(whole)
        assert b"".join(whole) in path.read_bytes()
        real.rec("show", path.stem)


@pytest.mark.parametrize("cut", [1, 2, 20, 60, 100])
def test_torn_recording_is_made_whole_for_rec(real: Real, cut: int) -> None:
    path = real.crashed()
    os.truncate(path, path.stat().st_size - cut)
    real.age(0)
    before = path.stat().st_mtime
    os.utime(path, (before - 3 * DAY, before - 3 * DAY))
    assert real.facts(path).state is State.CRASHED
    if cut > 1:
        real.rec("show", path.stem, fails=True)
    kept = 2 if cut == 1 else 1
    assert real.sweep()["recover"] == 1
    row = real.list_()[path.stem]
    assert (row["command_count"], row["duration"] == "active") == (kept, False)
    real.rec("show", path.stem)


# A recording goes on while we sweep.


def test_sweeps_with_the_default_policy_touch_no_recording(real: Real) -> None:
    path = real.start("work")
    texts = [f"make {i}" for i in range(8)]
    for text in texts:
        real.rec("_hook", "preexec", text)
        assert real.sweep() == {}
        real.rec("_hook", "precmd", "0")
        assert real.sweep() == {}
    real.rec("stop")
    assert commands_of(path) == texts
    row = real.list_()[path.stem]
    assert (row["command_count"], row["name"]) == (8, "work")


def test_recording_loses_nothing_even_to_sweeps_that_take_it_for_crashed(real: Real) -> None:
    file = real.folder / "policy.yaml"
    file.write_text(RECOVER_ONLY)
    policy = maint.load(str(file))
    for round_ in range(8):
        path = real.start(f"round-{round_}")
        real.run("first")
        enough = real.folder / f"enough-{round_}"
        # Somebody types fast.
        script = f"until [ -e '{enough}' ]; do '{REC}' _hook preexec make; '{REC}' _hook precmd 0; sleep 0.03; done"
        with subprocess.Popen(["/bin/sh", "-c", script], env=real.env, cwd=real.folder / "home"):
            try:
                deadline = time.monotonic() + PATIENCE
                while b'"recovered":true' not in path.read_bytes():
                    assert time.monotonic() < deadline
                    for each in (path, *real.state.iterdir()):
                        with contextlib.suppress(FileNotFoundError):
                            os.utime(
                                each, (BEGAN, BEGAN)
                            )  # as if it had been silent, at whatever moment this is
                    summary = maint.sweep(policy, [real.place]).summary
                    assert (summary.failed, summary.lost) == (0, 0)
                size = path.stat().st_size
                until(lambda path=path, size=size: path.stat().st_size > size)  # type: ignore[misc]
            finally:
                enough.touch()
        real.rec("stop")
        # rec counts what is there, so nothing was ever missing, doubled or out of order.
        found = [record for record in records_of(path.read_bytes()) if record["type"] == "command"]
        assert [record["index"] for record in found] == list(range(len(found)))
        assert [record["command"] for record in found] == ["first"] + ["make"] * (len(found) - 1)
        assert real.list_()[path.stem]["command_count"] == len(found)
        real.rec("show", path.stem)


# What rec makes of what we leave.


def test_recovered_session_is_finished_and_counted_in_recs_list(real: Real) -> None:
    path = real.crashed("work", "one", "two", "three")
    before = path.read_bytes()
    assert real.sweep() == {"recover": 1, "unlock": 2}
    row = real.list_()[path.stem]
    assert row["command_count"] == 3
    assert row["duration"] != "active"
    assert row["name"].startswith("recovered-")
    assert before.split(b"\n", 1)[1] in path.read_bytes()


def test_recovered_session_can_be_shown_renamed_tagged_and_searched(real: Real) -> None:
    path = real.crashed("work", "git pull", "make needle")
    real.sweep()
    name = real.list_()[path.stem]["name"]
    assert "make needle" in real.rec("show", path.stem)
    assert "make needle" in real.rec("show", name)
    assert "needle" in real.rec("search", "needle")
    real.rec("tag", name, "saved")
    real.rec("rename", name, "mine")
    row = real.list_()[path.stem]
    assert (row["name"], row["tags"], row["command_count"]) == ("mine", ["saved"], 2)
    real.rec("export", "mine", "--format", "bash")
    found = real.facts(path)
    assert (found.state, found.name, found.has_footer) == (State.RECOVERED, "mine", True)
    assert real.sweep() == {}


def test_rec_would_have_left_it_active_for_ever(real: Real) -> None:
    # What we are for: rec's own recovery looks for a file that does not exist.
    path = real.crashed()
    real.rec("start", "-n", "next")
    row = real.list_()[path.stem]
    assert (row["command_count"], row["duration"], row["name"]) == (None, "active", "work")


def test_new_recording_starts_over_stale_locks_that_were_removed(real: Real) -> None:
    real.crashed()
    assert real.sweep()["unlock"] == 2
    assert real.locks() == []
    path = real.start("next")
    real.run("make")
    assert real.facts(path).state is State.LIVE
    real.rec("stop")
    assert real.facts(path).state is State.COMPLETE


def test_list_that_kills_a_recording_does_not_confuse_us(real: Real) -> None:
    path = real.start("work")
    real.run("make")
    real.rec("list")
    assert real.locks() == []
    assert real.facts(path).state is State.CRASHED
    assert real.sweep() == {}  # it was active lately
    assert commands_of(path) == ["make"]
    real.age()
    assert real.sweep() == {"recover": 1}
    assert real.list_()[path.stem]["command_count"] == 1


def test_abandoned_recording_is_not_taken_for_the_one_that_followed(real: Real) -> None:
    first = real.start("first")
    real.run("make")
    real.age()
    second = real.start("second")
    assert (real.facts(first).state, real.facts(second).state) == (State.CRASHED, State.LIVE)
    assert real.sweep() == {"recover": 1}
    real.run("make")
    real.rec("stop")
    assert commands_of(second) == ["make"]


def test_session_out_of_the_trash_is_loaded_by_rec(real: Real) -> None:
    path = real.start("work")
    real.run("make")
    real.rec("stop")
    real.age(9)
    *records, _ = lines_of(path.read_bytes())
    path.write_bytes(b"".join(records) + footer(BEGAN, 1))  # its own records say when it ended
    real.age()
    whole = path.read_bytes()
    assert real.sweep(PRUNE) == {"prune": 1}
    assert real.list_() == {}
    real.maint("restore", path.stem, policy=PRUNE)
    assert path.read_bytes() == whole
    assert real.list_()[path.stem]["command_count"] == 1
    real.rec("show", "work")


def test_run_that_was_taken_back_leaves_what_rec_can_go_on_with(real: Real) -> None:
    path = real.crashed()
    before = path.read_bytes()
    run = next(line["run"] for line in real.maint("sweep") if line["type"] == "plan")
    assert path.read_bytes() != before
    real.maint("undo", run)
    assert path.read_bytes() == before
    assert real.locks() == ["recording.json", "recording.lock"]
    real.run("make more")
    assert commands_of(path)[-1] == "make more"
    real.rec("stop")
    assert real.list_()[path.stem]["command_count"] == 3


def test_our_folder_is_nothing_to_rec(real: Real) -> None:
    path = real.crashed()
    real.sweep()
    assert (real.sessions / ".maint").is_dir()
    assert list(real.list_()) == [path.stem]
    real.rec("delete", "--all", "--force")
    assert real.list_() == {}
    assert (real.sessions / ".maint").is_dir()


def test_session_deleted_in_rec_while_a_sweep_plans_is_no_error(real: Real) -> None:
    path = real.crashed()
    for name in real.locks():
        (real.state / name).unlink()  # else rec would not delete it
    real.maint("plan", "-o", str(real.folder / "plan"))
    real.rec("delete", path.stem, "--force")
    summary = real.maint("apply", str(real.folder / "plan"))[-1]
    assert (summary["failed"], summary["lost"]) == (0, 0)
    assert not path.exists()


# Every record, to both.


def with_fields(line: bytes, **fields: Any) -> bytes:
    return json.dumps(json.loads(line) | fields).encode() + b"\n"


SAME = [
    ONE,
    FOOT,
    ONE[:-1] + b"\r\n",
    b"  " + ONE,
    with_fields(ONE, more=[1, {"a": None}]),
    with_fields(ONE, index=2**32 - 1),
    with_fields(ONE, index=2**32),
    with_fields(ONE, index=-1),
    with_fields(ONE, index=1.0),
    with_fields(ONE, exit_code=-(2**31)),
    with_fields(ONE, exit_code=2**31),
    with_fields(ONE, exit_code=None, ended_at=None, duration_ms=None),
    with_fields(ONE, duration_ms=-1),
    with_fields(ONE, started_at=1),
    with_fields(ONE, started_at="1"),
    with_fields(ONE, started_at=None),
    with_fields(ONE, started_at=float("nan")),
    with_fields(ONE, command="\U0001f600 \u2028"),
    with_fields(ONE, command="\ud800"),
    with_fields(ONE, type="note"),
    with_fields(FOOT, status="interrupted"),
    with_fields(FOOT, status="recording"),
    with_fields(FOOT, status="paused"),
    with_fields(FOOT, command_count=-1),
    FOOT.replace(b',"status":"completed"', b""),
    ONE.replace(b'"cwd":"/home/ana/app",', b""),
    ONE.replace(b'"index":0', b'"index":1e0'),
    ONE.replace(b'"exit_code":0', b'"exit_code":1e999'),
    ONE.replace(b'"exit_code":0', b'"exit_code":' + b"9" * 5000),
    ONE.replace(b"git", b"\xff"),
    ONE.replace(b"git", b"\x01"),
    ONE.replace(b'"type"', b'"t\\u0079pe"'),
    ONE[:-1] + TWO,
    TORN + b"\n",
    b"\xef\xbb\xbf" + ONE,
    bytes(64) + b"\n",
    b"[1]\n",
    b"null\n",
    b"{}\n",
]


def test_both_take_the_same_lines_for_records(real: Real) -> None:
    real.start("first")  # makes the folders
    for number, line in enumerate(SAME):
        id_ = f"00000000-0000-4000-8000-{number:012}"
        path = real.sessions / f"{id_}.ndjson"
        path.write_bytes(header(id_, f"n{number}", BEGAN) + line)
        real.rec("show", id_, fails=decode(line) is None)
        path.unlink()


def test_rec_loads_every_ailing_session_once_it_was_mended(real: Real) -> None:
    real.start("first")
    mended = []
    for specimen in LAYOUT.specimens(time.time()):
        if specimen.fate != "recover" or specimen.id is None:
            continue
        for (root, name), content in specimen.files.items():
            if root == "sessions":
                (real.sessions / name).write_bytes(content)
        mended.append(specimen.id)
    real.age()
    assert real.sweep()["recover"] == len(mended)
    rows = real.list_()
    for id_ in mended:
        shown = real.rec("show", id_)
        assert rows[id_]["duration"] != "active"
        assert "git pull" in shown or "make" in shown


def test_lines_of_a_broken_session_that_rec_gives_up_are_kept(real: Real) -> None:
    real.start("first")
    pieces = [ONE, TORN + TWO, b"garbage\n", ONE, bytes(40) + TWO, TORN]
    kept = ["git pull", "make test"] * 2
    counts = [1, 2, 2, 3, 4, 4]
    for number, count in enumerate(counts):
        id_ = f"00000000-0000-4000-8000-{number:012}"
        path = real.sessions / f"{id_}.ndjson"
        path.write_bytes(header(id_, "work", BEGAN) + b"".join(pieces[: number + 1]))
        os.utime(path, (BEGAN, BEGAN))
        assert real.sweep() == {"recover": 1}
        assert commands_of(path) == kept[:count]
        real.rec("show", id_)
