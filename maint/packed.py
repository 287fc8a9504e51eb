"""Sessions in packs, judged: what is to expire there, and which packs are to be rewritten.

Their facts come from the catalogue; no pack is opened.
"""

import math
import os
from collections.abc import Callable
from contextlib import suppress

import msgspec

from maint import singles, unseen
from maint.actions import PAYLOAD, Action, Verb
from maint.comparing import Candidates, entry
from maint.copies import Copies
from maint.drafts import Draft, enter
from maint.judge import Compared, Judge
from maint.kin import plain
from maint.phases import phase_of
from maint.planned import PlannedStore
from maint.verdicts import Act, Compare, Verdict
from policies import Policy
from store import archives, names, opening
from store.archived import Archived, PackFacts
from store.catalogue import Catalogue
from store.facts import Member, Place, Session, State
from store.layout import layout_of
from store.marks import Why
from store.roots import RootFds
from store.single import Filed
from store.spool import Spool

DEAD_SHARE = 0.1
"""A pack of whose packed bytes more than this share counts no more is rewritten."""

_encode = msgspec.json.Encoder().encode


class Payloads(msgspec.Struct, frozen=True):
    """The sessions whose payload is in a pack; ``away`` says that there are packs in which it might be, unseen."""

    ids: frozenset[str] = frozenset()
    away: bool = False

    def told(self, session: Session) -> Session:
        """A session with the truth about its being empty, as far as it can be known."""
        if not session.empty:
            return session
        if plain(session.id) in self.ids:
            return msgspec.structs.replace(session, empty=False)
        return msgspec.structs.replace(session, empty=None) if self.away else session


class Shelf(msgspec.Struct, frozen=True):
    """The packs of a store, for whoever plans: its roots, and the way to its catalogue."""

    place: Place
    roots: RootFds
    open: Callable[[], Catalogue]

    @property
    def has_packs(self) -> bool:
        return bool(archives.labels(self.roots))

    def path(self, label: str, name: str) -> str:
        """Where something lies, for people to read."""
        return f"{self.place.roots[label]}/{name}"


def shelf_of(place: Place, roots: RootFds) -> Shelf:
    return Shelf(place, roots, lambda: Catalogue.open(place, roots))


def copies_of(shelf: Shelf, policy: Policy) -> Copies:
    """What the passes of a policy that archive must know: of copies, if originals stay, and of files, if they make any."""
    forms = {getattr(each, "form", "") for each in policy.passes}
    keeping = {
        getattr(each, "form", "") for each in policy.passes if getattr(each, "originals", "") == "keep"
    }
    beside = singles.beside(shelf.place, shelf.roots) if "file" in forms else {}
    latest: dict[str, tuple[int, float]] = {}
    if keeping and shelf.has_packs:
        with shelf.open() as catalogue:
            latest = catalogue.latest()
    for each in beside.values() if "file" in keeping else ():
        if isinstance(each, singles.Copy):
            latest[each.session] = each.size, each.last_changed
    return Copies(latest, beside)


def payloads_of(shelf: Shelf) -> Payloads:
    """The sessions whose payload is in a pack: whatever they look like now, they were not empty."""
    if not layout_of(shelf.place.kind).has_payload:
        return Payloads()
    away = bool(archives.unreachable(shelf.place, shelf.roots))
    if not shelf.has_packs:
        return Payloads(away=away)
    with shelf.open() as catalogue:
        ids = frozenset(plain(id_.removesuffix(PAYLOAD)) for id_ in catalogue.ids_ending(PAYLOAD))
        return Payloads(ids, away=away or bool(catalogue.damaged()))


def is_packed(shelf: Shelf, session: str | None) -> bool:
    """Whether a copy of a session is in a pack."""
    if session is None or not shelf.has_packs:
        return False
    with shelf.open() as catalogue:
        return catalogue.has(session)


def look_at_packs(
    shelf: Shelf,
    store: PlannedStore,
    judge: Judge,
    candidates: Candidates,
    drafts: Spool,
) -> None:
    """Count what is in packs, tell what is wrong with them, and judge their sessions as the policy asks for it.

    So are sessions that are files by themselves, where the policy asks for archived ones at all.
    What was archived within ``min_idle`` is left out: a sweep right after another one finds nothing to do.
    """
    store.problems += unseen.away(shelf.place, shelf.roots)
    if shelf.has_packs:
        _look_into_packs(shelf, store, judge, candidates, drafts)
    if not judge.sessions:
        return
    for found in singles.singles(shelf.place, shelf.roots):
        if isinstance(found, Filed):
            store.archived += 1
            store.archived_bytes += found.file.fingerprint.size
            if judge.spared_in_archive(found.run) is None:
                _judge(shelf, store, judge, candidates, drafts, singles.as_archived(found), found.file)


def _look_into_packs(
    shelf: Shelf, store: PlannedStore, judge: Judge, candidates: Candidates, drafts: Spool
) -> None:
    with shelf.open() as catalogue:
        store.problems += unseen.damaged(shelf.place, catalogue)
        store.archived, store.archived_bytes = catalogue.count()
        if not judge.sessions:
            return
        whole = _with_payloads(catalogue) if judge.compares else {}
        for each in catalogue.sessions():
            if judge.spared_in_archive(each.run) is None:
                with_ = whole.get(each.entry.id.removesuffix(PAYLOAD)) if _is_payload(each) else None
                _judge(shelf, store, judge, candidates, drafts, each, with_=with_)


def _is_payload(each: Archived) -> bool:
    return each.entry.id.endswith(PAYLOAD)


def _with_payloads(catalogue: Catalogue) -> dict[str, str]:
    """The newest pack of those sessions whose payload is in a pack, too: each of them is one session and not two."""
    found: dict[str, str] = {}
    for payload in catalogue.ids_ending(PAYLOAD):
        session = payload.removesuffix(PAYLOAD)
        packs = [each.pack for each in catalogue.copies(session) if each.dead is None]
        if packs:
            found[session] = packs[-1]
    return found


def _judge(
    shelf: Shelf,
    store: PlannedStore,
    judge: Judge,
    candidates: Candidates,
    drafts: Spool,
    each: Archived,
    file: Member | None = None,
    *,
    with_: str | None = None,
) -> None:
    """Judge a session in a pack; a payload goes ``with_`` its session, if that is in the pack of this name, where it
    is compared with others.
    """
    session = each.session(shelf.place.name, shelf.place.kind)
    entered: list[Compared] = []
    claim = None
    if judge.protection(session) is None:
        claim = judge.claim(session, entered)
    elif judge.compares and session.state is not State.UNKNOWN and session.id not in judge.spared:
        entered += judge.compared_though_protected(session)
    number = None
    if entered and with_ is None:
        key = key_of(session, each)
        rows = [entry(position, key, each.entry.packed, compare) for position, compare in entered]
        number = candidates.enter(rows) + len(rows)  # of the last one, whose pass claims it if any does
    if claim is None or not isinstance(claim.verdict, Act | Compare):
        return
    if isinstance(claim.verdict, Act):
        number = None
    elif with_ is not None:
        number = candidates.number_of(
            claim.position, f"{session.store}/{session.id.removesuffix(PAYLOAD)}@{with_}"
        )
        if number is None:
            return
    pass_name = judge.pass_name(claim.position)
    action = _expiring(shelf, session, each, pass_name, claim.verdict, file)
    base = plain(session.id) if layout_of(session.kind).has_lineage else None
    store.expiring += number is None and base is None
    draft = Draft(
        _encode(action), claim.position, Verb.PRUNE, action.bytes, phase_of(action), number=number, base=base
    )
    enter(draft, store, drafts)


def key_of(session: Session, each: Archived) -> str:
    """What a session in a pack is known by in a comparison; there may be other copies of it."""
    return f"{session.store}/{session.id}@{each.pack}"


def _expiring(
    shelf: Shelf, session: Session, each: Archived, pass_name: str, verdict: Verdict, file: Member | None
) -> Action:
    """Marking it in its pack; or moving its file to the trash."""
    return Action(
        verb=Verb.PRUNE,
        pass_=pass_name,
        store=session.store,
        session=session.id,
        path=shelf.path(each.label, each.pack),
        bytes=each.entry.packed,
        reason=verdict.reason,
        members=(file,) if file is not None else (),
        old_name=session.name,
        pack=each.pack if file is None else None,
        mark=Why.EXPIRED if file is None else None,
    )


def plan_compaction(shelf: Shelf, store: PlannedStore, judge: Judge) -> None:
    """Plan to rewrite the packs in which too much counts no more, unless the last mark was set only lately.

    A pack that was itself brought back is left alone for as long as sessions are.
    """
    if not shelf.has_packs:
        return
    with shelf.open() as catalogue:
        wanted = [pack for pack in catalogue.packs() if pack.dead and pack.dead_share > DEAD_SHARE]
    for pack in wanted:
        members = _files(shelf, pack)
        marked = members[-1].fingerprint.mtime_ns / 1e9 if members else math.inf
        if marked <= judge.idle_before and pack.name not in judge.spared:
            store.add(
                Action(
                    verb=Verb.COMPACT,
                    pass_="archive",
                    store=shelf.place.name,
                    session=pack.name,
                    path=shelf.path(pack.label, pack.name),
                    bytes=pack.dead_packed,
                    reason=f"{pack.dead:,} of its {pack.sessions:,} sessions, {pack.dead_share:.0%} of it, count no more",
                    members=members,
                    pack=pack.name,
                )
            )


def _files(shelf: Shelf, pack: PackFacts) -> tuple[Member, ...]:
    """A pack and its marks, as they are now."""
    folder = shelf.roots[pack.label]
    found: list[Member] = []
    with suppress(OSError):
        for name in (pack.name, names.marks_name(pack.name)):
            stat = os.stat(name, dir_fd=folder, follow_symlinks=False)
            found.append(Member(pack.label, name, opening.fingerprint(stat)))
        return tuple(found)
    return ()
