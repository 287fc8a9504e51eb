"""The stores of Codex (npm `@openai/codex`, checked against 0.8 to 0.171): one JSON Lines file a thread, by day.

Layout of the files below the folder of the program, `~/.codex` or ``$CODEX_HOME``, in its own words:

- ``sessions/YYYY/MM/DD/rollout-<time>-<id>.jsonl``: a thread that may be gone on with;
- ``archived_sessions/rollout-<time>-<id>.jsonl``: one that its user has put away;
- ``thread-writer-locks/<id>.lock``: empty, locked by the process that has the thread, and left by one that was killed;
- ``*.jsonl.zst`` in the place of a thread: compressed by the program itself, which later ones can be told to do.

Everything else there (settings, databases, which list threads and read them in again) is no session, and stays.

The first root is the folder of the program, and not that of the threads: it looks for threads in all folders below that,
and would find in ours what is trash.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from store.facts import Listing, Member, Place, Problem, Session
from store.layout import Layout, Mend, Moment, Specimen
from store.layouts.codex.grammar import ROOT, id_in
from store.layouts.codex.listing import list_store
from store.layouts.codex.mend import CodexMend
from store.layouts.codex.reading import base_of, read_sessions
from store.layouts.codex.showing import shown


class CodexLayout(Layout):
    kind: ClassVar[str] = "codex"
    paths: ClassVar[Mapping[str, str]] = {
        "path": "The folder of the program (CODEX_HOME), which holds sessions and archived_sessions.",
    }
    names_sessions: ClassVar[bool] = False
    has_lineage: ClassVar[bool] = True

    def default_roots(
        self, env: Mapping[str, str], home: str, platform: str
    ) -> Mapping[str, Mapping[str, str]]:
        named = env.get("CODEX_HOME", "")
        return {"": {ROOT: named.rstrip("/") or "/" if named.startswith("/") else f"{home}/.codex"}}

    def roots(self, paths: Mapping[str, str], env: Mapping[str, str], home: str) -> Mapping[str, str]:
        return {ROOT: paths["path"].rstrip("/") or "/"}

    def discover(self, place: Place, moment: Moment) -> Listing:
        return list_store(place, moment)

    def read(self, place: Place, context: Any, entries: Iterable[str]) -> Iterator[Session | Problem]:
        return read_sessions(place, context, entries)

    def mend(self, session: str, members: tuple[Member, ...], name: str | None, changed: float) -> Mend:
        return CodexMend(members[0])

    def knows(self, root: str, path: str) -> bool:
        return root == ROOT and id_in(path) is not None

    def session_of(self, root: str, path: str) -> str | None:
        return id_in(path) if root == ROOT else None

    def rests_on(self, fd: int) -> str | None:
        return base_of(fd)

    def describe(self, root: str, path: str, record: bytes) -> str | None:
        return shown(record)

    def specimens(self, now: float) -> tuple[Specimen, ...]:
        from store.layouts.codex import specimens  # noqa: PLC0415  whoever works on stores does without them

        return specimens.build(now)


LAYOUT = CodexLayout()
