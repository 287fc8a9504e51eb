"""A folder of Codex with every ailment such folders have, as bytes."""

import datetime as dt
import json
from typing import Any

from store.facts import State
from store.layout import Specimen
from store.layouts.codex.grammar import ARCHIVED, LOCKS, ROOT, SESSIONS

DAY = 86_400.0

INSTRUCTIONS = "You are a coding agent running in a terminal. " * 40
"""What later versions put in front of each thread: the real one is ten times as long."""


def moment(when: float) -> str:
    """A time as Codex writes it."""
    return dt.datetime.fromtimestamp(when, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def path_of(id_: str, began: float, *, archived: bool = False) -> str:
    """Where a thread lies that began at a moment, on a machine in UTC."""
    time = dt.datetime.fromtimestamp(began, dt.UTC)
    folder = ARCHIVED if archived else f"{SESSIONS}/{time:%Y/%m/%d}"
    return f"{folder}/rollout-{time:%Y-%m-%dT%H-%M-%S}-{id_}.jsonl"


def line(**fields: Any) -> bytes:
    """A line of a thread."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def stamped(when: float, type_: str, **payload: Any) -> bytes:
    """A line as they are since 0.4x."""
    return line(timestamp=moment(when), type=type_, payload=payload)


def header(id_: str, began: float, **more: Any) -> bytes:
    """The first line of a thread; ``more`` replaces or adds fields."""
    told = {
        "id": id_,
        "timestamp": moment(began),
        "cwd": "/home/ana/app",
        "originator": "codex_cli_rs",
        "cli_version": "0.171.0",
        "source": "cli",
        "base_instructions": {"text": INSTRUCTIONS},
    }
    return stamped(began, "session_meta", **told | more)


def surroundings(when: float) -> bytes:
    """What the program says of itself and of where it runs, before anybody has said anything."""
    context = "<environment_context>\n  <cwd>/home/ana/app</cwd>\n</environment_context>"
    return b"".join(
        (
            message(when, "developer", "<permissions instructions>read-only</permissions instructions>"),
            message(when, "user", context),
            stamped(when, "turn_context", cwd="/home/ana/app", model="gpt-5"),
        )
    )


def message(when: float, role: str, text: str) -> bytes:
    """Something that was said."""
    kind = "output_text" if role == "assistant" else "input_text"
    return stamped(when, "response_item", type="message", role=role, content=[{"type": kind, "text": text}])


def turn(when: float, asked: str = "why does the test flake", answer: str = "It sleeps.") -> bytes:
    """A turn: a question, a command, and an answer, within ten seconds."""
    call = {"name": "exec_command", "arguments": '{"cmd":"cargo test"}', "call_id": "call_1"}
    return b"".join(
        (
            stamped(when, "event_msg", type="task_started", turn_id="t"),
            message(when + 1, "user", asked),
            stamped(when + 2, "response_item", type="function_call", **call),
            stamped(when + 8, "response_item", type="function_call_output", call_id="call_1", output="ok"),
            message(when + 9, "assistant", answer),
            stamped(when + 10, "event_msg", type="task_complete", turn_id="t", last_agent_message=answer),
        )
    )


def thread(id_: str, began: float, **more: Any) -> bytes:
    """A thread of one turn."""
    return header(id_, began, **more) + surroundings(began) + turn(began)


def early(id_: str, began: float, *, said: bool = True) -> bytes:
    """A thread as 0.8 wrote it: records without times behind a first line with the id."""
    lines = [line(id=id_, timestamp=moment(began), instructions=None), line(record_type="state")]
    if said:
        content = [{"type": "input_text", "text": "why does the test flake"}]
        lines.append(line(type="message", role="user", content=content))
        lines.append(line(type="function_call", name="shell", arguments="{}", call_id="call_1"))
        lines.append(line(type="function_call_output", call_id="call_1", output="ok"))
    return b"".join(lines)


def build(now: float) -> tuple[Specimen, ...]:
    """Every ailment once; ages are chosen for the shipped default policy."""
    began = now - 3 * DAY
    made: list[Specimen] = []

    def id_() -> str:
        """A stable id for the next one, with the time in front as Codex makes it."""
        digits = f"{int(began * 1000):012x}{7:x}{(len(made) + 1) * 0x9E3779B97F4A7C15 % 16**19:019x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def add(
        title: str,
        content: bytes,
        state: State,
        fate: str | None = None,
        *,
        empty: bool | None = False,
        changed: float = began + 10,
        archived: bool = False,
    ) -> str:
        added = id_()
        files = {(ROOT, path_of(added, began, archived=archived)): content}
        made.append(Specimen(title, added, files, changed, state, fate, empty))
        return added

    base = add("ended with its last turn", thread(id_(), began), State.COMPLETE)
    add("put away by its user", thread(id_(), began), State.COMPLETE, archived=True)
    add("of 0.8, whose records have no times", early(id_(), began), State.COMPLETE)
    forked = {"thread_id": base, "end_ordinal_exclusive": 9, "end_byte_offset": 900}
    add(
        "that goes on from the records of another one",
        header(id_(), began, forked_from_id=base, history_base=forked) + turn(began),
        State.COMPLETE,
    )
    spawned = {"subagent": {"thread_spawn": {"parent_thread_id": base, "depth": 1}}}
    add("begun by the agent of another one", thread(id_(), began, source=spawned), State.COMPLETE)
    add("killed within a turn", thread(id_(), began) + turn(began + 20)[:-300], State.CRASHED, "recover")
    broken_off = thread(id_(), began) + message(began + 20, "user", "and now")
    add("killed before the answer", broken_off, State.COMPLETE)
    gone_on = thread(id_(), began) + b'{"timestamp":"2026-\n' + turn(began + 60)
    add("gone on with behind a torn line", gone_on, State.COMPLETE)
    add("power lost, zeros at its end", thread(id_(), began) + bytes(512), State.CRASHED, "recover")
    young = now - 60
    torn = thread(id_(), young) + b'{"timestamp":'
    add("being written", torn, State.LIVE, changed=young)
    nothing = header(id_(), began) + surroundings(began)
    add("in which nobody said anything", nothing, State.COMPLETE, "delete-empty", empty=True)
    add("of 0.8, empty", early(id_(), began, said=False), State.COMPLETE, "delete-empty", empty=True)
    add(
        "with fields and lines of a later one",
        thread(id_(), began, x=1) + stamped(began, "x"),
        State.COMPLETE,
    )
    add("under a clock that ran ahead", thread(id_(), now + 400 * DAY), State.COMPLETE)
    add("whose first line is gone", turn(began), State.CORRUPT, empty=None)
    add("power lost, nothing but zeros", bytes(512), State.CORRUPT, empty=None)
    add("power lost, nothing at all", b"", State.CORRUPT, empty=None)
    add("copied under another name", thread(base, began), State.UNKNOWN, empty=None)
    others = {
        (ROOT, "history.jsonl"): line(session_id=base, ts=int(began), text="why"),
        (ROOT, f"{LOCKS}/{base}.lock"): b"",
        (ROOT, f"{LOCKS}/.coordination.lock"): b"",
    }
    made.append(Specimen("what is no session", None, others, began, None, None))
    return tuple(made)
