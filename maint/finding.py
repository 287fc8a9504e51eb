"""Finding sessions by id, prefix or name, in the stores and in their trash; and the runs that are on record."""

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from maint import journal, undoing
from maint.grace import grace_of
from maint.owner import as_owner, made_as_owner
from maint.reaching import open_roots
from store import edges, names, opening, trash
from store.facts import Place, Problem, Session
from store.layout import Layout, Moment, layout_of
from store.trash import Trashed

if TYPE_CHECKING:
    from policies import Policy

SHOWN = 20
"""Candidates that are listed where a name is ambiguous."""


class NotFound(LookupError):
    """No session, or no run, goes by this name; the text says where was looked."""


class Unseen(NotFound):
    """No session that can be seen goes by this name; ``problems`` tell of packs that it may be in all the same."""

    def __init__(self, text: str, problems: list[Problem]) -> None:
        super().__init__(text)
        self.problems = problems


class Ambiguous(LookupError):
    """More than one session goes by this name; the text lists them."""


def sessions(
    policy: "Policy | None", stores: list[Place], *, at: float | None = None
) -> Iterator[tuple[Place, Session]]:
    """The facts of all sessions, store by store, in the order of their ids; problems are left out.

    ``None`` is the shipped default policy.
    """
    now = time.time() if at is None else at
    for place in stores:
        for found in made_as_owner(place.path, _sessions(place, policy, now)):
            yield place, found


def _sessions(place: Place, policy: "Policy | None", now: float) -> Iterator[Session]:
    layout = layout_of(place.kind)
    listing = layout.discover(place, Moment(now, grace_of(policy, now)))
    for found in layout.read(place, listing.context, listing.entries):
        if isinstance(found, Session):
            yield found


def find(
    name: str, policy: "Policy | None", stores: list[Place], *, at: float | None = None
) -> tuple[Place, Session]:
    """The session of this id, unique prefix of an id, or unique name; raises `NotFound` and `Ambiguous`."""
    by_prefix: list[tuple[Place, Session]] = []
    by_name: list[tuple[Place, Session]] = []
    for place, session in sessions(policy, stores, at=at):
        if session.id == name:
            return place, session
        if session.id.startswith(name):
            by_prefix.append((place, session))
        if session.name == name:
            by_name.append((place, session))
    found = by_prefix or by_name
    if not found:
        raise NotFound(f"no session {names.printable(name)!r} in {_called(stores)}; `maint list` shows them")
    if len(found) > 1:
        raise Ambiguous(
            candidates(name, [f"{each.id}  {names.printable(each.name or '')}" for _, each in found])
        )
    return found[0]


def trashed(stores: list[Place]) -> Iterator[tuple[Place, Trashed]]:
    """All that waits in trash and backups."""
    for place in stores:
        for kept in made_as_owner(place.path, _trashed(place)):
            yield place, kept


def _trashed(place: Place) -> Iterator[Trashed]:
    with open_roots(place) as roots:
        yield from trash.list_trash(roots)


def find_trashed(session: str, stores: list[Place]) -> tuple[Place, str, list[Trashed]]:
    """What waits under this id, unique prefix or name, with its id: all files of the newest run that took any, and from
    the trash rather than the backups.
    """
    found: dict[str, list[tuple[Place, Trashed]]] = {}
    for place in stores:
        with as_owner(place.path), open_roots(place) as roots:
            for id_, files in undoing.find_trashed(roots, place, session).items():
                found.setdefault(id_, []).extend((place, kept) for kept in files)
    if session in found:
        found = {session: found[session]}
    if not found:
        raise NotFound(f"no session {names.printable(session)!r} waits in the trash of {_called(stores)}")
    if len(found) > 1:
        raise Ambiguous(candidates(session, sorted(found)))
    ((id_, waiting),) = found.items()
    place, newest = max(waiting, key=lambda each: (not each[1].backup, each[1].run))
    files = [
        kept
        for where, kept in waiting
        if where is place and (kept.backup, kept.run) == (newest.backup, newest.run)
    ]
    return place, id_, files


def content(place: Place, session: Session, *, raw: bool) -> Iterator[bytes]:
    """The session's records for a person, a line each, or its bytes as they are; OSError if it cannot be read."""
    return made_as_owner(place.path, _content(place, session, raw=raw), at_once=1)


def described(layout: Layout, root: str, path: str, lines: Iterable[edges.Line]) -> Iterator[bytes]:
    """What a person is shown of the lines of a file, a line each."""
    for line in lines:
        text = (
            layout.describe(root, path, line.data) if line.data is not None else "a line too long to be shown"
        )
        if text is not None:
            yield text.encode() + b"\n"


def _content(place: Place, session: Session, *, raw: bool) -> Iterator[bytes]:
    layout = layout_of(place.kind)
    with open_roots(place) as roots:
        for member in session.members:
            try:
                fd = opening.open_below(roots.reach(member.root), member.path)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                continue  # a link has no records
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    continue
                if raw:
                    while data := os.read(fd, 1 << 20):
                        yield data
                    continue
                yield from described(layout, member.root, member.path, edges.iter_lines(fd))
            finally:
                os.close(fd)


def log(run: str | None, stores: list[Place]) -> Iterator[journal.Line]:
    """The first and last lines of all runs, oldest first, or every line of one run."""
    for place in stores:
        yield from made_as_owner(place.path, _log(run, place))


def _log(run: str | None, place: Place) -> Iterator[journal.Line]:
    with open_roots(place) as roots:
        for each in journal.runs(roots) if run is None else [run]:
            if run is None:
                yield from journal.frame(roots, each)
            elif each in journal.runs(roots):
                yield from journal.read(roots, each)


def id_of(place: Place, kept: Trashed) -> str:
    """The id of the session that waits there, or its file's name where it is none."""
    return layout_of(place.kind).session_of(kept.root, kept.path) or kept.path


def _called(stores: list[Place]) -> str:
    return ", ".join(place.name for place in stores) or "any store: there is none"


def candidates(name: str, found: list[str]) -> str:
    """What is said where a name may mean several sessions."""
    shown = "\n".join(f"  {each}" for each in found[:SHOWN])
    more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{names.printable(name)!r} may be any of {len(found)}:\n{shown}{more}"
