import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import leases
from store.leases import Lease

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "session").write_text("x\n")
    return tmp_path / "session"


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_lease_is_held_on_what_nobody_writes(fd: int) -> None:
    assert leases.read_lease(fd) is Lease.HELD
    assert not leases.broken(fd)
    leases.drop_lease(fd)
    assert leases.broken(fd)


def test_lease_is_busy_while_another_process_may_write(path: Path, fd: int) -> None:
    script = "import sys; f = open(sys.argv[1], 'a'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert leases.probe(fd) is Lease.BUSY
        writer.communicate()
    assert leases.probe(fd) is Lease.HELD


def test_readers_do_not_matter(path: Path, fd: int) -> None:
    with path.open() as _:
        assert leases.probe(fd) is Lease.HELD


def test_who_wants_to_write_waits_and_is_noticed(path: Path, fd: int) -> None:
    with leases.leased(fd) as lease:
        assert lease is Lease.HELD
        with pytest.raises(BlockingIOError):
            os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        assert leases.broken(fd)
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def test_broken_lease_does_not_end_the_process(path: Path) -> None:
    script = """
import os, sys
from store import leases
fd = os.open(sys.argv[1], os.O_RDONLY)
assert leases.read_lease(fd) is leases.Lease.HELD
try:
    os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
except BlockingIOError:
    print("alive")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, check=True, text=True
    )
    assert done.stdout == "alive\n"


def test_handler_of_somebody_else_is_left_alone(fd: int) -> None:
    def handler(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGIO, handler)
    try:
        assert leases.probe(fd) is Lease.HELD
        assert signal.getsignal(signal.SIGIO) is handler
    finally:
        signal.signal(signal.SIGIO, before)


def test_other_thread_cannot_ask_before_the_main_one_did(fd: int) -> None:
    answers = []
    before = signal.signal(signal.SIGIO, signal.SIG_DFL)
    try:
        for _ in range(2):
            thread = threading.Thread(target=lambda: answers.append(leases.probe(fd)))
            thread.start()
            thread.join()
            leases.probe(fd)
    finally:
        signal.signal(signal.SIGIO, before)
    assert answers == [Lease.UNAVAILABLE, Lease.HELD]


def test_what_knows_no_leases_says_nothing(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    assert leases.read_lease(folder) is Lease.UNAVAILABLE
    leases.drop_lease(folder)
    os.close(folder)
    assert leases.read_lease(-1 % (1 << 20)) is Lease.UNAVAILABLE


def test_write_lease_keeps_readers_waiting_too(path: Path) -> None:
    fd = os.open(path, os.O_RDWR)
    assert leases.write_lease(fd) is Lease.HELD
    with pytest.raises(BlockingIOError):
        os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    leases.drop_lease(fd)
    os.close(fd)
