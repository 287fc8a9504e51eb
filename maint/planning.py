"""Making a plan of whole stores: list, survey, compare, name, and check the limits."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from maint import laps
from maint.actions import Action, Verb
from maint.comparing import Candidates
from maint.contract import Candidate, Setting, known_passes
from maint.drafts import Draft, decoded, encoded
from maint.grace import grace_of
from maint.judge import (
    Judge,
    Protected,
    action_for_index,
    action_for_other,
    unique_name,
)
from maint.kin import UNSURE, Child, Resting, takes_away, with_their_parents
from maint.owner import as_owner_of
from maint.packed import Shelf, copies_of, is_packed, look_at_packs, payloads_of, plan_compaction
from maint.planned import Plan, PlannedStore
from maint.refusing import clock_refusal, refusals
from maint.run import Progress
from maint.survey import SMALL, Reader, StoreSurvey, survey
from maint.verdicts import Act, Kept
from policies import NameTemplate, Policy
from store.facts import Listing, Member, Place, Problem
from store.layout import Moment, layout_of
from store.memory import Learned, Memory
from store.spool import Spool
from store.trash import Trashed

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Action).decode


class StoreUnreadable(Exception):
    """The sessions of a store cannot even be listed."""

    def __init__(self, place: Place, why: str) -> None:
        super().__init__(f"{place.path}: {why}")
        self.place = place
        self.why = why


@dataclass(frozen=True)
class Ground:
    """What is known of a store before it is surveyed.

    ``shelf`` are its packs, ``ripe`` gives what waits in its trash since before the grace period, ``spared`` are sessions that are left
    alone because of what was done to them lately, ``copied`` those of which a copy was made lately, ``last_run`` is when the last run on record began.
    ``memory`` is what an earlier survey remembers, and ``learns`` takes what this one does.
    ``file_systems`` are those of its folders that other machines may write to, each with such a folder.
    """

    place: Place
    ripe: Callable[[], Iterable[Trashed]]
    spared: Mapping[str, Protected]
    copied: Collection[str]
    shelf: Shelf
    last_run: float | None
    memory: Memory
    learns: Callable[[Learned], None] | None = None
    file_systems: Mapping[str, str] = field(default_factory=dict)


_BLIND = "what could not be looked into may rest on what they are about; see what is told of it"


class _Read(NamedTuple):
    """A store of which all sessions have been read and judged; ``drafts`` are the actions that are still open."""

    ground: Ground
    judge: Judge
    store: PlannedStore
    found: StoreSurvey
    listing: Listing
    drafts: Spool


def make_plan(
    run: str,
    policy: Policy,
    grounds: list[Ground],
    *,
    now: float,
    jobs: int,
    expire: bool,
    stop: Callable[[], bool],
    progress: Progress,
    asked: str | None = None,
) -> Plan:
    """The plan for these stores at ``now``; OSError when a store cannot be read, or the temporary disk not written to.

    ``expire`` says whether what has ripened in the trash is to end.
    ``asked`` is the key of a session of which the plan is to tell what comparing passes said.
    """
    setting = Setting(now, policy.zone, policy.archive)

    def compare(position: int, group: Iterator[Candidate]) -> Iterable[tuple[int, Act | Kept]]:
        options = policy.passes[position]
        return known_passes()[options.pass_name].compare(options, setting, group)

    with Candidates() as candidates:
        read = [
            _read(ground, policy, now, candidates, jobs=jobs, stop=stop, progress=progress)
            for ground in grounds
        ]
        laps.enter("decide")
        for each in read:
            _hold_bases(each, candidates)
        settled = candidates.settle(compare, asked)
    for each in read:
        _decide(each, policy, settled.going)
        if expire:
            with as_owner_of(each.ground.shelf.roots):
                plan_compaction(each.ground.shelf, each.store, each.judge)
                _expire(each.store, each.ground, policy, now, each.found.resting)
        _check(each, policy, now)
    return Plan(run, now, policy, [each.store for each in read], settled.told)


def _read(
    ground: Ground,
    policy: Policy,
    now: float,
    candidates: Candidates,
    *,
    jobs: int,
    stop: Callable[[], bool],
    progress: Progress,
) -> _Read:
    """List a store, and read and judge its sessions, then those in its packs; `StoreUnreadable` if it cannot be listed."""
    place = ground.place
    layout = layout_of(place.kind)
    judge = Judge(policy, known_passes(), place.name, now, ground.spared, ground.copied)
    judge.watch(laps.judging)
    store, drafts = PlannedStore(place), Spool()
    laps.enter("list")
    with as_owner_of(ground.shelf.roots):
        try:
            listing = layout.discover(place, Moment(now, grace_of(policy, now)))
        except OSError as error:
            raise StoreUnreadable(place, error.strerror or str(error)) from error
        laps.enter("survey")
        copies = copies_of(ground.shelf, policy)
        is_worth_it = len(listing.entries) > SMALL and layout.lasting is not None
        memory = ground.memory if is_worth_it else Memory("")
        learned = Learned(memory) if is_worth_it and ground.learns is not None else None
        filled = payloads_of(ground.shelf).told
        reader = Reader(place, layout, listing, judge, copies, filled, memory, learns=learned is not None)
        found = survey(
            place,
            listing,
            reader,
            store,
            drafts,
            jobs=jobs,
            stop=stop,
            progress=progress,
            candidates=candidates,
            learned=learned,
        )
        if learned is not None and ground.learns is not None and found.complete and learned.is_news():
            ground.learns(learned)
        laps.enter("decide")
        store.tally, store.problems, store.complete = found.tally, found.problems, found.complete
        archived = Judge(policy, known_passes(), place.name, now, ground.spared, of="archived")
        look_at_packs(ground.shelf, store, archived, candidates, drafts)
        if layout.has_lineage:
            from maint.lineage import add_kept  # noqa: PLC0415  most kinds do without it

            add_kept(found.resting, place, ground.shelf.roots)
    return _Read(ground, judge, store, found, listing, drafts)


def _decide(read: _Read, policy: Policy, going: bytearray) -> None:
    """Plan what becomes of a store's sessions, then of what lists them, and then of all that is no session.

    ``going`` says of each candidate whether it goes.
    """
    _, judge, store, found, listing, _ = read
    _plan_open(read, policy, going)
    for index in listing.indexes:
        told = judge.other(judge.indexes, index)
        if told is not None and isinstance(told[1], Act):
            store.add(action_for_index(store.place, index, told[0].options.pass_name, told[1]))
    with as_owner_of(read.ground.shelf.roots):
        leftovers = [
            leftover
            for leftover in listing.leftovers
            # What leads to a packed session will lead there again.
            if not (leftover.leads_to_session and is_packed(read.ground.shelf, leftover.session))
        ]
    for leftover in leftovers:
        told = judge.other(judge.leftovers, leftover)
        if told is not None and isinstance(told[1], Act):
            store.add(action_for_other(store.place, leftover, told[0].options.pass_name, told[1], None))
    for lock in sorted(listing.locks, key=lambda lock: (lock.order, lock.id)):
        if lock.session in found.living:
            continue  # whatever became of the owner, somebody goes on with what he began
        told = judge.other(judge.locks, lock)
        if told is not None and isinstance(told[1], Act):
            after = lock.session if lock.session in found.claimed else None
            store.add(action_for_other(store.place, lock, told[0].options.pass_name, told[1], after))


def _plan_open(read: _Read, policy: Policy, going: bytearray) -> None:
    """Decide what was open, in its order; children come behind all others, and only with their parents."""
    _, _, store, found, _, drafts = read
    moved: dict[str, float] = {}
    children: list[Child] = []
    unsure = 0
    with Spool() as waiting, drafts:
        for draft in map(decoded, drafts):
            if draft.number is not None and not going[draft.number]:
                continue
            why = _why_held(draft, found.resting)
            if why is not None:
                unsure += why is UNSURE
                continue
            if draft.number is not None or draft.base is not None:
                store.expiring += policy.passes[draft.position].of_archived
            line = draft.line
            if draft.rename_at is not None:
                line = _named(draft, draft.rename_at, policy, found.taken, moved)
            if draft.parent is not None:
                place = waiting.append(encoded(msgspec.structs.replace(draft, line=line)))
                children.append(Child(place, _decode(line).session, draft.parent))
                continue
            store.add_line(line, draft.verb, draft.bytes, draft.phase)
        if unsure:
            store.problems.append(Problem(store.place.name, "", f"{unsure} actions are not done: {_BLIND}"))
        if not children:
            return
        leaving = {
            each.session for each in store.actions() if each.session in found.parents and takes_away(each)
        }
        for place in with_their_parents(children, leaving):
            draft = decoded(waiting[place])
            store.add_line(draft.line, draft.verb, draft.bytes, draft.phase)


def _why_held(draft: Draft, resting: Resting) -> str | None:
    """Why a session stays on which another one rests, or may rest."""
    return None if draft.base is None else resting.why_held(draft.base, draft.verb)


def _hold_bases(read: _Read, candidates: Candidates) -> None:
    """Have comparisons know of what cannot go, so that others go in its stead."""
    if layout_of(read.ground.place.kind).has_lineage:
        drafts = map(decoded, read.drafts)
        held = (draft.number for draft in drafts if _why_held(draft, read.found.resting) is not None)
        candidates.hold(number for number in held if number is not None)


def _check(read: _Read, policy: Policy, now: float) -> None:
    """Tell what passes could not know, and refuse a plan that goes beyond the limits, or whose clock goes wrong."""
    store = read.store
    tally = store.tally
    for name, count in sorted(tally.unread.items()):
        text = f"{count} sessions lack a fact that {name} asks for, and are left alone by it"
        store.problems.append(Problem(store.place.name, "", text))
    store.refusals = refusals(
        policy.limits,
        store.place.name,
        tally.total.sessions,
        tally.future,
        store.planned,
        archived=store.archived,
        expiring=store.expiring,
        file_systems=read.ground.file_systems,
    )
    behind = clock_refusal(store.place.name, now, read.ground.last_run, store.planned)
    if behind is not None:
        store.refusals.append(behind)


def _named(draft: Draft, when: float, policy: Policy, taken: set[str], moved: dict[str, float]) -> bytes:
    """The action with a name that nobody in the store has."""
    template: NameTemplate = policy.passes[draft.position].name  # type: ignore[attr-defined]
    try:
        name = unique_name(template, when, policy.zone, taken, moved)
    except ValueError:  # its records tell a time that no calendar has: it keeps its own name
        return draft.line
    return _encode(msgspec.structs.replace(_decode(draft.line), name=name))


def _expire(store: PlannedStore, ground: Ground, policy: Policy, now: float, resting: Resting) -> None:
    """End what has waited in the trash for long enough, but for what anything rests on, and is nowhere else."""
    layout = layout_of(store.place.kind)
    unsure = 0
    ripe = policy.trash.keep_for.before(now, policy.zone)
    for kept in ground.ripe():
        if kept.since >= ripe:
            continue
        session = layout.session_of(kept.root, kept.path)
        if layout.has_lineage and session is not None and not kept.backup:
            why = resting.why_held(session, Verb.EXPIRE_TRASH)
            if why is UNSURE:
                unsure += 1
                continue
            if why is not None and not is_packed(ground.shelf, session):
                continue
        what = "backup of a changed session" if kept.backup else "removed"
        store.add(
            Action(
                verb=Verb.EXPIRE_TRASH,
                pass_="trash",
                store=store.place.name,
                session=session or kept.path,
                path=f"{store.place.roots[kept.home]}/{kept.kept}",
                bytes=kept.fingerprint.size,
                reason=f"{what} by run {kept.run}, more than {policy.trash.keep_for} ago",
                members=(Member(kept.home, kept.kept, kept.fingerprint),),
            )
        )
    if unsure:
        store.problems.append(Problem(store.place.name, "", f"{unsure} files stay in the trash: {_BLIND}"))
