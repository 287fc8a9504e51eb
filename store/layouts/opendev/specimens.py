"""A store of opendev with every ailment such stores have, as bytes; also the shape that benchmark corpora multiply."""

import datetime as dt
import json
import uuid
from typing import Any

from store.facts import State
from store.layout import Specimen

DAY = 86_400.0
PROJECT = "projects/-home-ana-app"
FORGETFUL = "projects/-home-ana-site"
OUTDATED = "projects/-home-ana-notes"
UNLISTED = "projects/-srv-build"
GLOBAL = "sessions"
DEAD = 4_000_000_000
"""No process can have this id."""


def session_id(number: int) -> str:
    """A stable id for the session of this number: twelve hexadecimal digits."""
    return f"{(number * 0x9E3779B97F4A) % 2**48:012x}"


def moment(seconds: float) -> str:
    """A time as opendev writes it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()


def record(id_: str, began: float, ended: float, **more: Any) -> bytes:
    """``<id>.json`` as a save writes it; ``more`` replaces or adds fields, and ``None`` leaves one out."""
    fields: dict[str, Any] = {
        "id": id_,
        "created_at": moment(began),
        "updated_at": moment(ended),
        "messages": [],
        "context_files": [],
        "working_directory": "/home/ana/app",
        "metadata": {"title": f"work on {id_[:4]}"},
        "file_changes": [],
        "channel": "cli",
        "chat_type": "direct",
        "channel_user_id": "",
        "delivery_context": {},
        "workspace_confirmed": False,
        "subagent_sessions": {},
    }
    kept = {key: value for key, value in (fields | more).items() if value is not None}
    return json.dumps(kept, indent=2, ensure_ascii=False).encode()


def message(role: str, content: str, at: float, **more: Any) -> dict[str, Any]:
    """A message as it is saved."""
    said = {"role": role, "content": content, "timestamp": moment(at), "metadata": {}, "tool_calls": []}
    return said | more


def call(name: str = "Bash", **more: Any) -> dict[str, Any]:
    """A tool call that got its answer."""
    made: dict[str, Any] = {
        "id": "toolu_01Xq",
        "name": name,
        "parameters": {"command": "cargo test"},
        "result": "ok",
        "timestamp": "2026-04-24T09:39:58.120001+00:00",
        "approved": True,
        "nested_tool_calls": [],
    }
    return made | more


def transcript(*messages: dict[str, Any]) -> bytes:
    return b"".join(map(line, messages))


def line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def event(id_: str, seq: int, type_: str, at: float, /, **data: Any) -> bytes:
    """A line of an event log."""
    return line(
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{id_}#{seq}")),
            "aggregate_id": id_,
            "seq": seq,
            "event_type": type_,
            "data": {"type": type_} | data,
            "timestamp": moment(at),
        }
    )


def created(id_: str, at: float, **more: Any) -> bytes:
    """The event with which every session begins."""
    data: dict[str, Any] = {
        "id": id_,
        "working_directory": "/home/ana/app",
        "channel": "cli",
        "title": None,
        "parent_id": None,
        "metadata": {},
    }
    return event(id_, 1, "SessionCreated", at, **(data | more))


def added(id_: str, seq: int, role: str, content: str, at: float, /, **more: Any) -> bytes:
    """The event of a message."""
    data: dict[str, Any] = {
        "role": role,
        "content": content,
        "timestamp": moment(at),
        "tool_calls": [],
        "tokens": None,
        "thinking_trace": None,
        "reasoning_content": None,
    }
    return event(id_, seq, "MessageAdded", at, **(data | more))


def entry(id_: str, began: float, ended: float, **more: Any) -> dict[str, Any]:
    """An entry of the index as a save writes it."""
    fields: dict[str, Any] = {
        "sessionId": id_,
        "created": moment(began),
        "modified": moment(ended),
        "messageCount": 2,
        "totalTokens": 12,
        "title": f"work on {id_[:4]}",
        "summary": None,
        "tags": [],
        "workingDirectory": "/home/ana/app",
        "hasSessionModel": False,
        "channel": "cli",
        "channelUserId": "",
        "threadId": None,
        "ownerId": None,
        "summaryAdditions": 0,
        "summaryDeletions": 0,
        "summaryFiles": 0,
        "timeArchived": None,
    }
    return fields | more


def index(*entries: dict[str, Any], version: int = 1) -> bytes:
    """``sessions-index.json`` as a save writes it."""
    return json.dumps({"version": version, "entries": entries}, indent=2, ensure_ascii=False).encode()


def payload(at: float) -> bytes:
    """A line of ``<id>.debug``."""
    return line(
        {
            "ts": moment(at),
            "elapsed_ms": 812,
            "event": "llm_request",
            "component": "http",
            "data": {"model": "m"},
        }
    )


class _Zoo:
    """The specimens so far, and what the index of the main project has to say of them."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.long_ago = now - 3 * DAY
        self.began = self.long_ago - 3600
        self.ended = self.long_ago - 60
        self.made: list[Specimen] = []
        self.listed: list[dict[str, Any]] = []

    @property
    def next_id(self) -> str:
        return session_id(len(self.made) + 1)

    def talk(self) -> bytes:
        return transcript(
            message("user", "why does retry_test flake?", self.began + 5),
            message("assistant", "It sleeps on wall time.", self.began + 60, tool_calls=[call()]),
        )

    def add(
        self,
        title: str,
        files: dict[str, bytes],
        state: State | None,
        fate: str | None = None,
        *,
        empty: bool | None = None,
        changed: float | None = None,
        listed: bool = False,
        at: str = PROJECT,
        id_: str | None = None,
        shared: bool = False,
    ) -> None:
        """One session; ``files`` are by what follows its id, or whole paths."""
        id_ = id_ or self.next_id
        named = {
            ("data", name if "/" in name else f"{at}/{id_}.{name}"): data for name, data in files.items()
        }
        if listed:
            self.listed.append(entry(id_, self.began, self.ended))
        called = f"{id_}@{at.rpartition('/')[2]}" if shared else id_
        self.made.append(Specimen(title, called, named, changed or self.long_ago, state, fate, empty))

    def aside(
        self, title: str, files: dict[tuple[str, str], bytes], fate: str | None, *, days: float = 3
    ) -> None:
        """Files that are none of a session's, so many days old."""
        self.made.append(Specimen(title, None, files, self.now - days * DAY, None, fate))

    def record(self, **more: Any) -> bytes:
        return record(self.next_id, self.began, self.ended, **more)

    def created(self, **more: Any) -> bytes:
        return created(self.next_id, self.began, **more)

    def asked(self) -> bytes:
        return added(self.next_id, 2, "user", "add a retry", self.began + 5)


def build(now: float) -> tuple[Specimen, ...]:
    """Every ailment once; ages are chosen for the shipped default policy."""
    zoo = _Zoo(now)
    _healthy(zoo)
    _crashed(zoo)
    _damaged(zoo)
    _elsewhere(zoo)
    _aside(zoo)
    zoo.aside(
        "the index of a project, as it should be",
        {("data", f"{PROJECT}/sessions-index.json"): index(*zoo.listed)},
        None,
    )
    return tuple(zoo.made)


def _healthy(zoo: _Zoo) -> None:
    complete, began, ended = State.COMPLETE, zoo.began, zoo.ended
    first = zoo.next_id
    full = {
        "json": zoo.record(),
        "jsonl": zoo.talk(),
        "events.jsonl": zoo.created() + added(first, 2, "assistant", "It sleeps.", began + 60),
        "debug": payload(began + 20) * 3,
        f"file-history/{first}/manifest.json": b'{"session_id":"x","turns":[],"next_turn_id":1,"next_version":{}}',
        f"file-history/{first}/00d1f6a2b3c4e5f6@v1": b"before\n",
    }
    zoo.add("saved and closed, with everything a session can have", full, complete, empty=False, listed=True)
    keep = zoo.record(metadata={"title": "release", "tags": ["keep"]})
    zoo.add("tagged to be kept", {"json": keep, "jsonl": zoo.talk()}, complete, empty=False, listed=True)
    old = zoo.record(messages=[message("user", "hello", began)], playbook={})
    zoo.add(
        "of the oldest form, with its messages in its record",
        {"json": old},
        complete,
        empty=False,
        listed=True,
    )
    python = zoo.record(
        created_at="2024-06-15T10:30:00", updated_at="2024-06-15T11:00:00.123456", playbook={"a": 1}
    )
    zoo.add(
        "written by the Python program",
        {"json": python, "jsonl": zoo.talk()},
        complete,
        empty=False,
        listed=True,
    )
    child = zoo.record(parent_id=first)
    zoo.add(
        "begun by another session", {"json": child, "jsonl": zoo.talk()}, complete, empty=False, listed=True
    )
    gone = zoo.record(time_archived=moment(ended))
    zoo.add(
        "put aside by its program", {"json": gone, "jsonl": zoo.talk()}, complete, empty=False, listed=True
    )
    nothing = {"json": zoo.record(metadata={}), "jsonl": b"", "events.jsonl": zoo.created()}
    zoo.add("opened and closed, nothing said", nothing, complete, "delete-empty", empty=True, listed=True)
    marked = zoo.record(metadata={"title": "recovered-x", "recovered": True})
    zoo.add(
        "recovered before", {"json": marked, "jsonl": zoo.talk()}, State.RECOVERED, empty=False, listed=True
    )
    zoo.add(
        "at work a moment ago",
        {"json": zoo.record(), "jsonl": zoo.talk(), "events.jsonl": zoo.created()},
        State.LIVE,
        empty=False,
        listed=True,
        changed=zoo.now - 60,
    )


def _crashed(zoo: _Zoo) -> None:
    crashed, began = State.CRASHED, zoo.began
    torn = b'{"role":"assistant","content":"Let me loo'
    zoo.add(
        "power lost, transcript torn",
        {"json": zoo.record(), "jsonl": zoo.talk() + torn},
        crashed,
        "recover",
        empty=False,
        listed=True,
    )
    zoo.add(
        "power lost, transcript ends in NULs",
        {"json": zoo.record(), "jsonl": zoo.talk() + bytes(512)},
        crashed,
        "recover",
        empty=False,
        listed=True,
    )
    zoo.add(
        "killed while it wrote to its event log",
        {"json": zoo.record(), "jsonl": zoo.talk(), "events.jsonl": zoo.created() + zoo.asked()[:150]},
        crashed,
        "recover",
        empty=False,
        listed=True,
    )
    zoo.add(
        "killed before its first save, event log torn, temp file left",
        {
            "events.jsonl": zoo.created() + zoo.asked() + zoo.asked()[:120],
            f"{PROJECT}/.{zoo.next_id}.json.tmp": zoo.record()[:200],
        },
        crashed,
        "recover",
        empty=False,
    )
    zoo.add(
        "killed in its first turn, with payloads",
        {"events.jsonl": zoo.created(), "debug": payload(began + 20)},
        crashed,
        "recover",
        empty=False,
    )
    zoo.add(
        "killed before anything was said",
        {"events.jsonl": zoo.created()},
        crashed,
        "delete-empty",
        empty=True,
    )
    zoo.add(
        "killed between the two renames of a save, transcript still a temp file",
        {"json": zoo.record(), f"{PROJECT}/.{zoo.next_id}.jsonl.tmp": zoo.talk()},
        crashed,
        "recover",
        empty=False,
        listed=True,
        changed=zoo.now - DAY * 1.5,  # its temp file is litter from then on, but not yet old enough
    )
    zoo.add(
        "power lost in its first save, nothing left but half a message",
        {"json": zoo.record(), "jsonl": torn},
        crashed,
        empty=False,
        listed=True,
    )
    answered = added(zoo.next_id, 2, "assistant", "Done.", began + 60)
    zoo.add(
        "deleted by its owner, event log forgotten", {"events.jsonl": zoo.created() + answered}, State.UNKNOWN
    )


def _damaged(zoo: _Zoo) -> None:
    zoo.add(
        "record emptied by a power cut, temp file kept",
        {"json": b"", "jsonl": zoo.talk(), f"{PROJECT}/.{zoo.next_id}.json.tmp": zoo.record()},
        State.CORRUPT,
    )
    zoo.add("record cut in half", {"json": zoo.record()[:99], "jsonl": zoo.talk()}, State.CORRUPT)
    zoo.add("delete interrupted, transcript left", {"jsonl": zoo.talk()}, State.CORRUPT)
    zoo.add("nothing left but payloads", {"debug": payload(zoo.began)}, State.CORRUPT)
    other = record(session_id(1), zoo.began, zoo.ended)
    zoo.add("copied under another name", {"json": other, "jsonl": zoo.talk()}, State.UNKNOWN)
    zoo.add("a record without an id", {"json": b"{}"}, State.UNKNOWN)


def _elsewhere(zoo: _Zoo) -> None:
    """Projects whose indexes lie, two with a session of the same id, and the store of an older age."""
    complete = State.COMPLETE

    def one(title: str, at: str, **more: Any) -> str:
        id_ = more.get("id_") or zoo.next_id
        files = {"json": record(id_, zoo.began, zoo.ended), "jsonl": zoo.talk()}
        zoo.add(title, files, complete, empty=False, at=at, **more)
        return str(id_)

    known = one("listed in an index that has forgotten others", FORGETFUL)
    one("forgotten by the index of its project", FORGETFUL)
    stray = entry(session_id(900), zoo.began, zoo.ended)
    lying = index(entry(known, zoo.began, zoo.ended), stray)
    zoo.aside(
        "an index that forgot a session and kept a dead one",
        {("data", f"{FORGETFUL}/sessions-index.json"): lying},
        "recover",
    )
    one("in a project whose index has another version", OUTDATED)
    outdated = index(version=999)
    zoo.aside(
        "an index of another version, which is left to its program",
        {("data", f"{OUTDATED}/sessions-index.json"): outdated},
        None,
    )
    shared = one("in a project without an index, under an id that is used twice", UNLISTED, shared=True)
    one("of the global store, under the same id", GLOBAL, id_=shared, shared=True)


def _aside(zoo: _Zoo) -> None:
    first, gone = session_id(1), session_id(901)
    data = "data"
    zoo.aside(
        "leftovers of interrupted saves and forgetful deletes",
        {
            (data, f"{PROJECT}/{first}.events.jsonl.lock"): b"",
            (data, f"{PROJECT}/sessions-index.json.lock"): b"",
            (data, f"{PROJECT}/.{first}.json.tmp"): b'{\n  "id": ',
            (data, f"{PROJECT}/.{first}.jsonl.tmp"): b'{"role":"us',
            (data, f"{PROJECT}/.sessions-index-tmp.json"): b'{\n  "version',
            (data, f"{PROJECT}/memory/MEMORY.md.tmp"): b"# Mem",
            (data, f"file-history/{first}/.3b241101-e2bb-4255-8caf-4136c566a962.tmp"): b"bef",
            (data, f"file-history/{first}/.manifest.3b241101-e2bb-4255-8caf-4136c566a962.tmp"): b"{",
            (data, "plans/.plans-idx-tmp"): b"{",
        },
        "remove-litter",
    )
    copies = {(data, f"file-history/{gone}/00d1f6a2b3c4e5f6@v1"): b"before\n"}
    zoo.aside(
        "copies that a session left, older than its program keeps them", copies, "remove-litter", days=40
    )
    zoo.aside(
        "locks whose owners are gone",
        {
            (data, f"{PROJECT}/memory/.consolidation.lock"): b"locked",
            ("tmp", "remote-00d1f6a2b3c4e5f6.pid"): str(DEAD).encode(),
        },
        "unlock",
    )
    zoo.aside(
        "what is no session, and stays",
        {
            (data, f"{PROJECT}/OPENDEV_PROJECT_PATH"): b"/home/ana/app",
            (data, f"{PROJECT}/memory/MEMORY.md"): b"# Memory\n",
            (data, f"{PROJECT}/file-history.json"): b"{}",
            (data, f"{PROJECT}/two words.json"): b"{}",
            (data, "plans/plans-index.json"): b"{}",
            (data, "settings.json"): b"{}",
        },
        None,
    )
