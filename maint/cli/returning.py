"""The verb that brings sessions back: to their places, or as copies somewhere else."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from maint import archived, ndjson, waiting
from maint.cli.arguments import argument, command
from maint.cli.ending import fail, out
from maint.cli.options import JOBS, JSON, POLICY, STORE, WAIT, or_fail, span
from maint.cli.problems import tell
from maint.cli.stores import only_stores_of
from maint.reaching import describe
from maint.talk import say
from store.facts import Place, Problem
from store.frames import Damaged
from store.looking import Skip
from store.names import printable

if TYPE_CHECKING:
    from maint.run import Run


@command(
    argument("session", metavar="SESSION", nargs="*"),
    argument("--older-than", type=span, metavar="D", help="all in packs that ended longer ago than this"),
    argument("--to", dest="folder", metavar="DIR", help="copy them there instead"),
    POLICY,
    STORE,
    JOBS,
    WAIT,
    JSON,
)
def restore_(
    session: Sequence[str],
    older_than: float | None,
    folder: str | None,
    policy: str | None,
    stores: Sequence[str],
    jobs: int | None,
    wait: float,
    as_json: bool,
) -> None:
    """Bring sessions back from archive, trash or backup, byte for byte, with mode and mtime.

    A SESSION is an id, the beginning of one, or a name. With --older-than, or where one of them has * or ? in it, all
    sessions in packs that match one of them come back.
    With --to, a session of one file goes by the name of that, one of several by their paths in its store.
    """
    if not session and older_than is None:
        fail(2, "name a SESSION, or give --older-than for all in packs that are older")
    many = older_than is not None or any(archived.is_pattern(each) for each in session)
    before = time.time() - older_than if older_than is not None else None
    where = only_stores_of(policy, stores)
    names = list(session)
    if folder is not None:
        or_fail(lambda: _copy(names, where, folder, many=many, ended_before=before, as_json=as_json))
    else:
        _bring_back(names, where, many=many, ended_before=before, jobs=jobs, wait=wait, as_json=as_json)


def _bring_back(
    sessions: list[str],
    where: list[Place],
    *,
    many: bool,
    ended_before: float | None,
    jobs: int | None,
    wait: float,
    as_json: bool,
) -> None:
    """Bring sessions back to their places, by a run, and say what became of it."""
    from maint import interface, terminal  # noqa: PLC0415  10 ms that a copy need not spend
    from maint.cli.speaker import Speaker  # noqa: PLC0415

    speaker = Speaker(as_json)
    met: set[str] = set()
    with terminal.stoppable() as stop:
        listener = speaker.listener(stop, talkative=True)
        bring: Callable[..., Run]
        if many:
            bring = partial(interface.restore_all, sessions, where, ended_before=ended_before, met=met)
        else:
            bring = partial(interface.restore, sessions, where)
        run = or_fail(partial(bring, jobs=jobs, wait=wait, listener=listener))
    seen = many and not (run.busy or run.unreachable or stop.signal)
    missed = seen and _tell_unmet(sessions, met)
    speaker.finish(run, where, stop.signal, always=True, incomplete=missed or run.summary.skipped > 0)


def _tell_unmet(sessions: list[str], met: set[str]) -> bool:
    """Say which names match nothing in a pack; whether one of them is no pattern, so that a session is missing."""
    unmet = [each for each in sessions if each not in met]
    if unmet:
        say(f"no session in a pack matches {' or '.join(repr(printable(each)) for each in unmet)}")
    return not all(map(archived.is_pattern, unmet))


def _copy(
    sessions: list[str],
    where: list[Place],
    folder: str,
    *,
    many: bool,
    ended_before: float | None,
    as_json: bool,
) -> None:
    """Copy sessions to a folder, and say where they are; those that cannot be copied are told, and the others go on."""
    copied = failed = 0
    met: set[str] = set()
    problems: list[Problem] = []
    chosen: Iterable[Callable[[], list[str]]]
    if many:
        chosen = (
            partial(archived.copy_out, place, each, folder)
            for place, found in archived.select(where, sessions, ended_before, problems.append, met)
            for each in found
        )
    else:
        chosen = (partial(waiting.copy_out, each, where, folder) for each in sessions)
    for copy in chosen:
        try:
            paths = copy()
            copied += len(paths)
            for path in paths:
                out(ndjson.copied_line(path)) if as_json else print(printable(path))
        except FileExistsError as error:
            say(f"nothing is overwritten: {describe(error)}")
            failed += 1
        except Skip as reason:
            say(f"nothing is copied of a session of which a file {reason}; try again")
            failed += 1
        except Damaged as error:
            say(f"its pack is damaged: {error}; see `maint verify`")
            failed += 1
    if as_json:
        out(ndjson.copies_line(copied, failed, problems))
    else:
        tell(problems)
    missed = many and _tell_unmet(sessions, met)
    if failed or problems or missed:
        sys.exit(1)
