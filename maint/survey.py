"""Reading whole stores and judging what is found, over worker processes.

The workers read sessions and ask the policy about each; what comes back is small: sums, the few actions, and a
row for each session that must be compared with others.
The sessions themselves never leave the worker; the actions, and what is to be compared, wait in temporary files:
memory does not grow with the store, but for its list of names.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from maint import laps
from maint.actions import Verb
from maint.comparing import Candidates, Entry, entry
from maint.copies import Copies
from maint.drafts import Draft, enter
from maint.judge import PROTECTED_STATES, Claim, Compared, Judge, action_for
from maint.kin import Resting, plain, takes_away
from maint.phases import phase_of
from maint.planned import PlannedStore
from maint.run import Progress
from maint.tally import Tally
from maint.verdicts import Act, Compare
from maint.workers import Crew, Died
from policies import NameTemplate
from store.facts import Listing, Place, Problem, Session, State
from store.layout import Layout
from store.listing import lists
from store.memory import Learned, Memory, Piece, again, piece_of
from store.names import printable
from store.spool import Spool

CHUNK = 1000
"""Sessions a task: enough to make a task's costs vanish, few enough to show progress and to share work evenly."""

SMALL = 2000
"""Up to so many sessions starting workers costs more than it saves."""

# Looked up once, because that is slow.
_CORRUPT, _UNKNOWN, _CRASHED = State.CORRUPT, State.UNKNOWN, State.CRASHED

_encode = msgspec.json.Encoder().encode


class Found(msgspec.Struct):
    """What a worker sends back for a task; of its drafts, the number is that among its own entries."""

    tally: Tally = msgspec.field(default_factory=Tally)
    drafts: list[Draft] = msgspec.field(default_factory=list)
    entries: list[Entry] = msgspec.field(default_factory=list)
    taken: list[str] = msgspec.field(default_factory=list)
    claimed: list[str] = msgspec.field(default_factory=list)
    living: list[str] = msgspec.field(default_factory=list)
    parents: list[str] = msgspec.field(default_factory=list)
    resting: Resting = msgspec.field(default_factory=Resting)
    problems: list[Problem] = msgspec.field(default_factory=list)
    piece: Piece | None = None
    """What is to be remembered of these sessions."""


@dataclass
class StoreSurvey:
    """What is known of one store when all of it has been read.

    ``taken`` are the names that recovering must not give again.
    Of the sessions that locks point at, ``claimed`` are those that a pass has claimed, and ``living`` those that
    live or that nobody understands; ``parents`` are those that sessions wait for which are to go, and ``resting`` has
    those that any session rests on.
    """

    tally: Tally = field(default_factory=Tally)
    taken: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)
    living: set[str] = field(default_factory=set)
    parents: set[str] = field(default_factory=set)
    resting: Resting = field(default_factory=Resting)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = True


class Reader:
    """What a worker does with a task: read its sessions, judge them, and keep only what matters."""

    def __init__(
        self,
        place: Place,
        layout: Layout,
        listing: Listing,
        judge: Judge,
        copies: Copies,
        told: Callable[[Session], Session],
        memory: Memory,
        *,
        learns: bool,
    ) -> None:
        """``told`` is what is known of a session that looks empty, and perhaps was not when its payload was here.

        ``memory`` is what an earlier survey remembered; with ``learns`` this one remembers for the next one.
        """
        self._place = place
        self._layout = layout
        self._context = listing.context
        self._judge = judge
        self._pointed = frozenset(lock.session for lock in listing.locks if lock.session is not None)
        self._pass_names = {step.position: step.options.pass_name for step in judge.sessions}
        templates = [getattr(step.options, "name", None) for step in judge.sessions]
        self._prefixes = tuple(each.prefix for each in templates if isinstance(each, NameTemplate))
        self._copies = copies
        self._told = told
        self.memory = memory
        self._learns = learns
        self._choosy = [step for step in judge.sessions if step.where is not None]

    def __call__(self, entries: list[str]) -> Found:
        found = Found()
        judge = self._judge
        now = judge.setting.now
        prefixes = self._prefixes
        count, protection, claim_of, compares = (
            found.tally.count,
            judge.protection,
            judge.claim,
            judge.compares,
        )
        began = time.time()
        known, number = self.memory.known(entries)
        lasting = self._layout.lasting if self._learns else None
        remembered: list[Session] = []
        for session in laps.reading(self._read(known, entries)):
            if isinstance(session, Problem):
                found.problems.append(session)
                found.resting.take(session)
                continue
            if session.state is lasting:
                remembered.append(session)
            if session.empty:
                session = self._told(session)  # noqa: PLW2901  what filled it may be in a pack
            count(session, now)
            if session.rests_on is not None:
                found.resting.take(session)
            if self._copies:
                session = self._copies.told(session)  # noqa: PLW2901  the same session with a fact or two more
            name, state = session.name, session.state
            if name is not None and name.startswith(prefixes):
                found.taken.append(name)
            if state is _CORRUPT or state is _UNKNOWN:
                text = f"{state}: {session.evidence}; left alone"
                found.problems.append(Problem(session.store, printable(session.path), text))
            elif state is _CRASHED and not session.mendable and self._layout.mends:
                text = f"crashed, and cannot be mended: {session.evidence}"
                found.problems.append(Problem(session.store, printable(session.path), text))
            if protection(session) is not None:
                found.tally.future += judge.is_from_future(session)
                if session.id in self._pointed and state in PROTECTED_STATES:
                    found.living.append(session.id)
                if compares and session.id not in judge.spared and state is not _UNKNOWN:
                    self._enter(session, found, judge.compared_though_protected(session))
                continue
            entered: list[Compared] | None = [] if compares else None
            claim = claim_of(session, entered)
            if entered:
                self._enter(session, found, entered)
            if claim is not None:
                self._draft(session, found, claim)
            elif self._choosy:
                self._note_unread(session, found)
        if self._learns:
            found.piece = piece_of(remembered, known, number, began)
        return found

    def _read(self, known: Mapping[str, Session], entries: list[str]) -> Iterator[Session | Problem]:
        def read(some: list[str]) -> Iterator[Session | Problem]:
            return self._layout.read(self._place, self._context, some)

        return again(self._place, known, entries, read) if known else read(entries)

    def _note_unread(self, session: Session, found: Found) -> None:
        """Count the passes that would have needed a fact of this session that could not be read."""
        for step in self._choosy:
            if step.where is not None and step.where(session) is None:
                found.tally.unread[step.options.pass_name] += 1

    def _draft(self, session: Session, found: Found, claim: Claim) -> None:
        match claim.verdict:
            case Act() as act:
                draft = self._drafted(session, claim.position, act)
                draft.rename_at = act.rename_at if self._layout.names_sessions else None
            case Compare(reason=reason):
                draft = self._drafted(session, claim.position, Act(Verb.PRUNE, reason))
                draft.number = len(found.entries)  # for this pass it was entered just now, as the last one
            case _:
                return
        found.drafts.append(draft)
        if draft.parent is not None:
            found.parents.append(draft.parent)
        if session.id in self._pointed:
            found.claimed.append(session.id)

    def _drafted(self, session: Session, position: int, act: Act) -> Draft:
        action = action_for(self._place, session, self._pass_names[position], act)
        parent = base = None
        if takes_away(action):
            parent = session.parent
            base = plain(session.id) if self._layout.has_lineage else None
        if parent is not None:
            action = msgspec.structs.replace(action, after=parent)
        return Draft(
            _encode(action), position, act.verb, action.bytes, phase_of(action), parent=parent, base=base
        )

    def _enter(self, session: Session, found: Found, compared: Iterable[Compared]) -> None:
        """Enter the session for the comparisons it takes part in."""
        key, size = key_of(session), session.bytes
        found.entries += [entry(position, key, size, compare) for position, compare in compared]


def key_of(session: Session) -> str:
    """What a session is known by in a comparison, which may span stores."""
    return f"{session.store}/{session.id}"


def survey(
    place: Place,
    listing: Listing,
    reader: Reader,
    store: PlannedStore,
    drafts: Spool,
    *,
    jobs: int,
    stop: Callable[[], bool],
    progress: Progress,
    candidates: Candidates,
    learned: Learned | None = None,
) -> StoreSurvey:
    """Read and judge all sessions of a listing; what is to be done goes into the plan, in the order of the listing.

    What is still open goes to ``drafts``, in that order, too.

    ``candidates`` gets what is to be compared, ``learned`` what is to be remembered.

    An entry over which workers die is a problem, and the others go on.
    ``complete`` is false when ``stop`` ended it early.
    """
    result = StoreSurvey(problems=list(listing.problems))
    result.resting.store.update(listing.bases)
    for problem in listing.problems:
        result.resting.take(problem)
    total = len(listing.entries)
    if total <= SMALL:
        jobs = 1
    tasks = reader.memory.parts(lists(listing.entries), CHUNK)
    crew: Crew[str, Found] = Crew(jobs, reader, stop)
    done = 0
    for task, answer in crew.run(tasks):
        done += len(task)
        if isinstance(answer, Died):
            text = f"could not be read: {answer.how}; left alone"
            result.problems += [Problem(place.name, printable(entry), text, grave=True) for entry in task]
            result.resting.blind = True
            continue
        result.tally.merge(answer.tally)
        before = candidates.enter(answer.entries)
        result.taken.update(answer.taken)
        result.claimed.update(answer.claimed)
        result.living.update(answer.living)
        result.parents.update(answer.parents)
        result.resting.store.update(answer.resting.store)
        result.resting.blind = result.resting.blind or answer.resting.blind
        result.problems += answer.problems
        for draft in answer.drafts:
            if draft.number is not None:
                draft.number += before
            enter(draft, store, drafts)
        if learned is not None and answer.piece is not None:
            learned.take(answer.piece)
        progress(place.name, done, total)
    result.complete = done == total
    return result
