"""A line of two gibibytes, wherever somebody may write one: no verb takes more memory for it than it is given.

The files are sparse, so that they take no room; what they hold behind their first bytes is zeros.
"""

import os
from pathlib import Path

import our_parsers
import pytest
from damaging import CODES, run
from fuzzing import MEMORY
from maint_world import World
from tried import LONG, Tally

from store import names
from store.layouts.rec.specimens import session_id

GIANT = 2 << 30
LOOKING = (["log"], ["log", "RUN"], ["undo", "RUN"], ["sweep"])
PLACES: dict[str, tuple[str, tuple[list[str], ...]]] = {
    "session": (f"data/rec/sessions/{session_id(5)}.ndjson", (["plan"], ["sweep"])),
    "state of a recording": ("state/rec/recording.json", (["plan"],)),
    "journal": ("journal", LOOKING),
    "marks": ("marks", (["list", "--archived"], ["verify"])),
    "pack": ("pack", (["list", "--archived"], ["verify"], ["salvage", "PACK", "--to", "saved"])),
    **{
        name: (f"data/rec/sessions/{path}", (["plan"], ["sweep"]))
        for name, path in {
            "folders elsewhere": names.TARGETS,
            "folders of packs": names.ARCHIVES,
            "what was reported": names.REPORTED,
            "facts": names.FACTS,
        }.items()
    },
    "catalogue": (f"data/rec/sessions/{names.CATALOGUE}", (["list", "--archived"],)),
    "what was verified": (f"data/rec/sessions/{names.VERIFIED}", (["verify"],)),
    "plan": ("plan", (["apply", "plan"],)),
    "policy": ("config/maint/policy.yaml", (["plan"], ["policy", "check", "config/maint/policy.yaml"])),
}
BEHIND, INSTEAD = "behind what is there", "instead of all"
EVERY = [(place, how) for place in PLACES for how in (BEHIND, INSTEAD)]
SHORT = [("session", BEHIND), ("journal", BEHIND), ("plan", INSTEAD)]


@pytest.mark.parametrize(("place", "how"), EVERY if LONG else SHORT)
def test_line_of_two_gibibytes_takes_no_memory(place: str, how: str, tmp_path: Path, tally: Tally) -> None:
    world = our_parsers.a_store(tmp_path / "world")
    giant(world, place, keep=how == BEHIND)
    verbs = PLACES[place][1] if LONG else PLACES[place][1][:1]
    for verb in verbs:
        known = {"RUN": world.journals()[0], "PACK": str(next(world.ours.glob("archive/*.tar.zst")))}
        answer = run(world, [known.get(word, word) for word in verb], MEMORY)
        assert answer.code in CODES, (verb, answer)
        assert "defect" not in answer.err, (verb, answer)
    tally("giant line", place, len(verbs))


def giant(world: World, place: str, *, keep: bool) -> None:
    """Make the file that is called so a giant."""
    match place:
        case "journal":
            path = world.ours / f"journal/{world.journals()[0]}.ndjson"
        case "marks":
            path = next(world.ours.glob("archive/*.tar.zst"))
            path = path.with_name(path.name.replace(".tar.zst", ".marks"))
        case "pack":
            path = next(world.ours.glob("archive/*.tar.zst"))
        case _:
            path = world.folder / PLACES[place][0]
    found = path.stat() if path.exists() else None
    with path.open("ab" if keep else "wb") as file:
        file.truncate(GIANT + file.tell())
    if found is not None:
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
