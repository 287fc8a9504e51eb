"""The verbs that look ahead: what a sweep would do, and why."""

import sys
import time
from collections.abc import Sequence

from maint import explaining, finding, interface, ndjson, report, terminal
from maint.cli.arguments import argument, command
from maint.cli.ending import UNREADABLE, out
from maint.cli.options import AT, JOBS, JSON, POLICY, STORE, or_fail
from maint.cli.problems import tell
from maint.cli.rules import selection
from maint.journal import timestamp
from maint.run import Listener
from maint.talk import say


@command(POLICY, STORE, JOBS, JSON)
def status_(policy: str | None, stores: Sequence[str], jobs: int | None, as_json: bool) -> None:
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
        tell(run.summary.problems)
    for text in report.complaints(run, everything=True):
        say(text.replace("nothing was changed", "a sweep would change nothing"))
    sys.exit(UNREADABLE if run.unreachable else 0)


@command(argument("session", metavar="SESSION"), POLICY, STORE, AT, JSON)
def explain_(
    session: str, policy: str | None, stores: Sequence[str], at: float | None, as_json: bool
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
