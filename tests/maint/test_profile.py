"""Where the time of a run went: told to whoever asks, and to nobody else."""

import time
from typing import Any

import pytest
from maint_world import World

from maint import engine, laps, survey
from maint.laps import Work
from maint.run import Listener

WHOLE, TORN = 5, 3


@pytest.fixture
def dirty(world: World) -> World:
    world.add_many("complete", range(1, WHOLE + 1))
    world.add_many("torn", range(50, 50 + TORN))
    world.add("empty", 90)
    return world


def profile(world: World, *arguments: str) -> dict[str, Any]:
    answer = world.maint(*arguments, "--profile", "--json")
    assert (answer.code, [line["type"] for line in answer.lines[-2:]]) == (0, ["profile", "summary"])
    return answer.lines[-2]


def test_sweep_tells_its_phases_in_order(dirty: World) -> None:
    told = [phase["phase"] for phase in profile(dirty, "sweep")["phases"]]
    assert told == [
        "start", "settle", "list", "survey", "decide", "journal", "change sessions", "make indexes true",
        "remove locks and old trash", "make durable", "end",
    ]  # fmt: skip


def test_phases_are_all_of_the_time_and_none_is_counted_twice(dirty: World) -> None:
    began = time.monotonic()
    told = profile(dirty, "sweep")["phases"]
    whole = sum(phase["seconds"] for phase in told if phase["phase"] != "start")
    assert min(phase["seconds"] for phase in told) >= 0
    assert whole <= time.monotonic() - began


def test_each_pass_tells_how_many_sessions_it_judged_and_changed(dirty: World) -> None:
    passes = profile(dirty, "sweep")["passes"]
    counts = {name: {work: lap["times"] for work, lap in done.items()} for name, done in passes.items()}
    assert counts == {
        "recover": {"judging": WHOLE + TORN + 1, "changing": TORN},
        "delete-empty": {"judging": WHOLE + 1, "changing": 1},
    }


def test_reading_is_told_of_the_phase_that_read(dirty: World) -> None:
    phases = {phase["phase"]: phase["work"] for phase in profile(dirty, "sweep")["phases"]}
    assert set(phases["survey"]) == {"reading", "judging"}
    assert set(phases["change sessions"]) == {"changing", "waiting for the disk"}


def test_plan_tells_only_what_a_plan_does(dirty: World) -> None:
    told = [phase["phase"] for phase in profile(dirty, "plan")["phases"]]
    assert told == ["start", "settle", "list", "survey", "decide"]


def test_text_ends_with_the_passes(dirty: World) -> None:
    lines = dirty.maint("sweep", "--profile").out.splitlines()
    assert lines[0].startswith("where the time went: ")
    assert lines[-2].split()[:4] == ["pass", "delete-empty", "judging", str(WHOLE + 1)]


def test_nobody_who_did_not_ask_is_told(dirty: World) -> None:
    answer = dirty.maint("sweep")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    types = [line["type"] for line in dirty.maint("sweep", "--json").lines]
    assert "profile" not in types


def test_workers_hand_over_what_they_measured(dirty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "SMALL", 0)
    monkeypatch.setattr(survey, "CHUNK", 2)
    laps.begin()
    try:
        engine.only_plan(dirty.policy, [dirty.place], at=dirty.now, jobs=3, expire=True, listener=Listener())
    finally:
        measured = laps.end()
    assert measured is not None
    assert measured.work("survey")[Work.READING].times == WHOLE + TORN + 1
    assert measured.passes()["recover"][Work.JUDGING].times == WHOLE + TORN + 1


def test_watched_plan_is_the_same_plan(dirty: World) -> None:
    plain, watched = dirty.maint("plan", "--json").lines, dirty.maint("plan", "--json", "--profile").lines
    assert [line for line in plain if line["type"] == "action"] == [
        line for line in watched if line["type"] == "action"
    ]
