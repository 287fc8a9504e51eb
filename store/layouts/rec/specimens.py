"""A rec store with every ailment such stores have, as bytes; also the shape that benchmark corpora multiply."""

import json
import uuid
from typing import Any

from store.facts import State
from store.layout import Specimen

DAY = 86_400.0
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "SHELL": "/bin/bash", "HOME": "/home/ana", "USER": "ana"}


def session_id(number: int) -> str:
    """A stable version 4 UUID for the session of this number."""
    return str(uuid.UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128, version=4))


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def header(id_: str, name: str, started: float, **more: Any) -> bytes:
    """A header line as rec 0.2.0 writes it; ``more`` replaces or adds fields."""
    fields: dict[str, Any] = {
        "type": "header",
        "version": 2,
        "id": id_,
        "name": name,
        "shell": "bash",
        "os": "Debian GNU/Linux 12 (bookworm)",
        "hostname": "build01",
        "env": ENV | {"PWD": "/home/ana/app"},
        "tags": [],
        "started_at": started,
    }
    return _line(fields | more)


def command(index: int, text: str, started: float, seconds: float = 2.5) -> bytes:
    """A command line as rec's hooks append it."""
    return _line(
        {
            "type": "command",
            "index": index,
            "command": text,
            "cwd": "/home/ana/app",
            "started_at": started,
            "ended_at": started + seconds,
            "exit_code": 0,
            "duration_ms": int(seconds * 1000),
        }
    )


def footer(ended: float, commands: int, status: str = "completed") -> bytes:
    """A footer line as ``rec stop`` appends it."""
    return _line({"type": "footer", "ended_at": ended, "command_count": commands, "status": status})


def recording_state(entry_id: str, name: str, started: float, pid: int) -> bytes:
    """``recording.json`` as ``rec start`` writes it, with an id that is not the session's."""
    fields = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, entry_id)),
        "name": name,
        "session_path": f"/home/ana/.local/share/rec/sessions/{entry_id}.ndjson",
        "started_at": started + 0.005,
        "pid": pid,
    }
    return json.dumps(fields, indent=2).encode()


def complete(id_: str, name: str, started: float, commands: int, **more: Any) -> bytes:
    """A session that was recorded and stopped as it should be."""
    lines = [header(id_, name, started, **more)]
    lines += [command(i, f"make step-{i}", started + 60 * (i + 1)) for i in range(commands)]
    return b"".join([*lines, footer(started + 60 * (commands + 1), commands)])


def build(now: float) -> tuple[Specimen, ...]:
    """Every ailment once; ages are chosen for the shipped default policy."""
    long_ago, began = now - 3 * DAY, now - 3 * DAY - 3600
    dead = 4_000_000_000  # no process can have this id
    made: list[Specimen] = []

    def add(
        title: str,
        content: bytes,
        state: State | None,
        fate: str | None,
        *,
        empty: bool | None = None,
        changed: float = long_ago,
        also: dict[tuple[str, str], bytes] | None = None,
    ) -> None:
        files = {("sessions", f"{id_()}.ndjson"): content} | (also or {})
        made.append(Specimen(title, id_(), files, changed, state, fate, empty))

    def id_() -> str:
        return session_id(len(made) + 1)

    def head(**more: Any) -> bytes:
        return header(id_(), f"session-{len(made) + 1}", began, **more)

    two = command(0, "git pull", began + 60) + command(1, "make test", began + 120)
    add("recorded and stopped", head() + two + footer(began + 180, 2), State.COMPLETE, None, empty=False)
    add(
        "tagged to be kept",
        head(tags=["keep"]) + two + footer(began + 180, 2),
        State.COMPLETE,
        None,
        empty=False,
    )
    add(
        "terminal closed, last line torn, lock left behind",
        head() + two + b'{"type":"command","index":2,"command":"make inst',
        State.CRASHED,
        "recover",
        empty=False,
        also={
            ("state", "recording.lock"): str(dead).encode(),
            ("state", "recording.json"): recording_state(id_(), f"session-{len(made) + 1}", began, dead),
            ("state", "pending.json"): _line(
                {"command": "make install", "cwd": "/home/ana/app", "started_at": began + 200}
            )[:-1],
        },
    )
    add("power lost, tail of NULs", head() + two + bytes(512), State.CRASHED, "recover", empty=False)
    add("crashed after whole lines", head() + two, State.CRASHED, "recover", empty=False)
    add("newline of the last line missing", head() + two[:-1], State.CRASHED, "recover", empty=False)
    add(
        "two shells wrote into each other",
        head() + two[:90] + b"\n" + command(1, "make", began + 120),
        State.CRASHED,
        "recover",
        empty=False,
    )
    add(
        "commands after the footer",
        head() + footer(began + 30, 0) + two,
        State.CRASHED,
        "recover",
        empty=False,
    )
    add(
        "half recovered by rec: marked, but without a footer",
        head(recovered=True) + two,
        State.RECOVERED,
        "recover",
        empty=False,
    )
    add(
        "recovered and whole",
        head(recovered=True) + two + footer(began + 180, 2, "interrupted"),
        State.RECOVERED,
        None,
        empty=False,
    )
    add("started, nothing recorded, crashed", head(), State.CRASHED, "delete-empty", empty=True)
    add(
        "stopped with nothing recorded",
        head() + footer(began + 9, 0),
        State.COMPLETE,
        "delete-empty",
        empty=True,
    )
    add(
        "nothing recorded but a leaked rec stop",
        head() + command(0, "rec stop", began - 300) + footer(began + 9, 1),
        State.COMPLETE,
        "delete-empty",
        empty=True,
    )
    add("crashed before the header", b"", State.CRASHED, "delete-empty", empty=True)
    add("header lost: appended after a deletion", two, State.CORRUPT, None)
    add("only NULs", bytes(4096), State.CORRUPT, None)
    add("header torn", head()[:40], State.CORRUPT, None)
    add(
        "copied under another name",
        header(session_id(1), "copy", began) + two + footer(began + 180, 2),
        State.UNKNOWN,
        None,
        empty=False,
    )
    add("of a newer rec", head(version=9) + two + footer(began + 180, 2), State.UNKNOWN, None, empty=False)
    add("crashed a moment ago", head() + two, State.CRASHED, None, empty=False, changed=now - 60)
    finished = session_id(1)
    leftovers = {
        ("sessions", f"{session_id(901)}.ndjson.tmp"): b'{"type":"header","ver',
        ("sessions", f"{finished}.ndjson.bak"): complete(finished, "before", began, 2),
    }
    made.append(Specimen("leftovers of interrupted saves", None, leftovers, long_ago, None, "remove-litter"))
    return tuple(made)
