"""Pieces that wait until all are there: each is found again by its number, in memory and in a file."""

import errno
import os
import random
from pathlib import Path

import pytest

from store import spool
from store.spool import Spool

LENGTHS = [0, 1, 600, 2047, 2048, 5_000, 65_535, 65_536, 65_537, 200_000]


@pytest.mark.parametrize("in_memory", [0, 10_000, 1 << 30])
@pytest.mark.parametrize("seed", range(5))
def test_piece_is_found_by_its_number_in_whatever_order(
    monkeypatch: pytest.MonkeyPatch, in_memory: int, seed: int
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", in_memory)
    chance = random.Random(seed)
    written: list[bytes] = []
    with Spool() as pieces:
        for _ in range(5):
            for _ in range(60):
                written.append(chance.randbytes(chance.choice(LENGTHS)))
                assert pieces.append(written[-1]) == len(written) - 1
            some = chance.sample(range(len(written)), 50)
            assert [pieces[each] for each in some] == [written[each] for each in some]
            assert list(pieces) == written
            assert len(pieces) == len(written)
            assert pieces.size == sum(map(len, written))
        assert b"".join(pieces.blocks()) == b"".join(written)
        with pytest.raises(IndexError):
            pieces[len(written)]


def test_small_spool_makes_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "there is none"))
    with Spool() as pieces:
        pieces.append(b"x" * spool.IN_MEMORY)
        assert b"".join(pieces.blocks()) == pieces[0]
        with pytest.raises(FileNotFoundError):
            pieces.append(b"y")


def test_file_of_a_spool_has_no_name_and_goes_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(os.listdir("/proc/self/fd"))
    pieces = Spool()
    pieces.append(b"x" * (spool.IN_MEMORY + 1))
    assert set(os.listdir("/proc/self/fd")) != before
    assert not list(tmp_path.iterdir())
    del pieces
    assert set(os.listdir("/proc/self/fd")) == before


def test_bytes_that_cannot_be_read_are_an_error_and_never_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pread = os.pread
    bad = spool.IN_MEMORY // 2 // 4096 * 4096

    def rotten(fd: int, size: int, start: int) -> bytes:
        if start <= bad < start + size:
            if start == bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            size = bad - start  # as Linux has it: what came before the page that cannot be read
        return pread(fd, size, start)

    with Spool() as pieces:
        while pieces.size <= spool.IN_MEMORY:
            pieces.append(b"x" * 1000)
        monkeypatch.setattr(os, "pread", rotten)
        with pytest.raises(OSError, match="for temporary files"):
            list(pieces.blocks())
        with pytest.raises(OSError, match="for temporary files"):
            list(pieces)
        assert pieces[0] == b"x" * 1000


def test_half_written_spill_is_made_good_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 1000)
    pwrite = os.pwrite
    written: list[bytes] = []

    def full(fd: int, data: bytes, start: int) -> int:
        if start:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(fd, data[:100], start)

    with Spool() as pieces:
        monkeypatch.setattr(os, "pwrite", full)
        for n in range(3):
            written.append(b"%d" % n * 700)
            try:
                pieces.append(written[-1])
            except OSError:
                assert n
        monkeypatch.setattr(os, "pwrite", pwrite)
        for n in range(3, 1000):
            written.append(b"%d" % n * 700)
            pieces.append(written[-1])
        assert list(pieces) == written
        assert b"".join(pieces.blocks()) == b"".join(written)
