"""Small stores of rec that can be swept: what a test of `maint` needs to say what it is about in three lines."""

import importlib
import json
import os
import pkgutil
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import maint
import policies
import store
from maint import engine, interface, owner, selection
from maint.cli import main
from maint.reaching import open_roots
from maint.run import Listener, Run
from policies import Policy, load_policy
from store.archives import with_archives
from store.facts import Place
from store.layouts.rec.specimens import command, complete, footer, header, recording_state, session_id
from store.locks import StoreLock

UTC = ZoneInfo("UTC")
NOW = 1_770_000_000.0
DAY = 86_400.0
DEAD = 4_000_000_000
"""No process can have this id."""

EVERYTHING = """\
  - stale-locks: {idle_for: 24h}
  - recover: {idle_for: 24h}
  - delete-empty: {idle_for: 2d}
  - litter: {older_than: 2d}
"""
# Once, and not in each process that is forked, which then makes the program's own calls and no others.
for package in (maint, policies, store):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)
for name in ("filelock", "psutil", "rich.console", "tempfile"):
    importlib.import_module(name)
PROGRAM = shutil.which("maint", path=os.path.dirname(sys.executable)) or "maint"


def policy_text(passes: str = EVERYTHING, rest: str = "", zone: str = "UTC") -> str:
    return f"version: 1\ntimezone: {zone}\n{rest}passes:\n{passes}"


def rules(passes: str = EVERYTHING, rest: str = "", zone: str = "UTC") -> Policy:
    """A policy by its passes, and by whatever other sections the test is about."""
    return load_policy(
        policy_text(passes, rest, zone),
        source="p.yaml",
        passes=selection.pass_options(),
        kinds=selection.kinds(),
        zone=UTC,
    )


@dataclass(frozen=True)
class Answer:
    """What the program said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        return self.lines[-1]


class World:
    """A store of rec, a home and a policy, in a folder of their own."""

    def __init__(self, folder: Path, now: float | None = None) -> None:
        self.now = float(int(time.time())) if now is None else now
        self.is_present = now is None
        self.folder = folder
        self.sessions = folder / "data/rec/sessions"
        self.state = folder / "state/rec"
        self.policy_file = folder / "config/maint/policy.yaml"
        for each in (self.sessions, self.state, self.policy_file.parent, folder / "home"):
            each.mkdir(parents=True)
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder / "home"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "error",
        }
        self.policy = rules()
        self.ahead = 0.0
        """Seconds by which the clock of the program is ahead, so that a test need not wait."""

    # What there is.

    @property
    def place(self) -> Place:
        roots = {"sessions": str(self.sessions), "data": str(self.sessions.parent), "state": str(self.state)}
        return with_archives(Place("rec", "rec", roots))

    @property
    def ours(self) -> Path:
        return self.sessions / ".maint"

    def put(self, name: str, content: bytes, days: float = 3.0, *, within: Path | None = None) -> Path:
        """A file of these bytes, as old as that."""
        path = (within or self.sessions) / name
        path.write_bytes(content)
        path.chmod(0o600)
        return self.age(path, days)

    def age(self, path: Path, days: float) -> Path:
        os.utime(path, (self.now - days * DAY, self.now - days * DAY), follow_symlinks=False)
        return path

    def add(self, kind: str, number: int = 1, days: float = 3.0, **head: Any) -> Path:
        """The session of this number, which ended (or fell silent) so many days ago."""
        id_ = session_id(number)
        ended = self.now - days * DAY
        return self.put(f"{id_}.ndjson", content(kind, id_, ended, **head), days)

    def add_many(self, kind: str, numbers: Iterable[int], days: float = 3.0) -> list[Path]:
        return [self.add(kind, number, days) for number in numbers]

    def lock(self, number: int = 1, days: float = 3.0, pid: int = DEAD) -> None:
        """The three files of a recording of that session."""
        id_ = session_id(number)
        state = recording_state(id_, "recorded", self.now - days * DAY - 200, pid)
        waiting = {"command": "make", "cwd": "/", "started_at": self.now - days * DAY}
        self.put("recording.lock", str(pid).encode(), days, within=self.state)
        self.put("recording.json", state, days, within=self.state)
        self.put("pending.json", json.dumps(waiting).encode(), days, within=self.state)

    def locks(self) -> list[str]:
        return sorted(os.listdir(self.state))

    def rules(self, passes: str = EVERYTHING, rest: str = "") -> None:
        """The policy from here on, for the program as for the functions."""
        self.policy_file.write_text(policy_text(passes, rest))
        self.policy = selection.load(str(self.policy_file))

    # What is done.

    def plan(self, at: float | None = None, *, expire: bool = True) -> Run:
        return engine.only_plan(
            self.policy,
            [self.place],
            at=self.now if at is None else at,
            jobs=1,
            expire=expire,
            listener=Listener(),
        )

    def sweep(self, **more: Any) -> Run:
        given: dict[str, Any] = {
            "now": max(self.now, time.time()) if self.is_present else self.now,
            "jobs": 1,
            "expire": True,
            "wait": 0.0,
            "listener": Listener(),
        }
        return engine.sweep(self.policy, [self.place], **(given | more))

    def undo(self, run: str) -> tuple[Run, list[str]]:
        return interface.undo(run, [self.place])

    def maint(self, *arguments: str, user: int = -1) -> Answer:
        """The program without a terminal, in a process of its own that need not start Python anew.

        Root can run it as another user.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                set_clock(self.ahead)
                _become(arguments, self.env, self.folder, (out.fileno(), err.fileno()), user)
            _, status = os.waitpid(child, 0)
            texts = [os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace") for file in (out, err)]
            return Answer(os.waitstatus_to_exitcode(status), *texts)

    def exec(self, *arguments: str, **env: str) -> Answer:
        """The installed program itself, without a terminal."""
        (answer,) = run_all([self.start(*arguments, env=self.env | env)])
        return answer

    def shell(self, line: str) -> Answer:
        """What a shell makes of a line, in which ``maint`` is the installed program."""
        command = ["sh", "-c", line.replace("maint ", f"{PROGRAM} ", 1)]
        (answer,) = run_all([self._popen(command)])
        return answer

    def python(self, script: str, *arguments: str) -> Answer:
        """What Python itself makes of a script, which may look at the program from within."""
        (answer,) = run_all([self._popen([sys.executable, "-c", script, *arguments])])
        return answer

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
        """The installed program, which is not waited for."""
        return self._popen([PROGRAM, *arguments], **more)

    def _popen(self, command: list[str], **more: Any) -> subprocess.Popen[bytes]:
        given: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.env,
            "cwd": self.folder,
        }
        return subprocess.Popen(command, **(given | more))

    # What became of it.

    def planned(self, at: float | None = None) -> dict[str, str]:
        """The verbs that are planned, by session or file."""
        return verbs(self.plan(at))

    def snapshot(self) -> dict[str, tuple[int, int, bytes]]:
        """Every file outside of our own folder: mode, time and bytes."""
        return {
            str(path.relative_to(self.folder)): (
                stat.S_IMODE(path.lstat().st_mode),
                path.lstat().st_mtime_ns,
                path.read_bytes(),
            )
            for top in (self.sessions, self.state)
            for path in sorted(top.rglob("*"))
            if ".maint" not in path.parts and path.is_file()
        }

    def treasure(self) -> dict[str, list[bytes]]:
        """The commands that were recorded, by the name of their file: what must be there for ever."""
        return {path.name: commands_in(path) for path in self.sessions.glob("*.ndjson")}

    def lost(self, treasure: dict[str, list[bytes]]) -> list[str]:
        """The files of whose commands not all can be reached under their name, in one piece, wherever that is."""
        there: dict[str, list[list[bytes]]] = {}
        for path in self.sessions.rglob("*.ndjson"):
            if path.parent.name != "journal":
                there.setdefault(path.name, []).append(commands_in(path))
        return [
            name
            for name, commands in treasure.items()
            if not any(set(commands) <= set(found) for found in there.get(name, []))
        ]

    def waiting(self, folder: str = "trash") -> list[str]:
        """The names of all files that wait in our trash (or another folder of ours)."""
        top = self.ours / folder
        return sorted(path.name for path in top.rglob("*") if path.is_file())

    def journals(self) -> list[str]:
        return sorted(path.stem for path in (self.ours / "journal").glob("*.ndjson"))

    def is_free(self) -> bool:
        """Whether the lock of the store can be had."""
        with open_roots(self.place) as roots:
            lock = StoreLock(roots[roots.first])
            try:
                return lock.acquire()
            finally:
                lock.release()


def verbs(run: Run) -> dict[str, str]:
    assert run.plan is not None
    actions = [action for store in run.plan.stores for action in store.actions()]
    return {name_of(action.path): str(action.verb) for action in actions}


def name_of(path: str) -> str:
    return os.path.basename(path).removesuffix(".ndjson")


def ids(*numbers: int) -> list[str]:
    return sorted(session_id(number) for number in numbers)


def content(kind: str, id_: str, ended: float, **head: Any) -> bytes:
    """A session of that kind as bytes, whose last record is of that time."""
    began = ended - 180
    head = {"name": f"session-{id_[:4]}"} | head
    first = header(id_, head.pop("name"), began, **head)
    two = command(0, "git pull", began + 60) + command(1, f"make {id_}", ended - 2.5)
    match kind:
        case "complete":
            return first + two + footer(ended, 2)
        case "recovered":
            return (
                header(id_, "recovered-before", began, recovered=True) + two + footer(ended, 2, "interrupted")
            )
        case "crashed":
            return first + two
        case "torn":
            return first + two + b'{"type":"command","index":2,"comm'
        case "empty":
            return first + footer(ended, 0)
        case "bare":
            return first
        case "corrupt":
            return two
        case "foreign":
            return header(session_id(999), "copy", began) + two + footer(ended, 2)
        case "unmendable":
            return first + b'{"type":"marker","text":"of another program"}\n' + two
        case _:
            return complete(id_, kind, began, 2)


def commands_in(path: Path) -> list[bytes]:
    """The whole command lines of a session file."""
    return [
        line
        for line in path.read_bytes().split(b"\n")
        if line.startswith(b'{"type":"command"') and line.endswith(b"}")
    ]


def set_clock(ahead: float) -> None:
    """Set the clock of this process, which was forked for it, so much ahead."""
    real = time.time
    time.time = lambda: real() + ahead


def run_all(processes: Sequence[subprocess.Popen[bytes]]) -> list[Answer]:
    """Wait for processes that were started at once; none of them is left when one hangs."""
    answers = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=120)
            texts = [(text or b"").decode(errors="replace") for text in (out, err)]
            answers.append(Answer(process.returncode, *texts))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                process.wait()
    return answers


def _become(
    arguments: Sequence[str], env: dict[str, str], folder: Path, streams: tuple[int, int], user: int
) -> NoReturn:
    """Turn this process, which was forked for it, into the program."""
    code = 99
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number, target in enumerate((null, *streams)):
            os.dup2(target, number)
        sys.stdin = open(0, closefd=False)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))
        os.environ.clear()
        os.environ.update(env)
        os.chdir(folder)
        sys.argv = [PROGRAM, *arguments]
        if user >= 0:
            for module in (*owner._LATE, "maint.cli.runs", "maint.engine"):
                importlib.import_module(module)  # which that user may not be able to read
            selection.load()
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  whatever it was, it is shown
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
