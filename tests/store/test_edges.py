import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import edges
from store.edges import Edges, Line, iter_lines, read_edges

MIB = 1 << 20


def opened(path: Path, data: bytes) -> int:
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY)


def edges_of(path: Path, data: bytes, window: int = edges.WINDOW, limit: int = edges.RECORD_LIMIT) -> Edges:
    fd = opened(path, data)
    try:
        return read_edges(fd, len(data), window=window, limit=limit)
    finally:
        os.close(fd)


def expected(data: bytes, window: int) -> Edges:
    """The same by the book: everything in memory, line by line."""
    records = []
    offset = 0
    *lines, fragment = data.split(b"\n")
    for line in lines:
        end = offset + len(line) + 1
        if line.strip(b" \t\r"):
            records.append((line[:-1] if line.endswith(b"\r") else line, end))
        offset = end
    torn = len(fragment) if fragment.strip(b" \t\r") else 0
    tail = fragment if torn and fragment.strip(b" \t\r\0") else None
    return Edges(
        size=len(data),
        first=records[0][0] if records else None,
        last=records[-1][0] if records else None,
        last_end=records[-1][1] if records else 0,
        torn=torn,
        whole=data if len(data) <= window else None,
        too_long=False,
        tail=tail,
    )


pieces = st.sampled_from(
    [b"\n", b"\r\n", b" ", b"\t", b"\r", b"\0", b"\0" * 9, b"a", b'{"a":1}', b"x" * 40, b"\xff"]
)
contents = st.lists(pieces, max_size=60).map(b"".join)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edges") / "session"


@settings(max_examples=1500, deadline=None, database=None)
@given(data=contents, window=st.integers(1, 64))
def test_edges_are_what_reading_everything_says(scratch: Path, data: bytes, window: int) -> None:
    assert edges_of(scratch, data, window) == expected(data, window)


@settings(max_examples=600, deadline=None, database=None)
@given(data=contents, window=st.integers(1, 64), limit=st.integers(0, 50))
def test_what_a_limit_hides_is_marked_and_the_rest_is_right(
    scratch: Path, data: bytes, window: int, limit: int
) -> None:
    found = edges_of(scratch, data, window, limit)
    truth = expected(data, window)
    if found.too_long:
        assert found.first in {None, truth.first}
        assert found.last in {None, truth.last}
        assert found.last_end + found.torn <= len(data)
    else:
        assert found == truth


@settings(max_examples=600, deadline=None, database=None)
@given(data=contents, window=st.integers(1, 64), limit=st.integers(1, 50))
def test_the_window_does_not_change_what_is_found(
    scratch: Path, data: bytes, window: int, limit: int
) -> None:
    far = edges_of(scratch, data, window, limit)
    near = edges_of(scratch, data, len(data) + 1, limit)
    assert far._replace(whole=None) == near._replace(whole=None)


@settings(max_examples=600, deadline=None, database=None)
@given(data=contents, block=st.integers(1, 64), limit=st.integers(0, 50))
def test_lines_are_what_splitting_everything_says(scratch: Path, data: bytes, block: int, limit: int) -> None:
    truth = []
    offset = 0
    for line in _split(data):
        text = line.removesuffix(b"\n")
        truth.append(
            Line(offset, offset + len(line), text if len(text) <= limit else None, line.endswith(b"\n"))
        )
        offset += len(line)
    fd = opened(scratch, data)
    assert list(iter_lines(fd, block=block, limit=limit)) == truth
    os.close(fd)


def _split(data: bytes) -> Iterator[bytes]:
    *lines, rest = data.split(b"\n")
    yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def test_last_line_of_thirty_megabytes_is_found(tmp_path: Path) -> None:
    last = b"x" * (30 * MIB)
    found = edges_of(tmp_path / "s", b"first\n" + last + b"\r\n \n")
    assert (found.first, found.last, found.last_end) == (b"first", last, len(last) + 8)


def test_unterminated_last_line_of_thirty_megabytes_is_the_tail(tmp_path: Path) -> None:
    found = edges_of(tmp_path / "s", b"first\n" + b"x" * (30 * MIB))
    assert (found.last, found.torn, len(found.tail or b"")) == (b"first", 30 * MIB, 30 * MIB)


def test_header_larger_than_the_window_is_found(tmp_path: Path) -> None:
    header = b"h" * 100_000
    found = edges_of(tmp_path / "s", header + b"\n" + b"r\n" * 50_000)
    assert (found.first, found.last, found.too_long) == (header, b"r", False)


def test_line_beyond_the_limit_is_unknown_and_not_absent(tmp_path: Path) -> None:
    found = edges_of(tmp_path / "s", b"a\n" + b"x" * 50_000 + b"\n", limit=20_000)
    assert (found.first, found.last, found.too_long, found.last_end) == (b"a", None, True, 50_003)


def test_tail_beyond_the_limit_invites_nobody_to_cut(tmp_path: Path) -> None:
    found = edges_of(tmp_path / "s", b"a\n" + b"x" * 50_000, limit=20_000)
    assert (found.first, found.last, found.too_long) == (b"a", None, True)
    assert (found.last_end, found.torn) == (found.size, 0)


def test_three_gigabytes_of_zeros_are_bounded_in_time_and_memory(tmp_path: Path) -> None:
    fd = opened(tmp_path / "s", b"header\n")
    size = 3 << 30
    os.truncate(tmp_path / "s", size)
    tracemalloc.start()
    started = time.process_time()
    found = read_edges(fd, size)
    took = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    os.close(fd)
    assert (found.first, found.too_long) == (b"header", True)
    assert peak < 16 * MIB
    assert took < 5


def test_short_tail_of_zeros_is_torn_and_no_tail(tmp_path: Path) -> None:
    found = edges_of(tmp_path / "s", b"a\nb\n" + b"\0" * 100_000)
    assert (found.last, found.last_end, found.torn, found.tail) == (b"b", 4, 100_000, None)


def test_iterating_a_huge_line_keeps_memory_bounded(tmp_path: Path) -> None:
    fd = opened(tmp_path / "s", b"a\n")
    os.truncate(tmp_path / "s", 1 << 30)
    tracemalloc.start()
    lines = list(iter_lines(fd, limit=4 * MIB))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    os.close(fd)
    assert lines == [Line(0, 2, b"a", True), Line(2, 1 << 30, None, False)]
    assert peak < 12 * MIB


@pytest.mark.parametrize("left", [0, 5, 5000, 20_000])
def test_file_cut_after_it_was_looked_at_is_read_as_it_is(tmp_path: Path, left: int) -> None:
    data = b"first line\n" + b"another line\n" * 4000
    fd = opened(tmp_path / "s", data)
    os.truncate(tmp_path / "s", left)
    found = read_edges(fd, len(data))
    os.close(fd)
    assert found == expected(data[:left], edges.WINDOW)


def test_file_cut_between_two_reads_is_read_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"first line\n" + b"another line\n" * 4000
    fd = opened(tmp_path / "s", data)
    pread = os.pread

    def cutting(fd: int, length: int, offset: int) -> bytes:
        result = pread(fd, length, offset)
        os.truncate(tmp_path / "s", 9000)
        return result

    monkeypatch.setattr(os, "pread", cutting)
    found = read_edges(fd, len(data))
    os.close(fd)
    assert found == expected(data[:9000], edges.WINDOW)


def test_file_that_shrinks_at_every_read_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = opened(tmp_path / "s", b"x" * 100_000)
    pread = os.pread

    def cutting(fd: int, length: int, offset: int) -> bytes:
        os.truncate(tmp_path / "s", os.fstat(fd).st_size - 1000)
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "pread", cutting)
    found = read_edges(fd, 100_000)
    os.close(fd)
    assert (found.too_long, found.first, found.torn) == (True, None, 0)


def test_small_file_that_grew_past_the_window_is_read_as_it_is_now(tmp_path: Path) -> None:
    data = b"first line\n" + b"another line\n" * 4000
    fd = opened(tmp_path / "s", data)
    found = read_edges(fd, 11)
    os.close(fd)
    assert found == expected(data, edges.WINDOW)


def test_iterating_ends_at_the_size_that_was_asked_for(tmp_path: Path) -> None:
    fd = opened(tmp_path / "s", b"a\nbb\nccc\n")
    assert [line.data for line in iter_lines(fd, size=5)] == [b"a", b"bb"]
    os.close(fd)
