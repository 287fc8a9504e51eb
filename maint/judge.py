"""From facts and a policy to a plan: pure, so that the same facts, policy and moment give the same plan.

A `Judge` is a policy bound to one store and one moment.
It says what becomes of each session by itself; what only a comparison with others can tell (keep rules, caps,
unique names) is left open and settled when all have been seen.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from maint.actions import PAYLOAD, REMOVES_SESSIONS, Action
from maint.contract import Pass, Setting
from maint.verdicts import Act, Compare, Kept, No, Verdict, Wait
from policies import NameTemplate, PassOptions, Policy
from store.facts import Index, Leftover, Lock, Place, Session, State, account_of, is_store
from store.names import run_time

_CORRUPT = State.CORRUPT  # looked up once: that costs more than all the rest of a question

PROTECTED_STATES = frozenset({State.LIVE, State.UNKNOWN})


class Protected(msgspec.Struct, frozen=True):
    """No pass is asked about this session: why, and until when if that will pass by itself.

    ``by_hand`` says that somebody has brought it back, with what lay beside it and pointed at it.
    """

    reason: str
    until: float | None = None
    by_hand: bool = False


EMPTY: Mapping[str, Protected] = MappingProxyType({})


class Claim(NamedTuple):
    """The first pass that claimed a session, by its place in the policy, and what it said."""

    position: int
    verdict: Act | Kept | Compare


Compared = tuple[int, Compare]
"""The place of a pass in the policy, and what it said of a session that it must compare with others."""


class Step(NamedTuple):
    """One pass of the policy, bound: what ``where`` says of a session, and what the pass does."""

    position: int
    pass_: Pass
    options: PassOptions
    where: Callable[[Session], bool | None] | None
    corrupt_too: bool
    judge: Callable[[Any], Verdict]


class Judge:
    """A policy bound to one store and one moment.

    ``spared`` are the sessions that are left alone because of what was done to them lately: what was recovered a
    moment ago, so that a mistake costs one step and not two; and what somebody brought back by hand, so that there
    is time to mend the policy that took it. They take part in no comparison either: a sweep right after another one
    must find the groups as that one did, or it would remove more.

    ``copied`` are sessions (and payloads) that were archived lately, and may still be here: they stay claimed by the pass
    that did it, so that no later one takes the next step with them at once.

    With ``of="archived"`` the judge is for sessions in packs: only passes ``of: archived`` are asked.
    What lies in a pack does not change, so that its idle time does not protect it.
    """

    def __init__(
        self,
        policy: Policy,
        passes: Mapping[str, Pass],
        store: str,
        now: float,
        spared: Mapping[str, Protected] = EMPTY,
        copied: Collection[str] = (),
        *,
        of: Literal["live", "archived"] = "live",
    ) -> None:
        archived = of == "archived"
        self.setting = Setting(now, policy.zone, policy.archive)
        self._now = now
        self.spared = spared
        self._copied = copied
        self._min_idle = policy.limits.min_idle
        self.idle_before = self._min_idle.before(now, policy.zone)
        self._idle_before = math.inf if archived else self.idle_before
        self._protect = [(each.compile(now, policy.zone), each.text) for each in policy.protect]
        steps = [
            self._bind(position, passes[options.pass_name], options)
            for position, options in enumerate(policy.passes)
            if options.of_archived is archived and (options.stores is None or is_store(store, options.stores))
        ]
        self.sessions = [step for step in steps if step.pass_.subject is Session]
        self.compares = any(getattr(step.options, "compares", False) for step in self.sessions)
        self.locks = [step for step in steps if step.pass_.subject is Lock]
        self.leftovers = [step for step in steps if step.pass_.subject is Leftover]
        self.indexes = [
            step._replace(judge=judge)
            for step in steps
            if (judge := step.pass_.bind_index(step.options, self.setting)) is not None
        ]

    def _bind(self, position: int, pass_: Pass, options: PassOptions) -> Step:
        where = options.where
        judge = pass_.bind(options, self.setting)
        if getattr(options, "part", "whole") == "payload":
            judge = self._sparing_payloads(judge)
        if self._copied and leaves_in_place(options):
            judge = self._claiming_copied(judge)
        return Step(
            position,
            pass_,
            options,
            where.compile(self._now, self.setting.zone) if where is not None else None,
            where is not None and where.names_state(State.CORRUPT),
            judge,
        )

    def _claiming_copied(self, judge: Callable[[Any], Verdict]) -> Callable[[Any], Verdict]:
        """The same question, but for sessions of which this pass has made a copy a moment ago."""
        copied = self._copied

        def claiming(session: Session) -> Verdict:
            verdict = judge(session)
            if isinstance(verdict, No) and (session.id in copied or payload_id(session.id) in copied):
                return Kept(f"{verdict.reason}; that was done a moment ago")
            return verdict

        return claiming

    def _sparing_payloads(self, judge: Callable[[Any], Verdict]) -> Callable[[Any], Verdict]:
        """The same question, but for payloads that somebody has brought back by themselves."""
        spared = {id_: why for id_, why in self.spared.items() if id_.endswith(PAYLOAD)}

        def sparing(session: Session) -> Verdict:
            why = spared.get(payload_id(session.id))
            return judge(session) if why is None else No(f"of its payload: {why.reason}")

        return sparing if spared else judge

    def watch(self, watched: Callable[[str, Callable[[Any], Verdict]], Callable[[Any], Verdict]]) -> None:
        """Ask every pass of sessions through what is made of its name and its question."""
        self.sessions = [
            step._replace(judge=watched(step.options.pass_name, step.judge)) for step in self.sessions
        ]

    def pass_name(self, position: int) -> str:
        """The pass at this place in the policy."""
        return next(step.options.pass_name for step in self.sessions if step.position == position)

    def protection(self, session: Session) -> Protected | None:
        """Why nothing is done to this session, whatever the passes say; ``None`` if they may be asked."""
        now = self._now
        if session.state in PROTECTED_STATES:
            return Protected(f"it is {session.state}: {session.evidence}")
        started, ended, last = session.started_at, session.ended_at, session.last_record_at
        if (  # `is_from_future`, without the calls
            session.last_changed > now
            or (started is not None and started > now)
            or (ended is not None and ended > now)
            or (last is not None and last > now)
        ):
            return Protected("it carries a time in the future", self._newest_time(session))
        if session.last_changed > self._idle_before:
            until = self._min_idle.after(session.last_changed, self.setting.zone)
            return Protected(f"idle for less than min_idle {self._min_idle}", until)
        if session.id in self.spared:
            return self.spared[session.id]
        for holds, text in self._protect:
            if holds(session) is not False:  # what cannot be told protects
                return Protected(f"protect: {text}")
        return None

    def spared_in_archive(self, run: str) -> Protected | None:
        """Why nothing is done yet to what a run has archived: a sweep right after another one finds nothing to do."""
        archived_at = run_time(run)
        if archived_at <= self.idle_before:
            return None
        until = self._min_idle.after(archived_at, self.setting.zone)
        return Protected(f"it was archived less than min_idle {self._min_idle} ago", until)

    @staticmethod
    def _newest_time(session: Session) -> float:
        newest = session.last_changed
        for time in (session.started_at, session.ended_at, session.last_record_at):
            if time is not None and time > newest:
                newest = time
        return newest

    def is_from_future(self, session: Session) -> bool:
        return self._newest_time(session) > self._now

    def claim(self, session: Session, entered: list[Compared] | None = None) -> Claim | None:
        """The first pass that claims this session; younger candidates of comparisons are not claimed by them.

        To ``entered`` is added every comparison in which the session takes part: those of the passes before the one
        that claims it, and its own, which is then the last one.
        """
        # The same questions as `ask`, without the words: this is asked of every session of every store.
        corrupt = session.state is _CORRUPT
        for position, _, _, where, corrupt_too, judge in self.sessions:
            if (corrupt and not corrupt_too) or (where is not None and not where(session)):
                continue
            verdict = judge(session)
            kind = type(verdict)
            if kind is No or kind is Wait:
                continue
            if isinstance(verdict, Compare):
                if entered is not None:
                    entered.append((position, verdict))
                if verdict.old:
                    return Claim(position, verdict)
            elif isinstance(verdict, Act | Kept):
                return Claim(position, verdict)
        return None

    def ask(self, step: Step, session: Session) -> Verdict:
        """One pass's verdict on an unprotected session, behind what holds for every pass."""
        if session.state is State.CORRUPT and not step.corrupt_too:
            return No(
                f"it is corrupt ({session.evidence}), and the pass does not ask for corrupt ones by name"
            )
        if step.where is not None:
            selected = step.where(session)
            if selected is None:
                return No("where: it asks for a fact that could not be read")
            if not selected:
                assert step.options.where is not None
                return No(f"where: {step.options.where.text} does not hold")
        return step.judge(session)

    def compared_though_protected(self, session: Session) -> Iterator[Compared]:
        """The comparisons in which a protected session takes part.

        It counts towards ``keep`` and the caps, but as one that cannot go.
        """
        for step in self.sessions:
            verdict = self.ask(step, session)
            if isinstance(verdict, Compare):
                yield step.position, msgspec.structs.replace(verdict, old=False)

    def other(self, steps: list[Step], subject: Lock | Leftover | Index) -> tuple[Step, Verdict] | None:
        """The first verdict to act on a lock, a leftover or an index, or the last one not to."""
        told: tuple[Step, Verdict] | None = None
        for step in steps:
            if subject.last_changed > self._idle_before:
                text = f"changed less than min_idle {self._min_idle} ago"
                told = step, Wait(text, subject.last_changed, self._min_idle)
                continue
            spared = None if isinstance(subject, Index) else self.spared.get(subject.session or subject.id)
            if spared is not None and spared.by_hand:
                told = step, No(spared.reason)
                continue
            told = step, step.judge(subject)
            if isinstance(told[1], Act):
                return told
        return told


def leaves_in_place(options: PassOptions) -> bool:
    """Whether a pass archives, and leaves in the store what it has archived, or the rest of it."""
    return getattr(options, "originals", "") == "keep" or getattr(options, "part", "") == "payload"


def action_for(place: Place, session: Session, pass_name: str, act: Act) -> Action:
    """The action that a pass's verdict on a session asks for; a new name is settled later.

    What leads to a session goes when it is removed; when it is archived that stays, because it will lead to it again.
    The payload of a session is archived under a name of its own, so that neither copy passes for the other.
    """
    id_, members, size = session.id, session.members, session.bytes
    if act.packing is not None and act.packing.part == "payload":
        id_, members = payload_id(id_), session.payload
        size = sum(member.fingerprint.size for member in members)
    elif act.verb in REMOVES_SESSIONS:
        members += session.pointers
    return Action(
        verb=act.verb,
        pass_=pass_name,
        store=session.store,
        session=id_,
        path=place.absolute(members[0]),
        bytes=size,
        reason=act.reason,
        members=members,
        old_name=session.name,
        packing=act.packing,
        account=account_of(session) if act.packing is not None else None,
    )


def payload_id(session: str) -> str:
    """What the payload of a session is called in the archive."""
    return session + PAYLOAD


def action_for_index(place: Place, index: Index, pass_name: str, act: Act) -> Action:
    """The action on a file that lists sessions."""
    return Action(
        verb=act.verb,
        pass_=pass_name,
        store=index.store,
        session=index.id,
        path=f"{place.roots[index.root]}/{index.path}",
        bytes=index.bytes,
        reason=act.reason,
        members=index.members,
        index=(index.root, index.path),
    )


def action_for_other(
    place: Place, subject: Lock | Leftover, pass_name: str, act: Act, after: str | None
) -> Action:
    """The action on a lock or a leftover."""
    return Action(
        verb=act.verb,
        pass_=pass_name,
        store=subject.store,
        session=subject.session or subject.id,
        path=place.absolute(subject.members[0]),
        bytes=subject.bytes,
        reason=act.reason,
        members=subject.members,
        after=after,
        guard=subject.guard if isinstance(subject, Lock) else None,
    )


def unique_name(
    template: NameTemplate, when: float, zone: ZoneInfo, taken: set[str], moved: dict[str, float]
) -> str:
    """A name from the template that nobody in the store has: moved on second by second, and then taken.

    ``moved`` remembers how far that was, so that thousands of one second do not all start from its beginning.
    Raises ValueError for a moment that no calendar has.
    """
    first = name = template.render(when, zone)
    while name in taken:
        when = moved.get(name, when) + 1
        name = template.render(when, zone)
    taken.add(name)
    moved[first] = when
    return name
