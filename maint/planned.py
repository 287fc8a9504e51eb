"""A plan as data: what is there, what is to be done, in order, and why none of it may be done, if so."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING

import msgspec

from maint.actions import Action, Verb
from maint.phases import Phase, phase_of
from maint.tally import Tally
from maint.verdicts import Act, Kept
from store.facts import Place, Problem
from store.spool import Spool

if TYPE_CHECKING:  # bringing a session back needs no policy
    from policies import Policy

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Action).decode


class PlannedStore(msgspec.Struct):
    """One store in a plan: where it is, what is there, and what is to be done, in order."""

    place: Place
    tally: Tally = msgspec.field(default_factory=Tally)
    problems: list[Problem] = msgspec.field(default_factory=list)
    planned: Counter[Verb] = msgspec.field(default_factory=Counter)
    planned_bytes: Counter[Verb] = msgspec.field(default_factory=Counter)
    refusals: list[str] = msgspec.field(default_factory=list)
    complete: bool = True
    archived: int = 0
    """Sessions in packs."""

    archived_bytes: int = 0
    """What they take there."""

    expiring: int = 0
    """Of the planned `Verb.PRUNE`, those of sessions in packs."""

    spool: Spool = msgspec.field(default_factory=Spool)
    """The actions in order, a line of JSON each."""

    phases: bytearray = msgspec.field(default_factory=bytearray)
    """When each of them is done."""

    def add(self, action: Action) -> None:
        """Append an action."""
        self.add_line(_encode(action), action.verb, action.bytes, phase_of(action))

    def add_line(self, line: bytes, verb: Verb, size: int, phase: Phase) -> None:
        """Append an action that is JSON already; verb, bytes and phase are its own."""
        self.spool.append(line + b"\n")
        self.phases.append(phase)
        self.planned[verb] += 1
        self.planned_bytes[verb] += size

    def line(self, n: int) -> bytes:
        """The action of this place as JSON."""
        return self.spool[n][:-1]

    def of(self, phase: Phase) -> Sequence[int]:
        """The places of the actions of a phase, in order."""
        if phase not in self.phases:
            return ()
        return array("Q", compress(range(len(self.phases)), map(phase.__eq__, self.phases)))

    def actions(self) -> Iterator[Action]:
        """The actions in order."""
        return map(_decode, self.spool)


class Plan(msgspec.Struct):
    """The ordered actions of one run over some stores, and why none of it may be done, if so."""

    run: str
    at: float
    policy: "Policy"
    stores: list[PlannedStore]
    asked: Mapping[int, Act | Kept] = msgspec.field(default_factory=dict)
    """What comparing passes said of the session that was asked about, by the pass's place in the policy."""

    @property
    def refused(self) -> list[str]:
        return [text for store in self.stores for text in store.refusals]

    @property
    def complete(self) -> bool:
        """Whether all sessions were read; what was interrupted must not be carried out."""
        return all(store.complete for store in self.stores)
