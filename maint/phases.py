"""When an action is done: in the order that keeps what leads to a session until it is seen to.

First what is done to sessions one by one; then what is about packs, which is done many at a time: bringing sessions
back from them, making them, marking what has expired in them, rewriting them; then sessions that wait for the ones
that began them, as those do that are to be packed, behind the others; then the files that list sessions, which must tell what was done; and last what takes away what
leads to a session.
"""

from enum import IntEnum

from maint.actions import Action, Verb


class Phase(IntEnum):
    """When an action is done; those of one phase are done together."""

    SINGLY = 0
    RESTORE = 1
    ARCHIVE = 2
    ARCHIVE_CHILDREN = 3
    MARK = 4
    COMPACT = 5
    CHILDREN = 6
    INDEX = 7
    LAST = 8


def phase_of(action: Action) -> Phase:
    """When this action is done."""
    if action.index is not None:
        return Phase.INDEX
    if action.pack is not None and action.mark is not None and not action.members:
        return Phase.MARK
    match action.verb:
        case Verb.ARCHIVE:
            return Phase.ARCHIVE if action.after is None else Phase.ARCHIVE_CHILDREN
        case Verb.COMPACT:
            return Phase.COMPACT
        case Verb.RESTORE:
            return Phase.RESTORE if action.pack is not None else Phase.SINGLY
        case Verb.UNLOCK | Verb.EXPIRE_TRASH:
            return Phase.LAST
        case _:
            return Phase.SINGLY if action.after is None else Phase.CHILDREN
