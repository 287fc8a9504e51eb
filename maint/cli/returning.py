"""The verbs that bring something back."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from maint import archived, interface, report, terminal
from maint.cli.arguments import argument, command
from maint.cli.ending import UNREADABLE, fail
from maint.cli.options import JOBS, JSON, POLICY, STORE, WAIT, span
from maint.cli.problems import fail_to_find, tell
from maint.cli.speaker import Speaker
from maint.cli.stores import only_stores_of
from maint.finding import Ambiguous, NotFound
from maint.reaching import describe
from maint.talk import say
from store.facts import Place, Problem
from store.frames import Damaged
from store.looking import Skip
from store.names import printable


@command(argument("run", metavar="RUN"), POLICY, STORE, WAIT, JSON)
def undo_(run: str, policy: str | None, stores: Sequence[str], wait: float, as_json: bool) -> None:
    """Put back what a run removed, renamed or rewrote, as far as the grace period allows."""
    where = only_stores_of(policy, stores)
    speaker = Speaker(as_json)
    with terminal.stoppable() as stop:
        try:
            done, impossible = interface.undo(
                run, where, wait=wait, listener=speaker.listener(stop, talkative=True)
            )
        except NotFound as error:
            fail(2, str(error))
    for text in report.shortened(impossible):
        say(f"cannot be taken back: {printable(text)}")
    speaker.finish(
        done, where, stop.signal, always=True, incomplete=bool(impossible) or done.summary.skipped > 0
    )


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

    A SESSION is an id, the beginning of one, or a name; with * or ?, or with --older-than, it is a pattern for
    sessions in packs, and all that match come back.
    With --to, a session of one file goes by the name of that, one of several by their paths in its store.
    """
    if not session and older_than is None:
        fail(2, "name a SESSION, or give --older-than for all in packs that are older")
    many = older_than is not None or any(char in each for each in session for char in "*?[")
    before = time.time() - older_than if older_than is not None else None
    where = only_stores_of(policy, stores)
    speaker = Speaker(as_json)
    try:
        if folder is not None:
            _copy(list(session), where, folder, many=many, ended_before=before)
            return
        with terminal.stoppable() as stop:
            listener = speaker.listener(stop, talkative=True)
            if many:
                run = interface.restore_all(
                    list(session), where, ended_before=before, jobs=jobs, wait=wait, listener=listener
                )
            else:
                run = interface.restore(list(session), where, jobs=jobs, wait=wait, listener=listener)
    except (NotFound, Ambiguous) as error:
        fail_to_find(error)
    except OSError as error:
        fail(UNREADABLE, describe(error))
    speaker.finish(run, where, stop.signal, always=True, incomplete=run.summary.skipped > 0)


def _copy(
    sessions: list[str], where: list[Place], folder: str, *, many: bool, ended_before: float | None
) -> None:
    """Copy sessions to a folder, and say where they are; those that cannot be copied are told, and the others go on."""
    bad = False
    problems: list[Problem] = []
    chosen: Iterable[Callable[[], list[str]]]
    if many:
        chosen = (
            partial(archived.copy_out, place, each, folder)
            for place, found in archived.select(where, sessions, ended_before, problems.append)
            for each in found
        )
    else:
        chosen = (partial(interface.copy_out, each, where, folder) for each in sessions)
    for copy in chosen:
        try:
            for path in copy():
                print(printable(path))
        except FileExistsError as error:
            say(f"nothing is overwritten: {describe(error)}")
            bad = True
        except Skip as reason:
            say(f"nothing is copied of a session of which a file {reason}; try again")
            bad = True
        except Damaged as error:
            say(f"its pack is damaged: {error}; see `maint verify`")
            bad = True
    tell(problems)
    if bad or problems:
        sys.exit(1)
