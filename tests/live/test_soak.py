"""Sweeps of living stores, again and again, to which everything happens that may: no session is lost, and no room.

The sessions are the model of `owners`; what happens is the same for the same seed, but for the moments at which runs
are killed.
At the end all that may go has gone: of our own there is then less than `A_SESSION` a session and `A_RUN` a run, for
journals and the catalogue, and nothing else.
"""

import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
from children import Running, nothing
from disks import Disk, in_memory
from maint_world import DAY
from mishaps import dies_at, no_room, step
from town import Town
from tried import LONG, Tally

from maint import settle
from store import names, trash
from store.trash import Trashed

SEEDS = range(100, 120) if LONG else range(100, 101)
ROUNDS, BIRTHS = (125, 40) if LONG else (40, 6)
"""In the long form 100,000 sessions in all."""

MISHAPS = ("none", "none", "none", "call", "moment", "stop", "no room", "full disk", "clock", "twice")
MAY_END_WITH = {
    "call": {0, -signal.SIGKILL},
    "moment": {0, -signal.SIGKILL},
    "no room": {0, 1, 74},
    "full disk": {0, 1, 74},
    "twice": {0, 75},
}
"""Besides 3, where a clock has been ahead, and what a person is told who asks for what cannot be brought back."""

ROOM = 48 << 20
A_SESSION, A_RUN = 4096, 8192


@pytest.fixture
def disk() -> Iterator[Disk]:
    with in_memory(ROOM) as made:
        yield made


def arguments(town: Town) -> list[str]:
    """A sweep as a rule, and now and then an undo of a run or a restore of a session."""
    chance = town.dice.random()
    runs = sorted({path.stem for path in town.journals_of_all()})
    ids = [id_ for owner in town.owners.values() for id_ in owner.lives]
    if chance < 0.1 and runs:
        return ["undo", town.dice.choice(runs[-20:])]
    if 0.1 < chance < 0.2 and ids:
        return ["restore", town.dice.choice(ids)]
    return ["sweep", "--jobs", town.dice.choice("12")]


def one_round(town: Town, disk: Disk, mishaps: Sequence[str]) -> str | None:
    """Let some hours pass, owners act, and a run take place to which something may happen; what is wrong then."""
    town.pass_time(town.dice.uniform(1, 14) * 3600)
    town.live(BIRTHS, BIRTHS)
    what = arguments(town)
    mishap = town.dice.choice(mishaps)
    wrong_by = step(town.dice) if mishap == "clock" else 0.0
    room = town.dice.randrange(64 << 10)
    town.pass_time(wrong_by)
    if mishap == "full disk":
        with disk.full(but=room):
            why = heard(town, what, mishap)
    else:
        why = heard(town, what, mishap)
    if why is None and (gone := town.missing()):
        why = f"lost: {gone[:5]} and {len(gone)} in all"
    town.pass_time(-wrong_by)
    return None if why is None else f"{what}, {mishap}: {why}"


def heard(town: Town, what: list[str], mishap: str) -> str | None:
    """Run the program, with this happening to it while its owners are at work; what is wrong with how it ended."""
    first: Callable[[], None] = nothing
    match mishap:
        case "call":
            first = dies_at(town.dice.randrange(1, 600))
        case "no room":
            first = no_room(town.dice.choice((1 << 12, 1 << 13, 1 << 14)))
    may = MAY_END_WITH.get(mishap, {0}) | {3} | (set() if what[0] == "sweep" else {1, 2})
    with Running(town, *what, first=first) as running:
        if mishap in {"moment", "stop"}:
            running.ended(town.dice.uniform(0, 0.3))
            running.send(signal.SIGKILL if mishap == "moment" else signal.SIGSTOP)
        if mishap != "full disk":
            town.live(0, 3)
        if mishap == "twice":
            with Running(town, "sweep") as other:
                if (why := town.heard(other.answer(), may)) is not None:
                    return why
        running.send(signal.SIGCONT)
        return town.heard(running.answer(), may)


def lived(town: Town, disk: Disk, rounds: int, mishaps: Sequence[str] = MISHAPS) -> str | None:
    """What is wrong after some rounds and a very long time, and which round it was."""
    for number in range(rounds):
        if (why := one_round(town, disk, mishaps)) is not None:
            return f"round {number}: {why}"
    return grown_old(town)


def grown_old(town: Town) -> str | None:
    """Let so much time pass that all is at its end; what is left that should not be."""
    for _ in range(12):
        town.pass_time(20 * DAY)
        answer = town.maint("sweep", "--json")
        if answer.code or answer.err:
            return f"after a long time a sweep ended with {answer.code}: {answer.err}"
        if not answer.summary["done"]:
            break
    if gone := town.missing():
        return f"after a long time: lost: {gone[:5]} and {len(gone)} in all"
    return "; ".join(town.left_over(A_SESSION, A_RUN)) or None


@pytest.mark.parametrize("seed", SEEDS)
def test_soak_loses_no_session_and_no_room(seed: int, disk: Disk, tally: Tally) -> None:
    town = Town(disk.folder / "town", seed)
    found = lived(town, disk, ROUNDS)
    tally("soak", "sessions", town.born, wrong=found is not None)
    tally("soak", "runs", town.codes.total(), wrong=found is not None)
    tally("soak", "runs that were killed", town.codes[-signal.SIGKILL], wrong=found is not None)
    assert found is None, f"seed {seed}: {found}"


# Planted bugs.


def trash_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the trash ends with the next sweep."""
    real = trash.list_trash
    monkeypatch.setattr(trash, "list_trash", lambda roots, *_: real(roots, names.is_run_id))
    monkeypatch.setattr(Trashed, "since", property(lambda _: 0.0))


def nothing_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What killed runs have left half done stays so."""
    monkeypatch.setattr(settle, "settle", lambda *_: ([], []))


@pytest.mark.parametrize(
    ("plant", "rounds", "mishaps"),
    [(trash_ends_early, 20, ("none",)), (nothing_is_settled, 8, ("call", "moment"))],
)
def test_planted_bug_shows_in_the_soak(
    plant: Callable[[pytest.MonkeyPatch], None],
    rounds: int,
    mishaps: Sequence[str],
    disk: Disk,
    tally: Tally,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    found: str | None = None
    for seed in range(5):
        found = found or lived(Town(disk.folder / str(seed), seed), disk, rounds, mishaps)
    tally("planted bugs in the soak", str(plant.__doc__), 1, wrong=found is None)
    assert found is not None
