"""A plan as data: what is there, what is to be done, in order, and why none of it may be done, if so."""

from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING

import msgspec

from maint.actions import Action, Verb
from maint.tally import Tally
from maint.verdicts import Act, Kept
from store.facts import Place, Problem

if TYPE_CHECKING:  # bringing a session back needs no policy, and a single action no temporary file
    from maint.spool import Spool
    from policies import Policy

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Action).decode


def _new_spool() -> "Spool":
    from maint.spool import Spool  # noqa: PLC0415  it takes a temporary file's module

    return Spool()


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

    spool: "Spool | BytesIO" = msgspec.field(default_factory=_new_spool)

    def add(self, action: Action) -> None:
        """Append an action."""
        self.add_line(_encode(action), action.verb, action.bytes)

    def add_line(self, line: bytes, verb: Verb, size: int) -> None:
        """Append an action that is JSON already; verb and bytes are its own."""
        self.spool.write(line + b"\n")
        self.planned[verb] += 1
        self.planned_bytes[verb] += size

    def lines(self) -> Iterator[bytes]:
        """The actions in order, a line of JSON each."""
        self.spool.seek(0)
        for line in self.spool:  # noqa: UP028  `yield from` would close the file with this generator
            yield line

    def line_at(self, offset: int) -> bytes:
        """The line that begins there; not to be asked while `lines` is at work."""
        if isinstance(self.spool, BytesIO):
            self.spool.seek(offset)
            return self.spool.readline()
        return self.spool.line_at(offset)

    def actions(self) -> Iterator[Action]:
        """The actions in order."""
        return map(_decode, self.lines())


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
