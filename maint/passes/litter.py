"""Leftovers that a layout recognises go to the trash."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from maint.actions import Verb
from maint.contract import Pass, Setting
from maint.verdicts import Act, Verdict, Wait
from policies import Duration, PassOptions, option
from store.facts import Leftover


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions):
    older_than: Duration = option("How long the leftover must have lain unchanged.")


class Litter(Pass):
    name: ClassVar[str] = "litter"
    subject: ClassVar[type[Leftover]] = Leftover
    options_type: ClassVar[type[PassOptions]] = Options

    def bind(self, options: Options, setting: Setting) -> Callable[[Leftover], Verdict]:
        threshold = options.older_than.before(setting.now, setting.zone)

        def judge(leftover: Leftover) -> Verdict:
            if leftover.last_changed > threshold:
                text = f"{leftover.what}, but younger than {options.older_than}"
                return Wait(text, leftover.last_changed, options.older_than)
            return Act(Verb.REMOVE_LITTER, f"{leftover.what}, older than {options.older_than}")

        return judge


PASS = Litter()
