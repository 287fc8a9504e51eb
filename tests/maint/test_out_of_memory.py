"""Memory that ends while sessions are rewritten: it is told as what it is, costs as few as can be, and changes nothing."""

import posixpath
from collections.abc import Callable, Iterator

import pytest
from maint_world import World

from maint import execute
from maint.actions import Outcome, Result, Verb
from maint.run import Listener
from store import barriers, durable
from store.barriers import FEW, Durable
from store.layouts.rec.specimens import session_id

TOLD = "there was not enough memory for it; what was begun of it is seen to by the next sweep"
MANY = FEW + 3  # which wait by one sync


@pytest.fixture
def crashed(world: World) -> World:
    world.rules()
    world.add_many("crashed", range(1, MANY + 1))
    return world


def waiting(folder: str) -> Callable[[dict[int, Durable]], object]:
    """What stands in for waiting: the first time that files below this folder are waited for, there is no memory for it."""
    real = barriers._wait
    failed: list[str] = []

    def wait(wanted: dict[int, Durable]) -> object:
        if not failed and any(_is_below(folder, each.what) for each in wanted.values()):
            failed.append(folder)
            raise MemoryError
        return real(wanted)

    return wait


def _is_below(folder: str, what: str) -> bool:
    above = posixpath.dirname(what)
    return above.startswith(folder) if folder else not above


def swept(world: World) -> list[Outcome]:
    outcomes: list[Outcome] = []
    world.sweep(listener=Listener(outcome=outcomes.append))
    return outcomes


def test_session_for_which_memory_ended_behind_its_second_name_is_said_to_be_that_and_no_other(
    crashed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = crashed.snapshot()
    with monkeypatch.context() as patch:
        patch.setattr(barriers, "_wait", waiting(".maint/backup"))
        outcomes = swept(crashed)
    assert {(each.result, each.detail) for each in outcomes} == {(Result.LOST, TOLD)}
    assert len(outcomes) == MANY
    assert (crashed.snapshot(), crashed.waiting("tmp"), crashed.waiting("backup")) == (before, [], [])
    assert {path.stat().st_nlink for path in crashed.sessions.glob("*.ndjson")} == {1}
    run = crashed.sweep()
    assert (run.summary.done, run.summary.lost, run.summary.problems) == ({Verb.RECOVER: MANY}, 0, [])


@pytest.mark.parametrize("folder", [".maint/tmp", ""], ids=["before the second name", "behind the exchange"])
def test_memory_that_is_there_again_for_one_session_at_a_time_costs_nothing(
    crashed: World, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setattr(barriers, "_wait", waiting(folder))
    outcomes = swept(crashed)
    assert [(each.verb, each.result) for each in outcomes] == [(Verb.RECOVER, Result.DONE)] * MANY
    assert crashed.waiting("tmp") == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), TOLD),
        (ZeroDivisionError("of ours"), "the work on it failed: ZeroDivisionError: of ours;"),
    ],
)
def test_what_one_session_takes_too_much_of_is_told_of_it_and_the_others_are_done(
    crashed: World, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    poisonous = session_id(3).encode()
    real = durable.write_pieces

    def write(fd: int, pieces: Iterator[bytes]) -> object:
        def read() -> Iterator[bytes]:
            for piece in pieces:
                if poisonous in piece:
                    raise error
                yield piece

        return real(fd, read())

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_pieces", write)
        outcomes = swept(crashed)
    (lost,) = [each for each in outcomes if each.result is not Result.DONE]
    assert (lost.session, lost.result, (lost.detail or "").startswith(told)) == (
        session_id(3),
        Result.LOST,
        True,
    )
    assert len(outcomes) == MANY
    assert swept(crashed)[0].result is Result.DONE


def test_planted_crew_that_lets_one_session_end_all_is_found(
    crashed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was: all are closed, which changes them, and are then said to have changed."""
    monkeypatch.setattr(execute.Hands, "_contained", execute.Hands._carrying_out)
    monkeypatch.setattr(barriers, "_wait", waiting(".maint/backup"))
    assert {each.detail for each in swept(crashed)} == {"changed since it was planned"}
