"""What a pass can say of one session, lock or leftover: a closed union, each with its reason.

Reasons are clauses in lower case, made for people: they go into plans, journals and `maint explain`.
"""

import msgspec

from maint.actions import Packing, Verb


class No(msgspec.Struct, frozen=True, gc=False):
    """Not this pass's business; a later pass may claim it."""

    reason: str


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Not yet: this pass would claim it from ``due`` on, if nothing changes until then."""

    reason: str
    due: float


class Kept(msgspec.Struct, frozen=True, gc=False):
    """Claimed and kept: no later pass sees it in this run."""

    reason: str


class Act(msgspec.Struct, frozen=True, gc=False):
    """Claimed: this is to be done.

    ``rename_at`` asks for a name made from that moment (None keeps the session's own name).
    ``packing`` says how a session is to be archived.
    """

    verb: Verb
    reason: str
    rename_at: float | None = None
    packing: Packing | None = None


class Compare(msgspec.Struct, frozen=True, gc=False):
    """It takes part in a comparison with its group, which decides when all of them have been seen.

    ``due`` is when it comes of age; one that is old enough is claimed, whatever the comparison says.
    ``held`` is why it stays whatever the others are.
    """

    group: tuple[str, ...]
    reason: str
    due: float
    old: bool
    held: tuple[str, ...] = ()


Verdict = No | Wait | Kept | Act | Compare
