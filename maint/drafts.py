"""Actions that are not decided yet: what a comparison, a unique name or another session of their kin has to tell.

They wait in a spool until all sessions were read; what is decided by itself goes into the plan at once.
"""

import msgspec

from maint.actions import Verb
from maint.phases import Phase
from maint.planned import PlannedStore
from store.spool import Spool

_SEPARATOR = b"\x1f"


class Draft(msgspec.Struct):
    """An action in JSON as it will stand in the plan, unless something is still open.

    ``position`` is the place of its pass in the policy; verb, bytes and phase are the action's own.
    With ``rename_at`` it waits for a unique name, with ``number`` for what becomes of that candidate.
    With ``parent`` it waits for that session, which must go too, or this one stays.
    With ``base`` it takes away, or ends, the session of that plain id, which stays where another one rests on it.
    """

    line: bytes
    position: int
    verb: Verb
    bytes: int
    phase: Phase
    rename_at: float | None = None
    number: int | None = None
    parent: str | None = None
    base: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits for anything."""
        return (
            self.number is not None
            or self.rename_at is not None
            or self.parent is not None
            or self.base is not None
        )


def enter(draft: Draft, store: PlannedStore, drafts: Spool) -> None:
    """Put an action into the plan, or among those that are open."""
    if draft.is_open:
        drafts.append(encoded(draft))
    else:
        store.add_line(draft.line, draft.verb, draft.bytes, draft.phase)


def encoded(draft: Draft) -> bytes:
    """A draft as it waits in a spool; JSON and ids hold no separator."""
    rename_at = b"" if draft.rename_at is None else repr(draft.rename_at).encode()
    number = b"" if draft.number is None else b"%d" % draft.number
    parent, base = (draft.parent or "").encode(), (draft.base or "").encode()
    head = b"%d %d %d" % (draft.position, draft.bytes, draft.phase), draft.verb.encode()
    return _SEPARATOR.join((*head, rename_at, number, parent, base, draft.line))


def decoded(piece: bytes) -> Draft:
    """The draft that was `encoded`."""
    numbers, verb, rename_at, number, parent, base, line = piece.split(_SEPARATOR, 6)
    position, size, phase = map(int, numbers.split())
    return Draft(
        line,
        position,
        Verb(verb.decode()),
        size,
        Phase(phase),
        float(rename_at) if rename_at else None,
        int(number) if number else None,
        parent.decode() or None,
        base.decode() or None,
    )
