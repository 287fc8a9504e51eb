"""What a pass can say of one session, lock or leftover: a closed union, each with its reason.

Reasons are clauses in lower case, made for people: they go into plans, journals and `maint explain`.
"""

from typing import TYPE_CHECKING

import msgspec

from maint.actions import Packing, Verb

if TYPE_CHECKING:  # bringing a session back tells nobody when another one comes of age
    from zoneinfo import ZoneInfo

    from policies import Duration


class No(msgspec.Struct, frozen=True, gc=False):
    """Not this pass's business; a later pass may claim it."""

    reason: str


STILL_MARKED = No("its recorder still has it marked as the one that it records: recover it first")
"""What passes say that would take a session away into whose name its recorder may go on (`store.facts.Session.recording`)."""


class _ComesOfAge(msgspec.Struct, frozen=True, gc=False):
    """What comes of age when it is as old as ``age``, counted from the moment ``since``.

    When that is depends on a calendar, and nearly nobody asks.
    """

    reason: str
    since: float
    age: "Duration"

    def due(self, zone: "ZoneInfo") -> float:
        """The moment at which it does."""
        return self.age.after(self.since, zone)


class Wait(_ComesOfAge, frozen=True, gc=False):
    """Not yet: this pass would claim it when it comes of age, if nothing changes until then."""


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


class Compare(_ComesOfAge, frozen=True, gc=False):
    """It takes part in a comparison with its ``group``, which decides when all of them have been seen.

    One that is ``old`` enough is claimed, whatever the comparison says.
    ``held`` is why it stays whatever the others are.
    """

    group: tuple[str, ...]
    old: bool
    held: tuple[str, ...] = ()


Verdict = No | Wait | Kept | Act | Compare
