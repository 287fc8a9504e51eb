"""Lines that wait for a plan to be whole: each is found again where it begins, in memory and in a file."""

import random

import pytest

from maint import spool
from maint.spool import Spool

LENGTHS = [0, 1, 600, 2046, 2047, 2048, 5_000, 65_535, 65_536, 200_000]


@pytest.mark.parametrize("in_memory", [1, 10_000, 1 << 30])
@pytest.mark.parametrize("seed", range(5))
def test_line_is_found_where_it_begins_in_whatever_order(
    monkeypatch: pytest.MonkeyPatch, in_memory: int, seed: int
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", in_memory)
    chance = random.Random(seed)
    written: dict[int, bytes] = {}
    at = 0
    with Spool() as lines:
        for _ in range(5):
            for _ in range(60):
                line = chance.randbytes(chance.choice(LENGTHS)).replace(b"\n", b" ") + b"\n"
                lines.write(line)
                written[at] = line
                at += len(line)
            some = chance.sample(list(written), 50)
            assert [lines.line_at(each) for each in some] == [written[each] for each in some]
            assert [lines.line_at(each) for each in written] == list(written.values())
            lines.seek(0, 2)
        lines.seek(0)
        assert list(lines) == list(written.values())
