"""What every new pack goes through before it gets its name: its first line, and being read back."""

import errno
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


def seal(
    desk: Desk,
    crew: Crew[Job, Done],
    place: Place,
    label: str,
    draft: Draft,
    level: int,
    replaces: str | None = None,
) -> SealedLine | None:
    """Finish a pack, read it back, and only then give it its name; what the journal is to say of it.

    ``None`` if somebody said stop before all of it was read; `Poisoned` if it is not on the disk as it was written.
    """
    writer = draft.writer
    writer.finish(_head(desk, place, draft, level, replaces), draft.lines)
    if not _read_back(desk, crew, label, draft):
        return None
    packed = writer.file_size
    writer.seal()
    return SealedLine(
        pack=writer.name,
        path=f"{place.roots[label]}/{writer.name}",
        sessions=len(draft.lines),
        bytes=draft.size,
        packed=packed,
        replaces=replaces,
    )


def _read_back(desk: Desk, crew: Crew[Job, Done], label: str, draft: Draft) -> bool:
    """Compare every digest of a finished pack with what is on the disk; `Poisoned` if one of them differs.

    ``False`` if somebody said stop before all of it was read.
    """
    writer = draft.writer
    try:
        with packs.open_pack(desk.roots[label], writer.name, sealed=False) as pack:
            packs.require_sound(pack, writer, draft.lines)
            tasks = checks(label, names.unsealed_name(writer.name), pack, draft.lines, ours=True)
            checked = 0
            with closing(crew.run(tasks)) as answers:
                for (job,), answer in answers:
                    assert isinstance(job, Check)
                    if isinstance(answer, Died):
                        raise Poisoned(errno.EIO, f"reading it back failed: {answer.how}", writer.name)
                    assert isinstance(answer, Verdict)
                    if answer.damaged:
                        raise Poisoned(errno.EIO, f"read back: {answer.damaged[0][1]}", writer.name)
                    checked += len(job.lines)
    except Damaged as reason:
        raise Poisoned(errno.EIO, f"read back: {reason}", writer.name) from None
    return checked == len(draft.lines)


def _head(desk: Desk, place: Place, draft: Draft, level: int, replaces: str | None) -> Head:
    """The first line of the manifest of a pack that is written now."""
    writer = draft.writer
    frames = [(s.packed, s.size, d) for s, d in zip(writer.spans, writer.digests, strict=True)]
    return Head(
        format=manifest.FORMAT,
        pack=writer.name,
        run=desk.run,
        at=desk.at,
        store=place.name,
        kind=place.kind,
        roots=tuple(label for label in place.roots if not names.is_archive_root(label)),
        path=place.path,
        policy_sha256=desk.policy_sha256,
        level=level,
        maint=VERSION,
        sessions=len(draft.lines),
        frames=manifest.frames_of(frames),
        replaces=replaces,
    )
