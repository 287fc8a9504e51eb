"""The stores of Copilot (npm `@github/copilot`, checked against 1.0.11 to 1.0.102): one folder a session.

Layout of the files below ``session-state`` in the folder of the program, `~/.copilot` or ``$COPILOT_HOME``:

- ``<id>/events.jsonl``: what was said and done, a line each; there is none where nobody has said anything;
- ``<id>/workspace.yaml``: the name of the session, and where it works;
- ``<id>/checkpoints``, ``files``, ``research``, ``rewind-file-snapshots``, ``plan.md``, ``session.db``: what belongs to it;
- ``<id>/inuse.<pid>.lock`` and ``.hold``: a process that uses it, and what that process locks.

The folder is the session's alone, whatever lies in it. Everything else (settings, logs, the database in which the program
searches, and ``.session-operation-locks``, which it never removes) is no session, and stays.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from store.facts import Listing, Member, Place, Problem, Session
from store.layout import Layout, Mend, Moment, Specimen
from store.layouts.copilot import grammar
from store.layouts.copilot.grammar import EVENTS, SESSIONS
from store.layouts.copilot.listing import list_store
from store.layouts.copilot.mend import CopilotMend
from store.layouts.copilot.reading import read_sessions
from store.layouts.copilot.showing import shown


class CopilotLayout(Layout):
    kind: ClassVar[str] = "copilot"
    paths: ClassVar[Mapping[str, str]] = {
        "path": "The folder with one folder for each session (session-state in COPILOT_HOME).",
    }
    names_sessions: ClassVar[bool] = False

    def default_roots(
        self, env: Mapping[str, str], home: str, platform: str
    ) -> Mapping[str, Mapping[str, str]]:
        named = env.get("COPILOT_HOME", "")
        base = named.rstrip("/") or "/" if named.startswith("/") else f"{home}/.copilot"
        return {"": {SESSIONS: f"{base}/session-state"}}

    def roots(self, paths: Mapping[str, str], env: Mapping[str, str], home: str) -> Mapping[str, str]:
        return {SESSIONS: paths["path"].rstrip("/") or "/"}

    def discover(self, place: Place, moment: Moment) -> Listing:
        return list_store(place, moment)

    def read(self, place: Place, context: Any, entries: Iterable[str]) -> Iterator[Session | Problem]:
        return read_sessions(place, context, entries)

    def mend(self, session: str, members: tuple[Member, ...], name: str | None, changed: float) -> Mend:
        return CopilotMend(members[0])

    def knows(self, root: str, path: str) -> bool:
        return root == SESSIONS and (grammar.is_id(path) is not None or grammar.inside(path) is not None)

    def session_of(self, root: str, path: str) -> str | None:
        return grammar.session_of(path) if root == SESSIONS else None

    def owns_folder(self, root: str, path: str) -> bool:
        return root == SESSIONS and grammar.owns_folder(path)

    def describe(self, root: str, path: str, record: bytes) -> str | None:
        return shown(record) if path.rpartition("/")[2] == EVENTS else None

    def specimens(self, now: float) -> tuple[Specimen, ...]:
        from store.layouts.copilot import specimens  # noqa: PLC0415  whoever works on stores does without them

        return specimens.build(now)


LAYOUT = CopilotLayout()
