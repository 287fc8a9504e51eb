"""Why a plan for one store must not be carried out: it does more than its limits allow, or the clock cannot be right.

Pure, as the plan itself.
"""

from collections import Counter
from collections.abc import Mapping

from maint.actions import REMOVES_SESSIONS, Verb
from policies import Cap, Limits
from store.names import printable

FUTURE_SHARE = 0.1
"""More sessions from the future than this share, and more than `FUTURE_AT_LEAST`: the clock is wrong, not they."""
FUTURE_AT_LEAST = 10


def refusals(
    limits: Limits,
    store: str,
    sessions: int,
    future: int,
    planned: Mapping[Verb, int],
    *,
    archived: int = 0,
    expiring: int = 0,
    file_systems: Mapping[str, str] | None = None,
) -> list[str]:
    """Why the plan for one store must not be carried out; empty if it may be.

    ``sessions`` are those that the survey found, ``archived`` those in packs.
    ``expiring`` is how many of the planned `Verb.PRUNE` are of archived sessions: these end for good, and nothing
    of them goes to the trash.
    ``file_systems`` are those of the store's folders that other machines may write to, each with such a folder.
    """
    said: list[str] = []

    def check(cap: Cap | None, count: int, total: int, what: str, key: str) -> None:
        if cap is not None and count > cap.allows(total):
            said.append(
                f"store {store!r}: {count} of {total} sessions would {what}, "
                f"more than limits.{key} allows ({cap.allows(total)})"
            )

    removed = sum(planned.get(verb, 0) for verb in REMOVES_SESSIONS) - expiring
    packed = planned.get(Verb.ARCHIVE, 0)
    ended = planned.get(Verb.EXPIRE_TRASH, 0) + expiring
    check(limits.max_removed, removed, sessions, "go to the trash", "max_removed")
    check(limits.max_archived, packed, sessions, "be archived", "max_archived")
    check(limits.max_expired, ended, sessions + archived, "end for good", "max_expired")
    if removed + packed + ended and future > max(FUTURE_AT_LEAST, FUTURE_SHARE * sessions):
        said.append(
            f"store {store!r}: {future} of {sessions} sessions carry a time in the future: is the clock right?"
        )
    for name, folder in (file_systems or {}).items() if any(planned.values()) else ():
        if name not in limits.file_systems:
            said.append(
                f"store {store!r}: {printable(folder)} is on {name}, where other machines may write and nobody here "
                f"is told; to have it changed even so, write `limits: {{file_systems: [{name}]}}`"
            )
    return said


def clock_refusal(store: str, now: float, last_run: float | None, planned: Counter[Verb]) -> str | None:
    """Why a clock that runs behind the last recorded run must not remove or archive anything."""
    by_age = sum(planned[verb] for verb in (*REMOVES_SESSIONS, Verb.ARCHIVE, Verb.EXPIRE_TRASH))
    if last_run is None or now >= last_run or not by_age:
        return None
    return f"store {store!r}: the clock is {last_run - now:.0f} s behind the last run: is it right?"
