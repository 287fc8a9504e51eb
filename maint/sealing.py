"""What every new pack goes through before it gets its name: its first line, and being read back."""

import errno
from collections.abc import Generator
from contextlib import closing

from maint.checking import checks
from maint.desk import Desk
from maint.filling import Draft
from maint.journal import SealedLine
from maint.loading import Check, Done, Job
from maint.version import VERSION
from maint.workers import Crew, Died
from store import manifest, names, packs
from store.durable import Poisoned
from store.facts import Place
from store.frames import Damaged
from store.manifest import Head
from store.packs import Verdict


class Sealing:
    """A filled pack on its way to its name; ``replaces`` names the one whose sessions it takes over.

    Whoever has a crew hands out its `tasks`, and gives every answer to `take`; then it may be named.
    """

    def __init__(
        self, desk: Desk, place: Place, label: str, draft: Draft, level: int, replaces: str | None = None
    ) -> None:
        self._desk = desk
        self._place = place
        self._label = label
        self._draft = draft
        self._level = level
        self._replaces = replaces
        self._read = 0

    @property
    def is_read_back(self) -> bool:
        """Whether every session in it was compared with its digest, and none differed."""
        return self._read == len(self._draft.lines)

    def tasks(self) -> Generator[list[Job]]:
        """Finish the pack, so that it is on the disk, and tell what is to be read back.

        `Poisoned` if it is not there as it was written, another OSError if it cannot be written.
        """
        writer = self._draft.writer
        writer.finish(self._head(), self._draft.lines)
        try:
            with packs.open_pack(self._desk.roots[self._label], writer.name, sealed=False) as pack:
                packs.require_sound(pack, writer, self._draft.lines)
                unsealed = names.unsealed_name(writer.name)
                yield from checks(self._label, unsealed, pack, self._draft.lines, ours=True)
        except Damaged as reason:
            raise Poisoned(errno.EIO, f"read back: {reason}", writer.name) from None

    def take(self, task: list[Job], answer: Done | Died) -> None:
        """What was read back; `Poisoned` if it is not what was written."""
        name = self._draft.writer.name
        if isinstance(answer, Died):
            raise Poisoned(errno.EIO, f"reading it back failed: {answer.how}", name)
        assert isinstance(answer, Verdict)
        if answer.damaged:
            raise Poisoned(errno.EIO, f"read back: {answer.damaged[0][1]}", name)
        self._read += sum(len(job.lines) for job in task if isinstance(job, Check))

    def name(self) -> SealedLine:
        """Give a pack that is read back its name, durably; what the journal is to say of it."""
        writer = self._draft.writer
        packed = writer.file_size
        writer.seal()
        return SealedLine(
            pack=writer.name,
            path=f"{self._place.roots[self._label]}/{writer.name}",
            sessions=len(self._draft.lines),
            bytes=self._draft.size,
            packed=packed,
            replaces=self._replaces,
        )

    def _head(self) -> Head:
        """The first line of the manifest of a pack that is written now."""
        writer, place = self._draft.writer, self._place
        frames = [(s.packed, s.size, d) for s, d in zip(writer.spans, writer.digests, strict=True)]
        return Head(
            format=manifest.FORMAT,
            pack=writer.name,
            run=self._desk.run,
            at=self._desk.at,
            store=place.name,
            kind=place.kind,
            roots=tuple(label for label in place.roots if not names.is_archive_root(label)),
            path=place.path,
            policy_sha256=self._desk.policy_sha256,
            level=self._level,
            maint=VERSION,
            sessions=len(self._draft.lines),
            frames=manifest.frames_of(frames),
            replaces=self._replaces,
        )


def seal(
    desk: Desk, crew: Crew[Job, Done], label: str, draft: Draft, level: int, replaces: str
) -> SealedLine | None:
    """Seal a pack that takes the place of another one, and wait for it; what the journal is to say of it.

    ``None`` if somebody said stop before all of it was read; else raises as `Sealing` does.
    """
    sealing = Sealing(desk, desk.place, label, draft, level, replaces)
    with closing(crew.run(sealing.tasks())) as answers:
        for task, answer in answers:
            sealing.take(task, answer)
    return sealing.name() if sealing.is_read_back else None
