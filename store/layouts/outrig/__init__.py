"""The stores of outrig (crate outrig-cli, checked against 0.2.2): one folder a session.

Layout of the files, in outrig's own words:

- ``<root>/<sid>/session.json``: the record; the folder is the session's, and its name is the session's id;
- ``<root>/<sid>/logs/``: what servers, helpers and the network said, nested as helpers are;
- ``<root>/<sid>/outrig-enter``: a launcher, in some sessions;
- ``<root>/<sid> -> /a/folder``: a session in a folder of the user's choice, which has the same three names in it;
- ``.tmp`` and six letters or digits, beside a record: left by a write that was killed.

Whatever else lies in the folder of a session is somebody's own, and stays.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from store.facts import Listing, Member, Place, Problem, Session
from store.layout import Layout, Mend, Moment, Specimen
from store.layouts.outrig import grammar, links, listing, whereabouts
from store.layouts.outrig.mend import OutrigMend
from store.layouts.outrig.reading import read_sessions
from store.names import printable

_LONGEST_LINE = 64 << 10
"""Bytes of a line that are shown; a log may hold anything."""


class OutrigLayout(Layout):
    kind: ClassVar[str] = "outrig"
    has_payload: ClassVar[bool] = True
    paths: ClassVar[Mapping[str, str]] = {
        "path": "The session root: the folder that holds one folder, or one link to a folder, for each session.",
    }
    names_sessions: ClassVar[bool] = False

    def default_roots(
        self, env: Mapping[str, str], home: str, platform: str
    ) -> Mapping[str, Mapping[str, str]]:
        return {"": {grammar.SESSIONS: whereabouts.default_root(env, home, platform)}}

    def roots(self, paths: Mapping[str, str], env: Mapping[str, str], home: str) -> Mapping[str, str]:
        return {grammar.SESSIONS: paths["path"].rstrip("/") or "/"}

    def targets(self, place: Place) -> Mapping[str, str]:
        return links.targets(place)

    def discover(self, place: Place, moment: Moment) -> Listing:
        return listing.list_store(place, moment)

    def read(self, place: Place, context: Any, entries: Iterable[str]) -> Iterator[Session | Problem]:
        return read_sessions(place, context, entries)

    def mend(self, session: str, members: tuple[Member, ...], name: str | None, changed: float) -> Mend:
        return OutrigMend(members[0], changed)

    def knows(self, root: str, path: str) -> bool:
        return grammar.knows(root, path)

    def session_of(self, root: str, path: str) -> str | None:
        return grammar.session_of(root, path)

    def owns_folder(self, root: str, path: str) -> bool:
        return grammar.owns_folder(root, path)

    def describe(self, root: str, path: str, record: bytes) -> str | None:
        """A line of the record or of a log, as it stands there; the launcher is a program, and has none."""
        if path.rpartition("/")[2] == grammar.LAUNCHER and f"/{grammar.LOGS}/" not in f"/{path}":
            return None
        text = record[:_LONGEST_LINE].decode(errors="surrogateescape").rstrip()
        if text.strip(" {}\t") == "":
            return None
        return printable(text) + (" ..." if len(record) > _LONGEST_LINE else "")

    def specimens(self, now: float) -> tuple[Specimen, ...]:
        from store.layouts.outrig import specimens  # noqa: PLC0415  whoever works on stores does without them

        return specimens.build(now)


LAYOUT = OutrigLayout()
