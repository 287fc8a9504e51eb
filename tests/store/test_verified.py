"""When packs were verified is remembered, pruned, and never believed blindly."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import marks, names, opening, verified
from store.locks import StoreLock
from store.marks import Mark, Why

NOW = 1_770_000_000.0
ONE, TWO = (names.pack_name("20260101T000000-abc123", number) for number in (1, 2))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / ".maint").mkdir()
    fd = opening.open_folder(str(tmp_path))
    yield fd
    os.close(fd)


def write(folder: Path, content: bytes) -> None:
    (folder / names.VERIFIED).write_bytes(content)


def test_moments_are_remembered(root: int) -> None:
    assert verified.remember(root, {ONE: 5.0}, NOW, None)
    assert verified.remember(root, {TWO: 6.0}, NOW, None)
    assert verified.read(root, NOW) == {ONE: 5.0, TWO: 6.0}


def test_packs_that_are_gone_are_forgotten(root: int) -> None:
    verified.remember(root, {ONE: 5.0, TWO: 6.0}, NOW, None)
    verified.remember(root, {TWO: 7.0}, NOW, {TWO})
    assert verified.read(root, NOW) == {TWO: 7.0}


def test_later_moment_is_kept(root: int) -> None:
    verified.remember(root, {ONE: 9.0}, NOW, None)
    verified.remember(root, {ONE: 5.0}, NOW, None)
    assert verified.read(root, NOW) == {ONE: 9.0}


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\xff", b"[]", b"{", b'{"a":[1]}', b"[" * 100_000, b'{"%s":"soon"}' % ONE.encode()],
)
def test_file_that_is_none_of_ours_says_nothing(root: int, tmp_path: Path, content: bytes) -> None:
    write(tmp_path, content)
    assert verified.read(root, NOW) == {}
    assert verified.remember(root, {ONE: 5.0}, NOW, None)
    assert verified.read(root, NOW) == {ONE: 5.0}


def test_moments_that_cannot_be_are_left_out(root: int, tmp_path: Path) -> None:
    told = {ONE: NOW + 1, TWO: -1.0, "../evil": 5.0, "20260101T000000-abc123-0003.marks": 5.0}
    write(tmp_path, json.dumps(told).encode())
    assert verified.read(root, NOW) == {}


def test_link_is_not_followed(root: int, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(json.dumps({ONE: 5.0}))
    (tmp_path / names.VERIFIED).symlink_to(tmp_path / "elsewhere")
    assert verified.read(root, NOW) == {}


def test_folder_in_its_place_says_nothing(root: int, tmp_path: Path) -> None:
    (tmp_path / names.VERIFIED).mkdir()
    assert verified.read(root, NOW) == {}


def test_held_store_is_left_alone(root: int, tmp_path: Path) -> None:
    other = opening.open_folder(str(tmp_path))
    with StoreLock(other) as lock:
        assert lock.acquire()
        assert not verified.remember(root, {ONE: 5.0}, NOW, None)
    os.close(other)
    assert verified.read(root, NOW) == {}


def test_what_a_kill_has_left_is_no_hindrance(root: int, tmp_path: Path) -> None:
    (tmp_path / names.VERIFIED_NEW).write_bytes(b"half")
    assert verified.remember(root, {ONE: 5.0}, NOW, None)
    assert not (tmp_path / names.VERIFIED_NEW).exists()


# Marks.


def marked(root: int, tmp_path: Path) -> Path:
    mark = Mark(session="s", why=Why.EXPIRED, run="20260101T000000-abc123", at=NOW)
    marks.add(root, ONE, [mark])
    return tmp_path / names.marks_name(ONE)


def test_marks_that_are_there_or_not_are_no_problem(root: int, tmp_path: Path) -> None:
    assert verified.marks_problem(root, ONE) is None
    marked(root, tmp_path)
    assert verified.marks_problem(root, ONE) is None


def test_mark_that_a_kill_has_cut_off_is_no_problem(root: int, tmp_path: Path) -> None:
    path = marked(root, tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    marked(root, tmp_path)
    assert verified.marks_problem(root, ONE) is None


def test_line_that_is_no_mark_is_a_problem(root: int, tmp_path: Path) -> None:
    path = marked(root, tmp_path)
    path.write_bytes(path.read_bytes().replace(b"expired", b"expirea"))
    assert "1 lines that are none" in (verified.marks_problem(root, ONE) or "")


def test_marks_that_cannot_be_read_are_a_problem(root: int, tmp_path: Path) -> None:
    (tmp_path / names.marks_name(ONE)).symlink_to("nowhere")
    assert "cannot be read" in (verified.marks_problem(root, ONE) or "")


def test_line_without_an_end_costs_no_memory(root: int, tmp_path: Path) -> None:
    path = tmp_path / names.marks_name(ONE)
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert "1 lines that are none" in (verified.marks_problem(root, ONE) or "")
