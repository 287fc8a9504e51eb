"""The closed list of what may be done to a store, as values.

An action is decided by a pass, written to the journal, and carried out by `maint.execute`; it names files by
root and relative path and carries the fingerprints that were seen, so that whoever carries it out can tell
whether it still speaks of the same files.
A new verb is a new way to lose data: it is added here, in the executor, in the undoing and in the fault tests,
or not at all.
"""

from enum import StrEnum

import msgspec

from store.facts import Fingerprint, Member


class Verb(StrEnum):
    UNLOCK = "unlock"
    RECOVER = "recover"
    DELETE_EMPTY = "delete-empty"
    REMOVE_LITTER = "remove-litter"
    PRUNE = "prune"
    EXPIRE_TRASH = "expire-trash"
    RESTORE = "restore"
    """Only in the journal of `maint undo` and `maint restore`; no pass plans it."""


TO_TRASH = frozenset({Verb.UNLOCK, Verb.DELETE_EMPTY, Verb.REMOVE_LITTER, Verb.PRUNE})
"""Verbs that move files into the trash, from where `maint undo` brings them back."""

REMOVES_SESSIONS = frozenset({Verb.DELETE_EMPTY, Verb.PRUNE})
"""Verbs that count against ``limits.max_removed``."""


class Result(StrEnum):
    """What became of an action: ``lost`` when the worker that had it died and nobody could tell."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    LOST = "lost"


class Action(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="action", gc=False):
    """One change to one session (or lock, or leftover), and why.

    ``session`` is the session's id, or the file's name where there is none; ``path`` is relative to the root of
    the first member.
    ``name`` is the new name of a recovered session (``None`` keeps its own).
    ``after`` names a session whose own action in this run must be done before this one may be.
    ``guard`` is the recorder's lock that is held meanwhile.
    """

    verb: Verb
    pass_: str = msgspec.field(name="pass")
    store: str
    session: str
    path: str
    bytes: int
    reason: str
    members: tuple[Member, ...]
    name: str | None = None
    old_name: str | None = None
    after: str | None = None
    guard: Member | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="outcome", gc=False):
    """What became of one action; ``detail`` says why it was not done, or where the old bytes are."""

    verb: Verb
    pass_: str = msgspec.field(name="pass")
    store: str
    session: str
    path: str
    bytes: int
    result: Result
    detail: str = ""
    n: int = 0
    """The place of the action in the plan of its store, from 0."""

    left: Fingerprint | None = None
    """What a rewritten session was left as, so that undoing can tell whether it has changed since."""


def outcome_of(
    n: int, action: Action, result: Result, detail: str = "", *, left: Fingerprint | None = None
) -> Outcome:
    """The outcome of the action at place ``n``."""
    return Outcome(
        verb=action.verb,
        pass_=action.pass_,
        store=action.store,
        session=action.session,
        path=action.path,
        bytes=action.bytes,
        result=result,
        detail=detail,
        n=n,
        left=left,
    )
