"""The real outrig beside us: what it takes for a session is one for us, and it goes on with what we leave it.

Everything here runs in a home of its own, with a podman of the test's own, and no session is ever started: what
outrig writes when it starts one is written by hand, as its frozen records have it.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from outrig_world import DAY, FROZEN, HOUR, STDERR

from store.facts import Leftover, Place, Session, State
from store.layout import Moment
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.mend import with_end
from store.layouts.outrig.specimens import finished, record, session_id, written

OUTRIG = os.environ.get("MAINT_REAL_OUTRIG") or shutil.which("outrig") or ""
PATIENCE = 60.0

pytestmark = pytest.mark.real
if not os.access(OUTRIG, os.X_OK):
    pytest.skip(
        "no real outrig: name one in MAINT_REAL_OUTRIG, or put it on the PATH", allow_module_level=True
    )


LEAST_ASKED, MOST_ASKED = 3, 30
STRACE = shutil.which("strace")
SLOWLY = [
    STRACE,
    "-f",
    "-qq",
    "-o",
    os.devnull,
    "-e",
    "trace=exit_group",
    "-e",
    "inject=exit_group:delay_enter=20000",
]
"""Has it wait for some milliseconds before it ends, in which its other threads may say what they have not said yet."""


def _length(said: tuple[str, str]) -> int:
    return sum(map(len, said))


class Real:
    """A home in which the real outrig looks at its sessions, and our layout does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.now = float(int(time.time()))
        self.bin = folder / "bin"
        self.env = {
            "HOME": f"{folder}/home",
            "XDG_DATA_HOME": f"{folder}/data",
            "XDG_STATE_HOME": f"{folder}/state",
            "XDG_CONFIG_HOME": f"{folder}/config",
            "XDG_CACHE_HOME": f"{folder}/cache",
            "XDG_RUNTIME_DIR": f"{folder}/run",
            "PATH": str(self.bin),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
        }
        for name in ("home", "data", "state", "config", "cache", "run", "bin"):
            (folder / name).mkdir()
        monkeypatch.setenv("PATH", str(self.bin))
        self.containers()
        self.sessions = Path(self.roots()["sessions"])

    def roots(self) -> dict[str, str]:
        return dict(LAYOUT.default_roots(self.env, self.env["HOME"], sys.platform)[""])

    # outrig.

    def outrig(self, *args: str, fails: bool = False) -> tuple[str, str]:
        """What outrig says on stdout and stderr; it must succeed, or, with ``fails``, must not.

        0.2.2 does not wait at its end until all that it said is out, so that now and then some of it is lost, and on a
        busy machine more often than not: what only looks is asked some times, until the longest answer came twice.
        """
        said = [self._ask(args, fails=fails)]
        while args[0] in {"ls", "logs"} and len(said) < MOST_ASKED:
            longest = max(said, key=_length)
            if len(said) >= LEAST_ASKED and said.count(longest) >= 2:
                break
            said.append(self._ask(args, fails=fails))
        return max(said, key=_length)

    def _ask(self, args: tuple[str, ...], *, fails: bool) -> tuple[str, str]:
        told = subprocess.run(
            [*(SLOWLY if STRACE else ()), OUTRIG, *args],
            env=self.env,
            cwd=self.folder / "home",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (told.returncode != 0) == fails, (args, told.returncode, told.stdout, told.stderr)
        return told.stdout, told.stderr

    def rows(self) -> dict[str, list[str]]:
        """The rows of outrig's own list, by id: start, duration, image, exit code, and where a link leads."""
        _, *lines = self.outrig("ls")[0].splitlines() or [""]
        return {line.split()[0]: line.split()[1:] for line in lines}

    def containers(self, **states: str) -> None:
        """A podman that knows these containers, by ``ps`` and by ``inspect``."""
        rows = [
            {"Names": [name], "State": state, "Labels": {}, "Created": 1} for name, state in states.items()
        ]
        (self.folder / "ps.json").write_text(json.dumps(rows))
        running = "|".join(name for name, state in states.items() if state == "running") or "nobody"
        script = f"""#!/bin/sh
case "$1" in
ps) exec /bin/cat "{self.folder}/ps.json" ;;
inspect) for last; do :; done; case "$last" in {running}) echo true ;; *) exit 125 ;; esac ;;
*) exit 1 ;;
esac
"""
        (self.bin / "podman").write_text(script)
        (self.bin / "podman").chmod(0o755)

    # Its store.

    def session(
        self, content: bytes, age: float = 3 * DAY, *, within: Path | None = None, **logs: bytes
    ) -> str:
        id_ = str(json.loads(content)["id"])
        folder = within or self.sessions / id_
        (folder / "logs").mkdir(parents=True)
        files = {"session.json": content} | {f"logs/{name}.stderr": text for name, text in logs.items()}
        for name, text in files.items():
            (folder / name).write_bytes(text)
            os.utime(folder / name, (self.now - age, self.now - age))
        if within is not None:
            self.sessions.mkdir(parents=True, exist_ok=True)
            (self.sessions / id_).symlink_to(within)
        return id_

    def killed(self, number: int = 1, age: float = 3 * DAY, **more: Any) -> str:
        began = self.now - age - 60
        return self.session(written(record(session_id(number, began), began, **more)), age, fs=STDERR)

    # What we make of it.

    def survey(self) -> tuple[dict[str, Session], dict[str, Leftover]]:
        alone = Place("real", "outrig", self.roots())
        place = Place("real", "outrig", {**alone.roots, **LAYOUT.targets(alone)})
        listing = LAYOUT.discover(place, Moment(self.now, DAY))
        read = LAYOUT.read(place, listing.context, listing.entries)
        sessions = {each.id: each for each in read if isinstance(each, Session)}
        return sessions, {each.id: each for each in listing.leftovers}

    def mend(self, id_: str) -> Path:
        """Give a crashed session its end, as the engine does: beside it, then in its place."""
        session = self.survey()[0][id_]
        assert session.state is State.CRASHED
        file = self.sessions / id_ / "session.json"
        new = file.with_name("new")
        new.write_bytes(with_end(file.read_bytes(), session.last_changed))
        new.rename(file)
        os.utime(file, (session.last_changed, session.last_changed))
        return file


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Real:
    return Real(tmp_path, monkeypatch)


def test_outrig_looks_where_we_look(real: Real) -> None:
    id_ = real.session((FROZEN / "era-b.json").read_bytes())
    assert list(real.rows()) == [id_]
    assert list(real.survey()[0]) == [id_]


@pytest.mark.parametrize("written_root", ["{folder}/elsewhere", "elsewhere", "~/elsewhere", "../up"])
def test_outrig_reads_its_setting_of_a_root_as_we_do(real: Real, written_root: str) -> None:
    config = real.folder / "config/outrig/config.toml"
    config.parent.mkdir()
    config.write_text(f'session-root = "{written_root.format(folder=real.folder)}"\n')
    assert real.roots()["sessions"] != str(real.sessions)
    real.sessions = Path(real.roots()["sessions"])
    id_ = real.session((FROZEN / "era-b.json").read_bytes())
    assert list(real.rows()) == [id_]


@pytest.mark.parametrize("era", ["era-a", "era-b", "era-c", "era-d", "killed"])
def test_record_of_every_era_is_one_to_both(real: Real, era: str) -> None:
    id_ = real.session((FROZEN / f"{era}.json").read_bytes(), fs=STDERR)
    found = real.survey()[0][id_]
    day, clock, _duration, image, code = real.rows()[id_]
    assert found.started_at is not None
    assert f"{day} {clock}" == time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(found.started_at))
    assert (image == "-") == (found.tags == ())
    assert (code == "-") == (found.state is State.CRASHED)


BAD: list[tuple[str, Any]] = [
    *(
        (field, None)
        for field in ("id", "started_at", "container_name", "image_tag", "working_dir", "session_dir")
    ),
    ("exit_code", 2**31),
    ("exit_code", "0"),
    ("exit_code", 1.5),
    ("started_at", "yesterday"),
    ("started_at", "2026-09-18T13:13:20"),
    ("sidecar_container_names", [1]),
    ("agent_name", {}),
]


@pytest.mark.parametrize(("field", "value"), BAD, ids=str)
def test_record_that_outrig_cannot_read_is_corrupt_to_us_for_the_same_field(
    real: Real, field: str, value: Any
) -> None:
    began = real.now - 3 * DAY
    id_ = session_id(1, began)
    more: dict[str, Any] = {field: value}
    (real.sessions / id_).mkdir(parents=True)
    (real.sessions / id_ / "session.json").write_bytes(finished(id_, began, **more))
    _, told = real.outrig("ls")
    assert f"skipping {id_}" in told
    found = real.survey()[0][id_]
    assert found.state is State.CORRUPT
    if value is None:
        assert f"`{field}`" in found.evidence
        assert f"`{field}`" in told


GOOD = [
    b'{\n  "unknown": {"deep": [1, 2, {"x": null}]},\n  "id"',
    b'{"ended_at": null, "exit_code": null, "id"',
    b'\r\n\t{"id"',
]


@pytest.mark.parametrize("start", GOOD, ids=range(3))
def test_record_that_outrig_can_read_is_none_the_worse_for_us(real: Real, start: bytes) -> None:
    id_ = real.killed()
    file = real.sessions / id_ / "session.json"
    file.write_bytes(file.read_bytes().replace(b'{\n  "id"', start))
    os.utime(file, (real.now - 3 * DAY, real.now - 3 * DAY))
    assert real.rows()[id_][-1] == "-"
    real.mend(id_)
    assert real.rows()[id_][2] == "1m00s"


def test_session_that_was_killed_is_running_for_ever_to_outrig_until_it_is_mended(real: Real) -> None:
    id_ = real.killed()
    _, _, duration, _, code = real.rows()[id_]
    assert (duration.startswith("72h"), code) == (True, "-")
    file = real.mend(id_)
    _, _, duration, _, code = real.rows()[id_]
    assert (duration, code) == ("1m00s", "-")  # it ended, and nobody knows how
    assert "ended_at" in json.loads(file.read_bytes())
    assert real.survey()[0][id_].state is State.RECOVERED


def test_mended_session_is_discarded_by_outrig_like_any_other(real: Real) -> None:
    id_ = real.killed()
    real.mend(id_)
    real.outrig("discard", id_, "--yes")
    assert not (real.sessions / id_).exists()


def test_session_put_back_after_outrig_discarded_it_is_whole_to_outrig(real: Real) -> None:
    id_ = real.session((FROZEN / "era-c.json").read_bytes(), fs=STDERR)
    kept = {
        member.path: (real.sessions / member.path).read_bytes() for member in real.survey()[0][id_].members
    }
    before = real.rows()
    real.outrig("discard", id_, "--yes")
    assert real.rows() == {}
    for path, content in kept.items():
        (real.sessions / path).parent.mkdir(parents=True, exist_ok=True)
        (real.sessions / path).write_bytes(content)
    assert real.rows() == before
    assert real.outrig("logs", id_, "fs")[0] == STDERR.decode()


def test_logs_that_outrig_shows_are_the_payload(real: Real) -> None:
    id_ = real.session((FROZEN / "era-c.json").read_bytes(), fs=STDERR, db=b"x")
    (real.sessions / id_ / "logs/subagent-a").mkdir()
    (real.sessions / id_ / "logs/subagent-a/subagent-b.log").write_bytes(b"hello")
    told = "".join(real.outrig("logs", id_))
    for member in real.survey()[0][id_].payload:
        assert member.path.removeprefix(f"{id_}/logs/").removesuffix(".stderr") in told


def test_session_without_its_payload_is_a_session_still(real: Real) -> None:
    id_ = real.session((FROZEN / "era-c.json").read_bytes(), fs=STDERR)
    before = real.rows()
    for member in real.survey()[0][id_].payload:
        (real.sessions / member.path).unlink()
    assert real.rows() == before
    (real.sessions / id_ / "logs").rmdir()
    assert real.rows() == before


def test_what_outrig_removes_of_a_session_is_its_members_and_what_it_leaves_is_none(real: Real) -> None:
    id_ = real.session((FROZEN / "era-c.json").read_bytes(), fs=STDERR)
    folder = real.sessions / id_
    (folder / "outrig-enter").write_bytes(b"\x7fELF")
    (folder / "KEEP_ME.txt").write_bytes(b"mine")
    members = [real.sessions / member.path for member in real.survey()[0][id_].members]
    real.outrig("discard", id_, "--yes")
    assert [path for path in members if path.exists()] == []
    assert [path.name for path in folder.iterdir()] == ["KEEP_ME.txt"]


def test_session_behind_a_link_is_one_to_both(real: Real) -> None:
    content = (FROZEN / "era-a.json").read_bytes()
    id_ = real.session(content, within=real.folder / "runs/nightly", fs=STDERR)
    assert real.rows()[id_][-2:] == ["->", str(real.folder / "runs/nightly")]
    found = real.survey()[0][id_]
    assert (found.state, len(found.pointers)) == (State.COMPLETE, 1)
    members = [real.folder / "runs/nightly" / member.path for member in found.members]
    real.outrig("discard", id_, "--yes")
    assert [path for path in (*members, real.sessions / id_) if os.path.lexists(path)] == []


def test_dangling_link_is_one_to_both(real: Real) -> None:
    id_ = real.session((FROZEN / "era-a.json").read_bytes(), within=real.folder / "runs/nightly")
    (real.folder / "runs/other").mkdir()
    shutil.rmtree(real.folder / "runs/nightly")
    assert real.rows() == {}
    assert list(real.survey()[1]) == [id_]


def test_running_container_keeps_a_session_from_both(real: Real) -> None:
    id_ = real.killed()
    real.containers(**{f"outrig-{id_}": "running"})
    assert real.survey()[0][id_].state is State.LIVE
    assert "still running" in real.outrig("discard", id_, "--yes", fails=True)[1]
    _, told = real.outrig("clean", "--older-than", "1h", "--yes")
    assert "skipped running sessions" in told
    real.containers(**{f"outrig-{id_}": "exited"})
    assert real.survey()[0][id_].state is State.CRASHED


def test_sidecar_that_runs_keeps_a_session_from_us_but_not_from_outrig(real: Real) -> None:
    id_ = real.killed(sidecar_container_names=["side"])
    real.containers(side="running")
    assert real.survey()[0][id_].state is State.LIVE
    real.outrig("clean", "--older-than", "1h", "--yes")
    assert not (real.sessions / id_).exists()


def test_temp_file_keeps_a_folder_from_going_with_its_session_unless_it_goes_first(real: Real) -> None:
    kept, gone = real.killed(1), real.killed(2)
    for id_ in (kept, gone):
        (real.sessions / id_ / ".tmpQ3xZ9k").write_bytes(b"{")
    _, leftovers = real.survey()
    assert set(leftovers) == {f"{kept}/.tmpQ3xZ9k", f"{gone}/.tmpQ3xZ9k"}
    (real.sessions / gone / ".tmpQ3xZ9k").unlink()
    for id_ in (kept, gone):
        real.outrig("discard", id_, "--yes")
    assert [path.name for path in real.sessions.iterdir()] == [kept]
    assert list(real.survey()[1]) == [kept]  # a folder without a record, which outrig does not see any more


def test_our_own_folder_in_its_root_is_nothing_to_outrig(real: Real) -> None:
    id_ = real.killed()
    (real.sessions / ".maint/trash").mkdir(parents=True)
    (real.sessions / ".maint/README.txt").write_text("x")
    (real.sessions / "20260101T000000-abcd.tar.zst").write_bytes(b"x")
    out, told = real.outrig("ls")
    assert len(out.splitlines()) == 2
    assert told == ""
    assert list(real.survey()[0]) == [id_]


def test_id_of_another_place_in_a_record_is_unknown_to_us(real: Real) -> None:
    began = real.now - 3 * DAY
    victim = real.folder / "victim"
    victim.mkdir()
    (victim / "session.json").write_bytes(b"mine")
    id_ = session_id(1, began)
    real.session(finished(id_, began), fs=STDERR)
    file = real.sessions / id_ / "session.json"
    file.write_bytes(finished(str(victim), began))
    found = real.survey()[0][id_]
    assert found.state is State.UNKNOWN
    real.outrig("clean", "--older-than", "1h", "--yes")
    assert (victim / "session.json").exists() is False  # outrig goes where the record says
    assert file.exists()


def test_session_that_began_an_hour_ago_lives_to_us(real: Real) -> None:
    id_ = real.killed(age=HOUR)
    assert real.survey()[0][id_].state is State.LIVE
