"""Bugs that are planted show on real disks.

What is not waited for is gone after a power cut, and what cannot be done on a full disk goes unsaid.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from file_systems import BY_NAME
from hindered import Hindered, Hindrance
from images import Loss, require
from real_cuts import Cuts, Point
from small_disks import InMemory
from stories import STORIES
from test_power_cut import folder

from maint import interface
from maint.run import Run
from store import durable, syscalls

__all__ = ["folder"]

Plant = Callable[[pytest.MonkeyPatch], None]


def no_wait_for_packs(plant: pytest.MonkeyPatch) -> None:
    """The originals go while their pack has its name and not yet its bytes.

    Whoever asks the disk for what it is to read back has it written, too, as has who removes emptied folders: that is
    left out with it.
    """
    real = durable.sync_file

    def careless(fd: int, what: str) -> None:
        if not what.endswith(".new"):
            real(fd, what)

    plant.setattr(durable, "sync_file", careless)
    plant.setattr(os, "posix_fadvise", lambda *_: None)
    plant.setattr(syscalls, "syncfs", lambda _: None)


def no_wait_for_bytes(plant: pytest.MonkeyPatch) -> None:
    """Sessions have their names before they have their bytes."""
    plant.setattr(durable, "sync_file", lambda *_: None)
    plant.setattr(syscalls, "syncfs", lambda _: None)


def no_wait_for_names(plant: pytest.MonkeyPatch) -> None:
    """A run ends before its names are on the disk."""
    plant.setattr(durable, "sync_folder", lambda *_: None)
    plant.setattr(syscalls, "syncfs", lambda _: None)


PACKS = (no_wait_for_packs, "rec: archive", Loss.BYTES, "lost at once")
BYTES = (no_wait_for_bytes, "rec: restore many", Loss.BYTES, "not done")
NAMES = (no_wait_for_names, "rec: sweep", Loss.ALL, "not done")
"""On ext4 and xfs the last line of the journal takes all names to the disk with it."""


@pytest.mark.parametrize(
    ("file_system", "plant", "story", "loss", "told"),
    [
        ("ext4", *PACKS),
        ("ext4", *BYTES),
        ("xfs", *PACKS),
        ("xfs", *BYTES),
        ("btrfs", *PACKS),
        ("btrfs", *NAMES),
    ],
)
def test_what_is_not_waited_for_is_found(
    file_system: str,
    plant: Plant,
    story: str,
    loss: Loss,
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require("strace", "zstd", "tar")
    with Cuts.of(STORIES[story], BY_NAME[file_system], folder) as cuts:
        points = [Point(None, loss), *(Point(call, loss) for call in cuts.calls if call[0] == "unlinkat")]
        assert cuts.wrong(points[0]) is None
        plant(monkeypatch)
        assert any(told in (cuts.wrong(point) or "") for point in points)


@pytest.mark.parametrize(
    ("gives_up", "told"),
    [(False, "it ended with 0, said nothing, and has not done it"), (True, "lost at once")],
)
def test_what_goes_unsaid_or_is_given_up_is_found(
    gives_up: bool, told: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("strace", "zstd", "tar")
    with InMemory.new(STORIES["rec: archive"], folder) as disk:
        hindered = Hindered(disk, STORIES["rec: archive"], folder)
        full = Hindrance(lambda _: disk.leave(0, None), lambda _: disk.make_room())
        assert hindered.wrong(full) is None
        path = min(disk.fresh().sessions.glob("*.ndjson"))
        real = interface.sweep

        def careless(*given: Any, **named: Any) -> Run:
            """A sweep that keeps to itself that a store could not be written, or makes room as best it can."""
            done = real(*given, **named)
            if gives_up and done.unreachable:
                path.unlink()
            done.unreachable.clear()
            return done

        monkeypatch.setattr(interface, "sweep", careless)
        assert told in (hindered.wrong(full) or "")
