"""The verbs that look and change nothing."""

import sys
import time

import click

from maint import explaining, finding, interface, ndjson, report, terminal
from maint.cli.ending import UNREADABLE, fail, out
from maint.cli.options import options, or_fail, selection
from maint.journal import timestamp
from maint.run import Listener
from maint.talk import say
from store.names import printable


@click.command(name="status")
@options("policy", "store", "jobs", "json")
def status_(policy: str | None, stores: tuple[str, ...], jobs: int | None, as_json: bool) -> None:
    """What there is: sessions, bytes, ages, states, and what the next sweep would do."""
    rules, where = selection(policy, stores, None)
    progress = terminal.Progress()
    run = interface.plan(rules, where, jobs=jobs, listener=Listener(progress=progress))
    progress.clear()
    for store in run.plan.stores if run.plan is not None else []:
        held = [kept.fingerprint.size for _, kept in finding.trashed([store.place])]
        trash = len(held), sum(held)
        if as_json:
            out(ndjson.status_line(store, trash))
            continue
        for text in report.status_text(store, trash):
            print(text)
    if not as_json:
        for text in report.shortened(report.problem_lines(run.summary.problems)):
            say(text)
    for text in report.complaints(run, everything=True):
        say(text.replace("nothing was changed", "a sweep would change nothing"))
    sys.exit(UNREADABLE if run.unreachable else 0)


@click.command(name="explain")
@click.argument("session")
@options("policy", "store", "at", "json")
def explain_(
    session: str, policy: str | None, stores: tuple[str, ...], at: float | None, as_json: bool
) -> None:
    """Every pass's verdict on one session, and when that will change."""
    rules, where = selection(policy, stores, None)
    moment = time.time() if at is None else at
    told = or_fail(lambda: explaining.explain(session, rules, where, at=moment))
    if as_json:
        out(ndjson.explanation_line(told))
        return
    for text in report.explanation_text(told, moment, lambda due: timestamp(due, rules)):
        print(text)


@click.command(name="list")
@click.option("--trashed", is_flag=True, help="What waits in the trash and among the backups.")
@options("policy", "store", "json")
def list_(trashed: bool, policy: str | None, stores: tuple[str, ...], as_json: bool) -> None:
    """The sessions of the stores, by id."""
    rules, where = selection(policy, stores, None)
    if trashed:
        for place, kept in finding.trashed(where):
            row = report.trashed_row(place, kept).encode() + b"\n"
            out(ndjson.trashed_line(place, kept) if as_json else row)
        return
    now = time.time()
    for place, session in finding.sessions(rules, where):
        row = report.session_row(session, now).encode() + b"\n"
        out(ndjson.session_line(place, session) if as_json else row)


@click.command(name="show")
@click.argument("session")
@click.option("--raw", is_flag=True, help="The bytes of the session, as they are.")
@options("policy", "store", "json")
def show_(session: str, raw: bool, policy: str | None, stores: tuple[str, ...], as_json: bool) -> None:
    """One session: its facts and its records."""
    rules, where = selection(policy, stores, None)
    place, found = or_fail(lambda: finding.find(session, rules, where))
    if as_json:
        out(ndjson.session_line(place, found))
        return
    if not raw:
        print(report.session_row(found, time.time()))
    for text in finding.content(place, found, raw=raw):
        out(text)


@click.command(name="log")
@click.argument("run", required=False)
@options("policy", "store", "json")
def log_(run: str | None, policy: str | None, stores: tuple[str, ...], as_json: bool) -> None:
    """The runs that were, and what each of them did."""
    _, where = selection(policy, stores, None)
    known = False
    for line in interface.log(run, where):
        known = True
        out(ndjson.log_line(line) if as_json else report.log_text(line).encode() + b"\n")
    if run is not None and not known:
        fail(2, f"no store has a run {printable(run)!r}; `maint log` lists them")
