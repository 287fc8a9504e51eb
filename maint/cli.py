"""The command line: arguments in, exit code out; everything else is one floor below.

Exit codes: 0 done, 1 some actions failed or were lost, 2 usage, 3 refused by a limit, 70 a defect of ours, 74 a
store could not be read or written, 75 a store is held by another maintainer, 78 the policy is invalid, 128+N ended
by signal N.
"""

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

import click

from maint import interface, report, terminal
from maint.engine import Listener, Run
from maint.execute import describe
from maint.interface import Ambiguous, NotFound
from maint.journal import timestamp
from maint.report import say
from maint.saved import PlanUnusable, plans_folder, read_plan
from maint.version import VERSION
from policies import Duration, Policy, PolicyInvalid
from store.facts import Place
from store.layout import known_layouts
from store.names import printable

REFUSED, DEFECT, UNREADABLE, INVALID = 3, 70, 74, 78


class _Span(click.ParamType[float]):
    """A duration of the policy language, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            now = time.time()
            return now - Duration.parse(value).before(now, interface.machine_zone())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Moment(click.ParamType[float]):
    """A moment as RFC 3339, or without an offset in the machine's own zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-12-31 or 2026-12-31T03:00:00+01:00", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=interface.machine_zone())).timestamp()


def _options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that several verbs share, by name, so that they mean the same everywhere."""
    known = {
        "policy": click.option(
            "--policy", metavar="FILE", help="The policy; else your own, else the default one."
        ),
        "store": click.option("--store", "stores", multiple=True, metavar="NAME", help="Only this store."),
        "only": click.option("--only", metavar="PASS,...", help="Only these passes, and no end of trash."),
        "jobs": click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Worker processes."),
        "wait": click.option("--wait", type=_Span(), default=0.0, help="How long to wait for a busy store."),
        "json": click.option("--json", "as_json", is_flag=True, help="NDJSON on stdout."),
        "at": click.option("--at", type=_Moment(), help="As if it were that time."),
    }

    def add(verb: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            verb = known[name](verb)
        return verb

    return add


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(VERSION, prog_name="maint")
def cli() -> None:
    """Keep stores of recorded sessions healthy, and never lose one."""


# Runs.


@cli.command()
@_options("policy", "store", "only", "jobs", "wait", "json")
@click.option("--dry-run", is_flag=True, help="The plan only.")
def sweep(
    policy: str | None,
    stores: tuple[str, ...],
    only: str | None,
    jobs: int | None,
    wait: float,
    as_json: bool,
    dry_run: bool,
) -> None:
    """The main job: survey, plan, apply, report."""
    if dry_run:
        _plan(policy, stores, only, jobs, as_json, None, None)
        return
    rules, where = _selection(policy, stores, only)
    speaker = _Speaker(as_json)
    with terminal.stoppable() as stop:
        run = interface.sweep(
            rules, where, jobs=jobs, expire=only is None, wait=wait, listener=speaker.listener(stop)
        )
    if run.refused and run.plan is not None:
        _keep_refused(run)
    speaker.finish(run, where, stop.signal)


@cli.command()
@_options("policy", "store", "only", "jobs", "at", "json")
@click.option("-o", "output", metavar="FILE", help="Save the plan for `maint apply`.")
def plan(
    policy: str | None,
    stores: tuple[str, ...],
    only: str | None,
    jobs: int | None,
    at: float | None,
    as_json: bool,
    output: str | None,
) -> None:
    """What a sweep would do, and why; changes nothing."""
    _plan(policy, stores, only, jobs, as_json, at, output)


def _plan(
    policy: str | None,
    stores: tuple[str, ...],
    only: str | None,
    jobs: int | None,
    as_json: bool,
    at: float | None,
    output: str | None,
) -> None:
    rules, where = _selection(policy, stores, only)
    progress = terminal.Progress()
    with terminal.stoppable() as stop:
        listener = Listener(progress=progress, stop=stop)
        run = interface.plan(rules, where, at=at, jobs=jobs, expire=only is None, listener=listener)
    progress.clear()
    if run.plan is None or not run.plan.complete:
        _end_by(stop.signal or signal.SIGINT)
    if output is not None:
        try:
            _save(run, output)
        except OSError as error:
            _fail(UNREADABLE, f"cannot write the plan: {describe(error)}")
    if as_json:
        for line in report.plan_lines(run.plan):
            _out(line)
        _out(report.summary_line(run))
    else:
        for text in report.planned_text(run.plan, dry=True):
            print(text)
        for text in report.shortened(report.problem_lines(run.summary.problems)):
            say(text)
    for text in report.complaints(run, everything=True):
        say(text.replace("nothing was changed", "a sweep would change nothing"))
    sys.exit(report.exit_code(run))


@cli.command()
@click.argument("file")
@_options("jobs", "wait", "json")
def apply(file: str, jobs: int | None, wait: float, as_json: bool) -> None:
    """Carry out a saved plan; every action is checked against its file first."""
    try:
        saved = read_plan(file, known_layouts())
    except PlanUnusable as error:
        _fail(UNREADABLE, str(error))
    speaker = _Speaker(as_json)
    with terminal.stoppable() as stop:
        run = interface.apply(saved, jobs=jobs, wait=wait, listener=speaker.listener(stop))
    speaker.finish(run, list(saved.places.values()), stop.signal)


@cli.command()
@click.argument("run")
@_options("policy", "store", "wait", "json")
def undo(run: str, policy: str | None, stores: tuple[str, ...], wait: float, as_json: bool) -> None:
    """Put back what a run removed, renamed or rewrote, as far as the grace period allows."""
    _, where = _selection(policy, stores, None)
    speaker = _Speaker(as_json)
    with terminal.stoppable() as stop:
        try:
            done, impossible = interface.undo(
                run, where, wait=wait, listener=speaker.listener(stop, talkative=True)
            )
        except NotFound as error:
            _fail(2, str(error))
    for text in report.shortened(impossible):
        say(f"cannot be taken back: {printable(text)}")
    speaker.finish(
        done, where, stop.signal, always=True, incomplete=bool(impossible) or done.summary.skipped > 0
    )


@cli.command()
@click.argument("session", nargs=-1, required=True)
@click.option("--to", "folder", metavar="DIR", help="Copy it there instead.")
@_options("policy", "store", "wait", "json")
def restore(
    session: tuple[str, ...],
    folder: str | None,
    policy: str | None,
    stores: tuple[str, ...],
    wait: float,
    as_json: bool,
) -> None:
    """Bring sessions back from trash or backup, byte for byte, with mode and mtime."""
    _, where = _selection(policy, stores, None)
    try:
        if folder is not None:
            for each in session:
                print(interface.copy_out(each, where, folder))
            return
        speaker = _Speaker(as_json)
        with terminal.stoppable() as stop:
            run = interface.restore(
                list(session), where, wait=wait, listener=speaker.listener(stop, talkative=True)
            )
    except (NotFound, Ambiguous) as error:
        _fail(2, str(error))
    except FileExistsError as error:
        _fail(1, f"nothing is overwritten: {describe(error)}")
    except OSError as error:
        _fail(UNREADABLE, describe(error))
    speaker.finish(run, where, stop.signal, always=True, incomplete=run.summary.skipped > 0)


# Looking.


@cli.command()
@_options("policy", "store", "jobs", "json")
def status(policy: str | None, stores: tuple[str, ...], jobs: int | None, as_json: bool) -> None:
    """What there is: sessions, bytes, ages, states, and what the next sweep would do."""
    rules, where = _selection(policy, stores, None)
    progress = terminal.Progress()
    run = interface.plan(rules, where, jobs=jobs, listener=Listener(progress=progress))
    progress.clear()
    for store in run.plan.stores if run.plan is not None else []:
        held = [kept.fingerprint.size for _, kept in interface.trashed([store.place])]
        trash = len(held), sum(held)
        if as_json:
            _out(report.status_line(store, trash))
            continue
        for text in report.status_text(store, trash):
            print(text)
    if not as_json:
        for text in report.shortened(report.problem_lines(run.summary.problems)):
            say(text)
    for text in report.complaints(run, everything=True):
        say(text.replace("nothing was changed", "a sweep would change nothing"))
    sys.exit(UNREADABLE if run.unreachable else 0)


@cli.command()
@click.argument("session")
@_options("policy", "store", "at", "json")
def explain(
    session: str, policy: str | None, stores: tuple[str, ...], at: float | None, as_json: bool
) -> None:
    """Every pass's verdict on one session, and when that will change."""
    rules, where = _selection(policy, stores, None)
    moment = time.time() if at is None else at
    told = _found(lambda: interface.explain(session, rules, where, at=moment))
    if as_json:
        _out(report.explanation_line(told))
        return
    for text in report.explanation_text(told, moment, lambda due: timestamp(due, rules)):
        print(text)


@cli.command(name="list")
@click.option("--trashed", is_flag=True, help="What waits in the trash and among the backups.")
@_options("policy", "store", "json")
def list_(trashed: bool, policy: str | None, stores: tuple[str, ...], as_json: bool) -> None:
    """The sessions of the stores, by id."""
    rules, where = _selection(policy, stores, None)
    try:
        if trashed:
            for place, kept in interface.trashed(where):
                _out(
                    report.trashed_line(place, kept)
                    if as_json
                    else report.trashed_row(place, kept).encode() + b"\n"
                )
            return
        now = time.time()
        for session in interface.sessions(rules, where):
            _out(
                report.session_line(session) if as_json else report.session_row(session, now).encode() + b"\n"
            )
    except OSError as error:
        _fail(UNREADABLE, describe(error))


@cli.command()
@click.argument("session")
@click.option("--raw", is_flag=True, help="The bytes of the session, as they are.")
@_options("policy", "store", "json")
def show(session: str, raw: bool, policy: str | None, stores: tuple[str, ...], as_json: bool) -> None:
    """One session: its facts and its records."""
    rules, where = _selection(policy, stores, None)
    place, found = _found(lambda: interface.find(session, rules, where))
    if as_json:
        _out(report.session_line(found))
        return
    if not raw:
        print(report.session_row(found, time.time()))
    try:
        for text in interface.content(place, found, raw=raw):
            _out(text)
    except OSError as error:
        _fail(UNREADABLE, describe(error))


@cli.command()
@click.argument("run", required=False)
@_options("policy", "store", "json")
def log(run: str | None, policy: str | None, stores: tuple[str, ...], as_json: bool) -> None:
    """The runs that were, and what each of them did."""
    _, where = _selection(policy, stores, None)
    try:
        known = False
        for line in interface.log(run, where):
            known = True
            _out(report.log_line(line) if as_json else report.log_text(line).encode() + b"\n")
    except OSError as error:
        _fail(UNREADABLE, describe(error))
    if run is not None and not known:
        _fail(2, f"no store has a run {printable(run)!r}; `maint log` lists them")


# The policy language's own tools.


@cli.group(name="policy")
def policy_() -> None:
    """Check, show and describe policies."""


@policy_.command(name="check")
@click.argument("file")
def policy_check(file: str) -> None:
    """Whether a policy is valid; everything that is wrong with it, and what is odd."""
    try:
        checked = interface.check(file)
    except OSError as error:
        _fail(UNREADABLE, f"cannot read the policy: {describe(error)}")
    for lint in checked.lints:
        print(f"{lint}\n  (this is no error)", file=sys.stderr)
    if checked.errors:
        _complain_of_policy(PolicyInvalid(checked.errors))
    print(
        f"{printable(file)}: valid, with {len(checked.lints)} remarks" if checked.lints else f"{file}: valid"
    )


@policy_.command(name="show")
@click.option("--policy", metavar="FILE", help="The policy; else your own, else the default one.")
def policy_show(policy: str | None) -> None:
    """The policy that is in force, and the stores it is for."""
    rules = _policy(policy)
    text, source = interface.read_policy(policy)
    print(f"# {source}")
    for place in interface.places(rules):
        print(f"# store {place.name}: {place.kind}, {printable(place.path)}")
    _out(text)


@policy_.command(name="schema")
def policy_schema() -> None:
    """The JSON Schema of policies, for editors."""
    _out(report.pretty(interface.schema()))


@cli.command()
@click.option("--keep", is_flag=True, help="Leave the folder of the demo for a look around.")
def demo(keep: bool) -> None:
    """Build a small store with every ailment, sweep it, and show before, after and why."""
    from maint.demo import show_demo  # noqa: PLC0415  nobody else needs it

    show_demo(keep=keep)


# What all verbs share.


class _Speaker:
    """What is said of a run while it goes on and when it is over."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._progress = terminal.Progress()
        self._total = 0
        self._done = 0

    def listener(self, stop: terminal.Stop, *, talkative: bool = False) -> Listener:
        return Listener(
            progress=self._progress,
            planned=self._planned,
            outcome=self._talk if talkative and not self._json else self._outcome,
            stop=stop,
        )

    def _planned(self, plan: Any) -> None:
        self._total = sum(store.planned.total() for store in plan.stores)
        if self._json:
            for line in report.plan_lines(plan):
                _out(line)

    def _outcome(self, outcome: Any) -> None:
        self._done += 1
        if self._json:
            _out(report.outcome_line(outcome))
            return
        text = report.bad_outcome_text(outcome)
        if text is not None:
            self._progress.clear()
            say(text)
        if self._total:
            self._progress("carrying out", self._done, self._total)

    def _talk(self, outcome: Any) -> None:
        self._outcome(outcome)
        if outcome.result == "skipped":
            say(f"not done: {printable(outcome.path)}: {outcome.detail}")

    def finish(
        self,
        run: Run,
        where: list[Place],
        stopped_by: int | None,
        *,
        always: bool = False,
        incomplete: bool = False,
    ) -> NoReturn:
        """Report the end of a run, and exit with its code."""
        self._progress.clear()
        interactive = terminal.is_interactive()
        lines = report.problem_lines(run.summary.problems)
        news = lines if interactive or self._json else interface.news(lines, run, where)
        if self._json:
            _out(report.summary_line(run))
        else:
            for text in report.shortened(news):
                say(text)
            if interactive or always:
                for text in report.summary_text(run):
                    print(text)
        for text in report.complaints(run, everything=interactive):
            say(text)
        if stopped_by is not None:
            _end_by(stopped_by)
        code = report.exit_code(run)
        sys.exit(1 if incomplete and code == 0 else code)


def _selection(policy: str | None, stores: tuple[str, ...], only: str | None) -> tuple[Policy, list[Place]]:
    """The policy and the places that a verb is to work on; ends with a usage error for unknown names."""
    rules = _policy(policy)
    where = interface.places(rules)
    if stores:
        known = [place.name for place in where]
        unknown = [name for name in stores if name not in known]
        if unknown:
            _fail(2, f"no store {unknown[0]!r} here; there is {', '.join(known) or 'none'}")
        where = [place for place in where if place.name in stores]
    if only is not None:
        wanted = tuple(name.strip() for name in only.split(","))
        has = [each.pass_name for each in rules.passes]
        missing = [name for name in wanted if name not in has]
        if missing:
            _fail(2, f"the policy has no pass {missing[0]!r}; it has {', '.join(has)}")
        rules = interface.only(rules, wanted)
    if not where and terminal.is_interactive():
        say("there is no store at any default place; name yours in a policy (see `maint policy show`)")
    return rules, where


def _policy(path: str | None) -> Policy:
    try:
        return interface.load(path)
    except PolicyInvalid as error:
        _complain_of_policy(error)
    except OSError as error:
        _fail(UNREADABLE, f"cannot read the policy: {describe(error)}")


def _complain_of_policy(error: PolicyInvalid) -> NoReturn:
    print("\n".join(str(each) for each in error.errors), file=sys.stderr)
    count = len(error.errors)
    _fail(INVALID, f"{count} mistake{'s' if count != 1 else ''} in the policy; nothing was touched")


def _found(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (NotFound, Ambiguous) as error:
        _fail(2, str(error))
    except OSError as error:
        _fail(UNREADABLE, describe(error))


def _save(run: Run, path: str) -> None:
    """Write a plan as a file, whole or not at all."""
    assert run.plan is not None
    beside = f"{path}.{os.getpid()}.new"
    with open(beside, "xb") as file:
        file.writelines(report.plan_lines(run.plan))
        file.write(report.summary_line(run))
    os.replace(beside, path)


def _keep_refused(run: Run) -> None:
    """Keep a refused plan for review."""
    folder = plans_folder(os.environ, os.path.expanduser("~"))
    path = os.path.join(folder, f"{run.id}.ndjson")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _save(run, path)
    except OSError as error:
        say(f"the refused plan could not be kept: {describe(error)}")
    else:
        say(f"the plan is kept for review; to carry it out all the same: maint apply {path}")


def _out(data: bytes) -> None:
    """Write bytes to stdout, behind whatever was printed before."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)


def _fail(code: int, text: str) -> NoReturn:
    say(text)
    sys.exit(code)


def _end_by(number: int) -> NoReturn:
    sys.exit(128 + number)


def main() -> None:
    """The program: no user's mistake ends in a traceback, and a defect of ours says that it is one."""
    gc.disable()  # a run makes very many objects and hardly a cycle, and then it ends
    try:
        cli(standalone_mode=True)
    except terminal.Stopped as stopped:
        _end_by(stopped.signal)
    except KeyboardInterrupt:
        _end_by(signal.SIGINT)
    except BrokenPipeError:
        # Whoever read our output had enough of it, which is no error; Python must not flush into the pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        if os.environ.get("MAINT_DEBUG"):
            raise
        say(f"defect: {type(error).__name__}: {error}")
        say("no session is lost by it; please report it, with what MAINT_DEBUG=1 prints")
        sys.exit(DEFECT)
