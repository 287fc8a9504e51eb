import errno
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pack_world import NEXT, PACK, RUN, open_fds
from test_packs import files_end_at

from store import marks, names, opening
from store.durable import Poisoned
from store.marks import Mark, Why

FILE = names.marks_name(PACK)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    before = open_fds()
    fd = opening.open_folder(str(tmp_path))
    yield fd
    os.close(fd)
    assert open_fds() == before


def mark(session: str = "a", why: Why = Why.EXPIRED, run: str = RUN) -> Mark:
    return Mark(session=session, why=why, run=run, at=1770628443.5)


def read(folder: int) -> dict[str, Why]:
    return {session: each.why for session, each in marks.read(folder, PACK).items()}


def test_marks_are_read_back_and_add_up(folder: int, tmp_path: Path) -> None:
    assert marks.read(folder, PACK) == {}
    marks.add(folder, PACK, [mark("a"), mark("b", Why.STALE)])
    marks.add(folder, PACK, [mark("c", Why.TAKEN_BACK, NEXT)])
    assert marks.read(folder, PACK) == {
        "a": mark("a"),
        "b": mark("b", Why.STALE),
        "c": mark("c", Why.TAKEN_BACK, NEXT),
    }
    assert [each.name for each in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_last_mark_of_a_session_holds(folder: int) -> None:
    marks.add(folder, PACK, [mark(why=Why.EXPIRED), mark(why=Why.SUPERSEDED)])
    assert read(folder) == {"a": Why.SUPERSEDED}
    marks.add(folder, PACK, [mark(why=Why.HELD), mark("never marked", Why.HELD)])
    assert read(folder) == {}
    marks.add(folder, PACK, [mark(why=Why.STALE)])
    assert read(folder) == {"a": Why.STALE}


def test_no_marks_make_no_file(folder: int, tmp_path: Path) -> None:
    marks.add(folder, PACK, [])
    assert list(tmp_path.iterdir()) == []


@settings(
    deadline=None,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    told=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Why)), max_size=8),
    torn=st.integers(0, 200),
)
def test_torn_last_line_costs_that_line(
    folder: int, tmp_path: Path, told: list[tuple[str, Why]], torn: int
) -> None:
    (tmp_path / FILE).unlink(missing_ok=True)
    marks.add(folder, PACK, [mark(*each) for each in told])
    marks.add(folder, PACK, [mark("torn")])
    os.truncate(tmp_path / FILE, max((tmp_path / FILE).stat().st_size - torn, 0))
    before = read(folder)
    assert torn == 0 or "torn" not in before or torn == 1
    marks.add(folder, PACK, [mark("next")])
    assert read(folder) == {**before, "next": Why.EXPIRED}


def test_lines_of_others_are_passed_over(folder: int, tmp_path: Path) -> None:
    marks.add(folder, PACK, [mark("a")])
    with (tmp_path / FILE).open("ab") as file:
        for line in (
            b"",
            b"text",
            b"\xff\xfe",
            b"null",
            b"{}",
            b'{"session":"x","why":"eaten","run":"r","at":1}',
            b'{"session":1,"why":"stale","run":"r","at":1}',
            b'{"session":"x","why":"stale","run":"r"}',
            b'{"x":' + b"[" * 100_000,
            b'{"session":"x\\ud800","why":"stale","run":"r","at":1}',
            b"\0" * 300_000,
        ):
            file.write(line + b"\n")
    marks.add(folder, PACK, [mark("b")])
    assert read(folder) == {"a": Why.EXPIRED, "b": Why.EXPIRED}


def test_fields_of_a_later_version_are_passed_over(folder: int, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"session":"a","why":"stale","run":"r","at":1,"later":[1]}\n')
    assert read(folder) == {"a": Why.STALE}


def test_file_without_an_end_takes_no_memory(folder: int, tmp_path: Path) -> None:
    marks.add(folder, PACK, [mark("a")])
    os.truncate(tmp_path / FILE, 8 << 30)
    tracemalloc.start()
    try:
        assert read(folder) == {"a": Why.EXPIRED}
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def make_linked(file: Path) -> None:
    file.with_name("victim").write_text("victim")
    os.link(file.with_name("victim"), file)


ODD: list[Callable[[Path], None]] = [
    os.mkdir,
    os.mkfifo,
    lambda file: os.symlink("victim", file),
    lambda file: os.symlink("/dev/zero", file),
]


@pytest.mark.parametrize("make", ODD)
def test_what_is_no_file_of_ours_marks_nothing_and_is_not_written_to(
    folder: int, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "victim").write_text("victim")
    make(tmp_path / FILE)
    before = open_fds()
    assert marks.read(folder, PACK) == {}
    with pytest.raises(OSError, match=r"."):
        marks.add(folder, PACK, [mark()])
    assert (open_fds(), (tmp_path / "victim").read_text()) == (before, "victim")


def test_fifo_that_somebody_writes_to_makes_nobody_wait(folder: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    writer = os.open(tmp_path / FILE, os.O_RDWR | os.O_NONBLOCK)
    assert marks.read(folder, PACK) == {}
    os.close(writer)


def test_file_with_a_second_name_is_not_written_to(folder: int, tmp_path: Path) -> None:
    make_linked(tmp_path / FILE)
    with pytest.raises(OSError, match="no file of ours"):
        marks.add(folder, PACK, [mark()])
    assert (tmp_path / "victim").read_text() == "victim"


def test_full_disk_is_an_error_and_costs_no_mark_that_was_there(folder: int) -> None:
    marks.add(folder, PACK, [mark("a")])
    with files_end_at(100), pytest.raises(OSError, match="too large") as failed:
        marks.add(folder, PACK, [mark("b")])
    assert failed.value.errno == errno.EFBIG
    assert read(folder) == {"a": Why.EXPIRED}
    marks.add(folder, PACK, [mark("c")])
    assert read(folder) == {"a": Why.EXPIRED, "c": Why.EXPIRED}


def test_marks_that_could_not_be_made_durable_are_an_error(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(fd: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Poisoned):
        marks.add(folder, PACK, [mark()])


def test_name_of_marks_is_durable_even_if_a_killed_run_made_the_file(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks.add(folder, PACK, [mark("a")])
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    marks.add(folder, PACK, [mark("b")])
    assert synced == [(tmp_path / FILE).stat().st_ino, tmp_path.stat().st_ino]


def test_only_packs_have_marks(folder: int) -> None:
    for name in ("x", "../x", FILE):
        with pytest.raises(ValueError, match="not the name of a pack"):
            marks.read(folder, name)
        with pytest.raises(ValueError, match="not the name of a pack"):
            marks.add(folder, name, [mark()])
