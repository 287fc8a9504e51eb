"""The stores of rec (crate rec-cli, checked against 0.2.0): one NDJSON file a session.

Layout of the files, in rec's own words:

- ``<data>/rec/sessions/<uuid>.ndjson``: header, commands, footer; the human name stands in the header only;
- ``<state>/rec/recording.lock``, ``recording.json``, ``pending.json``: the one recording that may be going on;
- ``<data>/rec/aliases.json``: beside the sessions folder;
- ``<uuid>.ndjson.tmp`` and ``.bak``: left by a save or a rename that was interrupted.

rec documents ``storage_path`` and ``REC_STORAGE_PATH`` but never reads them: the store does not move, and
neither setting is honoured here.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import msgspec

from store import opening
from store.facts import Leftover, Listing, Member, Place, Problem, Session, State
from store.layout import Layout, Mend, Moment, Specimen, xdg_folder
from store.layouts.rec.leftovers import ALIASES_TMP, Treasure, is_leftover, look_at, of_aliases
from store.layouts.rec.mend import RecMend
from store.layouts.rec.reading import ENTRY, SUFFIX, read_sessions
from store.layouts.rec.recorder import LOCK, PENDING, STATE, read_recorder
from store.layouts.rec.records import Command, Footer, Header, decode
from store.listing import Listed, names_in
from store.names import printable


class RecLayout(Layout):
    kind: ClassVar[str] = "rec"
    paths: ClassVar[Mapping[str, str]] = {
        "path": "The folder with the session files (*.ndjson).",
        "state": "The folder with recording.lock and recording.json; guessed from the path when left out.",
    }
    lasting: ClassVar[State | None] = State.COMPLETE
    flat: ClassVar[bool] = True

    def default_roots(
        self, env: Mapping[str, str], home: str, platform: str
    ) -> Mapping[str, Mapping[str, str]]:
        if platform == "darwin":
            data = f"{home}/Library/Application Support/rec"
            return {"": _with_data(f"{data}/sessions", f"{data}/state")}
        data = xdg_folder(env, "XDG_DATA_HOME", f"{home}/.local/share")
        state = xdg_folder(env, "XDG_STATE_HOME", f"{home}/.local/state")
        return {"": _with_data(f"{data}/rec/sessions", f"{state}/rec")}

    def roots(self, paths: Mapping[str, str], env: Mapping[str, str], home: str) -> Mapping[str, str]:
        sessions = paths["path"].rstrip("/") or "/"
        return _with_data(sessions, paths.get("state") or _guess_state(sessions, env, home))

    def discover(self, place: Place, moment: Moment) -> Listing:
        folder = opening.open_folder(place.path)
        entries = Listed()
        others: list[str] = []
        leftovers: list[Leftover] = []
        problems: list[Problem] = []
        treasured: set[str] = set()
        is_entry = ENTRY.fullmatch
        try:
            for names in names_in(folder):
                sessions: list[str] = []
                for name in names:
                    (sessions if is_entry(name) else others).append(name)
                entries.take(sessions)
            for name in others:
                if name.endswith(SUFFIX):
                    text = "its name cannot be one of rec's session files; left alone"
                    problems.append(Problem(place.name, printable(name), text))
                elif is_leftover(name):
                    match look_at(place, folder, name):
                        case Problem() as problem:
                            problems.append(problem)
                        case Leftover() as leftover:
                            leftovers.append(leftover)
                        case Treasure(session, problem):
                            problems.append(problem)
                            treasured.add(f"{session}{SUFFIX}")
                        case None:
                            pass  # gone since it was listed: the save went through
        finally:
            os.close(folder)
        leftovers += of_aliases(place)
        recorder, locks, more = read_recorder(place, moment, listed := entries.in_order())
        recorder = msgspec.structs.replace(recorder, treasured=frozenset(treasured))
        return Listing(
            listed, recorder, locks, sorted(leftovers, key=lambda found: found.id), problems + more
        )

    def read(self, place: Place, context: Any, entries: Iterable[str]) -> Iterator[Session | Problem]:
        return read_sessions(place, context, entries)

    def mend(self, session: str, members: tuple[Member, ...], name: str | None, changed: float) -> Mend:
        return RecMend(members[0], name, changed)

    def knows(self, root: str, path: str) -> bool:
        match root:
            case "sessions":
                return ENTRY.fullmatch(path) is not None or is_leftover(path)
            case "state":
                return path in (LOCK, STATE, PENDING)
            case _:
                return root == "data" and path == ALIASES_TMP

    def session_of(self, root: str, path: str) -> str | None:
        return path[: -len(SUFFIX)] if root == "sessions" and ENTRY.fullmatch(path) else None

    def describe(self, root: str, path: str, record: bytes) -> str | None:
        match decode(record):
            case Header(name=name):
                return f"header   {printable(name)}"
            case Command(command=text, exit_code=code):
                return f"{'' if code is None else code!s:>7}  {printable(text)}"
            case Footer(status=status, command_count=count):
                return f"footer   {printable(status)}, {count} commands"
            case _:
                return f"no record of rec's: {printable(record[:80].decode(errors='replace'))}"

    def specimens(self, now: float) -> tuple[Specimen, ...]:
        from store.layouts.rec import specimens  # noqa: PLC0415  whoever works on stores does without them

        return specimens.build(now)


def _with_data(sessions: str, state: str | None) -> Mapping[str, str]:
    """The roots by label; ``data`` is the parent of the sessions folder, where the aliases are."""
    roots = {"sessions": sessions, "data": os.path.dirname(sessions)}
    return roots if state is None else roots | {"state": state}


def _guess_state(sessions: str, env: Mapping[str, str], home: str) -> str | None:
    """The state folder of a sessions folder named without one, where rec's own rules give it away.

    Either rec's default store is meant, or one laid out like it under another home, or one as macOS has it.
    """
    data = xdg_folder(env, "XDG_DATA_HOME", f"{home}/.local/share")
    if sessions == f"{data}/rec/sessions":
        return f"{xdg_folder(env, 'XDG_STATE_HOME', f'{home}/.local/state')}/rec"
    if sessions.endswith("/.local/share/rec/sessions"):
        return sessions.removesuffix("/share/rec/sessions") + "/state/rec"
    if sessions.endswith("/Library/Application Support/rec/sessions"):
        return sessions.removesuffix("/sessions") + "/state"
    beside = f"{os.path.dirname(sessions)}/state"
    return beside if os.path.isdir(beside) else None


LAYOUT = RecLayout()
