"""Sessions in packs: found by id, prefix or name, read without unpacking the rest, and brought back by actions."""

import functools
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from fnmatch import fnmatchcase
from heapq import merge

from maint import singles, unseen
from maint.actions import PAYLOAD, Action, Verb
from maint.finding import Ambiguous, NotFound, Unseen, candidates, described
from maint.kin import plain
from maint.owner import as_owner, made_as_owner
from maint.reaching import open_roots
from store import edges, manifest, unpacking
from store.archived import Archived
from store.catalogue import Catalogue
from store.facts import Fingerprint, Member, Place, Problem
from store.layout import layout_of
from store.names import printable
from store.roots import RootFds

Found = tuple[Place, Archived]


Tell = Callable[[Problem], None]
"""Told of each folder of packs, and of each pack, that cannot be looked into: there may be more than was found."""


def archived(stores: list[Place], tell: Tell, *, dead: bool = False) -> Iterator[Found]:
    """All sessions in packs, store by store, in the order of their ids; with ``dead`` also those that count no more."""
    for place in stores:
        for each in made_as_owner(place.path, _sessions(place, tell, dead=dead)):
            yield place, each


def _sessions(place: Place, tell: Tell, *, dead: bool = False) -> Iterator[Archived]:
    with open_roots(place) as roots, Catalogue.open(place, roots) as catalogue:
        for problem in unseen.problems(place, roots, catalogue):
            tell(problem)
        yield from _with_files(catalogue.sessions(dead=dead), place, roots)


def find(name: str, stores: list[Place]) -> Found | None:
    """The newest copy of the session of this id, unique prefix of an id, or unique name; ``None`` if there is none.

    Before it says that there is none, the packs themselves are asked. Raises `Ambiguous`.
    """
    found = _find(name, stores, fresh=False) or _find(name, stores, fresh=True)
    newest: dict[str, Found] = {}
    for place, each in found:
        known = newest.get(each.entry.id)
        if known is None or _later(known[1], each):
            newest[each.entry.id] = place, each
    for id_ in [each for each in newest if each.endswith(PAYLOAD) and each.removesuffix(PAYLOAD) in newest]:
        del newest[id_]  # it is of that session, and comes back with it
    if len(newest) > 1:
        told = [f"{id_}  {printable(each.entry.account.name or '')}" for id_, (_, each) in newest.items()]
        raise Ambiguous(candidates(name, sorted(told)))
    return next(iter(newest.values()), None)


def newest(session: str, place: Place) -> Archived | None:
    """The newest copy of the session of exactly this id, as far as the catalogue of its store knows it.

    One that was told apart from others of its id when it was packed is of that id, too.
    """
    with as_owner(place.path), open_roots(place) as roots, Catalogue.open(place, roots) as catalogue:
        every = catalogue.find(session)
        found = [each for each in every if session in (each.entry.id, plain(each.entry.id))]
    return functools.reduce(lambda one, other: other if _later(one, other) else one, found) if found else None


def _find(name: str, stores: list[Place], *, fresh: bool) -> list[Found]:
    found: list[Found] = []
    for place in stores:
        with (
            as_owner(place.path),
            open_roots(place) as roots,
            Catalogue.open(place, roots, fresh=fresh) as catalogue,
        ):
            packed = catalogue.find(name)
            if not any(each.entry.id == name for each in packed):  # else no folder need be listed
                packed += singles.find(place, roots, name)
            found += [(place, each) for each in packed]
    exact = [each for each in found if each[1].entry.id == name]
    by_prefix = [each for each in found if each[1].entry.id.startswith(name)]
    return exact or by_prefix or found


def select(
    stores: list[Place], globs: Iterable[str], ended_before: float | None, tell: Tell, met: set[str]
) -> Iterator[tuple[Place, Iterator[Archived]]]:
    """The newest copies of all sessions in packs whose id or name matches one of the globs (any, if there are none).

    What is no pattern (`is_pattern`) is the beginning of an id, or a name.

    ``ended_before`` leaves out those that ended later. Store by store, one at a time, and behind the sessions of each
    whatever they rest on and does not match, as `bases` says. ``met`` takes in the globs that something matched,
    however lately it ended.
    """
    wanted = list(globs)

    def chosen(place: Place) -> Iterator[Archived]:
        matching = matching_in(place)
        return _with_bases(place, matching) if layout_of(place.kind).has_lineage else matching

    def matching_in(place: Place) -> Iterator[Archived]:
        last: Archived | None = None
        for each in _sessions(place, tell):
            if last is not None and last.entry.id != each.entry.id:
                if _fits(last, wanted, ended_before, met):
                    yield last
                last = each
            elif last is None or _later(last, each):
                last = each
        if last is not None and _fits(last, wanted, ended_before, met):
            yield last

    for place in stores:
        yield place, made_as_owner(place.path, chosen(place))


def bases(place: Place, wanted: Collection[str], coming: Collection[str] = ()) -> Iterator[Archived]:
    """What is in packs of these bases, and of what they rest on in their turn, and is neither in the store nor coming."""
    from maint import lineage  # noqa: PLC0415  most kinds do without it

    if not wanted:
        return
    with as_owner(place.path):
        there = lineage.bases_in_store(place, time.time())
    seen = set(coming)
    waiting = list(wanted)
    while waiting:
        base = waiting.pop()
        if base in seen:
            continue
        seen.add(base)
        if base in there:
            above = there[base]
        elif (packed := newest(base, place)) is not None:
            yield packed
            above = packed.entry.account.rests_on
        else:
            continue
        if above is not None:
            waiting.append(above)


def _with_bases(place: Place, chosen: Iterable[Archived]) -> Iterator[Archived]:
    coming: set[str] = set()
    wanted: set[str] = set()
    for each in chosen:
        coming.add(plain(each.entry.id))
        if each.entry.account.rests_on is not None:
            wanted.add(each.entry.account.rests_on)
        yield each
    yield from bases(place, wanted, coming)


def not_found(text: str, stores: list[Place]) -> NotFound:
    """What to raise where no session was found: `Unseen` if it may be in a pack that cannot be looked into."""
    problems: list[Problem] = []
    for place in stores:
        with as_owner(place.path), open_roots(place) as roots, Catalogue.open(place, roots) as catalogue:
            problems += unseen.problems(place, roots, catalogue)
    return Unseen(text, problems) if problems else NotFound(text)


def _later(one: Archived, other: Archived) -> bool:
    """Whether the other copy is the later state; that a pack was rewritten makes nothing in it later."""
    return (one.entry.last_changed, one.run, one.pack) < (other.entry.last_changed, other.run, other.pack)


def _id(each: Archived) -> str:
    return each.entry.id


def _with_files(packed: Iterator[Archived], place: Place, roots: RootFds) -> Iterator[Archived]:
    """The sessions in packs and those that are files by themselves, by id; most stores have none of the latter."""
    files = singles.archived(place, roots)
    return merge(packed, files, key=_id) if files else packed


def is_pattern(name: str) -> bool:
    """Whether a session's name asks for all that match it: ``*`` is anything, ``?`` one sign, and nothing else is special."""
    return "*" in name or "?" in name


def _fits(each: Archived, names: list[str], ended_before: float | None, met: set[str]) -> bool:
    old = ended_before is None or each.ended <= ended_before
    if not names:
        return old
    id_, called = each.entry.id, each.entry.account.name or ""
    fitting = [name for name in names if _is_called(id_, called, name)]
    met.update(fitting)
    return old and fitting != []


def _is_called(id_: str, called: str, name: str) -> bool:
    if not is_pattern(name):
        return id_.startswith(name) or called == name
    glob = name.replace("[", "[[]")
    return fnmatchcase(id_, glob) or fnmatchcase(called, glob)


def restoring(
    place: Place,
    each: Archived,
    reason: str = "brought back by hand",
    mark: str | None = None,
) -> Action:
    """The action that brings a session back from its pack; ``mark`` is what its copy there is marked with then."""
    members = tuple(
        Member(member.root, member.path, Fingerprint(0, 0, member.size, member.mtime_ns, 0))
        for member in each.entry.members
    )
    return Action(
        verb=Verb.RESTORE,
        pass_="restore" if mark is None else "undo",
        store=place.name,
        session=each.entry.id,
        path=f"{place.roots.get(members[0].root, place.path)}/{members[0].path}",
        bytes=each.entry.size,
        reason=f"{reason}, from {each.pack}",
        members=members,
        old_name=each.entry.account.name,
        pack=each.pack,
        mark=mark,
    )


def copy_out(place: Place, each: Archived, folder: str) -> list[str]:
    """Copy a session from its pack to a folder, byte for byte; the paths it has there.

    Raises FileExistsError, OSError, and `store.frames.Damaged`.
    """
    with ExitStack() as stack:
        with as_owner(place.path):
            roots = stack.enter_context(open_roots(place))
            with Catalogue.open(place, roots) as catalogue:
                pack = stack.enter_context(catalogue.reader(each))
        # It may come from a long list, whose members nobody has looked at.
        entry = manifest.checked_entry(manifest.encode_entry(each.entry))
        with as_owner(folder):
            return unpacking.copy_out(pack, entry, folder)


def content(place: Place, each: Archived, *, raw: bool) -> Iterator[bytes]:
    """The session's records for a person, a line each, or its bytes as they are, from its own frames only.

    Raises OSError, and `store.frames.Damaged`: with ``raw`` perhaps only when all bytes have been given.
    """
    return made_as_owner(place.path, _content(place, each, raw=raw), at_once=1)


def _content(place: Place, each: Archived, *, raw: bool) -> Iterator[bytes]:
    layout = layout_of(place.kind)
    with ExitStack() as stack:
        roots = stack.enter_context(open_roots(place))
        catalogue = stack.enter_context(Catalogue.open(place, roots))
        pack = stack.enter_context(catalogue.reader(each))
        for member, blocks in pack.members(each.entry):
            if raw:
                yield from map(bytes, blocks)
                continue
            yield from described(layout, member.root, member.path, edges.split_lines(blocks))
