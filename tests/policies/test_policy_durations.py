import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_world import BERLIN, UTC

from policies import Duration

ZONES = [
    UTC,
    BERLIN,
    *map(
        ZoneInfo,
        ("America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia"),
    ),
]

UNITS = ("y", "mo", "w", "d", "h", "min", "s")
numbers = st.integers(min_value=1, max_value=400)
units = st.lists(st.sampled_from(UNITS), min_size=1, unique=True)
durations = st.builds(
    lambda chosen, number: Duration.parse("".join(f"{number}{unit}" for unit in chosen)),
    units,
    st.integers(min_value=1, max_value=60),
)
exact = st.builds(lambda number, unit: Duration.parse(f"{number}{unit}"), numbers, st.sampled_from(UNITS[2:]))
# From 1971 to 2100, which is as far as the zones know their rules.
moments = st.integers(min_value=31_536_000, max_value=4_102_444_800).map(float)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        Duration.parse(text)
    return str(refused.value)


@given(durations)
def test_text_of_a_duration_reads_back_as_the_same_duration(duration: Duration) -> None:
    assert Duration.parse(duration.text) == duration


def test_units_add_up() -> None:
    assert Duration.parse("1w2d3h4min5s").seconds == 788_645


def test_months_and_years_are_calendar_steps() -> None:
    assert Duration.parse("1y6mo") == Duration(18, 0, "")


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("5m", "write `5min` for minutes or `5mo` for months"),
        ("1h5m", "write `1h5min` for minutes or `1h5mo` for months"),
        ("5M", "write `5min` for minutes or `5mo` for months"),
        ("5 m", "write `5min` for minutes or `5mo` for months"),
        ("30", "write `30d` for days or `30h` for hours"),
        ("30 days", "did you mean `30d`?"),
        ("30days", "did you mean `30d`?"),
        ("30D", "did you mean `30d`?"),
        ("1 year", "did you mean `1y`?"),
        ("2 hours 30 minutes", "did you mean `2h30min`?"),
        ("24H", "did you mean `24h`?"),
        ("1.5d", "write `1h30min` instead of a fraction"),
        ("017d", "write `17d`"),
        ("1d1d", "write each unit once"),
        ("-3d", "write the time without it: it always counts back from now"),
        ("1:30", "write `1h30min` for an hour and a half"),
        ("0", "a time of zero would mean everything: write how long"),
        ("0d", "a time of zero would mean everything: write how long"),
        ("9999999999999y", "write a shorter time"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(text: str, offered: str) -> None:
    assert refusal(text).partition("; ")[2] == offered


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "d",
        "30x",
        "\u0663d",
        "\uff13\uff10d",
        "30d\n",
        " 30d",
        "1_0d",
        "P30D",
        "5M",
        "never",
        "9" * 5000 + "d",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert refusal(text)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        read = Duration.parse(text).text
    except ValueError:
        read = text
    assert read == text


@pytest.mark.parametrize(
    ("now", "text", "then"),
    [
        ("2025-03-31T12:00", "1mo", "2025-02-28T12:00"),
        ("2024-03-31T12:00", "1mo", "2024-02-29T12:00"),
        ("2024-02-29T12:00", "1y", "2023-02-28T12:00"),
        ("2025-01-15T12:00", "2mo", "2024-11-15T12:00"),
        ("2025-06-15T12:00", "6mo", "2024-12-15T12:00"),
        ("2025-06-15T12:00", "1y1mo1d", "2024-05-14T12:00"),
    ],
)
def test_months_step_back_in_the_calendar_and_clamp(now: str, text: str, then: str) -> None:
    assert Duration.parse(text).before(at(now), BERLIN) == at(then)


def test_a_day_is_24_hours_even_when_clocks_change() -> None:
    assert Duration.parse("1d").before(at("2025-03-30T12:00"), BERLIN) == at("2025-03-29T11:00")


def test_something_from_the_31st_is_a_month_old_when_the_next_but_one_month_begins() -> None:
    assert Duration.parse("1mo").after(at("2025-01-31T12:00"), BERLIN) == at("2025-03-01T00:00")


@given(exact, moments, st.sampled_from(ZONES))
def test_exact_durations_are_their_own_inverse(duration: Duration, then: float, zone: ZoneInfo) -> None:
    assert duration.before(duration.after(then, zone), zone) == then


@given(durations, moments, st.sampled_from(ZONES))
def test_at_the_moment_something_comes_of_age_it_is_of_age(
    duration: Duration, then: float, zone: ZoneInfo
) -> None:
    assert duration.before(duration.after(then, zone), zone) >= then


@given(durations, moments, st.sampled_from(ZONES))
def test_a_day_and_some_clock_changes_before_it_comes_of_age_it_is_not(
    duration: Duration, then: float, zone: ZoneInfo
) -> None:
    assert duration.before(duration.after(then, zone) - 2 * 86_400 - 7_200, zone) < then


@given(durations, moments, st.sampled_from(ZONES))
def test_before_is_before_and_after_is_after(duration: Duration, now: float, zone: ZoneInfo) -> None:
    assert duration.before(now, zone) < now < duration.after(now, zone)


@given(durations, durations, moments, st.sampled_from(ZONES))
def test_what_is_surely_within_never_reaches_further_back(
    one: Duration, two: Duration, now: float, zone: ZoneInfo
) -> None:
    # Two days for the month ends and clocks that make calendar steps uneven.
    assert not one.surely_within(two) or one.before(now, zone) >= two.before(now, zone) - 2 * 86_400


@pytest.mark.parametrize("moment", [1e18, -1e18, math.inf, -math.inf, math.nan])
def test_times_beyond_the_calendar_are_never_of_age(moment: float) -> None:
    year = Duration.parse("1y")
    assert (year.before(moment, UTC), year.after(moment, UTC)) == (-math.inf, math.inf)


def test_the_last_days_of_the_calendar_end_the_search() -> None:
    assert Duration.parse("1mo").after(at("9999-11-30T12:00", UTC), UTC) == at("9999-12-30T12:00", UTC)
