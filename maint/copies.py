"""What the archive has of sessions that lie in the store: two facts that stand in no session's own files.

Whether there is a copy of it as it is now; and what lies beside it under the name that it would get as a compressed
file, because whatever that is, it is not replaced.
"""

from collections.abc import Mapping

import msgspec

from maint.singles import Copy
from store import names
from store.facts import Beside, Session


class Copies(msgspec.Struct, frozen=True):
    """The size and the time of change of the newest copy of each session, by id; and what lies beside a session, by its path.

    What is none of ours, or damaged, is told in words.
    """

    latest: Mapping[str, tuple[int, float]] = {}
    beside: Mapping[str, Copy | str] = {}

    def __bool__(self) -> bool:
        return bool(self.latest or self.beside)

    def told(self, session: Session) -> Session:
        """The session, with these facts, too."""
        changed = max(member.fingerprint.mtime_ns for member in session.members) / 1e9
        archived = self.latest.get(session.id) == (session.bytes, changed)
        beside = self._beside(session) if len(session.members) == 1 else None
        if not archived and beside is None:
            return session
        return msgspec.structs.replace(session, archived=archived, beside=beside)

    def _beside(self, session: Session) -> Beside | None:
        """What is in the way; ``None`` for a copy that may be as the session is now, which only reading both can tell."""
        (member,) = session.members
        found = self.beside.get(member.path)
        if found is None or isinstance(found, str):
            return Beside(found) if found is not None else None
        if found.size == member.fingerprint.size:
            return None
        name = names.printable(names.zst_path(member.path))
        starts = {found.started_at, session.started_at}
        if len(starts - {None}) > 1:
            return Beside(f"{name} is there, and holds another session of that name")
        return Beside(f"{name} is there, and holds another state of it", is_older=True)
