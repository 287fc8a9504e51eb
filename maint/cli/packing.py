"""The verb that archives, without a policy that says so."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from maint import interface, terminal
from maint.cli.arguments import Mistaken, argument, command, number
from maint.cli.ending import UNREADABLE, fail
from maint.cli.options import JOBS, JSON, POLICY, STORE, WAIT
from maint.cli.rules import policy_in_force
from maint.cli.runs import keep_refused, show_plan
from maint.cli.speaker import Speaker
from maint.cli.stores import places_of, tell_of_none
from maint.passes import archive as archiving
from maint.reaching import describe
from maint.talk import say
from maint.whereabouts import NoStore, place_at
from policies import Duration, Policy
from store.facts import Place
from store.names import printable


def age(text: str) -> Duration:
    """A duration of the policy language, as it is written."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise Mistaken(str(error)) from error


@command(
    argument("path", nargs="?", metavar="PATH"),
    argument(
        "--older-than", type=age, metavar="D", required=True, help="sessions that ended longer ago than this"
    ),
    argument(
        "--level",
        type=number(1, 19),
        default=3,
        metavar="N",
        help="how hard to compress (default: %(default)s)",
    ),
    argument("--into", metavar="DIR", help="the folder for the packs; it must exist"),
    argument(
        "--originals",
        choices=["remove", "trash", "keep"],
        default="remove",
        help="what becomes of the files in the store (default: %(default)s)",
    ),
    argument(
        "--part",
        choices=["whole", "payload"],
        default="whole",
        help="all of a session, or only its logs, so that it stays (default: %(default)s)",
    ),
    argument("--dry-run", action="store_true", help="the plan only"),
    POLICY,
    STORE,
    JOBS,
    WAIT,
    JSON,
)
def archive_(
    path: str | None,
    older_than: Duration,
    level: int,
    into: str | None,
    originals: Literal["remove", "trash", "keep"],
    part: Literal["whole", "payload"],
    dry_run: bool,
    policy: str | None,
    stores: Sequence[str],
    jobs: int | None,
    wait: float,
    as_json: bool,
) -> None:
    """Archive old sessions of the store at PATH, of the named stores, or of all, into packs.

    Each pack is read back and compared before an original goes; `maint restore` brings sessions back.
    A policy of yours still protects what it protects, and sets the limits.
    """
    if path is not None and stores:
        fail(2, "name the store by its PATH or by --store, not by both")
    if part == "payload" and originals == "keep":
        fail(2, "a payload is archived to be rid of it: leave out --originals keep")
    rules = policy_in_force(policy)
    folder = _folder(into) if into is not None else None
    wanted = archiving.Options(
        pass_name="archive",
        older_than=older_than,
        level=level,
        originals=originals,
        part=part,
        into=folder,
    )
    rules = replace(rules, passes=(wanted,))
    where = _at(path, rules) if path is not None else places_of(rules, stores)
    tell_of_none(where)
    if dry_run:
        show_plan(rules, where, jobs=jobs, expire=False, as_json=as_json)
    speaker = Speaker(as_json)
    with terminal.stoppable() as stop:
        run = interface.sweep(
            rules,
            where,
            jobs=jobs,
            expire=False,
            wait=wait,
            listener=speaker.listener(stop, talkative=True),
            command="archive",
        )
    keep_refused(run)
    if run.summary.done and not any(each.path == where[0].path for each in places_of(rules, ())):
        say(
            f"no policy names the store at {printable(where[0].path)}: name it in yours to list or restore from it"
        )
    speaker.finish(run, where, stop.signal, always=terminal.is_interactive())


def _folder(into: str) -> str:
    """The folder that packs are to go to, absolute; the end where there is none, as where a disk is not mounted."""
    if not into:
        fail(2, "the folder for packs has an empty name")
    found = os.path.abspath(os.path.expanduser(into))
    if not os.path.isdir(found):
        fail(UNREADABLE, f"there is no folder for packs at {printable(found)}: make it, or mount it, first")
    return found


def _at(path: str, rules: Policy) -> list[Place]:
    """The store at a path: one that the policy names, however it is spelled there, or whatever lies there."""
    if not path:
        fail(2, "the PATH of the store is empty")
    full = os.path.abspath(os.path.expanduser(path))
    named = {os.path.realpath(place.path): place for place in reversed(places_of(rules, ()))}
    if (place := named.get(os.path.realpath(full))) is not None:
        return [place]
    try:
        found = place_at(full, time.time())
    except NoStore as error:
        fail(2, str(error))
    except OSError as error:
        fail(UNREADABLE, describe(error))
    # A path within a store leads to all of it.
    return [named.get(os.path.realpath(found.path), found)]
