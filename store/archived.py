"""What the catalogue tells: a session in a pack, and a pack, as data."""

import msgspec

from store import names
from store.facts import Session
from store.manifest import Entry


class Archived(msgspec.Struct, frozen=True, gc=False):
    """A session in a pack: the root and the name of the pack, its line, and why it does not count, if so.

    Of one that is a file by itself (`store.single`), ``pack`` is the path of that, and ``made_by`` its run.
    """

    label: str
    pack: str
    entry: Entry
    dead: str | None = None
    made_by: str | None = None

    @property
    def run(self) -> str:
        """The run that archived it."""
        if self.made_by is not None:
            return self.made_by
        found = names.parse_pack_name(self.pack)
        assert found is not None
        return found[0]

    @property
    def ended(self) -> float:
        """When the session ended by its own records, as `store.facts.Session.ended` has it."""
        told = self.entry.account
        if told.ended_at is not None:
            return told.ended_at
        return told.last_record_at if told.last_record_at is not None else self.entry.last_changed

    def session(self, store: str, kind: str) -> Session:
        """Its facts as they were when it was archived, its bytes those of its files; `store.manifest.Entry.packed` are
        those that it takes of its pack.
        """
        entry, told = self.entry, self.entry.account
        return Session(
            store=store,
            kind=kind,
            id=entry.id,
            state=told.state,
            evidence=f"archived in {self.pack}",
            members=(),
            bytes=entry.size,
            last_changed=entry.last_changed,
            name=told.name,
            started_at=told.started_at,
            ended_at=told.ended_at,
            last_record_at=told.last_record_at,
            has_footer=told.ended_at is not None,
            records=told.records,
            empty=told.empty,
            project=told.project,
            tags=told.tags,
            archived=True,
            rests_on=told.rests_on,
        )


class PackFacts(msgspec.Struct, frozen=True):
    """One pack: where it lies, its bytes, its sessions and those that count no more, and what is wrong with it."""

    label: str
    name: str
    size: int
    sessions: int
    dead: int
    packed: int
    dead_packed: int
    problem: str | None

    @property
    def dead_share(self) -> float:
        """How much of what its sessions take is taken by those that count no more."""
        return self.dead_packed / self.packed if self.packed else 0.0
