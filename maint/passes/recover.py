"""Crashed sessions are made whole: marked, given a footer, and a name that says so; damaged indexes are made true."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from maint.actions import Verb
from maint.contract import Pass, Setting
from maint.verdicts import Act, No, Verdict, Wait
from policies import Duration, NameTemplate, PassOptions, option
from store.facts import Index, Session, State

_CRASHED, _RECOVERED = State.CRASHED, State.RECOVERED  # looked up once, because that is slow
_HEALTHY = No("it is not crashed")
_UNMENDABLE = No("it crashed, and cannot be made whole")
_EMPTY = No("nothing was recorded in it, so it goes the way of the empty ones")


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions):
    idle_for: Duration = option("How long the session must have been silent.")
    name: NameTemplate = option(
        "The new name, from the moment of the crash; moved on by seconds until it is unique in the store.",
        default=NameTemplate("recovered-%Y-%m-%d-%H%M%S"),
    )


def crashed_at(session: Session) -> float:
    """The moment that a recovered session is named after: its last record's time, unless that is no sane time.

    Times from the future never get here: they protect.
    """
    return session.ended if session.ended >= 0 else max(session.last_changed, 0.0)


class Recover(Pass):
    name: ClassVar[str] = "recover"
    subject: ClassVar[type[Session]] = Session
    options_type: ClassVar[type[PassOptions]] = Options
    judges_liveness: ClassVar[bool] = True

    def bind(self, options: Options, setting: Setting) -> Callable[[Session], Verdict]:
        threshold = options.idle_for.before(setting.now, setting.zone)

        def judge(session: Session) -> Verdict:
            state = session.state
            half_done = state is _RECOVERED and not session.has_footer
            if state is not _CRASHED and not half_done:
                return _HEALTHY
            if session.empty:
                return _EMPTY
            if not session.mendable:
                return _UNMENDABLE
            if session.last_changed > threshold:
                text = f"crashed ({session.evidence}), but idle for less than {options.idle_for}"
                return Wait(text, session.last_changed, options.idle_for)
            rename_at = None if half_done or session.has_footer else crashed_at(session)
            return Act(Verb.RECOVER, f"crashed: {session.evidence}; idle for {options.idle_for}", rename_at)

        return judge

    def bind_index(self, options: Options, setting: Setting) -> Callable[[Index], Verdict]:
        threshold = options.idle_for.before(setting.now, setting.zone)

        def judge(index: Index) -> Verdict:
            if index.last_changed > threshold:
                text = f"damaged ({index.evidence}), but idle for less than {options.idle_for}"
                return Wait(text, index.last_changed, options.idle_for)
            return Act(Verb.RECOVER, f"damaged: {index.evidence}")

        return judge


PASS = Recover()
