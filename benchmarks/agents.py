"""Stores of coding agents and of container runs, as realistic ones are: opendev, its snapshots, outrig, Codex, Copilot.

Sizes are lognormal with a heavy tail, so that one session in a hundred holds most of the bytes; projects differ in size
by a thousand times; and what happens often has the shares that stand here.
What is rare, `corpora.realistic` adds from the specimens of the layout.
An index lists the sessions of its project as the program would have written it, but for a few that a crash or a lost
update has made untrue.
"""

import itertools
import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from store.layouts.codex import specimens as threads
from store.layouts.copilot import specimens as dialogues

DAY = 86_400.0

LONG_SHARE = 0.01
"""The share of sessions that are long, of each of these kinds."""

SESSION_KINDS = {
    "complete": 0.93,
    "empty": 0.03,
    "torn": 0.01,
    "events only": 0.01,
    "child": 0.02,
}
"""What a session of opendev is, in shares."""

DEBUGGED, WITH_EVENTS, UNTRUE_INDEXES = 0.5, 0.8, 0.05
"""Shares of sessions with a debug log and with an event log, and of projects whose index is missing an entry."""

MESSAGES, LONG_MESSAGES, MOST_MESSAGES = (2.0, 1.2), (5.7, 0.8), 4_000
"""The lognormal distribution of messages a session: half have seven or fewer, and half of the long ones 300."""

MOST_REQUESTS, LONG_REQUESTS = 12, 250
"""How many requests a debug log holds at most, and that of a long session."""

LARGEST_PROJECT = 0.1
"""The share of all sessions that lies in the largest project."""

RUN_KINDS = {"finished": 0.9, "killed": 0.05, "corrupt": 0.01, "no record": 0.02, "litter": 0.02}
"""What a session folder of outrig is, in shares."""

LOG_LINES, LONG_LINES, MOST_LINES = (3.5, 1.3), (9.5, 1.0), 50_000
"""The lognormal distribution of lines a log, and that of a long run."""

ARCHIVED_SHARE = 0.1
"""The share of threads of Codex that their user has put away."""

SNAPSHOT_KINDS = {"completed": 0.7, "incomplete": 0.25, "corrupt": 0.02, "temp": 0.03}

THREAD_KINDS = {"ended": 0.9, "early": 0.05, "torn": 0.01, "empty": 0.01, "fork": 0.01, "child": 0.02}
"""What a thread of Codex is, in shares."""

DIALOGUE_KINDS = {"shut down": 0.7, "open": 0.15, "nothing said": 0.1, "torn": 0.01, "killed": 0.04}
"""What a session of Copilot is, in shares; one that was killed has the marks of its process."""

PROMPT = 3_500
"""Words of what a model is told first, which stands in the events of each session."""

TURNS, LONG_TURNS, MOST_TURNS = (1.0, 0.9), (6.3, 0.8), 4_000
"""The lognormal distribution of turns of a thread, and that of a long one."""

TOLD = 2_500
"""The words that a model is told in front of each thread, as later versions keep them: some 15 kB."""

RESULTS, LONG_RESULTS = (0.5, 0.6), (5.3, 1.0)
"""The lognormal distribution of results of tools in a snapshot, and in one of a long session."""

_WORDS = [
    "the",
    "retry",
    "test",
    "flakes",
    "because",
    "it",
    "sleeps",
    "on",
    "wall",
    "time",
    "and",
    "cargo",
    "runs",
    "it",
    "beside",
    "others",
    "reading",
    "parser",
    "index",
    "session",
    "error",
    "expected",
    "found",
    "line",
    "column",
    "fix",
    "apply",
    "patch",
    "review",
    "branch",
    "merge",
    "token",
    "stream",
    "buffer",
    "socket",
]
_CALL = {"id": "toolu_1", "name": "Bash", "parameters": {}, "timestamp": "2026-04-24T09:39:58+00:00"}

AGES = ((1.5, 7.0, 0.05), (7.0, 30.0, 0.15), (30.0, 365.0, 0.6), (365.0, 900.0, 0.2))
"""How many days ago sessions ended, from and to, and in which share of them."""


class File(NamedTuple):
    """One file: where it lies, what is in it, and when it was last changed."""

    root: str
    path: str
    content: bytes
    changed: float


class Link(NamedTuple):
    """A symbolic link to what lies at a path below the same root, as the program makes it: by an absolute path."""

    root: str
    path: str
    target: str
    changed: float


class Folder(NamedTuple):
    """An empty folder."""

    root: str
    path: str
    changed: float


def opendev_files(sessions: int, seed: int, now: float) -> Iterator[File]:
    """Every file of a realistic store of opendev, project by project."""
    rng = random.Random(f"opendev-{seed}")
    left = sessions
    for project in itertools.count():
        if left <= 0:
            return
        size = min(left, max(1, int(sessions * LARGEST_PROJECT / (project + 1) ** 0.7)))
        left -= size
        yield from _project(rng, f"/home/ana/project-{project}", size, now)


def _project(rng: random.Random, path: str, sessions: int, now: float) -> Iterator[File]:
    folder = f"projects/{path.replace('/', '-')}"
    yield File("data", f"{folder}/OPENDEV_PROJECT_PATH", path.encode(), now - 900 * DAY)
    entries: list[dict[str, Any]] = []
    parent: str | None = None
    newest = 0.0
    for _ in range(sessions):
        id_ = f"{rng.getrandbits(48):012x}"
        kind = _drawn(rng, SESSION_KINDS)
        ended = now - DAY * _age(rng)
        newest = max(newest, ended)
        long = rng.random() < LONG_SHARE
        count = 0 if kind == "empty" else _count(rng, LONG_MESSAGES if long else MESSAGES, MOST_MESSAGES)
        messages = [_message(rng, ended - 60 * (count - each)) for each in range(count)]
        began = ended - 60 * (count + 1)
        if kind == "events only":
            yield File("data", f"{folder}/{id_}.events.jsonl", _events(id_, began, messages, False), ended)
            continue
        child_of = parent if kind == "child" else None
        if kind == "complete":
            parent = id_
        record = _record(id_, began, ended, path, child_of)
        yield File("data", f"{folder}/{id_}.json", json.dumps(record, indent=2).encode(), ended)
        transcript = b"".join(messages)
        if kind == "torn":
            transcript += b'{"role":"assistant","content":"It sle'
        yield File("data", f"{folder}/{id_}.jsonl", transcript, ended)
        if rng.random() < WITH_EVENTS:
            yield File("data", f"{folder}/{id_}.events.jsonl", _events(id_, began, messages, True), ended)
        if count and rng.random() < DEBUGGED:
            yield File(
                "data",
                f"{folder}/{id_}.debug",
                _debug(rng, min(count, LONG_REQUESTS if long else MOST_REQUESTS), began),
                ended,
            )
        entries.append(_entry(record, count))
    if rng.random() < UNTRUE_INDEXES and len(entries) > 1:
        entries.pop(rng.randrange(len(entries)))
    index = json.dumps({"version": 1, "entries": entries}, indent=2).encode()
    yield File("data", f"{folder}/sessions-index.json", index, newest)


def _record(id_: str, began: float, ended: float, path: str, parent: str | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": id_,
        "created_at": _moment(began),
        "updated_at": _moment(ended),
        "messages": [],
        "context_files": [],
        "working_directory": path,
        "metadata": {"title": f"Work on {id_[:4]}"},
        "file_changes": [],
        "channel": "cli",
        "chat_type": "direct",
        "channel_user_id": "",
        "delivery_context": {},
        "workspace_confirmed": False,
        "subagent_sessions": {},
    }
    return record | ({"parent_id": parent} if parent is not None else {})


def _entry(record: dict[str, Any], count: int) -> dict[str, Any]:
    return {
        "sessionId": record["id"],
        "created": record["created_at"],
        "modified": record["updated_at"],
        "messageCount": count,
        "totalTokens": 100 * count,
        "title": record["metadata"]["title"],
        "summary": None,
        "tags": [],
        "workingDirectory": record["working_directory"],
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


def _message(rng: random.Random, at: float) -> bytes:
    role = "user" if rng.random() < 0.3 else "assistant"
    content = _prose(rng, max(3, min(2_000, int(rng.lognormvariate(3.5, 1.0)))))
    record = {"role": role, "content": content, "timestamp": _moment(at), "metadata": {}, "tool_calls": []}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _events(id_: str, began: float, messages: list[bytes], whole: bool) -> bytes:
    created: dict[str, Any] = {
        "type": "SessionCreated",
        "id": id_,
        "working_directory": None,
        "channel": "cli",
        "title": None,
        "parent_id": None,
        "metadata": {},
    }
    lines = [_event(id_, 1, "SessionCreated", created, began)]
    # Half of a turn is what a crash before the first save leaves: a call of a tool that nobody answered.
    for number, line in enumerate(messages if whole else messages[:1], 2):
        message = json.loads(line)
        if message["role"] == "user" and whole:
            continue
        data = {"type": "MessageAdded", "role": "assistant", "content": message["content"]}
        data |= {"timestamp": message["timestamp"], "tool_calls": [] if whole else [_CALL]}
        lines.append(_event(id_, number, "MessageAdded", data, began + number))
    return b"".join(lines) + (b"" if whole else b'{"id":"c61b0a7e","aggregate_id":"')


def _event(id_: str, number: int, kind: str, data: dict[str, Any], at: float) -> bytes:
    record = {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "aggregate_id": id_,
        "seq": number,
        "event_type": kind,
        "data": data,
        "timestamp": _moment(at),
    }
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _debug(rng: random.Random, count: int, began: float) -> bytes:
    """Every request holds the conversation so far, so that these logs grow with the square of its length."""
    lines = []
    said = _prose(rng, 200)
    for number in range(count):
        said += " " + _prose(rng, 30)
        record = {"ts": _moment(began + number), "elapsed_ms": 12, "event": "request", "component": "llm"}
        lines.append(json.dumps(record | {"data": {"messages": said}}).encode() + b"\n")
    return b"".join(lines)


def snapshot_files(sessions: int, seed: int, now: float) -> Iterator[File]:
    """Every file of a folder of crash snapshots."""
    rng = random.Random(f"snapshots-{seed}")
    for _ in range(sessions):
        id_, kind, ended = f"{rng.getrandbits(48):012x}", _drawn(rng, SNAPSHOT_KINDS), now - DAY * _age(rng)
        results = _count(rng, LONG_RESULTS if rng.random() < LONG_SHARE else RESULTS, MOST_MESSAGES)
        record = {
            "session_id": id_,
            "message_count": rng.randrange(1, 200),
            "last_tool_results": [
                {
                    "tool_name": "Bash",
                    "call_id": f"toolu_{number}",
                    "output_preview": _prose(rng, 40),
                    "success": True,
                }
                for number in range(results)
            ],
            "snapshot_timestamp_ms": int(ended * 1000),
            "completed": kind == "completed",
            "project_dir": f"/home/ana/project-{rng.randrange(40)}",
            "cost_usd": round(rng.uniform(0, 3), 4),
        }
        content = json.dumps(record, indent=2).encode()
        name = f"{id_}_session_snapshot.json"
        match kind:
            case "corrupt":
                yield File("snapshots", name, content[: len(content) // 2], ended)
            case "temp":
                yield File("snapshots", f"{name}.tmp", content[:90], ended)
            case _:
                yield File("snapshots", name, content, ended)


def outrig_files(sessions: int, seed: int, now: float) -> Iterator[File]:
    """Every file of a store of container runs."""
    rng = random.Random(f"outrig-{seed}")
    for number in range(sessions):
        kind, began = _drawn(rng, RUN_KINDS), now - DAY * _age(rng)
        id_ = f"{datetime.fromtimestamp(began, UTC):%Y%m%dT%H%M%S}-{number % 65_536:04x}"
        ended = began + rng.lognormvariate(5.0, 1.5)
        record: dict[str, Any] = {"id": id_, "started_at": _moment(began).replace("+00:00", "Z")}
        if kind != "killed":
            record["ended_at"] = _moment(ended).replace("+00:00", "Z")
        record |= {
            "container_name": f"outrig-{id_}",
            "image_tag": f"outrig-cache:{rng.getrandbits(64):016x}",
            "image_config_name": "coding",
            "agent_name": "coding",
            "working_dir": f"/home/ana/project-{rng.randrange(40)}",
            "session_dir": f"/home/ana/.local/share/outrig/sessions/{id_}",
        }
        if kind != "killed":
            record["exit_code"] = 0 if rng.random() < 0.8 else 1
        content = json.dumps(record, indent=2).encode()
        if kind == "corrupt":
            content = content[:70]
        if kind != "no record":
            yield File("sessions", f"{id_}/session.json", content, ended)
        lines = _count(rng, LONG_LINES if rng.random() < LONG_SHARE else LOG_LINES, MOST_LINES)
        log = b"".join(b"[server] %d %s\n" % (at, _prose(rng, 9).encode()) for at in range(lines))
        yield File("sessions", f"{id_}/logs/fs.stderr", log, ended)
        if kind == "litter":
            yield File("sessions", f"{id_}/.tmpQ3xZ9k", content[:50], ended)


def codex_files(sessions: int, seed: int, now: float) -> Iterator[File]:
    """Every file of a folder of Codex."""
    rng = random.Random(f"codex-{seed}")
    told = {"text": _prose(rng, TOLD)}
    before: str | None = None
    for _ in range(sessions):
        kind, began = _drawn(rng, THREAD_KINDS), now - DAY * _age(rng)
        id_ = str(uuid.UUID(int=int(began * 1000) << 80 | 7 << 76 | 2 << 62 | rng.getrandbits(62)))
        long = rng.random() < LONG_SHARE
        turns = _count(rng, LONG_TURNS if long else TURNS, MOST_TURNS)
        more: dict[str, Any] = {"cwd": f"/home/ana/project-{rng.randrange(40)}", "base_instructions": told}
        if kind == "fork" and before is not None:
            more |= {"forked_from_id": before, "history_base": {"thread_id": before}}
        if kind == "child" and before is not None:
            more["parent_thread_id"] = before
        if kind == "early":
            content = threads.early(id_, began)
        else:
            content = threads.header(id_, began, **more) + threads.surroundings(began)
            if kind != "empty":
                words = 500 if long else 60
                said = (_prose(rng, words) for _ in range(turns))
                content += b"".join(
                    threads.turn(began + 60 * n, "and now?", text) for n, text in enumerate(said)
                )
        path = threads.path_of(id_, began, archived=rng.random() < ARCHIVED_SHARE)
        yield File("home", path, content[:-200] if kind == "torn" else content, began + 60 * turns)
        before = id_


def copilot_files(sessions: int, seed: int, now: float) -> Iterator[File]:
    """Every file of a folder of Copilot's sessions."""
    rng = random.Random(f"copilot-{seed}")
    told = dialogues.event("system.message", now - 900 * DAY, content=_prose(rng, PROMPT))
    for _ in range(sessions):
        kind, began = _drawn(rng, DIALOGUE_KINDS), now - DAY * _age(rng)
        id_ = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        long = rng.random() < LONG_SHARE
        turns = _count(rng, LONG_TURNS if long else TURNS, MOST_TURNS)
        content: bytes | None = None
        if kind != "nothing said":
            said = (_prose(rng, 500 if long else 60) for _ in range(turns))
            spoken = b"".join(dialogues.turn(began + 60 * n, "and now?", text) for n, text in enumerate(said))
            content = dialogues.begun(id_, began) + told + spoken
            if kind == "shut down":
                content += dialogues.ended(began + 60 * turns)
            if kind == "torn":
                content = content[:-40]
        for (root, path), data in dialogues.files(id_, began, content).items():
            yield File(root, path, data, began + 60 * turns)
        if kind == "killed":
            for suffix, data in (("lock", str(dialogues.DEAD).encode()), ("hold", b"")):
                yield File("sessions", f"{id_}/inuse.{dialogues.DEAD}.{suffix}", data, began)


def _count(rng: random.Random, lognormal: tuple[float, float], most: int) -> int:
    return max(1, min(most, int(rng.lognormvariate(*lognormal))))


def _prose(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words))


def _age(rng: random.Random) -> float:
    low, high, _ = rng.choices(AGES, [share for *_, share in AGES])[0]
    return rng.uniform(low, high)


def _drawn(rng: random.Random, shares: dict[str, float]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
