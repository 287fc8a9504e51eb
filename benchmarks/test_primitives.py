"""The steps that everything is made of, each beside the same system calls in C, and beside what is done by hand."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.beside import Beside, Times
from benchmarks.floor import Floor
from store import change, edges, leases, opening
from store.change import RootFds
from store.facts import Member, Place
from store.layout import Moment
from store.layouts.rec import recorder
from store.layouts.rec import specimens as rec
from store.locks import StoreLock

TIMES = 500
RUN = "20260101T000000-000000"
NOBODY = 4_000_000
"""No process of a usual system has this id, and it is one that a process could have."""

_ID = rec.session_id(1)
_SMALL = rec.complete(_ID, "small", 1.7e9, 10)
_LARGE = rec.complete(_ID, "large", 1.7e9, 20_000)
_TORN = b'{"type":"command","index":9,"comm'

CALLS = "the same calls in C"


def in_c(floor: Floor | None, function: str, *arguments: int | str | bytes) -> Callable[[], None] | None:
    return None if floor is None else floor.bind(function, *arguments)


@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("a small session", _SMALL),
        ("a large session", _LARGE),
        ("a small torn session", _SMALL + _TORN),
        ("a large torn session", _LARGE + _TORN),
    ],
)
def test_edges(
    beside: Beside, floor: Floor | None, tmp_path: Path, folder_fd: int, what: str, content: bytes
) -> None:
    (tmp_path / "s.ndjson").write_bytes(content)

    def ours() -> None:
        for _ in range(TIMES):
            fd = os.open("s.ndjson", opening.SESSION_FLAGS, dir_fd=folder_fd)
            edges.read_edges(fd, os.fstat(fd).st_size)
            os.close(fd)

    references = {
        CALLS: in_c(floor, "ends", folder_fd, "s.ndjson", TIMES),
        "a line loop with json": Times(lambda: read_lines(tmp_path / "s.ndjson"), 1),
    }
    beside(f"edges of {what}", ours, references, per=TIMES)


def read_lines(path: Path) -> list[Any]:
    """The first and the last record as anybody would read them."""
    first = last = None
    with contextlib.suppress(ValueError, OSError), path.open("rb") as file:
        for line in file:
            last = json.loads(line)
            first = first or last
    return [first, last]


class Ground:
    """A store of small sessions that is made anew, with folders for what becomes of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fds: list[int] = []

    def fresh(self) -> None:
        """Sessions 0 to `TIMES` in ``s``, and nothing else."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in ("s", "tmp", "aside"):
            (self._folder / name).mkdir(parents=True)
            self._fds.append(opening.open_folder(str(self._folder / name)))
        for number in range(TIMES):
            path = self._folder / "s" / f"{number}.ndjson"
            path.write_bytes(_SMALL)
            os.utime(path, (1.7e9, 1.7e9))
        self.roots = RootFds({"sessions": str(self._folder / "s")})
        self.members = [
            Member(
                "sessions",
                name,
                opening.fingerprint(os.stat(name, dir_fd=self._fds[0])),
            )
            for name in (f"{number}.ndjson" for number in range(TIMES))
        ]

    @property
    def path(self) -> Path:
        return self._folder

    def floor(self, call: Callable[..., Callable[[], None]], function: str, *arguments: int | bytes) -> None:
        """One of the functions of floor.c over these folders, which must have been made."""
        sessions, tmp, aside = self._fds
        folders = (sessions, aside) if function == "move" else (sessions, tmp, aside)
        call(function, *folders, *arguments, TIMES)()

    def close(self) -> None:
        if self._fds:
            self.roots.close()
        while self._fds:
            os.close(self._fds.pop())


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path / "ground")
    yield made
    made.close()


def test_moving_to_the_trash(beside: Beside, floor: Floor | None, ground: Ground) -> None:
    def ours() -> None:
        for member in ground.members:
            change.move_to_trash(ground.roots, (member,), RUN)

    def by_hand() -> None:
        for number in range(TIMES):
            os.unlink(ground.path / "s" / f"{number}.ndjson")

    references = {
        CALLS: None if floor is None else lambda: ground.floor(floor.bind, "move"),
        "os.unlink, gone for ever": by_hand,
    }
    beside("a move to the trash", ours, references, per=TIMES, fresh=ground.fresh)


def test_durable_rewrite(beside: Beside, floor: Floor | None, ground: Ground) -> None:
    def ours() -> None:
        for number, member in enumerate(ground.members):
            change.rewrite(ground.roots, member, RUN, number, lambda _: iter((_SMALL,)), idle=True)

    def by_hand() -> None:
        for number in range(TIMES):
            path = ground.path / "s" / f"{number}.ndjson"
            with (ground.path / "tmp" / "new").open("wb") as file:
                file.write(_SMALL)
                file.flush()
                os.fsync(file.fileno())
            os.replace(ground.path / "tmp" / "new", path)

    references = {
        CALLS: None if floor is None else lambda: ground.floor(floor.bind, "rewrite", _SMALL, len(_SMALL)),
        "write, fsync, replace; no backup": by_hand,
    }
    beside("a durable rewrite", ours, references, per=TIMES, fresh=ground.fresh, rounds=3)


def test_lease_probe(beside: Beside, floor: Floor | None, tmp_path: Path) -> None:
    path = tmp_path / "s.ndjson"
    path.write_bytes(_SMALL)
    fd = os.open(path, os.O_RDONLY)

    def ours() -> None:
        for _ in range(TIMES):
            leases.probe(fd)

    references = {
        CALLS: in_c(floor, "probe", fd, TIMES),
        "a look through /proc/*/fd": Times(lambda: is_open_by_another(path), 1),
    }
    beside("a lease probe", ours, references, per=TIMES)
    os.close(fd)


def is_open_by_another(path: Path) -> bool:
    """Whether any other process that may be looked at has the file open, as fuser finds out."""
    wanted, own = path.stat(), str(os.getpid())
    for process in filter(str.isdecimal, os.listdir("/proc")):
        if process == own:
            continue
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{process}/fd"):
                with contextlib.suppress(OSError):
                    if os.path.samestat(os.stat(f"/proc/{process}/fd/{fd}"), wanted):
                        return True
    return False


def test_lock_verdict(beside: Beside, floor: Floor | None, tmp_path: Path) -> None:
    """Whether somebody records, by the files of a recorder that has crashed."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "recording.lock").write_bytes(b"%d" % NOBODY)
    (state / "recording.json").write_bytes(rec.recording_state(_ID, "work", 1.7e9, NOBODY))
    place = Place("bench", "rec", {"sessions": str(tmp_path), "state": str(state)})
    moment = Moment(1.8e9, 3600.0)
    fd = os.open(state, os.O_RDONLY | os.O_DIRECTORY)

    def ours() -> None:
        for _ in range(TIMES):
            recorder.read_recorder(place, moment, [])

    def by_hand() -> None:
        for _ in range(TIMES):
            with contextlib.suppress(ProcessLookupError, OverflowError):
                os.kill(int((state / "recording.lock").read_text()), 0)

    references = {
        CALLS: in_c(floor, "state", fd, TIMES),
        "kill -0 of the number in its lock": by_hand,
    }
    beside("a verdict on a recorder's lock", ours, references, per=TIMES)
    os.close(fd)


def test_store_lock(beside: Beside, floor: Floor | None, tmp_path: Path, folder_fd: int) -> None:
    lock = StoreLock(folder_fd)

    def ours() -> None:
        for _ in range(TIMES):
            lock.acquire()
            lock.release()

    def by_hand() -> None:
        for _ in range(TIMES):
            with (tmp_path / "by-hand").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    references = {
        "its two locks alone, in C": in_c(floor, "lock", folder_fd, "in-c", TIMES),
        "fcntl.flock on a file": by_hand,
    }
    beside("taking and freeing a store's lock", ours, references, per=TIMES)
