"""Why a session stays, or goes, or when it will: every pass's verdict on it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from maint import archived, packed, survey
from maint.contract import known_passes
from maint.engine import ground_of, only_plan
from maint.finding import NotFound, find
from maint.judge import Judge, Protected, action_for, payload_id
from maint.kin import plain, takes_away
from maint.lineage import resting_now
from maint.owner import as_owner
from maint.packed import copies_of, payloads_of
from maint.planned import Plan
from maint.reaching import open_roots
from maint.run import Listener
from maint.verdicts import Act, Compare, Kept, Verdict, Wait
from maint.workers import default_jobs
from policies import Policy, Selector
from store.archived import Archived
from store.facts import Place, Session
from store.layout import layout_of
from store.roots import RootFds


@dataclass(frozen=True)
class Explanation:
    """Every pass's verdict on one session, the facts it rests on, and when something may change by itself.

    ``pack`` is the path of the pack that it lies in, if it is not in the store.
    """

    place: Place
    session: Session
    protected: Protected | None
    verdicts: list[tuple[str, Verdict]]
    claimed_by: str | None
    next_due: float | None
    pack: str | None = None


def explain(
    name: str, policy: Policy, stores: list[Place], *, at: float | None = None, jobs: int | None = None
) -> Explanation:
    """Why a session of a store or of a pack stays, or goes, or when it will; raises `NotFound` and `Ambiguous`."""
    now = time.time() if at is None else at
    place, session, each = _find(name, policy, stores, now)
    with as_owner(place.path), open_roots(place) as roots:
        ground = ground_of(place, roots, policy, now)
        if each is None:
            session = copies_of(ground.shelf, policy).told(session)
            session = payloads_of(ground.shelf).told(session)
    of: Literal["live", "archived"] = "live" if each is None else "archived"
    judge = Judge(policy, known_passes(), place.name, now, ground.spared, ground.copied, of=of)
    key = survey.key_of(session) if each is None else packed.key_of(session, each)
    compared: Mapping[int, Act | Kept] = {}
    plan = None
    if judge.compares or session.parent is not None:
        whole = only_plan(
            policy,
            stores,
            at=now,
            jobs=jobs or default_jobs(),
            expire=False,
            listener=Listener(),
            asked=key,
        )
        plan = whole.plan
        compared = plan.asked if plan is not None else {}
    verdicts: list[tuple[str, Verdict]] = []
    protected = judge.spared_in_archive(each.run) if each is not None else None
    protected = protected or judge.protection(session)
    claimed_by: str | None = None
    dues = [] if protected is None or protected.until is None else [protected.until]
    dues += _turn(policy.protect, session, policy.zone, now, to=False)
    for step in judge.sessions:
        verdict = judge.ask(step, session)
        if step.where is not None and step.where(session) is False and step.options.where is not None:
            dues += _turn((step.options.where,), session, policy.zone, now, to=True)
        if isinstance(verdict, Compare) and verdict.old:
            verdict = compared.get(step.position, verdict)
        if isinstance(verdict, Wait) or (isinstance(verdict, Compare) and not verdict.old):
            dues.append(verdict.due(policy.zone))
        elif claimed_by is None and isinstance(verdict, Act | Kept):
            claimed_by = step.options.pass_name
            if protected is None and isinstance(verdict, Act):
                with as_owner(place.path), open_roots(place) as roots:
                    protected = _as_a_base(session, verdict, place, roots, now)
                if session.parent is not None and plan is not None and not _is_planned(session, plan):
                    protected = protected or Protected("the session that began it stays")
        verdicts.append((step.options.pass_name, verdict))
    if protected is not None:
        claimed_by = None
    future = [due for due in dues if due > now]
    pack = f"{place.roots[each.label]}/{each.pack}" if each is not None else None
    return Explanation(place, session, protected, verdicts, claimed_by, min(future, default=None), pack)


def _turn(
    selectors: Sequence[Selector], session: Session, zone: ZoneInfo, now: float, *, to: bool
) -> list[float]:
    """When one of these selectors holds of a session, or none does any more, if time alone brings that about."""
    moments = sorted({moment for each in selectors for moment in each.turns(session, zone) if moment > now})

    def holds(at: float) -> bool:
        answers = [each.compile(at, zone)(session) for each in selectors]
        return True in answers or (
            None in answers and not to
        )  # what cannot be told protects, and selects nothing

    if not moments or holds(now) is to:
        return []
    # A second later: one of exactly an age is older to some programs, and not yet to others.
    return [moment for moment in moments if holds(moment + 1) is to][:1]


def _is_planned(session: Session, plan: Plan) -> bool:
    """Whether a plan has anything to do about a session."""
    of_its_store = (store for store in plan.stores if store.place.name == session.store)
    return any(
        action.session in {session.id, payload_id(session.id)}
        for store in of_its_store
        for action in store.actions()
    )


def _as_a_base(session: Session, verdict: Act, place: Place, roots: RootFds, now: float) -> Protected | None:
    """Why what a pass would do to a session is not done after all, if another one rests on it."""
    action = action_for(place, session, "", verdict) if session.members else None
    if not layout_of(place.kind).has_lineage or not (action is None or takes_away(action)):
        return None
    why = resting_now(place, roots, now).why_held(plain(session.id), verdict.verb)
    return Protected(why) if why is not None else None


def _find(
    name: str, policy: Policy, stores: list[Place], now: float
) -> tuple[Place, Session, Archived | None]:
    """A session of a store, or else one in a pack."""
    try:
        return *find(name, policy, stores, at=now), None
    except NotFound as error:
        found = archived.find(name, stores)
        if found is None:
            raise archived.not_found(str(error), stores) from None
        place, each = found
        return place, each.session(place.name, place.kind), each
