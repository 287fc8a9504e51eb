"""Crash-recovery snapshots of opendev (crate opendev-runtime, checked against 0.1.4): one JSON file a session.

A snapshot is what an agent notes down of its session while it works, so that a crash can be told by the next one:
how many messages there were, the last results of its tools, what it cost, and whether the session ended.

- ``~/.opendev/data/recovery/{id}_session_snapshot.json``: wherever opendev's other data is (it ignores its own
  ``OPENDEV_DIR`` and XDG here);
- ``{id}_session_snapshot.json.tmp``, and with a UUID behind it: left by a save that was interrupted.

What is guarded: a snapshot says that a session crashed until somebody looked, so that nothing here marks it as
completed; and the folder is never made, because ``~/.opendev`` decides by being there where opendev looks for all
of its sessions.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from store import opening
from store.facts import Leftover, Listing, Member, Place, Problem, Session
from store.layout import Layout, Mend, Moment, Specimen, Unmendable
from store.layouts.opendev_snapshots.reading import ENTRY, ROOT, Recency, id_of, is_whole, read_snapshots
from store.names import printable

_SUFFIX = ".json"
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_LEFTOVER = re.compile(
    rf"([A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}_session_snapshot)\.(?:json\.tmp(?:\.{_UUID})?|tmp\.{_UUID})",
    re.ASCII,
)
"""The temp file of opendev's save; those with a UUID are of changes to it that are proposed, in two spellings."""


class SnapshotsLayout(Layout):
    kind: ClassVar[str] = "opendev-snapshots"
    flat: ClassVar[bool] = True
    mends: ClassVar[bool] = False
    paths: ClassVar[Mapping[str, str]] = {
        "path": "The folder with the crash-recovery snapshots (*_session_snapshot.json)."
    }

    def default_roots(
        self, env: Mapping[str, str], home: str, platform: str
    ) -> Mapping[str, Mapping[str, str]]:
        return {"": {ROOT: f"{home.rstrip('/')}/.opendev/data/recovery"}}

    def roots(self, paths: Mapping[str, str], env: Mapping[str, str], home: str) -> Mapping[str, str]:
        return {ROOT: paths["path"].rstrip("/") or "/"}

    def discover(self, place: Place, moment: Moment) -> Listing:
        entries: list[str] = []
        leftovers: list[Leftover] = []
        problems: list[Problem] = []
        folder = opening.open_folder(place.path)
        try:
            for name in os.listdir(folder):
                if ENTRY.fullmatch(name) is not None:
                    entries.append(name)
                elif (match := _LEFTOVER.fullmatch(name)) is not None:
                    match _leftover(place, folder, name, match[1] + _SUFFIX):
                        case Problem() as problem:
                            problems.append(problem)
                        case Leftover() as leftover:
                            leftovers.append(leftover)
                        case None:
                            pass  # gone since it was listed: the save went through
                elif name.endswith(_SUFFIX):
                    # Worth knowing: opendev takes every *.json here for a snapshot, and its own cleaner deletes it.
                    text = "its name cannot be one of opendev's snapshots; left alone"
                    problems.append(Problem(place.name, printable(name), text))
        finally:
            os.close(folder)
        entries.sort()
        leftovers.sort(key=lambda found: found.id)
        problems.sort(key=lambda found: found.path)
        return Listing(entries, Recency(moment.now - moment.grace), [], leftovers, problems)

    def read(self, place: Place, context: Any, entries: Iterable[str]) -> Iterator[Session | Problem]:
        return read_snapshots(place, context, entries)

    def mend(self, session: str, members: tuple[Member, ...], name: str | None, changed: float) -> Mend:
        raise Unmendable(
            "a snapshot is whole as it is, and says that its session crashed until somebody looked"
        )

    def knows(self, root: str, path: str) -> bool:
        return root == ROOT and (ENTRY.fullmatch(path) or _LEFTOVER.fullmatch(path)) is not None

    def session_of(self, root: str, path: str) -> str | None:
        return id_of(path) if root == ROOT and ENTRY.fullmatch(path) else None

    def describe(self, root: str, path: str, record: bytes) -> str | None:
        return printable(record.decode(errors="replace").rstrip()) or None

    def specimens(self, now: float) -> tuple[Specimen, ...]:
        from store.layouts.opendev_snapshots import specimens  # noqa: PLC0415  whoever works on stores does without them

        return specimens.build(now)


def _leftover(place: Place, folder: int, name: str, entry: str) -> Leftover | Problem | None:
    """A temp file, made to become ``entry``."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    refusal = opening.refuse_reason(found, os.fstat(folder))
    if refusal is not None:
        text = f"expected a file of opendev's, but it {refusal}; left alone"
        return Problem(place.name, printable(name), text)
    # A snapshot that is not there was removed by its owner, or never came to be: its temp file serves nobody.
    if is_whole(folder, entry) is False and is_whole(folder, name):
        text = (
            f"kept, because it is whole and the snapshot {entry} is damaged: compare the two and remove one"
        )
        return Problem(place.name, printable(name), text)
    return Leftover(
        store=place.name,
        kind=place.kind,
        id=name,
        what="temp file of an interrupted save",
        members=(Member(ROOT, name, opening.fingerprint(found)),),
        bytes=found.st_size,
        last_changed=found.st_mtime,
        session=id_of(entry),
    )


LAYOUT = SnapshotsLayout()
