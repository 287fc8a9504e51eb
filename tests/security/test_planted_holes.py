"""Holes that were made on purpose are found: nobody need believe tests that nothing can fail."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import limited_run
import pytest
from robbed_world import Robbed, in_vault, replace_by_link
from test_private import wide
from test_rights import HIS, rights
from thief import THIEF, as_thief, folder, needs_root, needs_zstd
from tried import Tally

from maint import archived, engine, owner, waiting
from store import copying, durable, folders, opening, resolving

__all__ = ["folder"]

pytestmark = [needs_root, needs_zstd]

Plant = Callable[[pytest.MonkeyPatch], None]


@contextmanager
def as_root(*_: object) -> Iterator[None]:
    yield


def owner_is_not_switched_to(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(owner, "_as_user", as_root)
    patch.setattr("maint.reaching.os.geteuid", lambda: -1)


def copies_are_made_as_root(patch: pytest.MonkeyPatch) -> None:
    real = owner.as_owner
    for module in (waiting, archived):
        patch.setattr(module, "as_owner", lambda path: as_root() if path.endswith("/out") else real(path))


def links_of_others_are_followed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(resolving, "_require_trusted", lambda *_: None)


def links_below_the_root_are_followed(patch: pytest.MonkeyPatch) -> None:
    for name in ("FOLDER_FLAGS", "SESSION_FLAGS"):
        patch.setattr(opening, name, getattr(opening, name) & ~os.O_NOFOLLOW)
    patch.setattr(folders, "_require_ours", lambda *_: None)


def trash_is_emptied_by_walking_its_path(patch: pytest.MonkeyPatch) -> None:
    real = engine.sweep

    def sweep(policy: Any, places: Any, **more: Any) -> Any:
        for top, _, files in os.walk(os.path.join(places[0].path, ".maint/trash"), followlinks=True):
            for name in files:
                os.remove(os.path.join(top, name))
        return real(policy, places, **more)

    patch.setattr(engine, "sweep", sweep)


def copies_are_written_to_a_joined_path(patch: pytest.MonkeyPatch) -> None:
    def copy_out(place: Any, each: Any, to: str) -> list[str]:
        path = os.path.join(to, each.entry.id)
        Path(path).write_bytes(b"copied")
        return [path]

    patch.setattr(archived, "copy_out", copy_out)


def files_are_made_for_all(patch: pytest.MonkeyPatch) -> None:
    real = durable.create
    patch.setattr(durable, "create", lambda folder, name, *_, **more: real(folder, name, 0o644, **more))


def copies_are_opened_to_all(patch: pytest.MonkeyPatch) -> None:
    real = copying._copy

    def copy(source: int, target: int, name: str) -> Any:
        done = real(source, target, name)
        os.chmod(name, 0o644, dir_fd=target)
        return done

    patch.setattr(copying, "_copy", copy)


def opening_waits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(opening, "SESSION_FLAGS", opening.SESSION_FLAGS & ~os.O_NONBLOCK)
    patch.setattr(limited_run, "LONGEST", 5.0)  # as long as it takes to be sure, for it waits for ever


def nothing(_: Robbed) -> None:
    """The thief does nothing."""


def store_is_a_link(world: Robbed) -> None:
    replace_by_link(world, world.sessions, in_vault(world, world.sessions))


def our_folder_is_a_link(world: Robbed) -> None:
    replace_by_link(world, world.ours, in_vault(world, world.ours))


def folder_for_copies_is_a_link(world: Robbed) -> None:
    replace_by_link(world, world.out, world.vault)


def session_is_a_fifo(world: Robbed) -> None:
    with as_thief():
        os.mkfifo(world.sessions / f"{world.packed}.ndjson")


class Hole(NamedTuple):
    """What is planted, what the thief does, what root calls, and what is said of it."""

    plant: Plant
    thief: Callable[[Robbed], None]
    verb: list[str]
    said: str
    shared: bool = False


OUT = ["--to", "OUT"]
HOLES = [
    Hole(owner_is_not_switched_to, nothing, ["sweep"], "left behind by user 0"),
    Hole(copies_are_made_as_root, nothing, ["restore", "TRASHED", *OUT], "left behind by user 0"),
    Hole(links_of_others_are_followed, store_is_a_link, ["sweep"], "outside: "),
    Hole(links_below_the_root_are_followed, our_folder_is_a_link, ["sweep"], "outside: ", shared=True),
    Hole(trash_is_emptied_by_walking_its_path, our_folder_is_a_link, ["sweep"], "outside: "),
    Hole(
        copies_are_written_to_a_joined_path, folder_for_copies_is_a_link, ["restore", "*", *OUT], "outside: "
    ),
    Hole(opening_waits, session_is_a_fifo, ["sweep"], "it hung"),
]


def called(world: Robbed, verb: list[str]) -> list[str]:
    (trashed, *_) = (path.stem for path in (world.ours / "trash").rglob("*.ndjson"))
    return [{"OUT": str(world.out), "TRASHED": trashed}.get(word, word) for word in verb]


@pytest.mark.parametrize("hole", HOLES, ids=lambda hole: hole.plant.__name__)
def test_planted_hole_is_found(
    hole: Hole, folder: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    for planted in (False, True):
        world = Robbed(folder / "world", "rec", shared=hole.shared)
        verb = called(world, hole.verb)
        hole.thief(world)
        with monkeypatch.context() as patch:
            if planted:
                hole.plant(patch)
            said = world.wrong({"it": world.as_root(*verb)})
        assert bool(said) is planted, said
        shutil.rmtree(world.top)
    assert [each for each in said if hole.said in each]
    tally("planted holes", hole.plant.__name__, 1)


@pytest.mark.parametrize(
    ("plant", "verb"),
    [(files_are_made_for_all, ["sweep"]), (copies_are_opened_to_all, ["restore", "TRASHED", *OUT])],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_planted_wide_mode_is_found(
    plant: Plant, verb: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    world = Robbed(folder / "world", "rec", shared=False)
    (world.ours / "catalogue.sqlite").unlink()
    before = set(wide(world))
    plant(monkeypatch)
    assert world.as_root(*called(world, verb)).code == 0
    assert [each for each in set(wide(world)) - before if each.startswith("644 ")]
    tally("planted holes", plant.__name__, 1)


@pytest.mark.parametrize("call", ["setgroups", "setegid"])
def test_planted_rights_that_are_kept_are_found(
    call: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    (folder / "his").mkdir()
    os.chown(folder / "his", THIEF, THIEF)
    monkeypatch.setattr(os, call, lambda _: None)
    with owner.as_owner(str(folder / "his")):
        assert rights() != HIS
    tally("planted holes", f"{call} is left out", 1)
