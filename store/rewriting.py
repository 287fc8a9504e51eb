"""Rewriting a session: its new bytes take its name, and its old file becomes a backup.

What is guarded: readers see the old bytes or the new, never a mixture; the old bytes keep a name until the new ones
are durable, were read back from the disk and are the ones that were written; what is appended meanwhile is carried
over.

A rewrite that was killed anywhere can be asked for again with the same arguments, and then either ends in the same
state or leaves the session as it was, under one name.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import msgspec

from store import durable, leases, looking, names, opening, second_names
from store.barriers import NEXT, Durable, Steps, alone
from store.carrying import carry_over, carry_tail
from store.exchanging import Place, commit
from store.facts import Fingerprint, Member
from store.looking import stranded
from store.roots import RootFds


class Rewritten(msgspec.Struct, frozen=True):
    """What became of a session: its new fingerprint, and where the old bytes are.

    ``backup`` is relative to the root ``home``; ``old_size`` is how long the file was when it was planned.
    ``carried`` counts the bytes that somebody appended meanwhile and that were appended to the new file as well.
    ``busy`` means that somebody still has the old file open for writing: ``carry_over`` is to be called later, and
    nothing was carried yet.
    """

    fingerprint: Fingerprint
    home: str
    backup: str
    old_size: int
    carried: int = 0
    busy: bool = False


def rewrite(
    roots: RootFds,
    member: Member,
    run: str,
    n: int,
    build: Callable[[int], Iterator[bytes]],
    *,
    idle: bool = False,
) -> Rewritten:
    """As `rewriting`, by itself."""
    return alone(rewriting(roots, member, run, n, build, idle=idle))


def rewriting(
    roots: RootFds,
    member: Member,
    run: str,
    n: int,
    build: Callable[[int], Iterator[bytes]],
    *,
    idle: bool = False,
) -> Steps[Rewritten]:
    """Replace a session by what ``build`` makes of it, and keep the old file as a backup of this run.

    ``build`` gets a descriptor of the old file, at its start, and yields the new bytes, which end with a newline
    if the session is made of lines; what it raises is passed on, and nothing was changed.
    ``idle`` is the caller's word that nobody wrote for far longer than the grace period: without it, a session
    is skipped where the system cannot tell writers or cannot exchange two files.
    Durable on return.
    """
    try:
        with (
            looking.opened(roots, member) as (fd, folder, name),
            closing(Place(roots, member, run, n, fd, folder, name)) as place,
        ):
            return (yield from _resume(place)) or (yield from _rewrite(place, build, idle=idle))
    except BaseException:
        # An earlier attempt may have been killed when the session had its second name and still its own.
        second_names.take_back(
            roots, member.root, member.path, names.backup_path(run, member.root, member.path)
        )
        raise


def _rewrite(place: Place, build: Callable[[int], Iterator[bytes]], *, idle: bool) -> Steps[Rewritten]:
    found, folder = os.fstat(place.fd), os.fstat(place.folder)
    looking.require_planned(
        found, folder, place.planned, second_name=found.st_nlink == 2 and place.backup_is(place.fd)
    )
    lease = looking.require_quiet(place.fd, idle=idle)
    # What was written between these two looks is seen by the next one, after the new file is complete.
    new = durable.create(place.tmp, place.tmp_name, flags=os.O_RDWR | os.O_APPEND)
    try:
        yield from _write(new, build, place)
        yield from commit(place, new, lease, idle=idle)
        return (yield from _finish(place, new))
    finally:
        os.close(new)


def _resume(place: Place) -> Steps[Rewritten | None]:
    """Clear up after an attempt of the same run that was killed; what it did, if it got as far as the exchange.

    The backup is made before the exchange, so a backup that is the planned file while the name is not means
    that the exchange took place.
    The temporary file may then be the old file, or one that took the name just before the exchange, which
    nobody else may have a name for: that one is never deleted.
    """
    planned = place.planned
    left = looking.stat_at(place.tmp, place.tmp_name)
    if opening.fingerprint(os.fstat(place.fd)).same_file(planned):
        if left is not None:
            os.unlink(place.tmp_name, dir_fd=place.tmp)  # never got the name, and is made again
        return None
    kept = looking.stat_at(place.backup, place.backup_name)
    if kept is None or not opening.fingerprint(kept).same_file(planned):
        if left is not None:
            raise stranded(place.set_aside(), "was left by a killed run, and the session is another file now")
        return None
    if left is not None:
        if not os.path.samestat(left, kept):
            raise stranded(place.set_aside(), "had the session's name while it was rewritten")
        os.unlink(place.tmp_name, dir_fd=place.tmp)
    yield Durable(place.folder, place.member.path, folder=True)
    carried = carry_over(place.roots, place.member, place.run)
    return Rewritten(
        opening.fingerprint(os.fstat(place.fd)), place.home, place.backup_path, planned.size, carried=carried
    )


def _write(new: int, build: Callable[[int], Iterator[bytes]], place: Place) -> Steps[None]:
    """Fill the temporary file and see it on the disk, or remove it again."""
    try:
        os.lseek(place.fd, 0, os.SEEK_SET)
        digest = durable.write_pieces(new, build(place.fd))
        durable.dress_like(new, place.fd)
        yield Durable(new, place.tmp_path)
        durable.ask_disk(new)
        with place.roots.moves.beside(place.member.root, place.member.path, place.run) as moved:
            yield moved or NEXT
        durable.require_on_disk(new, digest, place.tmp_path)
    except BaseException:
        durable.remove_exactly(place.tmp, place.tmp_name, new)
        raise


def _finish(place: Place, new: int) -> Steps[Rewritten]:
    yield Durable(place.folder, place.member.path, folder=True)
    with suppress(FileNotFoundError):
        os.unlink(place.tmp_name, dir_fd=place.tmp)
    leases.drop_lease(place.fd)  # lets those in who waited for the old file
    carried, busy = yield from carry_tail(place.fd, place.planned.size, new, place.member.path)
    leases.drop_lease(new)
    return Rewritten(
        opening.fingerprint(os.fstat(new)), place.home, place.backup_path, place.planned.size, carried, busy
    )
