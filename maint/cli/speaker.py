"""What is said of a run while it goes on and when it is over."""

import sys
import time
from typing import NoReturn

from maint import laps, ndjson, report, telling, terminal
from maint.actions import Outcome, Result
from maint.cli.ending import end_by, out, out_lines
from maint.cli.problems import tell
from maint.planned import Plan
from maint.run import Listener, Run
from maint.talk import say
from store.facts import Place
from store.names import printable

_AT_ONCE = 0.2
"""Outcomes of so many seconds may reach their reader together."""


class Speaker:
    """Hears of a run, and speaks of it as its reader wants: NDJSON, a person's text, or not at all."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._progress = terminal.Progress()
        self._total = 0
        self._done = 0
        self._in_bytes = False
        self._flushed = 0.0
        self._not_done = 0

    def listener(self, stop: terminal.Stop, *, talkative: bool = False) -> Listener:
        return Listener(
            progress=self._progress,
            read=self._read,
            planned=self._planned,
            outcome=self._talk if talkative and not self._json else self._outcome,
            stop=stop,
        )

    def _planned(self, plan: Plan) -> None:
        self._total = sum(store.planned.total() for store in plan.stores)
        if self._json:
            out_lines(ndjson.plan_lines(plan))

    def _outcome(self, outcome: Outcome) -> None:
        self._done += 1
        if self._json:
            # No write for each: but whoever reads along need not wait for more, and whatever ends us flushes the rest.
            sys.stdout.buffer.write(ndjson.outcome_line(outcome))
            if time.monotonic() > self._flushed + _AT_ONCE:
                sys.stdout.flush()
                self._flushed = time.monotonic()
            return
        self._tell(report.bad_outcome_text(outcome))
        if self._total and not self._in_bytes:
            self._progress("carrying out", self._done, self._total)

    def _read(self, store: str, done: int, total: int) -> None:
        self._in_bytes = True  # there is one bar: bytes tell more than a number of sessions
        self._progress.read(store, done, total)

    def _talk(self, outcome: Outcome) -> None:
        self._outcome(outcome)
        if outcome.result is Result.SKIPPED:
            self._tell(f"not done: {printable(outcome.path)}: {outcome.detail}")

    def _tell(self, not_done: str | None) -> None:
        """Say what was not done, as long as it is not too much for a person."""
        if not_done is None:
            return
        self._not_done += 1
        if self._not_done <= report.SHOWN:
            self._progress.clear()
            say(not_done)

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
        if self._not_done > report.SHOWN:
            say(f"and {self._not_done - report.SHOWN:,} more; `maint log {run.id}` has all")
        interactive = terminal.is_interactive()
        problems = run.summary.problems
        if self._json:
            tell_laps(run, as_json=True)
            out(ndjson.summary_line(run))
        else:
            news = problems if interactive else telling.news(problems, run, where)
            tell(news)
            if interactive or always:
                for text in report.summary_text(run):
                    print(text)
            tell_laps(run, as_json=False)
        for text in report.complaints(run, everything=interactive or always):
            say(text)
        if stopped_by is not None:
            end_by(stopped_by)
        code = report.exit_code(run)
        sys.exit(1 if incomplete and code == 0 else code)


def tell_laps(run: Run, *, as_json: bool) -> None:
    """Say where the time of a run went, if somebody asked (`--profile`)."""
    measured = laps.end()
    if measured is None:
        return
    if as_json:
        out(ndjson.profile_line(run, measured))
    else:
        for text in report.profile_text(measured):
            print(text)
