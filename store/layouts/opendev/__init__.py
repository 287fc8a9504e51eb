"""The stores of opendev, a coding agent (checked against 0.1.4 and the sources of April 2026).

Layout of the files below the data folder, in opendev's own words:

- ``projects/<path with dashes>/<id>.json``, ``.jsonl``, ``.events.jsonl``, ``.debug``: the record of a session, its
  transcript, its event log, and the payloads of every request, which are most of its bytes;
- ``projects/<...>/sessions-index.json``: the list that the program shows of them; ``OPENDEV_PROJECT_PATH``: whose
  they are; ``memory/``: what is remembered of the project, which is no session and is never touched;
- ``file-history/<id>/``: copies of files before a session changed them;
- ``sessions/``: a global store of an older age, laid out like a project.

Beside it, ``$TMPDIR/opendev-telegram-remote/remote-*.pid``: process ids of remote controls.

The program decides at each start where its data folder is: ``OPENDEV_DIR``, else ``~/.opendev`` if that exists, else a
folder of XDG. Several of its parts make ``~/.opendev`` on their own, after which all that lies under XDG is out of its
sight; so both are looked after, and none is ever made.

Nothing of ours lies under ``projects``: the program takes every folder there for a project, and every ``.json`` file
in it for a session. A project's folder without any such file it deletes, memory and all, so that an index stays behind
when the sessions go.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from store.facts import Listing, Member, Place, Problem, Session
from store.layout import Layout, Mend, Moment, Specimen, Unmendable, xdg_folder
from store.layouts.opendev import describing
from store.layouts.opendev.filenames import (
    DEBUG,
    EVENTS,
    INDEX,
    PROJECTS,
    RECORD,
    TRANSCRIPT,
    history_of,
    is_remote_pid,
    parse_leftover,
    parse_path,
    parse_session_file,
)
from store.layouts.opendev.index import reindexed
from store.layouts.opendev.listing import list_store
from store.layouts.opendev.locks import REMOTE
from store.layouts.opendev.mend import TornMend, UnfinishedMend, UnsavedMend
from store.layouts.opendev.reading import read_sessions
from store.layouts.opendev.shelf import plain_id

DATA = "data"
_REMOTE_FOLDER = "opendev-telegram-remote"


class OpendevLayout(Layout):
    kind: ClassVar[str] = "opendev"
    has_payload: ClassVar[bool] = True
    paths: ClassVar[Mapping[str, str]] = {
        "path": "The data folder, which holds projects and file-history; or its folder of projects.",
        "remote": "The folder with remote-*.pid; known by itself where the path is the default one.",
    }
    has_index: ClassVar[bool] = True

    def default_roots(
        self, env: Mapping[str, str], home: str, platform: str
    ) -> Mapping[str, Mapping[str, str]]:
        named = env.get("OPENDEV_DIR", "")
        if named.startswith("/"):  # a relative one means another folder with each working directory
            return {"": {DATA: named.rstrip("/") or "/", REMOTE: _remote(env)}}
        if platform == "darwin":
            other = f"{home}/Library/Application Support/opendev"
        else:
            other = f"{xdg_folder(env, 'XDG_DATA_HOME', f'{home}/.local/share')}/opendev"
        # One user has one folder of process ids: it goes with the first.
        return {"": {DATA: f"{home}/.opendev", REMOTE: _remote(env)}, "xdg": {DATA: other}}

    def roots(self, paths: Mapping[str, str], env: Mapping[str, str], home: str) -> Mapping[str, str]:
        data = paths["path"].rstrip("/") or "/"
        above, _, last = data.rpartition("/")
        if last == PROJECTS and above and not os.path.isdir(f"{data}/{PROJECTS}"):
            data = above
        remote = paths.get("remote")
        if remote is None and data in {env.get("OPENDEV_DIR", "").rstrip("/"), f"{home}/.opendev"}:
            remote = _remote(env)
        return {DATA: data} if remote is None else {DATA: data, REMOTE: remote}

    def discover(self, place: Place, moment: Moment) -> Listing:
        return list_store(place, moment)

    def read(self, place: Place, context: Any, entries: Iterable[str]) -> Iterator[Session | Problem]:
        return read_sessions(place, context, entries)

    def mend(self, session: str, members: tuple[Member, ...], name: str | None, changed: float) -> Mend:
        """The way to make a session whole: what is torn of one that has a record stands behind that record."""
        plain = plain_id(session)
        kinds = [_kind_of(member) for member in members]
        match kinds:
            case ["events.jsonl", *_] if TRANSCRIPT not in kinds:
                return UnsavedMend(members[0], plain, name)
            case ["json", "jsonl" | "events.jsonl" as torn, *_]:
                return TornMend(members[1], plain, is_log=torn == EVENTS)
            case ["json", "jsonl.tmp", *_] if TRANSCRIPT not in kinds:
                folder, _, name = members[1].path.rpartition("/")
                transcript = f"{folder}/{name[1:].removesuffix('.tmp')}"
                if transcript == members[0].path.removesuffix(RECORD) + TRANSCRIPT:
                    return UnfinishedMend(members[1], transcript)
        raise Unmendable("nothing of it can be made whole")

    def knows(self, root: str, path: str) -> bool:
        return is_remote_pid(path) if root == REMOTE else root == DATA and parse_path(path) is not None

    def session_of(self, root: str, path: str) -> str | None:
        parsed = parse_path(path) if root == DATA else None
        return None if parsed is None else parsed.session

    def owns_folder(self, root: str, path: str) -> bool:
        return root == DATA and history_of(path) is not None

    def index_of(self, root: str, path: str) -> str | None:
        parsed = parse_path(path) if root == DATA else None
        if parsed is None or parsed.what != "session" or parsed.name.endswith(f".{DEBUG}"):
            return None  # no list tells of payloads, and they go and come back while their session stays
        return f"{parsed.folder}/{INDEX}"

    def is_index(self, root: str, path: str) -> bool:
        parsed = parse_path(path) if root == DATA else None
        return parsed is not None and parsed.what == "index"

    def reindex(
        self, folder: int, index: int | None, sessions: frozenset[str] | None, older: Sequence[int] = ()
    ) -> bytes | None:
        return reindexed(folder, index, sessions, older)

    def describe(self, root: str, path: str, record: bytes) -> str | None:
        parsed = parse_path(path) if root == DATA else None
        if parsed is None or parsed.what == "copy":
            return None
        named = parse_session_file(parsed.name) or parse_leftover(parsed.name)
        return None if named is None else describing.describe(named.kind, record)

    def specimens(self, now: float) -> tuple[Specimen, ...]:
        from store.layouts.opendev import specimens  # noqa: PLC0415  whoever works on stores does without them

        return specimens.build(now)


def _remote(env: Mapping[str, str]) -> str:
    """Where remote controls leave their process ids: in the user's folder for temporary files."""
    temporary = env.get("TMPDIR", "")
    return f"{temporary.rstrip('/') if temporary.startswith('/') else '/tmp'}/{_REMOTE_FOLDER}"  # noqa: S108


def _kind_of(member: Member) -> str:
    name = member.path.rpartition("/")[2]
    named = parse_session_file(name) or parse_leftover(name) if member.root == DATA else None
    return "" if named is None else named.kind


LAYOUT = OpendevLayout()
