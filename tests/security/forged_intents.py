"""Actions that no plan of ours has: on files outside of the store, in all the ways in which these can be named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robbed_world import Robbed, in_vault

RED = "\x1b[31m\x1b]0;owned\x07\u202e\r\x9b2J"
"""What a terminal would obey, and what would have a line read as another one."""

RUN = "20260101T000000-aaaaaa"
FAR = "../" * 14


def outside(world: Robbed) -> Iterator[Path]:
    """Files in the vault that somebody might want, and one that is not there yet."""
    vault = in_vault(world, world.sessions)
    yield from (vault / path.name for path in sorted(world.sessions.glob("*.ndjson"))[:2])
    yield world.vault / "new"


def prints(world: Robbed, path: Path) -> list[int]:
    """The true fingerprint of a file: he may have guessed it."""
    seen = world.before.get(str(path))
    if seen is None or isinstance(seen, str):
        return [0, 0, 0, 0, 0]
    inode, _, _, _, changed, touched, data = seen
    return [world.vault.stat().st_dev, inode, len(data), changed, touched]


def ways(path: Path) -> list[str]:
    return [str(path), f"{FAR}{str(path)[1:]}", f".maint/trash/{RUN}/sessions/{FAR}{str(path)[1:]}"]


def intents(world: Robbed, store: str) -> list[dict[str, Any]]:
    """Actions of every verb on files outside."""
    found: list[dict[str, Any]] = []
    for path in outside(world):
        for way in ways(path):
            base = {
                "type": "action",
                "pass": "prune",
                "store": store,
                "session": f"x{RED}",
                "path": way,
                "bytes": 1,
                "reason": f"{RED}because",
                "members": [["sessions", way, prints(world, path)]],
            }
            verbs = ("recover", "delete-empty", "prune", "remove-litter", "unlock", "restore", "expire-trash")
            found += [base | {"verb": verb} for verb in verbs]
            found += [
                base | {"verb": "prune", "members": [[label, way, prints(world, path)]]}
                for label in ("data", "nowhere")
            ]
    return found
