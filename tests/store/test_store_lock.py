import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

from store import names, opening, processes
from store.locks import StoreLock, holder, probe_flock

HOLD = """
import os, sys
from store.locks import StoreLock
lock = StoreLock(os.open(sys.argv[1], os.O_RDONLY))
assert lock.acquire()
print(flush=True)
sys.stdin.read()
"""

FORK_AND_HOLD = """
import os, sys
from store.locks import StoreLock
lock = StoreLock(os.open(sys.argv[1], os.O_RDONLY))
assert lock.acquire()
if os.fork() == 0:
    print(os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
lock.release() if sys.argv[2] == "release" else None
os.wait()
"""

CONTEND = """
import os, sys
from store.locks import StoreLock
root = os.open(sys.argv[1], os.O_RDONLY)
for _ in range(20):
    lock = StoreLock(root)
    assert lock.acquire(wait=60)
    os.mkdir("inside", dir_fd=root)  # fails if anybody else is inside
    os.rmdir("inside", dir_fd=root)
    lock.release()
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    fd = opening.open_folder(str(tmp_path))
    yield fd
    os.close(fd)


@contextlib.contextmanager
def another(script: str, *args: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that runs the script, once it has said something; it is told to end by the end of its input."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.communicate()


def test_lock_is_taken_given_back_and_taken_again(root: int) -> None:
    lock = StoreLock(root)
    for _ in range(3):
        assert lock.acquire()
        assert lock.still_ours()
        lock.release()
        assert not lock.held


def test_lock_is_given_back_where_the_word_of_its_holder_cannot_be(root: int, tmp_path: Path) -> None:
    lock = StoreLock(root)
    assert lock.acquire()
    (tmp_path / names.HOLDER).unlink()
    (tmp_path / names.HOLDER).mkdir()  # as on a disk that takes no change any more, it cannot be unlinked
    lock.release()
    (tmp_path / names.HOLDER).rmdir()
    assert StoreLock(root).acquire()


def test_lock_file_is_never_deleted_and_its_presence_means_nothing(root: int, tmp_path: Path) -> None:
    lock = StoreLock(root)
    lock.acquire()
    before = (tmp_path / names.LOCK).stat().st_ino
    lock.release()
    assert (tmp_path / names.LOCK).stat().st_ino == before
    assert StoreLock(root).acquire()


def test_second_holder_is_refused_within_one_process(root: int) -> None:
    with StoreLock(root) as lock:
        assert lock.acquire()
        assert not StoreLock(root).acquire()


def test_another_process_holds_it_until_it_ends(root: int, tmp_path: Path) -> None:
    with another(HOLD, tmp_path):
        assert not StoreLock(root).acquire()
        assert not StoreLock(root).acquire(wait=0.1)
    with StoreLock(root) as lock:
        assert lock.acquire()


def test_killed_holder_frees_it_at_once(root: int, tmp_path: Path) -> None:
    with another(HOLD, tmp_path) as (process, _):
        process.kill()
        process.wait()
        with StoreLock(root) as lock:
            assert lock.acquire()


@pytest.mark.parametrize("way", ["kill", "release"])
def test_forked_child_holds_it_on_until_it_ends(root: int, tmp_path: Path, way: str) -> None:
    with another(FORK_AND_HOLD, tmp_path, way) as (process, child):
        if way == "kill":
            process.kill()
            process.wait()
        assert not StoreLock(root).acquire()
        os.kill(int(child), signal.SIGKILL)
        with StoreLock(root) as lock:
            assert lock.acquire(wait=30)


def test_ten_processes_are_inside_one_at_a_time(tmp_path: Path) -> None:
    crowd = [subprocess.Popen([sys.executable, "-c", CONTEND, str(tmp_path)]) for _ in range(10)]
    assert [process.wait() for process in crowd] == [0] * 10


def test_renamed_lock_file_does_not_make_two_holders(root: int, tmp_path: Path) -> None:
    with StoreLock(root) as lock:
        assert lock.acquire()
        os.rename(tmp_path / names.LOCK, tmp_path / "elsewhere")
        assert not lock.still_ours()
        assert not StoreLock(root).acquire()


def test_renamed_folder_does_not_make_two_holders(root: int, tmp_path: Path) -> None:
    with StoreLock(root) as lock:
        assert lock.acquire()
        os.rename(tmp_path / names.FOLDER, tmp_path / "elsewhere")
        assert not lock.still_ours()
        assert not StoreLock(root).acquire()


def test_lock_file_that_is_a_link_is_not_followed(root: int, tmp_path: Path) -> None:
    (tmp_path / names.FOLDER).mkdir()
    (tmp_path / "precious").write_text("precious")
    (tmp_path / names.LOCK).symlink_to("../precious")
    with pytest.raises(OSError, match="symbolic link"):
        StoreLock(root).acquire()
    assert (tmp_path / "precious").read_text() == "precious"


def test_folder_that_is_a_link_is_not_followed(root: int, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / names.FOLDER).symlink_to("elsewhere")
    with pytest.raises(NotADirectoryError):
        StoreLock(root).acquire()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_failed_attempt_leaves_no_descriptor(root: int) -> None:
    with StoreLock(root) as lock:
        lock.acquire()
        before = len(os.listdir("/proc/self/fd"))
        assert not StoreLock(root).acquire()
        assert len(os.listdir("/proc/self/fd")) == before


def test_holder_says_who_he_is(root: int, tmp_path: Path) -> None:
    assert holder(root) is None
    with another(HOLD, tmp_path) as (process, _):
        found = holder(root)
        assert found is not None
        assert (found.pid, found.command, found.boot_id) == (process.pid, "-c", processes.boot_id())
        assert processes.runs(found.identity)
        process.kill()
        process.wait()
        assert not processes.runs(found.identity)
    with StoreLock(root) as lock:
        lock.acquire(now=5.0)
        assert (found := holder(root)) is not None
        assert (found.pid, found.since) == (os.getpid(), 5.0)
    assert holder(root) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"pid": "x"}', b"[" * 50_000, b'{"x":' + b"[" * 50_000]
)
def test_garbage_is_no_holder(root: int, tmp_path: Path, content: bytes) -> None:
    (tmp_path / names.FOLDER).mkdir()
    (tmp_path / names.HOLDER).write_bytes(content)
    assert holder(root) is None


def test_fifo_is_no_holder(root: int, tmp_path: Path) -> None:
    (tmp_path / names.FOLDER).mkdir()
    os.mkfifo(tmp_path / names.HOLDER)
    assert holder(root) is None


def test_word_that_a_killed_holder_was_writing_is_replaced(root: int, tmp_path: Path) -> None:
    (tmp_path / names.FOLDER).mkdir()
    (tmp_path / names.HOLDER_NEW).write_text("{")
    with StoreLock(root) as lock:
        assert lock.acquire()
        assert holder(root) is not None


def test_skips_in_a_row_are_counted_until_somebody_gets_in(root: int) -> None:
    lock = StoreLock(root)
    assert [lock.note_skip() for _ in range(3)] == [1, 2, 3]
    lock.acquire()
    lock.release()
    assert lock.note_skip() == 1


def test_script_that_takes_the_lock_by_the_library_and_a_maintainer_shut_each_other_out(
    root: int, tmp_path: Path
) -> None:
    lock = StoreLock(root)
    assert lock.acquire()
    script = filelock.FileLock(tmp_path / names.LOCK, timeout=0)
    with pytest.raises(filelock.Timeout):
        script.acquire()
    lock.release()
    with script:
        assert not lock.acquire()
    assert lock.acquire()
    lock.release()


def test_recorders_lock_is_held_for_the_time_of_the_look(root: int, tmp_path: Path) -> None:
    (tmp_path / "recording.lock").write_text("12")
    with probe_flock(root, "recording.lock") as (held, fd):
        assert held
        assert os.read(fd, 10) == b"12"
        with (tmp_path / "recording.lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "recording.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with probe_flock(root, "recording.lock") as (held, _):
            assert not held


def test_recorders_lock_that_was_replaced_meanwhile_is_not_held(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recording.lock").write_text("12")
    open_session = opening.open_session

    def replacing(dir_fd: int, name: str) -> int:
        fd = open_session(dir_fd, name)
        (tmp_path / "new").write_text("13")
        os.replace(tmp_path / "new", tmp_path / "recording.lock")
        return fd

    monkeypatch.setattr(opening, "open_session", replacing)
    with probe_flock(root, "recording.lock") as (held, _):
        assert not held


def test_recorders_lock_that_is_none_is_not_held_or_made(root: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recording.lock")
    with probe_flock(root, "recording.lock") as (held, _):
        assert not held
    with pytest.raises(FileNotFoundError), probe_flock(root, "none"):
        pass
    assert not (tmp_path / "none").exists()
