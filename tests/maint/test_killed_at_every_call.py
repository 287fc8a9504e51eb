"""A run killed at each of its calls that change a store: after one more sweep nothing is lost, and nothing is stuck."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kill_points import SURVIVED, points, traced
from maint_world import World, commands_in
from tried import Tally, every

from maint import interface
from store.barriers import FEW
from store.layouts.rec.specimens import session_id


def a_store(folder: Path) -> World:
    """Something for every pass."""
    world = World(folder)
    world.add("complete", 1)
    world.add("torn", 2)
    world.add("empty", 3)
    world.put(f"{session_id(9)}.ndjson.tmp", b"half", 5)
    world.lock(2)
    return world


def many_crashed(folder: Path) -> World:
    """So many crashed sessions that they wait for the disk together."""
    world = World(folder)
    for number in range(FEW + 2):
        world.add("torn", 10 + number)
    return world


def swept(folder: Path) -> World:
    world = a_store(folder)
    assert world.maint("sweep").code == 0
    return world


def restored(world: World) -> list[str]:
    return ["restore", session_id(3)]


def undone(world: World) -> list[str]:
    return ["undo", world.journals()[0]]


STORIES: dict[str, tuple[Callable[[Path], World], Callable[[World], list[str]]]] = {
    "sweep": (a_store, lambda _: ["sweep", "--jobs", "1"]),
    "recover": (many_crashed, lambda _: ["sweep", "--jobs", "1"]),
    "undo": (swept, undone),
    "restore": (swept, restored),
}


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to kill it with")
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_any_call_a_run_loses_nothing(story: str, tmp_path: Path, tally: Tally) -> None:
    build, arguments = STORIES[story]
    world = build(tmp_path / "counted")
    tried, there_are = points(world, arguments(world), tmp_path)
    if story == "recover":
        tried = tried[:: every(2)]  # it takes some sessions through the same steps
    told: Counter[str | None] = Counter()
    for call, number in tried:
        world = build(tmp_path / f"{call}-{number}")
        why = killed_at(world, arguments(world), call, number)
        told[why if why in {None, SURVIVED} else f"{call} {number}: {why}"] += 1
        shutil.rmtree(world.folder)
    survived = told.pop(SURVIVED, 0)  # some calls are only made the first time, or only sometimes
    tally("killed", f"rec: {story}", told.total(), there_are=there_are, wrong=told.total() - told[None])
    assert (set(told), survived <= len(tried) // 10, told[None] > 10) == ({None}, True, True)


def killed_at(world: World, arguments: list[str], call: str, number: int) -> str | None:
    """What is wrong after a run that was killed there, and one more sweep; ``None`` if nothing is."""
    treasure = all_treasure(world)
    quiet = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
    status = traced(world, arguments, quiet)
    if not os.WIFSIGNALED(status):
        return SURVIVED if status == 0 else f"it ended with {os.waitstatus_to_exitcode(status)}"
    if lost := world.lost(treasure):
        return f"lost at once: {lost}"
    after = world.maint("sweep")
    if after.code or after.out or after.err:
        return f"the next sweep: {after}"
    if lost := world.lost(treasure):
        return f"lost after the next sweep: {lost}"
    if world.waiting("tmp"):
        return f"left over: {world.waiting('tmp')}"
    again = world.maint("sweep", "--json")
    if again.code or again.summary["done"]:
        return f"the sweep after the next: {again}"
    if not world.is_free():
        return "the store is still locked"
    return None


def all_treasure(world: World) -> dict[str, list[bytes]]:
    """What is recorded in the store, and in its trash and backups."""
    found = world.treasure()
    for path in (world.sessions / ".maint").rglob("*.ndjson"):
        if path.parent.name != "journal":
            found.setdefault(path.name, []).extend(commands_in(path))
    return found


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to kill it with")
def test_harness_finds_a_planted_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_store(tmp_path / "planted")
    path = world.sessions / f"{session_id(1)}.ndjson"
    real = interface.sweep

    def careless(*given: Any, **named: Any) -> Any:
        """Write a session anew in its place, as one does who has not thought of power cuts."""
        data = path.read_bytes()
        with path.open("wb", buffering=0) as file:
            file.write(data)
        return real(*given, **named)

    monkeypatch.setattr(interface, "sweep", careless)
    assert killed_at(world, ["sweep"], "write", 1) == f"lost at once: {[path.name]}"
