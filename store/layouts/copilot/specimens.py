"""A store of Copilot with every ailment such stores have, as bytes; also the shape that benchmark corpora multiply."""

import datetime as dt
import json
from typing import Any

from store.facts import State
from store.layout import Specimen
from store.layouts.copilot.grammar import EVENTS, SESSIONS, WORKSPACE

DAY = 86_400.0

DEAD = 4_000_000_000
"""No process can have this number."""


def moment(when: float) -> str:
    """A time as Copilot writes it."""
    return dt.datetime.fromtimestamp(when, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def session_id(number: int) -> str:
    """A stable id for the session of a number."""
    digits = f"{number * 0x9E3779B97F4A7C15 % 16**32:032x}"
    return "-".join((digits[:8], digits[8:12], f"4{digits[13:16]}", f"8{digits[17:20]}", digits[20:]))


def event(kind: str, when: float, **data: Any) -> bytes:
    """A line of the events."""
    number = f"{int(when * 1000) % 16**12:012x}"
    record = {
        "type": kind,
        "data": data,
        "id": f"00000000-0000-4000-8000-{number}",
        "timestamp": moment(when),
        "parentId": None,
    }
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def begun(id_: str, when: float, **more: Any) -> bytes:
    """The first event."""
    told = {
        "sessionId": id_,
        "version": 1,
        "producer": "copilot-agent",
        "copilotVersion": "1.0.102",
        "startTime": moment(when),
        "context": {"cwd": "/home/ana/app"},
        "alreadyInUse": False,
    }
    return event("session.start", when, **(told | more))


def turn(
    when: float, asked: str = "why does the test flake?", answer: str = "It sleeps on wall time."
) -> bytes:
    """A question, a call of a tool, and an answer."""
    return b"".join(
        (
            event("user.message", when, content=asked),
            event("assistant.turn_start", when + 1, turnId="0"),
            event("tool.execution_start", when + 2, toolName="bash", arguments={"command": "make test"}),
            event("tool.execution_complete", when + 5, toolCallId="call_1", success=True),
            event("assistant.message", when + 9, content=answer),
            event("assistant.turn_end", when + 10, turnId="0"),
        )
    )


def ended(when: float) -> bytes:
    """The last event of a session that was shut down."""
    return event("session.shutdown", when, shutdownType="routine")


def workspace(id_: str, when: float, name: str | None = "Flaky test") -> bytes:
    """The file beside the events."""
    named = f"name: {name}\n" if name is not None else ""
    return (
        f"id: {id_}\ncwd: /home/ana/app\nclient_name: github/cli\n{named}user_named: false\n"
        f"created_at: {moment(when)}\nupdated_at: {moment(when)}\n"
    ).encode()


def files(id_: str, began: float, events: bytes | None, **also: bytes) -> dict[tuple[str, str], bytes]:
    """All files of a session, by root and path; ``also`` are more of them, with ``__`` for a slash and ``_dot_``."""
    made = {
        WORKSPACE: workspace(id_, began),
        ".workspace-fork.lock": b"",
        "checkpoints/index.md": b"# Checkpoint History\n",
        "rewind-file-snapshots/tracking.json": b'{"schema":1,"tracking":true}\n',
    } | {name.replace("__", "/").replace("_dot_", "."): content for name, content in also.items()}
    if events is not None:
        made[EVENTS] = events
    return {(SESSIONS, f"{id_}/{name}"): content for name, content in made.items()}


def build(now: float) -> tuple[Specimen, ...]:
    """Every ailment once; ages are chosen for the shipped default policy."""
    began = now - 3 * DAY
    made: list[Specimen] = []

    def add(
        title: str,
        events: bytes | None,
        state: State,
        fate: str | None = None,
        *,
        empty: bool | None = False,
        changed: float = began + 10,
        **also: bytes,
    ) -> None:
        id_ = session_id(len(made) + 1)
        there = files(id_, began, events, **also)
        made.append(Specimen(title, id_, there, changed, state, fate, empty))

    def id_() -> str:
        return session_id(len(made) + 1)

    whole = begun(id_(), began) + turn(began) + ended(began + 10)
    add("shut down", whole, State.COMPLETE)
    add(
        "with a plan and files of its own",
        begun(id_(), began) + turn(began) + ended(began + 10),
        State.COMPLETE,
        plan_dot_md=b"# Plan\n",
        files__notes_dot_txt=b"notes\n",
        checkpoints__001_dot_md=b"# 1\n",
    )
    add("not shut down", begun(id_(), began) + turn(began), State.COMPLETE)
    add("killed within an event", begun(id_(), began) + turn(began)[:-40], State.CRASHED, "recover")
    add(
        "gone on with behind a torn event",
        begun(id_(), began) + turn(began)[:-40] + ended(began + 20),
        State.CRASHED,
        "recover",
    )
    add(
        "power lost, zeros at its end",
        begun(id_(), began) + turn(began) + bytes(512),
        State.CRASHED,
        "recover",
    )
    add("being written", begun(id_(), now - 60) + turn(now - 60)[:-40], State.LIVE, changed=now - 60)
    add("in which nobody said anything", None, State.COMPLETE, "delete-empty", empty=True)
    add(
        "begun, and shut down",
        begun(id_(), began) + ended(began + 10),
        State.COMPLETE,
        "delete-empty",
        empty=True,
    )
    add(
        "whose database nobody looks into",
        None,
        State.COMPLETE,
        empty=None,
        session_dot_db=b"SQLite format 3\0",
    )
    add("with files, but without events", None, State.COMPLETE, files__notes_dot_txt=b"notes\n")
    add("whose first event is gone", turn(began), State.CORRUPT, empty=None)
    add("power lost, nothing at all", b"", State.CORRUPT, empty=None)
    add("of a later version", begun(id_(), began, version=2) + turn(began), State.UNKNOWN, empty=None)
    add("copied under another name", begun(session_id(1), began) + turn(began), State.UNKNOWN, empty=None)
    killed = id_()
    add(
        "killed, and marked as in use for ever",
        begun(killed, began) + turn(began),
        State.COMPLETE,
    )
    marks = {
        (SESSIONS, f"{killed}/inuse.{DEAD}.lock"): str(DEAD).encode(),
        (SESSIONS, f"{killed}/inuse.{DEAD}.hold"): b"",
    }
    made.append(Specimen("what a killed process left", None, marks, began, None, "unlock", None))
    bare = ((SESSIONS, session_id(900)),)
    made.append(
        Specimen("begun, and no more than that", None, {}, began, None, "remove-litter", None, folders=bare)
    )
    return tuple(made)
