import math
import random
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_world import BERLIN, UTC

from policies import Duration, Keep
from policies.retention import Ranks, beyond, marks

DAY = 86_400.0


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


class Row(NamedTuple):
    """A session: its id, when it ended, its name and its tags."""

    id: str
    time: float
    name: str | None = None
    tags: tuple[str, ...] | None = ()


def decide(
    rows: Iterable[Row], keep: Keep, zone: ZoneInfo, *, now: float = math.inf
) -> dict[str, tuple[str, ...]]:
    """The ids that are kept, each with its reasons."""
    ranks, held = Ranks(keep, zone, now=now), marks(keep)
    newest_first = sorted(rows, key=lambda row: (row.time, row.id), reverse=True)
    told = {row.id: ranks.reasons(row.time) + held(row.name, row.tags) for row in newest_first}
    return {each: reasons for each, reasons in told.items() if reasons}


def rows_at(*texts: str, zone: ZoneInfo = BERLIN) -> list[Row]:
    """Rows called a, b, c, ... at these times."""
    return [Row(chr(ord("a") + index), at(text, zone)) for index, text in enumerate(texts)]


def kept(rows: Sequence[Row], zone: ZoneInfo = BERLIN, **keep: Any) -> str:
    """The ids that are kept, in the order of the alphabet."""
    return "".join(sorted(decide(rows, Keep(**keep), zone)))


def test_last_keeps_the_newest() -> None:
    assert kept(rows_at("2025-01-01", "2025-01-03", "2025-01-02"), last=2) == "bc"


def test_equal_times_break_on_the_greater_id() -> None:
    assert kept([Row("a", 5.0), Row("c", 5.0), Row("b", 5.0)], last=1) == "c"


def test_each_day_is_stood_for_by_its_newest_session() -> None:
    rows = rows_at("2025-01-01T08:00", "2025-01-01T09:00", "2025-01-03T08:00", "2025-01-03T07:00")
    assert kept(rows, daily=2) == "bc"


def test_days_without_a_session_do_not_count() -> None:
    assert kept(rows_at("2020-01-01", "2022-06-01", "2025-01-03"), daily=2) == "bc"


def test_a_day_begins_at_midnight_of_the_zone() -> None:
    # In Berlin these are one day, in UTC two.
    rows = rows_at("2025-01-02T00:30", "2025-01-02T23:30")
    assert (kept(rows, BERLIN, daily=9), kept(rows, UTC, daily=9)) == ("b", "ab")


def test_weeks_begin_on_monday() -> None:
    # Sunday, Monday, Sunday.
    assert kept(rows_at("2025-01-05", "2025-01-06", "2025-01-12"), weekly=9) == "ac"


def test_week_spans_the_turn_of_the_year() -> None:
    assert kept(rows_at("2024-12-31", "2025-01-01"), weekly=9) == "b"


def test_months_and_years_have_natural_bounds() -> None:
    rows = rows_at("2024-12-31T23:59", "2025-01-01T00:00", "2025-01-31T23:59", "2025-02-01T00:00")
    assert (kept(rows, monthly=9), kept(rows, yearly=9)) == ("acd", "ad")


def test_the_hour_that_happens_twice_is_two_hours() -> None:
    first = at("2025-10-26T02:30")
    assert kept([Row("a", first), Row("b", first + 3_600)], hourly=9) == "ab"


def test_a_day_of_23_or_25_hours_is_one_day() -> None:
    spring = rows_at("2025-03-30T00:00", "2025-03-30T23:59")
    autumn = rows_at("2025-10-26T00:00", "2025-10-26T23:59")
    assert (kept(spring, daily=9), kept(autumn, daily=9)) == ("b", "b")


def test_within_is_measured_from_the_newest_session() -> None:
    rows = rows_at("2020-01-01", "2020-01-05", "2020-01-10")
    assert kept(rows, within=Duration.parse("5d")) == "bc"


def test_tags_and_names_keep_whatever_the_age() -> None:
    rows = [
        Row("a", 1.0, None, ("release",)),
        Row("b", 2.0, "demo-1"),
        Row("c", 3.0, "x", ("y",)),
        Row("d", 9.0),
    ]
    assert kept(rows, tags=("release",), names=("demo-*",)) == "ab"


def test_what_is_written_twice_is_one_reason() -> None:
    keep = Keep(tags=("x", "x"), names=("d*", "d*"))
    assert marks(keep)("demo", ("x", "x")) == ("tag x", "name matches d*")


def test_every_rule_gives_its_own_reason() -> None:
    rows = [Row("a", at("2025-01-02"), "demo", ("release",))]
    keep = Keep(
        last=3,
        within=Duration.parse("5d"),
        hourly=1,
        daily=1,
        weekly=1,
        monthly=1,
        yearly=1,
        tags=("release",),
        names=("d*",),
    )
    assert decide(rows, keep, BERLIN) == {
        "a": (
            "among the last 3",
            "within 5d of the newest",
            "newest of hour 2025-01-02 00:00",
            "newest of day 2025-01-02",
            "newest of week 2025-W01",
            "newest of month 2025-01",
            "newest of year 2025",
            "tag release",
            "name matches d*",
        )
    }


def test_rules_are_asked_each_by_itself() -> None:
    rows = rows_at("2025-01-01", "2025-02-01", "2025-02-02", "2025-02-03")
    assert kept(rows, last=1, monthly=2) == "ad"


def test_tags_that_could_not_be_read_keep() -> None:
    assert decide([Row("a", 1.0, None, None)], Keep(tags=("x",)), UTC) == {
        "a": ("its tags could not be read",)
    }


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1e15, -1e15])
def test_a_time_that_is_none_is_kept_and_takes_no_place(bad: float) -> None:
    rows = [Row("a", 1.0), Row("b", 2.0), Row("x", bad)]
    assert kept(rows, last=1, within=Duration.parse("1s")) == "abx"


def test_a_session_from_the_future_does_not_crowd_out_the_real_ones() -> None:
    rows = [Row("a", 0.0), Row("b", 5 * DAY), Row("x", 9_000 * DAY)]
    assert decide(rows, Keep(last=1), UTC, now=6 * DAY) == {
        "b": ("among the last 1",),
        "x": ("its time is not to be trusted",),
    }


def test_no_rows_keep_nothing() -> None:
    assert decide([], Keep(last=1, within=Duration.parse("1d"), daily=1), UTC) == {}


def test_keep_is_written_in_the_words_of_the_language() -> None:
    keep = Keep(last=3, within=Duration.parse("1w"), tags=("a", "b c"), names=("*-x",))
    assert str(keep) == '{last: 3, within: 1w, tags: [a, "b c"], names: "*-x"}'


def test_a_keep_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="keeps nothing"):
        Keep()


def test_a_keep_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="`last` keeps 0"):
        Keep(last=0, daily=3)


tags = st.lists(st.sampled_from(("x", "y", "z")), unique=True, max_size=2).map(tuple)
# Times collide often, and cross the days on which clocks are set.
times = st.integers(0, 40).map(lambda step: at("2025-03-20") + step * 20_000.0) | st.floats(1.7e9, 1.8e9)
groups = st.lists(
    st.builds(Row, st.uuids().map(str), times, st.sampled_from((None, "n", "m")), tags), max_size=40
)
counts = st.none() | st.integers(1, 6)
keeps = st.builds(
    Keep,
    last=st.integers(1, 6),
    within=st.none() | st.integers(1, 9).map(lambda days: Duration.parse(f"{days}d")),
    hourly=counts,
    daily=counts,
    weekly=counts,
    monthly=counts,
    yearly=counts,
    tags=tags,
    names=st.just(()) | st.just(("n*",)),
)


@given(groups, keeps)
def test_every_kept_session_has_a_reason(rows: list[Row], keep: Keep) -> None:
    assert all(decide(rows, keep, BERLIN).values())


@given(groups, st.integers(1, 10))
def test_last_n_are_the_n_newest(rows: list[Row], count: int) -> None:
    newest = sorted(rows, key=lambda row: (row.time, row.id))[-count:]
    assert set(decide(rows, Keep(last=count), BERLIN)) == {row.id for row in newest}


@given(groups, st.integers(1, 10))
def test_daily_agrees_with_a_plain_reading_of_the_calendar(rows: list[Row], count: int) -> None:
    newest = {}
    for row in sorted(rows, key=lambda row: (row.time, row.id)):
        newest[datetime.fromtimestamp(row.time, BERLIN).date()] = row.id
    expected = {newest[day] for day in sorted(newest)[-count:]}
    assert set(decide(rows, Keep(daily=count), BERLIN)) == expected


@given(groups, keeps, st.integers(1, 6))
def test_one_more_rule_never_keeps_less(rows: list[Row], keep: Keep, count: int) -> None:
    assert set(decide(rows, Keep(monthly=count), BERLIN)) <= set(
        decide(rows, Keep(last=keep.last, monthly=count), BERLIN)
    )


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_less_than_half_a_second() -> None:
    dice = random.Random(1)
    rows = [Row(f"{number:06}", dice.uniform(1.6e9, 1.75e9)) for number in range(100_000)]
    took = []
    for _ in range(5):  # others' work slows down single turns
        began = time.process_time()
        decide(rows, Keep(last=50, daily=1000, monthly=1000), BERLIN)
        took.append(time.process_time() - began)
    assert min(took) < 0.5


@pytest.mark.parametrize(
    ("removable", "max_total", "max_count", "gone"),
    [
        ([5, 5, 5], 10, None, 1),
        ([5, 5, 5], 15, None, 0),
        ([5, 5, 5], 14, None, 1),
        ([5, 5, 5], None, 1, 2),
        ([5, 5, 5], 11, 2, 1),
        ([5, 5, 5], 1, 9, 3),
        ([5, 5], 10, None, 1),
        ([5, 5], 1, 1, 2),
        ([], 1, 1, 0),
        ([5, 5, 5], None, None, 0),
        ([1, 9, 5], 1, None, 2),
        ([1, 5, 9], 6, None, 1),
    ],
)
def test_oldest_removable_go_until_the_rest_fits(
    removable: list[int], max_total: int | None, max_count: int | None, gone: int
) -> None:
    total = max(sum(removable), 15)
    assert beyond(removable, total, 3, max_total, max_count) == gone
