"""What root does as somebody else needs no module that was not imported before: that user may not be able to read it."""

from pathlib import Path

import pytest
from robbed_world import Robbed
from thief import folder, needs_root, needs_zstd
from tried import LONG, Tally

__all__ = ["folder"]

KINDS = ("rec", "opendev", "outrig", "opendev-snapshots", "codex") if LONG else ("rec", "codex")

SHORT = ("sweep", "undo", "salvage", "verify")

PROBE = """\
import os, sys
from maint.cli import main

class Watch:
    def find_spec(self, name, path=None, target=None):
        if os.geteuid():
            print("imported:", name, file=sys.stderr, flush=True)

sys.meta_path.insert(0, Watch())
sys.argv[0] = "maint"
main()
"""

pytestmark = [needs_root, needs_zstd]


def imported(world: Robbed, *arguments: str) -> list[str]:
    """What the program imports while it has the rights of the thief."""
    said = world.python(PROBE, *arguments).err
    return [line.split()[1] for line in said.splitlines() if line.startswith("imported: ")]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_imported_with_the_rights_of_somebody_else(kind: str, folder: Path, tally: Tally) -> None:
    world = Robbed(folder / kind, kind, shared=False)
    verbs = [verb for verb in world.verbs() if LONG or verb[0] in SHORT]
    found = [f"{' '.join(verb)}: {name}" for verb in verbs for name in imported(world, *verb)]
    tally("imported as somebody else", kind, len(verbs), wrong=len(found))
    assert not found, "\n".join(found)
