"""Which problems are news: cron is told of each one once, and again only when it comes back."""

import os
from contextlib import suppress

from maint.engine import Run
from maint.execute import open_roots
from maint.owner import as_owner
from store import durable, names, opening
from store.facts import Place

REPORTED_LIMIT = 16 << 20
"""Bytes of spoken problems that are remembered; beyond that some are told again."""


def news(lines: list[str], run: Run, stores: list[Place]) -> list[str]:
    """Those problems that no earlier run has spoken of; remembers all of them.

    A problem that nobody mends is told once and not every night; one that was mended and comes back is told anew.
    """
    fresh = set(lines)
    busy = {each.place.name for each in run.busy}
    for place in stores:
        if place.name in busy:
            continue
        mine = "\n".join(line for line in lines if line.startswith(f"{place.name}: "))
        try:
            with as_owner(place.path), open_roots(place) as roots:
                before = _reported(roots[roots.first])
                fresh.difference_update(before.split("\n"))
                if before != mine:
                    with suppress(FileNotFoundError):  # of a run that was killed while it wrote
                        os.unlink(names.REPORTED_NEW, dir_fd=roots[roots.first])
                    durable.replace_file(
                        roots[roots.first], names.REPORTED, mine.encode(), names.REPORTED_NEW
                    )
        except OSError:
            continue
    return [line for line in lines if line in fresh]


def _reported(root: int) -> str:
    try:
        fd = opening.open_below(root, names.REPORTED)
    except FileNotFoundError:
        return ""
    with open(fd, "rb") as file:
        return file.read(REPORTED_LIMIT).decode(errors="replace")
