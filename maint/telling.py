"""Which problems are news: cron is told of each one once, and again only when it comes back."""

import os
from contextlib import suppress

from maint.owner import as_owner
from maint.reaching import describe, open_roots
from maint.run import Run
from store import durable, names, opening
from store.facts import Place, Problem

REPORTED_LIMIT = 16 << 20
"""Bytes of spoken problems that are remembered; beyond that some are told again."""


def news(problems: list[Problem], run: Run, stores: list[Place]) -> list[Problem]:
    """Those problems that no earlier run has spoken of; remembers all of them.

    Only a run that looked at all of a store knows what is no longer wrong with it: others forget nothing.
    A problem that nobody mends is told once and not every night; one that was mended and comes back is told anew.
    """
    told: set[str] = set()
    busy = {each.place.name for each in run.busy}
    surveyed = run.plan is not None
    for place in stores:
        if place.name in busy:
            continue
        lines = {_line(each) for each in problems if each.store == place.name}
        try:
            with as_owner(place.path), open_roots(place) as roots:
                before = _reported(roots[roots.first])
                told.update(f"{place.name}: {line}" for line in before.split("\n"))
                if not surveyed:
                    lines.update(filter(None, before.split("\n")))
                mine = "\n".join(sorted(lines))
                if before != mine:
                    with suppress(FileNotFoundError):  # of a run that was killed while it wrote
                        os.unlink(names.REPORTED_NEW, dir_fd=roots[roots.first])
                    durable.replace_file(
                        roots[roots.first], names.REPORTED, mine.encode(), names.REPORTED_NEW
                    )
        except durable.Poisoned as error:
            text = (
                f"should say which problems were told of, but could not be written ({describe(error)}); "
                "some may be told again; see that it can be written"
            )
            run.unwritten.append(Problem(place.name, names.REPORTED, text, grave=True))
        except OSError:
            continue
    return [each for each in problems if f"{each.store}: {_line(each)}" not in told]


def _line(problem: Problem) -> str:
    return f"{problem.path}: {problem.text}"


def _reported(root: int) -> str:
    try:
        fd = opening.open_below(root, names.REPORTED)
    except FileNotFoundError:
        return ""
    with open(fd, "rb") as file:
        return file.read(REPORTED_LIMIT).decode(errors="replace")
