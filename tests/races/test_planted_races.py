"""The harness finds whoever looks, acts, and does not look again: bugs that are planted in the program."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gaps import whole
from interleaving import IDLE, Point, interleaved
from stories import STORIES
from test_interleavings import NEEDED
from test_power_cut import folder
from tried import Tally

from maint import late_writers
from store import ending, exchanging, leases, opening, removing, rewriting, syscalls
from store.barriers import Steps
from store.facts import Member
from store.leases import Lease
from store.roots import RootFds

__all__ = ["folder"]

pytestmark = NEEDED


def moved_blindly(
    roots: RootFds, home: str, trash: str, fd: int, folder: int, name: str, *more: object, lasting: bool
) -> int:
    """Does not look at what it has moved."""
    above, _, kept_name = trash.rpartition("/")
    kept = roots.folder(home, above, lasting=lasting)
    syscalls.rename_noreplace(name, kept_name, src_dir_fd=folder, dst_dir_fd=kept)
    return kept


def let_go_blindly(roots: RootFds, member: Member, *_: object) -> int:
    """Removes whatever has the name that was planned."""
    os.unlink(member.path, dir_fd=roots[member.root])
    return member.fingerprint.size


def renamed_over(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
    """Replaces what has the name."""
    os.rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)


def not_exchanged(place: exchanging.Place, *, idle: bool) -> None:
    """Renames over the session, whatever that is by now."""
    os.rename(place.tmp_name, place.name, src_dir_fd=place.tmp, dst_dir_fd=place.folder)


def not_carried(*_: object) -> Steps[tuple[int, bool]]:
    """Forgets what is written to the old file."""
    yield from ()
    return 0, False


@dataclass(frozen=True)
class Planted:
    """A bug, the story and the actor that show it, and the two calls between which there is a gap for him."""

    plant: list[tuple[object, str, Any]]
    story: str
    actor: str
    between: tuple[str, str]
    shows: str


BUGS = {
    "no look after the move": Planted(
        [(removing, "move_open", moved_blindly)],
        "rec: archive",
        "replace",
        ("newfstatat", "renameat2"),
        "lost what he wrote",
    ),
    "what was planned is removed by its name": Planted(
        [(ending, "_let_one_go", let_go_blindly)],
        "rec: archive",
        "replace",
        ("unlinkat", "unlinkat"),
        "lost what he wrote",
    ),
    "no lease": Planted(
        [(leases, "read_lease", lambda _: Lease.HELD), (leases, "broken", lambda _: False)],
        "rec: archive",
        "append as ever",
        ("newfstatat", "unlinkat"),
        "lost what he wrote",
    ),
    "a rename that replaces": Planted(
        [(syscalls, "rename_noreplace", renamed_over)],
        "rec: restore from the trash",
        "append",
        ("openat", "renameat"),
        "lost what he wrote",
    ),
    "no exchange": Planted(
        [(exchanging, "_exchange", not_exchanged)],
        "rec: sweep",
        "replace",
        ("fcntl", "renameat"),
        "lost what he wrote",
    ),
    "no carrying over": Planted(
        [(rewriting, "carry_tail", not_carried), (late_writers, "carry_over", lambda *_, **__: 0)],
        "rec: sweep",
        "append",
        ("fcntl", "renameat2"),
        "not in the store",
    ),
    "links are followed": Planted(
        [(opening, "FOLDER_FLAGS", opening.FOLDER_FLAGS & ~os.O_NOFOLLOW)],
        "opendev: restore from the trash",
        "lead elsewhere",
        ("pread64", "openat"),
        "outside of the store was touched",
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_race_is_found(bug: str, folder: Path, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = BUGS[bug]
    for module, name, instead in planted.plant:
        monkeypatch.setattr(module, name, instead)
    tried = 0
    for why in found(planted, folder):
        tried += 1
        if planted.shows in why:
            break
    else:
        pytest.fail(f"not found in {tried} interleavings")
    tally("planted races: found", planted.story, tried)


def found(planted: Planted, folder: Path) -> Iterator[str]:
    """What is wrong in each interleaving of a story that has a planted bug."""
    told = STORIES[planted.story]
    run = whole(told, folder)
    for gap in run.gaps:
        if gap.acting and (gap.call, gap.following) == planted.between:
            why = interleaved(told, folder, Point(gap, planted.actor), run.ends)
            if why != IDLE:
                yield why or ""
