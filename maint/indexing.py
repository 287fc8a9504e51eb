"""Keeping true the files in which a program lists its own sessions.

A program that trusts such a file shows what is gone, and hides what is there, for ever.
So whatever is done to sessions, the files that list them are made to tell it in the same run: each once, when all
is done that it must tell of, however many sessions that were.
Between a session's going and that moment its entry leads nowhere, as it does when the program removes one itself.

What is guarded: a file that lists sessions is rewritten like a session, with its old self as a backup, and is left
alone while somebody else writes it; of the sessions that this run did not touch it goes on saying what it said.
A run that is killed before it gets here leaves that to whoever settles it.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from maint.journal import IndexedLine
from maint.touched import Touched
from store import change, looking, names, opening
from store.change import Skip
from store.facts import Fingerprint, Member, Place, Problem
from store.layout import Layout, Unmendable, layout_of
from store.roots import RootFds

_TRIES = 3
"""How often an index is looked at anew because its owner has just written it."""

_OLDER = 8
"""Earlier selves of an index that are asked what they said of a session that has come back."""


class Indexed(NamedTuple):
    """What became of an index: what it was left as, and whether it was made where there was none.

    One that was rewritten ``twice`` in a run has its backup there from the first time, which is not what it was the
    last time: it is not to be given that back.
    """

    left: Fingerprint
    made: bool = False
    twice: bool = False


def reindex(
    roots: RootFds,
    layout: Layout,
    root: str,
    path: str,
    named: frozenset[str],
    run: str,
    n: int,
    *,
    whole: bool = False,
) -> Indexed | None:
    """Make an index tell the truth about these sessions; ``None`` if it does already.

    With ``whole`` it also gets what else is missing from it, and loses what leads nowhere.
    ``n`` tells its temporary file from those of other actions of the run.
    Raises Skip, `Unmendable` and OSError; then it is as it was.
    """
    roots.moves.sync_beside(root, path, run)
    backup = names.backup_path(run, root, path)
    twice = looking.stat_below(roots[roots.home(root)], backup) is not None
    if twice:
        # Somebody may have written it since, so that this self of it is kept, too, as of a run of its own.
        run = names.new_run_id(time.time(), os.urandom(3))
    for last in (False,) * (_TRIES - 1) + (True,):
        try:
            done = _reindex(roots, layout, root, path, named, run, n, whole=whole)
        except Skip:
            if last:
                raise
            _drop_unused(roots, root, path, names.backup_path(run, root, path))
        else:
            return done._replace(twice=twice) if done is not None else None
    raise AssertionError


def _drop_unused(roots: RootFds, root: str, path: str, backup: str) -> None:
    """Remove the backup that an attempt has left of an index whose owner put another in its place meanwhile.

    He has ended that one himself, and the next attempt is to back up his new one under the same name.
    """
    home = roots[roots.home(root)]
    kept = looking.stat_below(home, backup)
    now = looking.stat_below(roots[root], path)
    if kept is None or kept.st_nlink > 1 or (now is not None and os.path.samestat(kept, now)):
        return
    with suppress(FileNotFoundError), opening.parent_of(home, backup) as (folder, name):
        os.unlink(name, dir_fd=folder)


def _reindex(
    roots: RootFds,
    layout: Layout,
    root: str,
    path: str,
    named: frozenset[str],
    run: str,
    n: int,
    *,
    whole: bool,
) -> Indexed | None:
    with ExitStack() as stack:
        try:
            folder, name = stack.enter_context(opening.parent_of(roots[root], path))
        except FileNotFoundError:
            return None  # the folder of its sessions is gone, and with it whoever might look for them
        index: int | None = None
        member: Member | None = None
        with suppress(FileNotFoundError):
            index = looking.open_file(folder, name)
            stack.callback(os.close, index)
            member = Member(root, path, opening.fingerprint(os.fstat(index)))
        older = stack.enter_context(_older(roots, root, path))
        content = layout.reindex(folder, index, None, older) if whole else None
        if named:
            # What was made true as a whole may still say of a session what it was before this run.
            with _as_file(content) as so_far:
                content = layout.reindex(folder, index if so_far is None else so_far, named, older) or content
    if content is None:
        return None
    if member is None:
        return Indexed(change.make_new(roots, root, path, content, run, n), made=True)
    return Indexed(change.rewrite(roots, member, run, n, lambda _: iter((content,))).fingerprint)


@contextmanager
def _as_file(content: bytes | None) -> Iterator[int | None]:
    """A descriptor from which these bytes can be read; ``None`` for nothing."""
    if content is None:
        yield None
        return
    import tempfile  # noqa: PLC0415  what it takes is imported when there is such a thing

    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.fileno()


@contextmanager
def _older(roots: RootFds, root: str, path: str) -> Iterator[list[int]]:
    """Earlier selves of an index among our backups, the newest first, as descriptors."""
    found: list[int] = []
    home = roots[roots.home(root)]
    try:
        with suppress(OSError):
            for run in _runs_with_backups(home)[:_OLDER]:
                with suppress(OSError):
                    found.append(opening.open_below(home, names.backup_path(run, root, path)))
        yield found
    finally:
        for fd in found:
            os.close(fd)


def _runs_with_backups(home: int) -> list[str]:
    folder = opening.open_below(home, names.BACKUP, opening.FOLDER_FLAGS)
    try:
        return sorted(filter(names.is_run_id, os.listdir(folder)), reverse=True)
    finally:
        os.close(folder)


def keep_true(
    roots: RootFds,
    place: Place,
    touched: Touched,
    run: str,
    first: int,
    told: Callable[[IndexedLine], None],
) -> Iterator[Problem]:
    """Make all indexes tell what was done, numbered from ``first``, and tell of each; what could not be done."""
    layout = layout_of(place.kind)
    for n, ((root, path), sessions) in enumerate(touched.indexes(), first):
        try:
            done = reindex(roots, layout, root, path, sessions, run, n)
        except Unmendable as reason:
            text = f"does not tell what run {run} did, because {reason}"
            yield Problem(place.name, names.printable(path), text)
        except (Skip, OSError) as error:
            why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
            text = f"does not tell what run {run} did ({why}): `recover` sees to it"
            yield Problem(place.name, names.printable(path), text)
        else:
            if done is not None and not done.twice:
                told(IndexedLine(root=root, path=path, left=done.left, made=done.made))
