"""Why a session stays, or goes, or when it will: every pass's verdict on it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from maint.contract import known_passes
from maint.engine import ground_of, only_plan
from maint.finding import find
from maint.judge import Judge, Protected
from maint.reaching import open_roots
from maint.run import Listener
from maint.survey import key_of
from maint.verdicts import Act, Compare, Kept, Verdict, Wait
from maint.workers import default_jobs
from policies import Policy
from store.facts import Place, Session


@dataclass(frozen=True)
class Explanation:
    """Every pass's verdict on one session, the facts it rests on, and when something may change by itself."""

    place: Place
    session: Session
    protected: Protected | None
    verdicts: list[tuple[str, Verdict]]
    claimed_by: str | None
    next_due: float | None


def explain(
    name: str, policy: Policy, stores: list[Place], *, at: float | None = None, jobs: int | None = None
) -> Explanation:
    """Why a session stays, or goes, or when it will; raises `NotFound` and `Ambiguous`."""
    now = time.time() if at is None else at
    place, session = find(name, policy, stores, at=now)
    with open_roots(place) as roots:
        spared = ground_of(place, roots, policy, now).spared
    judge = Judge(policy, known_passes(), place.name, now, spared)
    compared: Mapping[int, Mapping[str, Act | Kept]] = {}
    if judge.compares:
        whole = only_plan(
            policy, stores, at=now, jobs=jobs or default_jobs(), expire=False, listener=Listener()
        )
        compared = whole.plan.compared if whole.plan is not None else {}
    verdicts: list[tuple[str, Verdict]] = []
    protected = judge.protection(session)
    claimed_by: str | None = None
    dues = [] if protected is None or protected.until is None else [protected.until]
    for step in judge.sessions:
        verdict = judge.ask(step, session)
        if isinstance(verdict, Compare) and verdict.old:
            verdict = compared.get(step.position, {}).get(key_of(session), verdict)
        if isinstance(verdict, Wait) or (isinstance(verdict, Compare) and not verdict.old):
            dues.append(verdict.due)
        elif claimed_by is None and isinstance(verdict, Act | Kept):
            claimed_by = step.options.pass_name
        verdicts.append((step.options.pass_name, verdict))
    future = [due for due in dues if due > now]
    return Explanation(place, session, protected, verdicts, claimed_by, min(future, default=None))
