import contextlib
import errno
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interposed import acting, deadly

from store import carrying, exchanging, leases, names, opening, syscalls
from store.change import RootFds, Skip, Stranded, carry_over, expire, move_to_trash, rewrite
from store.durable import Poisoned
from store.facts import Fingerprint, Member
from store.leases import Lease

RUN = names.new_run_id(1770628443, b"abc")
OLD = "one\ntorn"
NEW = "one\nend\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "sessions").mkdir()
    return tmp_path / "sessions"


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    with RootFds({"sessions": str(path)}) as roots:
        yield roots


@pytest.fixture
def member(path: Path) -> Member:
    (path / "a").write_text(OLD)
    return planned(path)


@pytest.fixture
def no_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "read_lease", lambda _: Lease.UNAVAILABLE)
    monkeypatch.setattr(leases, "write_lease", lambda _: Lease.UNAVAILABLE)


def planned(path: Path) -> Member:
    return Member("sessions", "a", opening.fingerprint((path / "a").stat()))


def build(fd: int) -> Iterator[bytes]:
    line, _, _ = os.read(fd, 1000).partition(b"\n")
    yield line + b"\n"
    yield b"end\n"


def backup(path: Path) -> Path:
    return path / names.backup_path(RUN, "sessions", "a")


def tmp(path: Path) -> Path:
    return path / names.tmp_path(RUN, 0)


def everything(path: Path) -> list[str]:
    """All bytes that anybody can still reach, wherever they lie."""
    return sorted(file.read_text() for file in path.rglob("*") if file.is_file())


def append(path: Path, text: str = "late\n") -> None:
    with path.open("a") as file:
        file.write(text)


def test_session_is_new_and_its_old_file_is_the_backup(roots: RootFds, path: Path, member: Member) -> None:
    done = rewrite(roots, member, RUN, 0, build)
    assert ((path / "a").read_text(), backup(path).read_text()) == (NEW, OLD)
    assert backup(path).stat().st_ino == member.fingerprint.inode
    assert backup(path).stat().st_nlink == 1
    assert done.fingerprint == opening.fingerprint((path / "a").stat())
    assert (path / done.backup, done.old_size, done.carried, done.busy) == (backup(path), len(OLD), 0, False)
    assert not tmp(path).exists()


def test_mode_owner_and_times_stay(roots: RootFds, path: Path, member: Member) -> None:
    os.chown(path, 1234, -1)
    os.chown(path / "a", 1234, 5678)
    os.chmod(path / "a", 0o640)
    os.utime(path / "a", ns=(10**18, 10**18 + 1))
    rewrite(roots, planned(path), RUN, 0, build)
    found = (path / "a").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 5678, 0o640)
    assert found.st_mtime_ns == 10**18 + 1


def test_new_bytes_are_private_while_they_are_written(roots: RootFds, path: Path, member: Member) -> None:
    os.chmod(path / "a", 0o644)
    seen = []

    def looking(fd: int) -> Iterator[bytes]:
        seen.append(stat.S_IMODE(tmp(path).stat().st_mode))
        yield from build(fd)

    rewrite(roots, planned(path), RUN, 0, looking)
    assert seen == [0o600]


def test_everything_is_synced_before_the_exchange_and_the_folder_after(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots.folder("sessions", os.path.dirname(names.backup_path(RUN, "sessions", "a")))
    roots.folder("sessions", names.TMP)
    events: list[str] = []

    def sync(fd: int) -> None:
        target = os.readlink(f"/proc/self/fd/{fd}")
        events.append(f"fsync {os.path.relpath(target, path)}")

    def advise(fd: int, start: int, stop: int, advice: int) -> None:
        if advice == os.POSIX_FADV_DONTNEED:
            events.append("forget")

    pread = os.pread

    def read(fd: int, size: int, position: int) -> bytes:
        if events[-1] == "forget":
            events.append("read")
        return pread(fd, size, position)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "posix_fadvise", advise)
    monkeypatch.setattr(os, "pread", read)
    acting(monkeypatch, "rename_exchange", before=lambda: events.append("exchange"))
    rewrite(roots, member, RUN, 0, build)
    folder = os.path.dirname(names.backup_path(RUN, "sessions", "a"))
    new = [f"fsync {names.tmp_path(RUN, 0)}", "forget", "read"]
    assert events == [*new, f"fsync {folder}", "exchange", "fsync ."]


def test_bytes_that_are_not_those_that_were_written_never_get_the_name(
    roots: RootFds, path: Path, member: Member
) -> None:
    def disturbed(fd: int) -> Iterator[bytes]:
        yield from build(fd)
        with tmp(path).open("r+b") as file:
            file.write(b"X")

    with pytest.raises(Poisoned, match="other bytes"):
        rewrite(roots, member, RUN, 0, disturbed)
    assert everything(path) == [OLD]
    assert opening.fingerprint((path / "a").stat()) == member.fingerprint


@pytest.mark.parametrize("what", ["flipped", "short", "error"])
def test_disk_that_gives_other_bytes_back_is_poison(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    pread = os.pread

    def bad(fd: int, size: int, position: int) -> bytes:
        if what == "error":
            raise OSError(errno.EIO, "Input/output error")
        data = pread(fd, size, position)
        return data[:-1] if what == "short" else bytes(byte ^ 1 for byte in data)

    monkeypatch.setattr(os, "pread", bad)
    with pytest.raises(Poisoned):
        rewrite(roots, member, RUN, 0, build)
    monkeypatch.undo()
    assert everything(path) == [OLD]
    assert opening.fingerprint((path / "a").stat()) == member.fingerprint


def test_session_open_for_writing_is_left_alone(roots: RootFds, path: Path, member: Member) -> None:
    with (path / "a").open("a"), pytest.raises(Skip, match="open for writing"):
        rewrite(roots, member, RUN, 0, build)
    assert everything(path) == [OLD]


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (append, "grew since it was planned"),
        (lambda path: path.chmod(0o600) or path.chmod(0o640), "changed since"),
        (lambda path: os.link(path, path.parent / "b"), "more than one hard link"),
    ],
)
def test_session_that_is_not_as_planned_is_left_alone(
    roots: RootFds, path: Path, member: Member, act: Callable[[Path], None], reason: str
) -> None:
    act(path / "a")
    before = everything(path)
    with pytest.raises(Skip, match=reason):
        rewrite(roots, member, RUN, 0, build)
    assert everything(path) == before


def test_builder_that_gives_up_leaves_nothing(roots: RootFds, path: Path, member: Member) -> None:
    def giving_up(fd: int) -> Iterator[bytes]:
        yield b"half"
        raise LookupError

    with pytest.raises(LookupError):
        rewrite(roots, member, RUN, 0, giving_up)
    assert everything(path) == [OLD]
    assert rewrite(roots, member, RUN, 0, build).old_size == len(OLD)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_failed_fsync_is_poison(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    roots.folder("sessions", os.path.dirname(names.backup_path(RUN, "sessions", "a")))
    roots.folder("sessions", names.TMP)
    fsync, count = os.fsync, iter(range(100))

    def failing_once(fd: int) -> None:
        if next(count) == failing:
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", failing_once)
    with pytest.raises(Poisoned):
        rewrite(roots, member, RUN, 0, build)
    if failing < 2:  # nothing was renamed
        assert everything(path) == [OLD]
        assert (path / "a").stat().st_ino == member.fingerprint.inode
    else:  # the exchange may or may not last: the old bytes have a durable name either way
        assert (path / "a").read_text() == NEW
        assert backup(path).read_text() == OLD


def test_full_disk_leaves_everything_as_it_was(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        rewrite(roots, member, RUN, 0, build)
    assert everything(path) == [OLD]


def test_file_that_took_the_name_in_the_gap_keeps_it(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace() -> None:
        (path / "other").write_text("other\n")
        (path / "other").replace(path / "a")

    acting(monkeypatch, "rename_exchange", before=replace)
    with pytest.raises(Skip, match="was replaced"):
        rewrite(roots, member, RUN, 0, build)
    # The examined file lost its name to its owner's own step; our backup still has it.
    assert (path / "a").read_text() == "other\n"
    assert everything(path) == [OLD, "other\n"]


def test_session_moved_by_its_owner_in_the_gap_is_gone_and_stays_whole(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting(monkeypatch, "rename_exchange", before=lambda: (path / "a").rename(path / "b"))
    with pytest.raises(Skip, match="is gone"):
        rewrite(roots, member, RUN, 0, build)
    assert everything(path) == [OLD]
    assert (path / "b").stat().st_nlink == 1


def test_file_that_replaces_the_new_one_at_once_is_kept(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace() -> None:
        (path / "other").write_text("other\n")
        (path / "other").replace(path / "a")

    acting(monkeypatch, "rename_exchange", after=replace)
    rewrite(roots, member, RUN, 0, build)
    assert (path / "a").read_text() == "other\n"
    assert backup(path).read_text() == OLD


def test_two_files_that_take_the_name_in_turn_are_both_kept(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(text: str) -> None:
        (path / "other").write_text(text)
        (path / "other").replace(path / "a")

    acting(
        monkeypatch, "rename_exchange", before=lambda: replace("first\n"), after=lambda: replace("second\n")
    )
    with pytest.raises(Stranded, match="trash"):
        rewrite(roots, member, RUN, 0, build)
    assert {"first\n", "second\n", OLD} <= set(everything(path))


@pytest.mark.parametrize("when", ["build", "before", "after"])
def test_late_append_through_a_held_descriptor_is_kept(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch, no_leases: None, when: str
) -> None:
    with (path / "a").open("a") as writer:

        def late() -> None:
            writer.write("late\n")
            writer.flush()

        def building(fd: int) -> Iterator[bytes]:
            yield from build(fd)
            if when == "build":
                late()

        if when != "build":
            acting(monkeypatch, "rename_exchange", **{when: late})
        if when == "build":
            with pytest.raises(Skip, match="grew while"):
                rewrite(roots, member, RUN, 0, building, idle=True)
            assert everything(path) == [OLD + "late\n"]
        else:
            done = rewrite(roots, member, RUN, 0, building, idle=True)
            assert (path / "a").read_text() == NEW + "late\n"
            assert (done.carried, done.fingerprint) == (5, opening.fingerprint((path / "a").stat()))


def test_file_changed_in_place_in_the_gap_gets_its_name_back(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch, no_leases: None
) -> None:
    acting(monkeypatch, "rename_exchange", before=lambda: (path / "a").write_text("x"))
    with pytest.raises(Skip, match="changed while"):
        rewrite(roots, member, RUN, 0, build, idle=True)
    assert everything(path) == ["x"]
    assert (path / "a").stat().st_nlink == 1


def test_line_written_to_the_new_file_before_it_was_taken_back_is_kept(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch, no_leases: None
) -> None:
    acting(
        monkeypatch,
        "rename_exchange",
        before=lambda: (path / "a").write_text("x"),
        after=lambda: append(path / "a"),
    )
    with pytest.raises(Stranded, match="was written to"):
        rewrite(roots, member, RUN, 0, build, idle=True)
    assert NEW + "late\n" in everything(path)
    assert (path / "a").read_text() == "x"


@contextlib.contextmanager
def recorder(script: str, file: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.communicate()


WAITING = """
import os, sys
print("opening", flush=True)
with open(sys.argv[1], "a") as file:
    file.write("late\\n")
"""


def test_recorder_that_was_kept_waiting_loses_no_line(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens the old file while we hold the lease, wakes up when we let go, and writes to what is the backup."""
    fds = []
    read_lease = leases.read_lease

    def noting(fd: int) -> Lease:
        fds.append(fd)
        return read_lease(fd)

    monkeypatch.setattr(leases, "read_lease", noting)
    with contextlib.ExitStack() as stack:

        def start() -> None:
            process = stack.enter_context(recorder(WAITING, path / "a"))
            assert process.stdout is not None
            process.stdout.readline()
            while not leases.broken(fds[0]):  # until the kernel says that he waits
                os.sched_yield()

        acting(monkeypatch, "rename_exchange", before=start)
        done = rewrite(roots, member, RUN, 0, build)
    assert (path / "a").read_text() == NEW + "late\n"
    assert (done.carried, done.busy) == (5, False)


def test_writer_who_stays_is_reported_and_his_lines_are_carried_over_later(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "_PATIENCE", 0.01)
    descriptors = []

    def open_late() -> None:
        # As somebody would who looked the name up before the exchange and got to write after our lease.
        leases.drop_lease(held[0])
        descriptors.append(os.open(path / "a", os.O_WRONLY | os.O_APPEND))

    held: list[int] = []
    read_lease = leases.read_lease

    def noting(fd: int) -> Lease:
        held.append(fd)
        return read_lease(fd)

    monkeypatch.setattr(leases, "read_lease", noting)
    acting(monkeypatch, "rename_exchange", before=open_late)
    done = rewrite(roots, member, RUN, 0, build)
    assert done.busy
    os.write(descriptors[0], b"late\n")
    os.close(descriptors[0])
    assert (path / "a").read_text() == NEW
    assert carry_over(roots, member, RUN) == 5
    assert carry_over(roots, member, RUN) == 0
    assert (path / "a").read_text() == NEW + "late\n"


def test_lines_of_a_writer_who_stays_are_carried_over_once_and_whole(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "_PATIENCE", 0.01)
    descriptors = []

    def open_late() -> None:
        os.truncate(path / "a", len(OLD))  # breaks our lease, as somebody does who waits until it is given up
        descriptors.append(os.open(path / "a", os.O_WRONLY | os.O_APPEND))
        os.write(descriptors[0], b"la")

    monkeypatch.setattr(exchanging, "_look_again", lambda place, _: leases.drop_lease(place.fd))
    acting(monkeypatch, "rename_exchange", before=open_late)
    done = rewrite(roots, member, RUN, 0, build)
    assert (done.carried, done.busy) == (0, True)
    os.write(descriptors[0], b"te\n")
    assert carry_over(roots, member, RUN) == 0  # he may be in the middle of a line
    os.write(descriptors[0], b"later\n")
    os.close(descriptors[0])
    assert carry_over(roots, member, RUN) == len("late\nlater\n")
    assert (path / "a").read_text() == NEW + "late\nlater\n"


def test_what_was_carried_over_before_is_not_carried_over_with_the_rest(
    roots: RootFds, path: Path, member: Member
) -> None:
    rewrite(roots, member, RUN, 0, build)
    append(backup(path), "late\n")
    assert carry_over(roots, member, RUN) == 5
    append(path / "a", "another\n")
    append(backup(path), "later\n")
    assert carry_over(roots, member, RUN, carried=5) == 6
    assert (path / "a").read_text() == NEW + "late\nanother\nlater\n"


def test_where_nobody_can_tell_only_idle_sessions_are_rewritten(
    roots: RootFds, path: Path, member: Member, no_leases: None
) -> None:
    with pytest.raises(Skip, match="nobody can tell"):
        rewrite(roots, member, RUN, 0, build)
    assert everything(path) == [OLD]
    rewrite(roots, member, RUN, 0, build, idle=True)
    assert (path / "a").read_text() == NEW


def test_where_files_cannot_be_exchanged_only_idle_sessions_are_rewritten(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "_rename_call", lambda: None)
    with pytest.raises(Skip, match="cannot exchange"):
        rewrite(roots, member, RUN, 0, build)
    assert everything(path) == [OLD]
    # The link for the backup came and went, and changed the time of change.
    rewrite(roots, planned(path), RUN, 0, build, idle=True)
    assert ((path / "a").read_text(), backup(path).read_text()) == (NEW, OLD)
    assert not tmp(path).exists()


def test_without_proc_the_backup_is_made_by_name(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def no_proc(src: str, dst: str, **kwargs: Any) -> None:
        if src.startswith("/proc"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", src)
        link(src, dst, **kwargs)

    monkeypatch.setattr(os, "link", no_proc)
    rewrite(roots, member, RUN, 0, build)
    assert ((path / "a").read_text(), backup(path).read_text()) == (NEW, OLD)


def test_rewriting_twice_is_rewriting_once(roots: RootFds, path: Path, member: Member) -> None:
    once = rewrite(roots, member, RUN, 0, build)
    assert rewrite(roots, member, RUN, 0, build) == once
    assert everything(path) == [NEW, OLD]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("point", range(24))
def test_rewrite_killed_anywhere_is_finished_by_the_next_attempt(
    path: Path, member: Member, point: int, after: bool, late: bool
) -> None:
    # A real death: the child ends in the middle of the call, without any clean-up of ours.
    child = os.fork()
    if child == 0:
        make_deadly = deadly(point, after=after)
        make_deadly(syscalls, "rename_exchange")
        for name in ("fsync", "link", "unlink", "mkdir", "write", "fchmod", "utime"):
            make_deadly(os, name)
        with RootFds({"sessions": str(path)}) as roots:
            rewrite(roots, member, RUN, 0, build)
        os._exit(0)
    os.waitpid(child, 0)
    assert OLD in everything(path)
    if late and backup(path).exists() and backup(path).stat().st_nlink == 1:
        append(backup(path))  # somebody who had opened it in time
        late_lines = "late\n"
    else:
        late_lines = ""
    with RootFds({"sessions": str(path)}) as roots:
        rewrite(roots, member, RUN, 0, build)
    assert everything(path) == [NEW + late_lines, OLD + late_lines]
    assert (path / "a").read_text() == NEW + late_lines


@pytest.fixture
def linked(path: Path, member: Member, monkeypatch: pytest.MonkeyPatch) -> Member:
    """What was planned for a session whose rewrite was killed between the link and the exchange."""
    child = os.fork()
    if child == 0:
        acting(monkeypatch, "rename_exchange", before=lambda: os._exit(9))
        with RootFds({"sessions": str(path)}) as roots:
            rewrite(roots, member, RUN, 0, build)
    os.waitpid(child, 0)
    assert (path / "a").stat().st_nlink == 2
    return member


@pytest.mark.parametrize("act", [append, lambda file: file.write_text("x")])
def test_session_that_was_changed_after_a_kill_has_one_name_again(
    roots: RootFds, path: Path, linked: Member, act: Callable[[Path], object]
) -> None:
    act(path / "a")
    now = (path / "a").read_text()
    with pytest.raises(Skip, match="since it was planned"):
        rewrite(roots, linked, RUN, 0, build)
    assert everything(path) == [now]
    rewrite(roots, planned(path), names.new_run_id(1770628444, b"abc"), 0, build)
    assert (path / "a").read_text().endswith("end\n")


def test_session_open_for_writing_after_a_kill_has_one_name_again(
    roots: RootFds, path: Path, linked: Member
) -> None:
    with (path / "a").open("a"), pytest.raises(Skip, match="open for writing"):
        rewrite(roots, linked, RUN, 0, build)
    assert everything(path) == [OLD]


def test_session_that_cannot_even_be_opened_after_a_kill_has_one_name_again(
    roots: RootFds, path: Path, linked: Member
) -> None:
    with (path / "a").open("r+") as file:
        leases.probe(file.fileno())  # makes SIGIO harmless
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(Skip, match="another process's lease"):
            rewrite(roots, linked, RUN, 0, build)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    assert ((path / "a").read_text(), (path / "a").stat().st_nlink) == (OLD, 1)


def test_builder_that_gives_up_after_a_kill_leaves_the_session_one_name(
    roots: RootFds, path: Path, linked: Member
) -> None:
    def giving_up(fd: int) -> Iterator[bytes]:
        yield b"half"
        raise LookupError

    with pytest.raises(LookupError):
        rewrite(roots, linked, RUN, 0, giving_up)
    assert everything(path) == [OLD]


@pytest.mark.parametrize("act", ["unlink", "replace", "move"])
def test_backup_that_is_not_the_name_s_own_file_stays(
    roots: RootFds, path: Path, linked: Member, act: str
) -> None:
    if act == "unlink":
        (path / "a").unlink()
    elif act == "move":
        (path / "a").rename(path / "b")
    else:
        (path / "other").write_text("other\n")
        (path / "other").replace(path / "a")
    with pytest.raises((Skip, Stranded)):
        rewrite(roots, linked, RUN, 0, build)
    assert backup(path).read_text() == OLD


def test_new_file_that_was_written_to_in_vain_does_not_leave_the_session_two_names(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch, no_leases: None
) -> None:
    acting(
        monkeypatch,
        "rename_exchange",
        before=lambda: (path / "a").write_text("x"),
        after=lambda: append(path / "a"),
    )
    with pytest.raises(Stranded, match="was written to"):
        rewrite(roots, member, RUN, 0, build, idle=True)
    assert (path / "a").stat().st_nlink == 1


def test_file_left_in_the_middle_of_an_exchange_is_never_deleted(
    roots: RootFds, path: Path, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after a replaced session came out of the exchange: it lies under the temporary name only."""

    def replace() -> None:
        (path / "other").write_text("other\n")
        (path / "other").replace(path / "a")

    def die() -> None:
        os._exit(9)

    child = os.fork()
    if child == 0:
        acting(monkeypatch, "rename_exchange", before=replace, after=die)
        rewrite(roots, member, RUN, 0, build)
    os.waitpid(child, 0)
    assert tmp(path).read_text() == "other\n"
    with pytest.raises(Stranded, match="trash"):
        rewrite(roots, member, RUN, 0, build)
    assert everything(path) == [NEW, OLD, "other\n"]


def test_rewritten_session_can_be_removed_and_its_backup_expire(
    roots: RootFds, path: Path, member: Member
) -> None:
    done = rewrite(roots, member, RUN, 0, build)
    rewritten: Fingerprint = done.fingerprint
    move_to_trash(roots, (Member("sessions", "a", rewritten),), RUN)
    assert expire(roots, done.backup, member.fingerprint) == len(OLD)
    assert everything(path) == [NEW]


def test_no_descriptor_is_left(roots: RootFds, path: Path, member: Member) -> None:
    rewrite(roots, member, RUN, 0, build)
    before = len(os.listdir("/proc/self/fd"))
    rewrite(roots, member, RUN, 0, build)
    with (path / "a").open("a"), pytest.raises(Skip):
        rewrite(roots, planned(path), names.new_run_id(0, b"xyz"), 0, build)
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # one more folder of ours, kept open
