"""The verbs that make plans and carry them out."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from maint import interface, laps, ndjson, report, terminal
from maint.cli.arguments import argument, command
from maint.cli.ending import UNREADABLE, end_by, fail, out, out_lines
from maint.cli.options import AT, JOBS, JSON, ONLY, POLICY, PROFILE, STORE, WAIT
from maint.cli.problems import tell
from maint.cli.rules import selection
from maint.cli.speaker import Speaker, tell_laps
from maint.reaching import describe
from maint.run import Listener, Run
from maint.saved import PlanUnusable, forget_old_plans, plans_folder, read_plan
from maint.talk import say
from policies import Policy
from store.facts import Place
from store.names import printable


@command(
    POLICY,
    STORE,
    ONLY,
    JOBS,
    WAIT,
    PROFILE,
    JSON,
    argument("--dry-run", action="store_true", help="the plan only"),
)
def sweep_(
    policy: str | None,
    stores: Sequence[str],
    only: str | None,
    jobs: int | None,
    wait: float,
    profile: bool,
    as_json: bool,
    dry_run: bool,
) -> None:
    """The main job: survey, plan, apply, report."""
    if profile:
        laps.begin()
    rules, where = selection(policy, stores, only)
    if dry_run:
        show_plan(rules, where, jobs=jobs, expire=only is None, as_json=as_json)
    speaker = Speaker(as_json)
    with terminal.stoppable() as stop:
        run = interface.sweep(
            rules, where, jobs=jobs, expire=only is None, wait=wait, listener=speaker.listener(stop)
        )
    keep_refused(run)
    speaker.finish(run, where, stop.signal)


@command(
    POLICY,
    STORE,
    ONLY,
    JOBS,
    AT,
    PROFILE,
    JSON,
    argument("-o", dest="output", metavar="FILE", help="save the plan for `maint apply`"),
)
def plan_(
    policy: str | None,
    stores: Sequence[str],
    only: str | None,
    jobs: int | None,
    at: float | None,
    profile: bool,
    as_json: bool,
    output: str | None,
) -> None:
    """What a sweep would do, and why; changes nothing."""
    if profile:
        laps.begin()
    rules, where = selection(policy, stores, only)
    show_plan(rules, where, jobs=jobs, expire=only is None, as_json=as_json, at=at, output=output)


def show_plan(
    rules: Policy,
    where: list[Place],
    *,
    jobs: int | None,
    expire: bool,
    as_json: bool,
    at: float | None = None,
    output: str | None = None,
) -> NoReturn:
    """Make the plan, print it, perhaps save it, and exit with its code."""
    progress = terminal.Progress()
    with terminal.stoppable() as stop:
        listener = Listener(progress=progress, stop=stop)
        run = interface.plan(rules, where, at=at, jobs=jobs, expire=expire, listener=listener)
    progress.clear()
    if run.plan is None or not run.plan.complete:
        end_by(stop.signal or signal.SIGINT)
    if output is not None:
        try:
            _save(run, output)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            fail(UNREADABLE, f"cannot write the plan to {printable(output)!r}: {why}")
    if as_json:
        out_lines(ndjson.plan_lines(run.plan))
        tell_laps(run, as_json=True)
        out(ndjson.summary_line(run))
    else:
        for text in report.planned_text(run.plan, dry=True):
            print(text)
        tell_laps(run, as_json=False)
        tell(run.summary.problems)
    for text in report.complaints(run, everything=True):
        say(text.replace("nothing was changed", "a sweep would change nothing"))
    sys.exit(report.exit_code(run))


@command(argument("file", metavar="FILE"), JOBS, WAIT, JSON)
def apply_(file: str, jobs: int | None, wait: float, as_json: bool) -> None:
    """Carry out a saved plan; every action is checked against its file first."""
    speaker = Speaker(as_json)
    try:
        saved = read_plan(file)
        if as_json:
            out_lines(saved.lines())
        with terminal.stoppable() as stop:
            listener = speaker.listener(stop, talkative=True)
            run = interface.apply(saved, jobs=jobs, wait=wait, listener=listener)
    except PlanUnusable as error:
        fail(UNREADABLE, str(error))
    speaker.finish(run, list(saved.places.values()), stop.signal)


def _save(run: Run, path: str) -> None:
    """Write a plan as a file, whole or not at all."""
    assert run.plan is not None
    beside = f"{path}.{os.getpid()}.new"
    try:
        with open(beside, "xb") as file:
            file.writelines(ndjson.plan_lines(run.plan))
            file.write(ndjson.summary_line(run))
        os.replace(beside, path)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def keep_refused(run: Run) -> None:
    """Keep the plan for review, if it was refused."""
    if not run.refused or run.plan is None:
        return
    folder = plans_folder(os.environ, os.path.expanduser("~"))
    path = os.path.join(folder, f"{run.id}.ndjson")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _save(run, path)
    except OSError as error:
        say(f"the refused plan could not be kept: {describe(error)}")
    else:
        say(f"the plan is kept for review; to carry it out all the same: maint apply {path}")
        forget_old_plans(folder)
