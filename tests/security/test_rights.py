"""What root does in the store of somebody else is done with the rights of its owner: all of it, and with no more."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from rights import TRACED, calls
from robbed_world import Robbed
from thief import THIEF, folder, needs_root, needs_strace, needs_zstd
from tracing import run_traced
from tried import LONG, Tally

from maint import owner
from maint.workers import Crew

__all__ = ["folder"]

KINDS = ("rec", "opendev", "outrig", "opendev-snapshots", "codex") if LONG else ("rec",)

pytestmark = [needs_root, needs_zstd]


def rights() -> dict[str, str]:
    """What the kernel says of this process."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {key: told[key].strip() for key in ("Uid", "Gid", "Groups", "CapEff")}


HIS = {
    "Uid": f"0\t{THIEF}\t0\t{THIEF}",
    "Gid": f"0\t{THIEF}\t0\t{THIEF}",
    "Groups": str(THIEF),
    "CapEff": "0" * 16,
}


def test_rights_of_the_owner_are_all_that_there_are(folder: Path) -> None:
    (folder / "his").mkdir()
    os.chown(folder / "his", THIEF, 0)
    before = rights()
    with owner.as_owner(str(folder / "his")):
        assert rights() == HIS
        with owner.as_owner(str(folder)):
            assert rights() == HIS
    assert rights() == before


def test_workers_have_no_other_rights_than_their_leader(folder: Path) -> None:
    (folder / "his").mkdir()
    os.chown(folder / "his", THIEF, 0)
    with owner.as_owner(str(folder / "his")):
        crew: Crew[int, dict[str, str]] = Crew(2, lambda _: rights(), lambda: False)
        assert [answer for _, answer in crew.run([[1], [2]])] == [HIS, HIS]


def test_items_are_made_by_the_owner_and_taken_by_whoever_asks(folder: Path) -> None:
    (folder / "his").mkdir()
    os.chown(folder / "his", THIEF, 0)
    found = [(each, os.geteuid()) for each in owner.made_as_owner(str(folder / "his"), _users(), at_once=2)]
    assert found == [(THIEF, 0)] * 5


def _users() -> Iterator[int]:
    for _ in range(5):
        yield os.geteuid()


def test_folder_that_is_not_there_gives_nobody_the_rights_of_root(folder: Path) -> None:
    with pytest.raises(FileNotFoundError), owner.as_owner(str(folder / "missing")):
        pytest.fail("nobody knows whose it is")


@needs_strace
@pytest.mark.parametrize("kind", KINDS)
def test_root_calls_nothing_in_the_store_of_somebody_else_in_his_own_name(
    kind: str, folder: Path, tally: Tally
) -> None:
    world = Robbed(folder / "his", kind, shared=False)
    log = folder / "calls"
    found: Counter[str] = Counter()
    theirs = ours = 0
    for verb in world.verbs():
        run_traced(world, verb, ["-f", "-y", "-o", str(log), "-e", TRACED])
        for call in calls(log.read_text(errors="replace").splitlines()):
            if str(world.thief) not in call.text:
                continue
            theirs += call.user == THIEF
            if call.user != THIEF and not call.looks():
                found[f"{' '.join(verb[:2])}: {call.name}{call.text}"] += 1
            ours += call.user != THIEF
    tally("calls in the name of root", kind, theirs + ours, wrong=found.total())
    assert not found, "\n".join(found)
    assert theirs > 1000
