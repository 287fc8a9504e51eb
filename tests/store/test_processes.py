import os
import subprocess
import sys
import time

import pytest

from store import processes
from store.facts import Owner

NOW = 2_000_000_000.0


def test_this_process_runs_and_is_itself() -> None:
    me = processes.identity(os.getpid())
    assert me is not None
    assert processes.runs(me)
    assert me.boot_id == processes.boot_id()
    assert processes.boot_time() <= me.start_time <= time.time() + 1


def test_ended_process_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        known = processes.identity(child.pid)
        assert known is not None
        assert processes.runs(known)
    assert not processes.runs(known)
    assert processes.owner_of(child.pid, known.start_time, known.start_time)[0] is Owner.GONE


def test_other_boot_and_other_start_are_other_processes() -> None:
    me = processes.identity(os.getpid())
    assert me is not None
    assert not processes.runs(me._replace(boot_id="another"))
    assert not processes.runs(me._replace(start_time=me.start_time - 60))


@pytest.mark.parametrize("pid", [-1, 0, 1 << 40, 10**30])
def test_impossible_pid_has_no_identity(pid: int) -> None:
    assert pid == 0 or processes.identity(pid) is None


@pytest.mark.parametrize(
    "pid",
    [
        "",
        " ",
        "x",
        "-1",
        "0",
        "+0",
        "12x",
        "1.0",
        "0x10",
        "1_0",
        "²",
        "٣",
        "4294967295",
        "4000000000",
        "9" * 5000,
    ],
)
def test_text_that_names_no_process_is_gone(pid: str) -> None:
    assert processes.owner_of(pid, NOW, NOW) == (Owner.GONE, "the lock names no process")


@pytest.mark.parametrize("pid", [0, -1, -(2**31), 4294967295, 2147483648, 10**30])
def test_number_that_names_no_process_is_gone(pid: int) -> None:
    assert processes.owner_of(pid, NOW, NOW) == (Owner.GONE, "the lock names no process")


@pytest.mark.parametrize("form", ["{}", " {}\n", "+{}", "000{}"])
def test_running_process_holds_however_it_is_written(form: str) -> None:
    now = time.time()
    assert processes.owner_of(form.format(os.getpid()), now, now)[0] is Owner.HOLDS


def test_process_that_started_later_is_another_one() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        known = processes.identity(child.pid)
        assert known is not None
        for written_at, verdict in [(known.start_time - 1, Owner.HOLDS), (known.start_time - 3, Owner.GONE)]:
            # Counted from the boot, so that a machine that has just started proves nothing else.
            if written_at > processes.boot_time():
                assert processes.owner_of(child.pid, written_at, time.time())[0] is verdict


def test_file_from_before_the_boot_names_nobody() -> None:
    owner, evidence = processes.owner_of(os.getpid(), processes.boot_time() - 3, time.time())
    assert (owner, evidence) == (
        Owner.GONE,
        f"this machine started after process {os.getpid()} was written down",
    )


def test_process_of_another_user_holds() -> None:
    now = time.time()
    answer, tell = os.pipe()
    processes.owner_of(os.getpid(), now, now)  # imports what the other user may not be able to read
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setuid(12345)
            os.write(tell, processes.owner_of(1, now, now)[0].value.encode())
        finally:
            os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    assert os.read(answer, 100) == b"holds"
    os.close(answer)


def test_file_from_the_future_says_nothing_of_times() -> None:
    now = processes.boot_time() - 100
    assert processes.owner_of(os.getpid(), now + 50, now)[0] is Owner.HOLDS


def test_missing_process_is_gone_whatever_the_clock_says() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    assert processes.owner_of(child.pid, NOW, 0.0)[0] is Owner.GONE
