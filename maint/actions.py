"""The closed list of what may be done to a store, as values.

An action is decided by a pass, written to the journal, and carried out by `maint.execute`; it names files by
root and relative path and carries the fingerprints that were seen, so that whoever carries it out can tell
whether it still speaks of the same files.
A new verb is a new way to lose data: it is added here, in the executor, in the undoing and in the fault tests,
or not at all.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from store.facts import Account, Fingerprint, Member

LONGEST_LINE = 64 << 20
"""Bytes of an action, or of anything else in a plan or a journal, as a line: a hundred thousand files of a session."""


class Verb(StrEnum):
    UNLOCK = "unlock"
    RECOVER = "recover"
    DELETE_EMPTY = "delete-empty"
    REMOVE_LITTER = "remove-litter"
    ARCHIVE = "archive"
    PRUNE = "prune"
    COMPACT = "compact"
    """Rewrite a pack without what has expired in it; planned by no pass but by the state of the archive."""

    EXPIRE_TRASH = "expire-trash"
    RESTORE = "restore"
    """Only in the journal of `maint undo` and `maint restore`; no pass plans it."""


TO_TRASH = frozenset({Verb.UNLOCK, Verb.DELETE_EMPTY, Verb.REMOVE_LITTER, Verb.PRUNE})
"""Verbs that move files into the trash, from where `maint undo` brings them back."""

REMOVES_SESSIONS = frozenset({Verb.DELETE_EMPTY, Verb.PRUNE})
"""Verbs that count against ``limits.max_removed``."""


PAYLOAD = "+payload"
"""What stands behind the id of a session in the archive where only its payload is meant: no id has a plus in it."""


class Result(StrEnum):
    """What became of an action: ``lost`` when the worker that had it died and nobody could tell."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    LOST = "lost"


class Packing(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """How a session is archived: the compression level, the form, what becomes of the original, which part of it,
    and where to.

    ``into`` is an absolute folder, or ``None`` for the archive in the store's own ``.maint``; ``pack_size`` is how
    many bytes of tar a pack holds at most.
    """

    level: int = 3
    form: Literal["pack", "file"] = "pack"
    originals: Literal["remove", "trash", "keep"] = "remove"
    part: Literal["whole", "payload"] = "whole"
    into: str | None = None
    pack_size: int = 256 << 20


class Action(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="action", gc=False):
    """One change to one session (or lock, or leftover), and why.

    ``session`` is the session's id, or the file's name where there is none; ``path`` is relative to the root of
    the first member.
    ``name`` is the new name of a recovered session (``None`` keeps its own).
    ``after`` names a session whose own action in this run must be done before this one may be.
    ``guard`` is the recorder's lock that is held meanwhile.
    ``packing`` and ``account`` go with sessions that are to be archived, ``pack`` with those that are: then it is
    the name of their pack.
    ``index`` is set where the action is about a file that lists sessions: the label of its root, and its path; it
    may have no members then, because the file is missing.
    ``mark`` is what the session is marked with in its pack (`store.marks.Why`): all there is to do where there are
    no members, and what is done last where there are.
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
    packing: Packing | None = None
    account: Account | None = None
    pack: str | None = None
    mark: str | None = None
    index: tuple[str, str] | None = None


def is_expiry(action: Action) -> bool:
    """Whether an action ends the time of a session in a pack, rather than of one in the store."""
    return action.verb is Verb.PRUNE and action.pack is not None


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

    made: tuple[Member, ...] = ()
    """Files that were made where there were none, and go when this is undone."""

    pack: str | None = None
    """The pack that holds the session now."""

    freed: int = 0
    """The bytes of originals that are no longer in the store nor in its trash."""

    trashed: int = 0
    """The bytes of originals that went to the trash when their session was archived."""

    carried: int = 0
    """The bytes that were appended to the old file of a rewritten session, and so to the new one."""

    def __reduce__(self) -> tuple[object, ...]:
        """How a worker sends it: as JSON, in a quarter of the time that a pickle of each field takes."""
        return _outcome, (_encode(self),)


_encode = msgspec.json.Encoder().encode
_decode_outcome = msgspec.json.Decoder(Outcome).decode


def _outcome(told: bytes) -> Outcome:
    return _decode_outcome(told)


def outcome_of(
    n: int,
    action: Action,
    result: Result,
    detail: str = "",
    *,
    left: Fingerprint | None = None,
    made: tuple[Member, ...] = (),
    pack: str | None = None,
    freed: int = 0,
    trashed: int = 0,
    carried: int = 0,
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
        made=made,
        pack=pack if pack is not None else action.pack,
        freed=freed,
        trashed=trashed,
        carried=carried,
    )
