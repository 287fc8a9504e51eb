"""Locks, state and pending files of a recorder that is proven gone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from maint.actions import Verb
from maint.contract import Pass, Setting
from maint.verdicts import Act, No, Verdict, Wait
from policies import Duration, PassOptions, option
from store.facts import Lock, Owner


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions):
    idle_for: Duration = option(
        "How long the recorder must have been silent: its state files and the session."
    )


class StaleLocks(Pass):
    name: ClassVar[str] = "stale-locks"
    subject: ClassVar[type[Lock]] = Lock
    options_type: ClassVar[type[PassOptions]] = Options
    judges_liveness: ClassVar[bool] = True

    def bind(self, options: Options, setting: Setting) -> Callable[[Lock], Verdict]:
        threshold = options.idle_for.before(setting.now, setting.zone)

        def judge(lock: Lock) -> Verdict:
            if lock.owner is not Owner.GONE:
                return No(f"its owner is not proven gone: {lock.evidence}")
            if lock.last_changed > threshold:
                text = f"silent for less than {options.idle_for}"
                return Wait(text, lock.last_changed, options.idle_for)
            return Act(Verb.UNLOCK, f"{lock.what} of nobody: {lock.evidence}, silent for {options.idle_for}")

        return judge


PASS = StaleLocks()
