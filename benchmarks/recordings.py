"""Realistic stores of rec: sizes, ages, tags and ailments in the shares that stand here, all of it seeded."""

import random
from collections.abc import Iterator, Mapping
from typing import TypeVar

from benchmarks.agents import File
from benchmarks.commands import stretch
from store.layouts.rec import specimens as rec

DAY = 86_400.0

KINDS = {
    "complete": 0.90,
    "crashed": 0.03,
    "torn": 0.02,
    "empty": 0.03,
    "leaked": 0.005,
    "recovered": 0.005,
    "headerless": 0.002,
    "nuls": 0.002,
    "live": 0.001,
    "leftover": 0.005,
}
"""What a store of rec holds, in shares of its sessions; a leftover is a whole session with a temp file beside it."""

AGES = {
    (0.0, 1.0): 0.005,
    (1.0, 7.0): 0.025,
    (7.0, 30.0): 0.08,
    (30.0, 365.0): 0.60,
    (365.0, 1000.0): 0.29,
}
"""How many days ago sessions ended, from and to, in shares of them; within these they are spread evenly."""

TAGS: dict[tuple[str, ...], float] = {(): 0.90, ("keep",): 0.02, ("deploy", "prod"): 0.08}

COMMANDS = (2.3, 1.1)
"""The lognormal distribution of commands a session: half have ten or fewer, one in ten more than forty."""

LONG_SHARE, LONG_COMMANDS, MOST_COMMANDS = 0.01, (7.8, 1.0), 50_000
"""The long ones among them, half of which have 2,400 commands or more: half a megabyte, up to ten."""

HUGE_EVERY, HUGE_COMMANDS = 30_000, (430_000, 500_000)
"""One session in so many is huge, whole, and has from so many to so many commands: about a hundred megabytes."""

_NOBODY = 4_000_000_000  # no process can have this id

Drawn = TypeVar("Drawn")


def rec_files(
    sessions: int,
    seed: int,
    now: float,
    kinds: Mapping[str, float] = KINDS,
    commands_each: int | None = None,
) -> Iterator[File]:
    """Every file of a realistic store; the last session to crash is still marked as being recorded.

    Other shares, or the same number of commands in each session, make a store that shows one thing alone.
    """
    rng, typing = random.Random(seed), random.Random(f"commands-{seed}")
    crashed: tuple[str, float] | None = None
    for number in range(sessions):
        id_, kind = rec.session_id(number + 1), _drawn(rng, kinds)
        ended = round(now - DAY * rng.uniform(*_drawn(rng, AGES)), 6)
        long = rng.random() < LONG_SHARE
        commands = max(1, min(MOST_COMMANDS, int(rng.lognormvariate(*(LONG_COMMANDS if long else COMMANDS)))))
        if commands_each is not None:
            commands = commands_each
        elif kinds is KINDS and number % HUGE_EVERY == HUGE_EVERY - 1:
            kind, commands = "complete", typing.randrange(*HUGE_COMMANDS)
        if kind == "crashed":
            crashed = id_, ended
        yield from _session_files(id_, kind, ended, commands, now, rng, typing)
    if crashed is not None:
        id_, ended = crashed
        yield File("state", "recording.lock", b"%d" % _NOBODY, ended)
        yield File("state", "recording.json", rec.recording_state(id_, "work", ended - 60, _NOBODY), ended)


def _drawn(rng: random.Random, shares: Mapping[Drawn, float]) -> Drawn:
    return rng.choices(list(shares), list(shares.values()))[0]


def _session_files(
    id_: str,
    kind: str,
    ended: float,
    commands: int,
    now: float,
    rng: random.Random,
    typing: random.Random,
) -> Iterator[File]:
    project = f"/home/ana/project-{rng.randrange(40)}"
    tags: tuple[str, ...] = _drawn(rng, TAGS)
    typed = stretch(typing, 0 if kind in ("empty", "leaked") else commands, project)
    began = round(ended - typed.seconds - typing.uniform(0.5, 20.0), 6)
    given = {"tags": list(tags), "env": rec.ENV | {"PWD": project}}
    head = rec.header(id_, f"session-{id_[:8]}", began, **given)
    body = b"".join(typed.written(ended - typed.seconds))
    foot = rec.footer(ended, commands)
    changed = ended + typing.uniform(1e-4, 1e-2)  # nobody is done in the very moment that he writes down
    match kind:
        case "crashed":
            content = head + body
        case "torn":
            content = head + body + b'{"type":"command","index":9,"comm'
        case "empty":
            content = head + rec.footer(ended, 0)
        case "leaked":
            content = head + rec.command(0, "rec stop", began - 90) + rec.footer(ended, 1)
        case "recovered":
            content = rec.header(id_, f"recovered-{id_[:8]}", began, recovered=True, **given) + body + foot
        case "headerless":
            content = body
        case "nuls":
            content = head + body + bytes(1024)
        case "live":
            content, changed = head + body, changed + now - 30 - ended
        case _:
            content = head + body + foot
    yield File("sessions", f"{id_}.ndjson", content, changed)
    if kind == "leftover":
        yield File("sessions", f"{id_}.ndjson.tmp", head[:60], ended)
