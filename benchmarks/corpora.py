"""Stores of any size to measure against: seeded, with realistic sizes, ages and ailments.

Sizes are lognormal with a heavy tail: the median session is a few kilobytes, and one in a hundred holds most of
the bytes.
A corpus is built once for a seed and a size and used again; its stamp says what it was built by, and one of another
make is built anew.
"""

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from store.layouts.rec import specimens as rec

VERSION = 1
"""To be raised with every change that makes another corpus from the same seed."""

DAY = 86_400.0

AILMENTS = {
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
"""Shares of what a store holds; leftovers are files beside the sessions."""


def rec_store(folder: Path, sessions: int, seed: int = 1) -> Path:
    """A store of rec below ``folder`` with so many sessions; its sessions lie in ``sessions``, its state in ``state``."""
    root = folder / f"rec-{sessions}-{seed}"
    stamp = root / "stamp.json"
    wanted = {"version": VERSION, "sessions": sessions, "seed": seed}
    if stamp.is_file() and json.loads(stamp.read_text()) == wanted:
        return root
    shutil.rmtree(root, ignore_errors=True)
    (root / "sessions").mkdir(parents=True)
    (root / "state").mkdir()
    handle = os.open(root / "sessions", os.O_RDONLY)
    try:
        for name, content, changed in rec_files(sessions, seed, time.time()):
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=handle)
            os.write(fd, content)
            os.close(fd)
            os.utime(name, (changed, changed), dir_fd=handle)
    finally:
        os.close(handle)
    stamp.write_text(json.dumps(wanted))
    return root


def rec_files(sessions: int, seed: int, now: float) -> Iterator[tuple[str, bytes, float]]:
    """Name, content and modification time of every file of a corpus."""
    rng = random.Random(seed)
    kinds, shares = list(AILMENTS), list(AILMENTS.values())
    for number in range(sessions):
        id_ = rec.session_id(number + 1)
        kind = rng.choices(kinds, shares)[0]
        ended = now - rng.expovariate(1 / (200 * DAY)) - 3 * DAY
        commands = max(1, min(4000, int(rng.lognormvariate(2.3, 1.2))))
        yield from _files_of(id_, kind, ended, commands, now, rng)


def _files_of(
    id_: str, kind: str, ended: float, commands: int, now: float, rng: random.Random
) -> Iterator[tuple[str, bytes, float]]:
    began = ended - 60.0 * commands
    name, tags = f"session-{id_[:8]}", rng.choices([[], ["keep"], ["deploy", "prod"]], [0.9, 0.02, 0.08])[0]
    project = f"/home/ana/project-{rng.randrange(40)}"
    head = rec.header(id_, name, began, tags=tags, env=rec.ENV | {"PWD": project})
    body = b"".join(rec.command(i, f"make target-{i} --verbose", began + 60.0 * i) for i in range(commands))
    foot = rec.footer(ended, commands)
    entry = f"{id_}.ndjson"
    match kind:
        case "complete":
            yield entry, head + body + foot, ended
        case "crashed":
            yield entry, head + body, ended
        case "torn":
            yield entry, head + body + b'{"type":"command","index":9,"comm', ended
        case "empty":
            yield entry, head + rec.footer(ended, 0), ended
        case "leaked":
            yield entry, head + rec.command(0, "rec stop", began - 90) + rec.footer(ended, 1), ended
        case "recovered":
            marked = rec.header(id_, f"recovered-{id_[:8]}", began, recovered=True)
            yield entry, marked + body + foot, ended
        case "headerless":
            yield entry, body, ended
        case "nuls":
            yield entry, head + body + bytes(1024), ended
        case "live":
            yield entry, head + body, now - 30
        case _:
            yield entry, head + body + foot, ended
            yield f"{id_}.ndjson.tmp", head[:60], ended
