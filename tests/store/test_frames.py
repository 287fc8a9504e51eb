import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_world import needs, run

from store import frames
from store.frames import Damaged, Span

TEXT = b"".join(b'{"n":%d,"text":"line"}\n' % number for number in range(40))
MAGIC = frames.FRAME_MAGIC


@contextmanager
def peak_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def with_size(frame: bytes, size: int) -> bytes:
    """The frame, saying that its content is that long."""
    length = zstandard.frame_header_size(frame)
    return MAGIC + bytes([0xE0 | frame[4] & 0x04]) + struct.pack("<Q", size) + frame[length:]


@settings(max_examples=60, deadline=None, database=None)
@given(
    data=st.binary(max_size=3000)
    | st.builds(lambda part, n: part * n, st.binary(max_size=40), st.integers(0, 9999)),
    level=st.sampled_from([1, 3, 9, 19]),
    compress=st.sampled_from([frames.compress, frames.compress_long]),
)
def test_what_went_in_comes_out(data: bytes, level: int, compress: Callable[[bytes, int], bytes]) -> None:
    frame = compress(data, level)
    assert frames.decompress(frame, len(data)) == data
    assert frames.content_size(frame) == len(data)
    assert frames.frame_length(frame + b"more") == len(frame) <= frames.most_packed(len(data))


@pytest.mark.parametrize("compress", [frames.compress, frames.compress_long])
@pytest.mark.parametrize("level", [1, 3, 19])
@pytest.mark.parametrize("size", [0, 1, 1 << 10, 5 << 20])
def test_every_frame_has_its_size_a_checksum_and_a_window_that_all_decoders_take(
    compress: Callable[[bytes, int], bytes], level: int, size: int
) -> None:
    found = zstandard.get_frame_parameters(compress(b"ab" * (size // 2) + b"c" * (size % 2), level))
    assert (found.content_size, found.has_checksum, found.dict_id) == (size, True, 0)
    assert found.window_size <= 1 << 27


def test_no_flipped_bit_of_a_frame_gives_other_content_and_no_cut_gives_any() -> None:
    frame = frames.compress(TEXT, 3)
    told = 0
    for bit in range(len(frame) * 8):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert frames.decompress(bytes(flipped), len(TEXT)) == TEXT
        except Damaged:
            told += 1
    assert told > 0.95 * len(frame) * 8  # the others are in bits that mean nothing
    for length in range(len(frame)):
        with pytest.raises(Damaged):
            frames.decompress(frame[:length], len(TEXT))
        with pytest.raises(Damaged):
            frames.frame_length(frame[:length])


def test_flipped_bits_are_not_found_in_frames_as_python_makes_them() -> None:
    frame = zstandard.ZstdCompressor(level=3).compress(TEXT)
    wrong = 0
    for bit in range(len(frame) * 8):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            wrong += frames.decompress(bytes(flipped), len(TEXT)) != TEXT
        except Damaged:
            continue
    assert wrong > 100


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        MAGIC,
        b"text",
        frames.compress(TEXT, 3) + b"x",
        frames.compress(TEXT, 3) * 2,
        frames.compress(TEXT, 3) + frames.note(b"x"),
        frames.note(b"x") + frames.compress(TEXT, 3),
        frames.note(TEXT),
        frames.compress(TEXT + b"x", 3),
        with_size(frames.compress(TEXT + b"x", 3), len(TEXT)),
        with_size(frames.compress(TEXT[:-1], 3), len(TEXT)),
        with_size(frames.compress(bytes(1 << 20), 3), len(TEXT)),
        zstandard.ZstdCompressor(write_content_size=False).compress(TEXT),
    ],
)
def test_what_is_not_exactly_the_frame_is_damaged(frame: bytes) -> None:
    with pytest.raises(Damaged):
        frames.decompress(frame, len(TEXT))


@pytest.mark.parametrize(
    "frame",
    [
        frames.compress(b"", 3) + b"x",
        frames.compress(b"", 3)[:-1],
        frames.compress(b"", 3) * 2,
        frames.note(b""),
        with_size(frames.compress(b"x", 3), 0),
        with_size(frames.compress(bytes(64 << 20), 3), 0),
        with_size(frames.compress(bytes(100), 3), 0),
    ],
)
def test_frame_that_says_it_is_empty_must_be(frame: bytes) -> None:
    with peak_below(4 << 20), pytest.raises(Damaged):
        frames.decompress(frame, 0)


def test_frame_that_says_it_holds_too_much_takes_no_memory() -> None:
    huge = with_size(frames.compress(TEXT, 3), 1 << 40)
    bomb = frames.compress(bytes(100 << 20), 3)
    with peak_below(1 << 20):
        with pytest.raises(Damaged, match="more than any of ours"):
            frames.decompress(huge, 1 << 40)
        with pytest.raises(Damaged, match="holds 1099511627776 bytes, not 5"):
            frames.decompress(huge, 5)
        with pytest.raises(Damaged):
            frames.decompress(with_size(bomb, 1000), 1000)
        assert frames.frame_length(bomb) == len(bomb)


def test_frames_follow_upon_each_other() -> None:
    parts = [frames.compress(data, 3) for data in (TEXT, b"", b"x" * 300_000)]
    data = b"".join(parts)
    found = []
    while data:
        length = frames.frame_length(data)
        found.append(data[:length])
        data = data[length:]
    assert found == parts
    for none in (b"", b"text", frames.note(b"x"), MAGIC, MAGIC + b"\x60\0\0\x07\0\0"):
        with pytest.raises(Damaged):
            frames.frame_length(none)


@pytest.mark.parametrize("level", [0, 20, -1])
def test_level_that_we_do_not_use_is_refused(level: int) -> None:
    with pytest.raises(ValueError, match="levels go from 1 to 19"):
        frames.compress(TEXT, level)


def test_repetitions_far_apart_are_found_only_when_looked_for() -> None:
    far = b"".join(
        zstandard.ZstdCompressor().compress(bytes([n]) * 999)[:40] + bytes(range(256)) for n in range(99)
    )
    noise = b"".join(frames.digest(b"%d" % n) for n in range((6 << 20) // 16))
    data = noise + far + noise
    plain, long = frames.compress(data, 3), frames.compress_long(data, 3)
    assert len(long) < 0.6 * len(plain)
    assert frames.decompress(long, len(data)) == data


@needs("zstd")
def test_zstd_reads_long_frames_without_being_asked(tmp_path: Path) -> None:
    noise = b"".join(frames.digest(b"%d" % n) for n in range((3 << 20) // 16))
    data = (noise * 11)[: frames.LONG_FRAME]
    (tmp_path / "x.zst").write_bytes(frames.compress_long(data, 3))
    assert run("zstd", "-dc", tmp_path / "x.zst") == data
    assert (tmp_path / "x.zst").stat().st_size < len(data) / 5


def spans_of(*sizes: tuple[int, int]) -> list[Span]:
    found: list[Span] = []
    for packed, size in sizes:
        found.append(Span(found[-1].end if found else 0, packed, size))
    return found


@settings(deadline=None, database=None)
@given(sizes=st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=20))
def test_seek_table_is_read_back(sizes: list[tuple[int, int]]) -> None:
    table = frames.seek_table(spans_of(*sizes))
    assert frames.table_size(table[-frames.FOOTER_SIZE :]) == len(table)
    assert frames.parse_seek_table(table) == spans_of(*sizes)
    assert frames.parse_seek_table(memoryview(table)) == spans_of(*sizes)


def test_every_flipped_bit_of_a_seek_table_is_found_or_told() -> None:
    spans = spans_of((10, 20), (30, 40))
    table = frames.seek_table(spans)
    for bit in range(len(table) * 8):
        flipped = bytearray(table)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert frames.parse_seek_table(bytes(flipped)) != spans
        except Damaged:
            continue
    for length in range(len(table)):
        with pytest.raises(Damaged):
            frames.parse_seek_table(table[:length])


def test_seek_table_of_more_frames_than_there_can_be_is_refused_by_its_end() -> None:
    footer = struct.pack("<IBI", 0x7FFFFFF, 0, 0x8F92EAB1)
    with pytest.raises(Damaged, match="not one of ours"):
        frames.table_size(footer)
    with pytest.raises(Damaged, match="cut off, or something was appended"):
        frames.table_size(b"\0" * frames.FOOTER_SIZE)


def test_notes_are_read_back_and_nothing_else_is_one() -> None:
    note = frames.note(b"abc")
    assert frames.parse_note(note) == b"abc"
    assert len(note) == frames.note_size(3)
    for wrong in (b"", note[:-1], note + b"x", b"\x51" + note[1:], frames.seek_table([])):
        with pytest.raises(Damaged):
            frames.parse_note(wrong)


@needs("zstd")
def test_zstd_passes_over_notes_and_seek_tables(tmp_path: Path) -> None:
    one, two = frames.compress(TEXT, 3), frames.compress(b"two", 3)
    table = frames.seek_table(spans_of((len(one), len(TEXT)), (len(two), 3)))
    file = tmp_path / "x.zst"
    file.write_bytes(one + two + frames.note(b"a note") + table)
    assert run("zstd", "-dc", file) == TEXT + b"two"
    run("zstd", "-t", file)
    told = run("zstd", "-lv", file).decode()
    assert "# Zstandard Frames: 2" in told
    assert "# Skippable Frames: 2" in told
    assert "XXH64" in told
