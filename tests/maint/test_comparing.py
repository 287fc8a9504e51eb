"""What waits for a comparison: in which order a pass is shown it, and that it waits on the disk and not in memory."""

import math
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maint.actions import Verb
from maint.comparing import Candidates, Entry, entry
from maint.contract import Candidate
from maint.verdicts import Act, Compare, Kept
from policies import Duration

DAY = Duration.parse("1d")
GONE, STAYS = Act(Verb.PRUNE, "old"), Kept("kept")

texts = st.text(
    st.characters(exclude_categories=()), max_size=4
)  # and halves of characters, as in names of files
entries = st.lists(
    st.builds(
        lambda position, group, key, time, size, old, held: entry(
            position, key, size, Compare("", time, DAY, group, old=old, held=held)
        ),
        st.integers(0, 2),
        st.lists(st.sampled_from(("a", "b", "\ud800")), min_size=1, max_size=2).map(tuple),
        texts,
        st.integers(0, 3).map(float) | st.floats(allow_nan=False),
        st.integers(0, 2**62),
        st.booleans(),
        st.lists(st.sampled_from(("tag x", "name y")), unique=True).map(tuple),
    ),
    max_size=30,
)


def shown(rows: Iterable[Entry]) -> list[tuple[int, list[Candidate]]]:
    """The groups that a pass is shown."""
    found: list[tuple[int, list[Candidate]]] = []

    def compare(position: int, group: Iterator[Candidate]) -> list[tuple[int, Act | Kept]]:
        found.append((position, list(group)))
        return []

    with Candidates() as candidates:
        for row in rows:
            candidates.enter([row])
        candidates.settle(compare)
    return found


@given(entries)
def test_groups_come_one_by_one_and_the_newest_first(rows: list[Entry]) -> None:
    numbered = list(enumerate(rows, 1))
    expected: list[tuple[int, list[tuple[float, int]]]] = []
    for position, group in sorted({(row.position, row.group) for row in rows}):
        members = [each for each in numbered if (each[1].position, each[1].group) == (position, group)]
        # Of what is equal in all of it, whichever comes first.
        newest_first = sorted(members, key=lambda each: (each[1].time, each[1].key), reverse=True)
        expected.append((position, [(row.time, row.size) for _, row in newest_first]))
    found = shown(rows)
    assert [position for position, _ in found] == [position for position, _ in expected]
    for (_, candidates), (_, members_of) in zip(found, expected, strict=True):
        assert [each.time for each in candidates] == [time for time, _ in members_of]
        assert sorted(each.bytes for each in candidates) == sorted(size for _, size in members_of)
        assert all(rows[each.number - 1].time == each.time for each in candidates)


def one(key: str = "s", time: float = 1.0, **more: Any) -> Entry:
    return entry(0, key, 1, Compare("", time, DAY, ("g",), old=True, **more))


def test_of_one_time_the_greater_key_is_newer_however_they_were_found() -> None:
    # In the order of characters, as of Python's own text.
    keys = ["a", "b", "ba", "\u00e9", "\uffff", "\U00010000"]
    for order in (keys, keys[::-1]):
        ((_, group),) = shown(map(one, order))
        assert [order[each.number - 1] for each in group] == keys[::-1]


def test_a_time_that_is_none_is_shown_as_one_that_nobody_trusts() -> None:
    ((_, group),) = shown([one(time=math.nan), one(time=3.0)])
    assert [each.time for each in group] == [3.0, -math.inf]


def test_session_of_more_bytes_than_a_file_can_have_is_compared_as_the_largest() -> None:
    ((_, group),) = shown([entry(0, "s", 2**64, Compare("", 1.0, DAY, ("g",), old=True))])
    assert [each.bytes for each in group] == [2**63 - 1]


def test_what_holds_a_session_by_itself_is_handed_on() -> None:
    ((_, group),) = shown([one(held=("tag a, b", "name \udce4")), one(time=0.0)])
    assert [each.held for each in group] == [("tag a, b", "name \udce4"), ()]


def test_verdicts_are_told_by_number_and_in_words_of_one_that_is_asked_for() -> None:
    with Candidates() as candidates:
        assert candidates.enter([one("a"), one("b")]) == 0
        assert candidates.enter([one("c")]) == 2
        settled = candidates.settle(
            lambda _, group: ((each.number, STAYS if each.number == 2 else GONE) for each in group), "b"
        )
    assert list(settled.going) == [False, True, False, True]
    assert settled.told == {0: STAYS}


def test_candidate_that_nobody_gives_a_verdict_on_stays() -> None:
    with Candidates() as candidates:
        candidates.enter([one()])
        assert not any(candidates.settle(lambda *_: ()).going)


def test_number_of_a_session_is_that_of_the_pass() -> None:
    with Candidates() as candidates:
        assert candidates.number_of(0, "a") is None
        candidates.enter([one("a"), one("b"), one("a")._replace(position=1)])
        assert candidates.number_of(1, "a") == 3
        assert candidates.number_of(0, "b") == 2
        assert candidates.number_of(1, "b") is None


def test_nothing_entered_settles_to_nothing() -> None:
    with Candidates() as candidates:
        assert candidates.enter([]) == 0
        assert candidates.settle(lambda *_: pytest.fail("there is nothing to compare"), "a") == (
            bytearray(1),
            {},
        )


_MANY = """
import resource, sys
from maint.comparing import Candidates, entry
from maint.verdicts import Compare
from policies import Duration
day, group = Duration.parse("1d"), ("rec", "/home/somebody/work/project")
def one(n):
    return entry(0, f"rec/2026-01-01-12{n:08}", n, Compare("", n * 7919.0 % 1e9, day, group, old=True))
with Candidates() as candidates:
    for start in range(0, int(sys.argv[1]), 1000):
        candidates.enter([one(n) for n in range(start, start + 1000)])
    candidates.settle(lambda _, group: ((each.number, None) for each in group))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(count: int) -> int:
    """The bytes of memory that so many candidates take at most."""
    done = subprocess.run(
        [sys.executable, "-c", _MANY, str(count)], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(done.stdout) * 1024


def test_beyond_what_is_kept_in_memory_a_session_more_takes_hardly_any() -> None:
    assert peak(600_000) - peak(300_000) < 300_000 * 10  # a tenth of what waits on the disk for each
