"""Sessions in which nobody did anything go to the trash."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from maint.actions import Verb
from maint.contract import Pass, Setting
from maint.verdicts import Act, No, Verdict, Wait
from policies import Duration, PassOptions, option
from store.facts import Session

_NOT_EMPTY = No("something was recorded in it")
_UNCLEAR = No("whether it is empty could not be told without reading all of it")


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions):
    idle_for: Duration = option("How long the session must have been silent.")


class DeleteEmpty(Pass):
    name: ClassVar[str] = "delete-empty"
    subject: ClassVar[type[Session]] = Session
    options_type: ClassVar[type[PassOptions]] = Options

    def bind(self, options: Options, setting: Setting) -> Callable[[Session], Verdict]:
        threshold = options.idle_for.before(setting.now, setting.zone)

        def judge(session: Session) -> Verdict:
            if not session.empty:
                return _UNCLEAR if session.empty is None else _NOT_EMPTY
            if session.last_changed > threshold:
                text = f"empty, but idle for less than {options.idle_for}"
                return Wait(text, session.last_changed, options.idle_for)
            return Act(Verb.DELETE_EMPTY, f"nothing was recorded in it; idle for {options.idle_for}")

        return judge


PASS = DeleteEmpty()
