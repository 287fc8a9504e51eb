"""What is said of a run while it goes on and when it is over."""

import sys
from typing import NoReturn

from maint import ndjson, report, telling, terminal
from maint.actions import Outcome, Result
from maint.cli.ending import end_by, out
from maint.planned import Plan
from maint.run import Listener, Run
from maint.talk import say
from store.facts import Place
from store.names import printable


class Speaker:
    """Hears of a run, and speaks of it as its reader wants: NDJSON, a person's text, or not at all."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._progress = terminal.Progress()
        self._total = 0
        self._done = 0
        self._in_bytes = False

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
            for line in ndjson.plan_lines(plan):
                out(line)

    def _outcome(self, outcome: Outcome) -> None:
        self._done += 1
        if self._json:
            out(ndjson.outcome_line(outcome))
            return
        text = report.bad_outcome_text(outcome)
        if text is not None:
            self._progress.clear()
            say(text)
        if self._total and not self._in_bytes:
            self._progress("carrying out", self._done, self._total)

    def _read(self, store: str, done: int, total: int) -> None:
        self._in_bytes = True  # there is one bar: bytes tell more than a number of sessions
        self._progress.read(store, done, total)

    def _talk(self, outcome: Outcome) -> None:
        self._outcome(outcome)
        if outcome.result is Result.SKIPPED:
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
        problems = run.summary.problems
        if self._json:
            out(ndjson.summary_line(run))
        else:
            news = problems if interactive else telling.news(problems, run, where)
            for text in report.shortened(report.problem_lines(news)):
                say(text)
            if interactive or always:
                for text in report.summary_text(run):
                    print(text)
        for text in report.complaints(run, everything=interactive):
            say(text)
        if stopped_by is not None:
            end_by(stopped_by)
        code = report.exit_code(run)
        sys.exit(1 if incomplete and code == 0 else code)
