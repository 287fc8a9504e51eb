"""Pieces of work that wait for the disk together: what each may rely on, and who is told when it fails."""

import errno
import os
import resource
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from store import barriers, durable, opening
from store.barriers import FEW, LATER, NEXT, Durable, Steps, alone, in_waves, side_by_side, together
from store.change import RootFds, Skip, rewrite, rewriting
from store.durable import Poisoned
from store.facts import Member

RUN = "20260209T141403-616263"
MANY = FEW + 3


class Disk:
    """What was asked of the disk, in order; the n-th wish from now on fails where that is set."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.fails = ""
        for name in ("sync_file", "sync_folder", "sync_file_system"):
            patch.setattr(durable, name, self._watched(name, getattr(durable, name)))

    def _watched(self, name: str, real: object) -> object:
        def sync(fd: int, what: str) -> None:
            self.asked.append(name)
            if name == self.fails:
                raise Poisoned(errno.EIO, "broken", what)
            real(fd, what)  # type: ignore[operator]

        return sync


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[int]]:
    fds = [os.open(tmp_path / str(number), os.O_RDWR | os.O_CREAT) for number in range(MANY)]
    yield fds
    for fd in fds:
        os.close(fd)


def waiting(fd: int, done: list[str], *, folder: bool = False) -> Steps[int]:
    done.append(f"before {fd}")
    yield Durable(fd, str(fd), folder)
    done.append(f"after {fd}")
    return fd


def test_nobody_goes_on_before_all_have_come_to_the_barrier(files: list[int], disk: Disk) -> None:
    done: list[str] = []
    assert together([waiting(fd, done) for fd in files]) == files
    assert done == [f"before {fd}" for fd in files] + [f"after {fd}" for fd in files]


def test_many_files_are_made_durable_by_one_sync(files: list[int], disk: Disk) -> None:
    together([waiting(fd, []) for fd in files])
    assert disk.asked == ["sync_file_system"]


def test_few_files_are_made_durable_one_by_one(files: list[int], disk: Disk) -> None:
    together([waiting(fd, []) for fd in files[:FEW]])
    assert disk.asked == ["sync_file"] * FEW


def test_where_a_kernel_does_not_tell_of_errors_files_are_made_durable_one_by_one(
    files: list[int], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(barriers, "_is_told", lambda: False)
    together([waiting(fd, []) for fd in files])
    assert disk.asked == ["sync_file"] * MANY


def test_a_folder_that_many_wait_for_is_synced_once(tmp_path: Path, disk: Disk) -> None:
    folders = [opening.open_folder(str(tmp_path)) for _ in range(MANY)]
    together([waiting(fd, [], folder=True) for fd in folders])
    for fd in folders:
        os.close(fd)
    assert disk.asked == ["sync_folder"]


def test_everybody_who_waited_is_told_of_a_failure(files: list[int], disk: Disk) -> None:
    disk.fails = "sync_file_system"

    def told(fd: int) -> Steps[str]:
        try:
            yield Durable(fd, str(fd))
        except Poisoned as error:
            return str(error.filename)
        return "not told"

    assert together([told(fd) for fd in files]) == [str(fd) for fd in files]


def test_what_one_raises_ends_the_others_at_their_barriers(files: list[int]) -> None:
    ended: list[int] = []

    def careful(fd: int) -> Steps[None]:
        try:
            yield NEXT
        finally:
            ended.append(fd)

    def careless() -> Steps[None]:
        yield LATER
        raise KeyError

    with pytest.raises(KeyError):
        together([careless(), *(careful(fd) for fd in files)])
    assert sorted(ended) == sorted(files)


def test_those_who_need_nothing_wait_for_nobody(files: list[int], disk: Disk) -> None:
    def idle() -> Steps[str]:
        yield from ()
        return "done"

    assert alone(idle()) == "done"
    assert disk.asked == []


# Sessions that are rewritten together.


def build(fd: int) -> Iterator[bytes]:
    yield os.read(fd, 1000).partition(b"\n")[0] + b"\nend\n"


@pytest.fixture
def members(tmp_path: Path) -> list[Member]:
    (tmp_path / "sessions").mkdir()
    found = []
    for number in range(MANY):
        path = tmp_path / "sessions" / str(number)
        path.write_text(f"{number}\ntorn")
        found.append(Member("sessions", path.name, opening.fingerprint(path.stat())))
    return found


def content(folder: Path) -> list[str]:
    return [(folder / "sessions" / str(number)).read_text() for number in range(MANY)]


def test_sessions_rewritten_together_are_what_they_are_one_by_one(
    tmp_path: Path, members: list[Member]
) -> None:
    with RootFds({"sessions": str(tmp_path / "sessions")}) as roots:
        done = together([rewriting(roots, member, RUN, n, build) for n, member in enumerate(members)])
    assert content(tmp_path) == [f"{number}\nend\n" for number in range(MANY)]
    kept = [(tmp_path / "sessions" / each.backup).read_text() for each in done]
    assert kept == [f"{number}\ntorn" for number in range(MANY)]


@pytest.mark.parametrize("failing", ["sync_file_system", "sync_folder"])
def test_where_the_disk_fails_sessions_keep_their_old_bytes_and_one_name(
    tmp_path: Path, members: list[Member], disk: Disk, failing: str
) -> None:
    disk.fails = failing

    def outcome(steps: Steps[object]) -> Steps[str]:
        try:
            yield from steps
        except Poisoned:
            return "poisoned"
        return "done"

    with RootFds({"sessions": str(tmp_path / "sessions")}) as roots:
        told = together(
            [outcome(rewriting(roots, member, RUN, n, build)) for n, member in enumerate(members)]
        )
    assert told == ["poisoned"] * MANY
    assert content(tmp_path) == [f"{number}\ntorn" for number in range(MANY)]
    assert {(tmp_path / "sessions" / member.path).stat().st_nlink for member in members} == {1}


def test_a_session_that_changed_is_skipped_and_its_neighbours_are_rewritten(
    tmp_path: Path, members: list[Member]
) -> None:
    (tmp_path / "sessions" / "1").write_text("other\n")

    def outcome(steps: Steps[object]) -> Steps[str]:
        try:
            yield from steps
        except Skip as skip:
            return str(skip)
        return "done"

    with RootFds({"sessions": str(tmp_path / "sessions")}) as roots:
        told = together(
            [outcome(rewriting(roots, member, RUN, n, build)) for n, member in enumerate(members)]
        )
    assert told == ["done", "changed since it was planned", *["done"] * (MANY - 2)]


def test_a_rewrite_alone_is_durable_at_each_of_its_steps(
    tmp_path: Path, members: list[Member], disk: Disk
) -> None:
    with RootFds({"sessions": str(tmp_path / "sessions")}) as roots:
        rewrite(roots, members[0], RUN, 0, build)
    assert disk.asked[-3:] == ["sync_file", "sync_folder", "sync_folder"]


def test_a_folder_that_goes_while_others_wait_takes_no_descriptor_along(
    tmp_path: Path, members: list[Member]
) -> None:
    """Whoever removes a session makes the roots forget the folders that they keep open."""
    with RootFds({"sessions": str(tmp_path / "sessions")}) as roots:

        def removing() -> Steps[None]:
            yield NEXT
            roots.forget()

        rewrites = [rewriting(roots, member, RUN, n, build) for n, member in enumerate(members)]
        done = together([removing(), *rewrites])
    assert len(done) == 1 + MANY
    assert content(tmp_path) == [f"{number}\nend\n" for number in range(MANY)]


def test_all_are_ended_even_where_one_cannot_end_as_it_should(files: list[int]) -> None:
    ended: list[int] = []

    def stubborn(fd: int) -> Steps[None]:
        try:
            yield NEXT
        finally:
            ended.append(fd)
            raise OSError(errno.EBUSY, "it lies elsewhere now")

    def careless() -> Steps[None]:
        yield NEXT
        raise KeyError

    with pytest.raises(OSError, match="it lies elsewhere now"):
        together([careless(), *(stubborn(fd) for fd in files)])
    assert sorted(ended) == sorted(files)


def test_fewer_go_side_by_side_where_descriptors_are_few() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert (side_by_side(64, 6), side_by_side(8, 2), side_by_side(64, 1000)) == (32, 8, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# In waves.


def halves(files: list[int]) -> tuple[list[int], list[int]]:
    return files[: MANY // 2], files[MANY // 2 :]


def test_a_wave_is_begun_before_the_one_before_it_goes_on_and_no_more(files: list[int], disk: Disk) -> None:
    done: list[str] = []
    in_waves([waiting(fd, done)] for fd in files)
    first, *rest, last = files
    between = [
        text
        for before, after in pairwise([first, *rest, last])
        for text in (f"before {after}", f"after {before}")
    ]
    assert done == [f"before {first}", *between, f"after {last}"]
    assert disk.asked == ["sync_file"] * MANY


def test_a_wave_is_begun_while_the_disk_takes_the_one_before_it(
    files: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    seen: list[bool] = []

    def sync(fd: int, what: str) -> None:
        if fd == files[0]:
            seen.append(begun.wait(60))

    monkeypatch.setattr(durable, "sync_file", sync)

    def waves() -> Iterator[list[Steps[int]]]:
        yield [waiting(files[0], [])]
        begun.set()
        yield [waiting(files[1], [])]

    in_waves(waves())
    assert seen == [True]


def test_what_a_wave_reads_from_may_be_closed_when_the_next_is_asked_for(files: list[int]) -> None:
    done: list[str] = []

    def waves() -> Iterator[list[Steps[int]]]:
        for some in halves(files):
            yield [waiting(fd, done) for fd in some]
            done.append("closed")

    in_waves(waves())
    first, second = halves(files)
    assert done == [
        *(f"before {fd}" for fd in first), "closed", *(f"before {fd}" for fd in second),
        *(f"after {fd}" for fd in first), "closed", *(f"after {fd}" for fd in second),
    ]  # fmt: skip


def test_an_error_is_told_to_the_wave_that_relied_on_it_and_to_no_other(
    files: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    broken = files[1]

    def sync(fd: int, what: str) -> None:
        if fd == broken:
            raise Poisoned(errno.EIO, "broken", what)

    monkeypatch.setattr(durable, "sync_file", sync)

    def relying(fd: int) -> Steps[None]:
        try:
            yield Durable(fd, str(fd))
        except Poisoned:
            told.append(fd)

    in_waves([relying(fd)] for fd in files)
    assert told == [broken]


@pytest.mark.parametrize("where", ["before", "after"])
def test_nothing_is_closed_while_somebody_waits_for_it(
    files: list[int], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Its descriptor could be that of another file by then, which would be made durable instead."""
    ended: list[str] = []

    def sync(fd: int, what: str) -> None:
        time.sleep(0.05)
        ended.append(f"durable {what}")

    monkeypatch.setattr(durable, "sync_file", sync)

    def closed_at_the_end(fd: int) -> Steps[None]:
        try:
            yield Durable(fd, str(fd))
        finally:
            ended.append(f"closed {fd}")

    def failing(fd: int) -> Steps[None]:
        if where == "after":
            yield Durable(fd, str(fd))
        raise Skip("no more")

    first, second, third, *_ = files
    waves = {
        "before": [[closed_at_the_end(first)], [failing(second)]],
        "after": [[failing(first)], [closed_at_the_end(second)], [closed_at_the_end(third)]],
    }[where]
    with pytest.raises(Skip):
        in_waves(waves)
    for text in [each for each in ended if each.startswith("closed")]:
        waited = text.replace("closed", "durable")
        assert waited in ended
        assert ended.index(waited) < ended.index(text)
    assert [each for each in ended if each.startswith("closed")] != []


def test_no_wave_is_no_work(disk: Disk) -> None:
    in_waves([])
    in_waves([[], []])
    assert disk.asked == []


def test_where_there_can_be_no_thread_it_is_waited_for_in_place(
    files: list[int], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    done: list[str] = []
    in_waves([waiting(fd, done)] for fd in files)
    assert sorted(done) == sorted(f"{when} {fd}" for fd in files for when in ("before", "after"))
    assert disk.asked == ["sync_file"] * MANY
