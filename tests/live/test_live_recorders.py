"""Recorders go on recording while sweeps recover, archive and remove beside them, and take all of it for long silent.

Each line of each session is there once and in its order, where its owner would look for it; a line counts from the
moment that its write has succeeded.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from crowd import recording
from maint_world import DAY, World
from numbered import Written, wrong
from oracle import Oracle
from recorders import Held, Lingering, Mapped, PerLine, Recorder, Saving, SlowlyMapped
from tried import LONG, Tally

from maint.actions import Verb
from store import durable, exchanging, leases, looking, rewriting
from store.barriers import LATER, Steps
from store.facts import Fingerprint
from store.leases import Lease

ALL = (PerLine, Held, Mapped, Saving)
STAYING = (Lingering, PerLine, Lingering, Held)
LINES, COMMITS = (1_000_000, 1_000) if LONG else (30_000, 300)
NEVER = 10**9
SHARE = 4
"""Of the lines and commits, one in so many is enough where a gap slows them down, or where seconds are waited for."""

PATIENCE = 1800.0

POLICY = """\
  - recover: {idle_for: 1h}
  - delete-empty: {idle_for: 1h}
  - litter: {older_than: 1h}
"""
ARCHIVE = "  - archive: {{older_than: 1d, where: {{records_over: {}}}}}\n"

Kinds = tuple[type[Recorder], ...]
Plant = Callable[[pytest.MonkeyPatch], None]


class Complained(AssertionError):
    """A sweep found something wrong that a person should see to."""


def recorded(
    world: World, kinds: Kinds, lines: int, commits: int, *, archived: int
) -> tuple[dict[str, Written], Counter[Verb]]:
    """Sweep beside recorders of these kinds until so much was written and done; what that was.

    Sessions of more records than ``archived`` go into packs.
    """
    world.rules(POLICY + ARCHIVE.format(archived), "limits: {max_removed: unlimited}\n")
    done: Counter[Verb] = Counter()
    with recording(kinds, world.sessions, world.folder / "reports", 7) as crowd:
        deadline = time.monotonic() + PATIENCE
        while crowd.lines < lines or done.total() < commits:
            assert time.monotonic() < deadline, f"{crowd.lines} lines, {done} after {PATIENCE:.0f} s"
            done += swept(world)
        written = crowd.ended()
    for _ in range(2):  # the first one carries over what came late, the second one has nothing to wait for
        done += swept(world)
    return written, done


def swept(world: World) -> Counter[Verb]:
    """What a sweep did that takes whatever was written a moment ago for silent since hours."""
    run = world.sweep(now=time.time() + DAY / 12)
    grave = [problem.text for problem in run.summary.problems if problem.grave]
    if run.summary.failed or run.summary.lost or run.refused or grave:
        raise Complained(f"{run.summary.failed} failed, {run.summary.lost} lost, {run.refused}, {grave[:3]}")
    return run.summary.done


def widen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait between the last look and the exchange for somebody who opens the file, as may happen at any time."""
    real = exchanging._exchange

    def exchange(place: exchanging.Place, *, idle: bool) -> None:
        deadline = time.monotonic() + 0.003
        while not leases.broken(place.fd) and time.monotonic() < deadline:
            os.sched_yield()
        real(place, idle=idle)

    monkeypatch.setattr(exchanging, "_exchange", exchange)


@pytest.mark.parametrize("kinds", [ALL, STAYING], ids=["coming and going", "staying"])
@pytest.mark.parametrize("wide", [False, True], ids=["", "in the worst moment"])
def test_live_recorders_lose_double_and_swap_nothing(
    kinds: Kinds, wide: bool, world: World, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wide:
        widen(monkeypatch)
    share = SHARE if wide or kinds is STAYING else 1
    # Who stays for longer than any session is silent, to a clock that is hours ahead, is not waited for by a pack.
    archived = NEVER if kinds is STAYING else 500
    written, done = recorded(world, kinds, LINES // share, COMMITS // share, archived=archived)
    found = wrong(Oracle({"sessions": world.sessions}), written)
    where = ", in the worst moment" if wide else ""
    for name, lines in lines_by_kind(written).items():
        tally("lines of live recorders", f"{name}{where}", lines, wrong=len(found))
    tally("commits beside live recorders", f"{len(kinds)} processes{where}", done.total(), wrong=len(found))
    assert not found, "\n".join(found)
    assert done[Verb.RECOVER] > 0


def lines_by_kind(written: dict[str, Written]) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in written.values():
        found[each.by] += each.lines
    return found


# Planted bugs.


def tail_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was appended to the old file is not carried over."""
    widen(monkeypatch)

    def carry_tail(old: int, since: int, new: int, what: str) -> Steps[tuple[int, bool]]:
        yield LATER
        return 0, False

    monkeypatch.setattr(rewriting, "carry_tail", carry_tail)


def half_lines_are_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was appended to the old file is carried over while its writer is at work."""
    widen(monkeypatch)

    def carry_tail(old: int, since: int, new: int, what: str) -> Steps[tuple[int, bool]]:
        carried = 0
        while (lease := leases.read_lease(old)) is not Lease.HELD or not carried:
            carried += durable.append_rest(old, since + carried, new)
            if lease is Lease.HELD:
                break
            yield LATER
        return carried, False

    monkeypatch.setattr(rewriting, "carry_tail", carry_tail)


def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is taken for closed, whoever has it open."""
    monkeypatch.setattr(leases, "read_lease", lambda _: Lease.HELD)
    monkeypatch.setattr(leases, "broken", lambda _: False)


def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session goes as it was planned, whatever was written to it since."""
    monkeypatch.setattr(looking, "require_planned", lambda *_given, **_named: None)
    monkeypatch.setattr(Fingerprint, "same_content", lambda _one, _other: True)


SHOWING: dict[Plant, Kinds] = {
    half_lines_are_carried: (SlowlyMapped,) * 4,
    nobody_is_asked: (Lingering, Lingering, Lingering, Lingering),
}
"""The recorders to which a bug shows soonest."""


@pytest.mark.parametrize("plant", [tail_is_left, half_lines_are_carried, nobody_is_asked, no_second_look])
def test_planted_bug_shows_in_the_lines(
    plant: Plant, tmp_path: Path, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    kinds = SHOWING.get(plant, (PerLine, Held, Held, PerLine))
    found: list[str] = []
    tries = 0
    while not found and tries < 40:
        tries += 1
        world = World(tmp_path / str(tries))
        try:
            written, _ = recorded(world, kinds, 0, 120, archived=60)
        except Complained as complaint:
            found = [str(complaint)]
        else:
            found = wrong(Oracle({"sessions": world.sessions}), written)
    tally("planted bugs beside live recorders", str(plant.__doc__), 1, wrong=not found)
    assert found
