"""Sessions beyond an age, a number or a size go, unless a keep rule holds them.

Those of the store go to the trash; those in packs end, and their bytes with them once the pack is rewritten.

Without keep rules and caps each session is judged by itself.
With them, all sessions of a group are compared first: keep rules look at the young ones too, and a cap removes
the oldest that are both old enough and not kept, only as far as the cap demands.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from maint.actions import Verb
from maint.contract import Candidate, Pass, Setting
from maint.verdicts import STILL_MARKED, Act, Compare, Kept, Verdict, Wait
from policies import Duration, Keep, PassOptions, Size, option, retention
from store.facts import Session

GroupKey = Literal["store", "kind", "project", "name"]


@dataclass(frozen=True, kw_only=True)
class Options(PassOptions):
    older_than: Duration = option("The age beyond which a session may go, counted from its end.")
    of: Literal["live", "archived"] = option(
        "Which sessions: those in the store, or those in packs, by their packed bytes.", default="live"
    )
    keep: Keep | None = option("Rules that hold sessions back, over all sessions of a group.", default=None)
    group_by: tuple[GroupKey, ...] = option("What makes a group.", default=("store",))
    max_total: Size | None = option("Only remove, oldest first, what a group has beyond this.", default=None)
    max_count: int | None = option("Only remove, oldest first, what a group has beyond this.", default=None)

    @property
    def claims_from(self) -> Duration | None:
        return self.older_than

    @property
    def compares(self) -> bool:
        return self.keep is not None or self.max_total is not None or self.max_count is not None


class Prune(Pass):
    name: ClassVar[str] = "prune"
    subject: ClassVar[type[Session]] = Session
    options_type: ClassVar[type[PassOptions]] = Options

    def bind(self, options: Options, setting: Setting) -> Callable[[Session], Verdict]:
        threshold = options.older_than.before(setting.now, setting.zone)
        gone = _gone(options)
        young = f"{_which(options)}ended less than {options.older_than} ago"
        group_by = options.group_by
        marks = retention.marks(options.keep) if options.keep is not None else None

        def judge(session: Session) -> Verdict:
            if session.ended_before(threshold):
                return STILL_MARKED if session.recording else gone
            return Wait(young, session.ended, options.older_than)

        def judge_in_group(session: Session) -> Verdict:
            group = tuple(str(getattr(session, key)) for key in group_by)
            held = marks(session.name, session.tags) if marks is not None else ()
            if session.recording:
                held = (*held, STILL_MARKED.reason)
            old = session.ended_before(threshold)
            reason = gone.reason if old else young
            return Compare(reason, session.ended, options.older_than, group, old=old, held=held)

        return judge_in_group if options.compares else judge

    def compare(
        self, options: Options, setting: Setting, group: Iterable[Candidate]
    ) -> Iterator[tuple[int, Act | Kept]]:
        which, gone = _which(options), _gone(options)
        ranks = None
        if options.keep is not None:
            ranks = retention.Ranks(options.keep, setting.zone, now=setting.now)
        capped = options.max_total is not None or options.max_count is not None
        total = count = 0
        # Of those that a cap may take, the newest first: all that is held of them at once.
        numbers, sizes = array("q"), array("q")
        for row in group:
            reasons = (*ranks.reasons(row.time), *row.held) if ranks is not None else ()
            total += row.bytes
            count += 1
            if not row.old:
                continue
            if reasons:
                yield row.number, Kept(f"{which}kept: {', '.join(reasons)}")
            elif not capped:
                yield row.number, gone
            elif math.isfinite(row.time):
                numbers.append(row.number)
                sizes.append(row.bytes)
            else:
                yield row.number, Kept(f"{which}kept: its time is not to be trusted")
        max_total = options.max_total.bytes if options.max_total is not None else None
        stay = len(sizes) - retention.beyond(sizes, total, count, max_total, options.max_count)
        within = Kept(f"{which}kept: within the cap")
        for place, number in enumerate(numbers):
            yield number, within if place < stay else gone


def _gone(options: Options) -> Act:
    return Act(
        Verb.PRUNE, f"{_which(options)}ended more than {options.older_than} ago{_held_by_none(options)}"
    )


def _which(options: Options) -> str:
    """What a reason says first, so that nobody takes a copy in a pack for the session in the store."""
    return "archived, " if options.of_archived else ""


def _held_by_none(options: Options) -> str:
    """The part of the reason that says which rules did not hold a session."""
    parts = []
    if options.keep is not None:
        parts.append(f"kept by none of: {options.keep}")
    if options.max_total is not None:
        parts.append(f"beyond max_total {options.max_total}")
    if options.max_count is not None:
        parts.append(f"beyond max_count {options.max_count}")
    return "".join(f", {part}" for part in parts)


PASS = Prune()
