"""A folder of snapshots with every ailment such folders have, as bytes."""

import json
from typing import Any

from store.facts import State
from store.layout import Specimen

DAY = 86_400.0
SUFFIX = "_session_snapshot.json"
RESULT: dict[str, Any] = {
    "tool_name": "Bash",
    "call_id": "toolu_01Xq",
    "output_preview": "running 12 tests ...",
    "success": True,
}


def snapshot(id_: str, saved: float, **more: Any) -> bytes:
    """A snapshot of an unfinished session as opendev 0.1.4 writes it; ``more`` replaces or adds fields."""
    fields: dict[str, Any] = {
        "session_id": id_,
        "message_count": 14,
        "last_tool_results": [RESULT],
        "snapshot_timestamp_ms": round(saved * 1000),
        "completed": False,
        "project_dir": "/home/ana/app",
        "cost_usd": 0.2145,
    }
    return json.dumps(fields | more, ensure_ascii=False, indent=2).encode()


def without(field: str, content: bytes) -> bytes:
    """The same snapshot as a program wrote it that did not know this field."""
    fields = json.loads(content)
    del fields[field]
    return json.dumps(fields, ensure_ascii=False, indent=2).encode()


def build(now: float) -> tuple[Specimen, ...]:
    """Every ailment once; ages are chosen for the shipped default policy."""
    long_ago = now - 3 * DAY
    nothing: dict[str, Any] = {"message_count": 0, "last_tool_results": [], "cost_usd": 0.0}
    made: list[Specimen] = []

    def id_() -> str:
        """A stable id for the next one, as opendev cuts it from a UUID: eight digits, a hyphen, three more."""
        digits = f"{(len(made) + 1) * 0x9E3779B97F5 % 16**11:011x}"
        return f"{digits[:8]}-{digits[8:]}"

    def add(
        title: str,
        content: bytes,
        state: State,
        fate: str | None = None,
        *,
        empty: bool | None = False,
        changed: float = long_ago,
    ) -> None:
        files = {("snapshots", f"{id_()}{SUFFIX}"): content}
        made.append(Specimen(title, id_(), files, changed, state, fate, empty))

    def saved(**more: Any) -> bytes:
        return snapshot(id_(), long_ago, **more)

    add("marked as completed", saved(completed=True), State.COMPLETE)
    add("agent killed at its work", saved(), State.CRASHED)
    add("agent at its work", snapshot(id_(), now - 60), State.LIVE, changed=now - 60)
    add(
        "killed with a result, but no message",
        saved(message_count=0),
        State.CRASHED,
    )
    add("killed before anything was said", saved(**nothing), State.CRASHED, "delete-empty", empty=True)
    add(
        "completed with nothing said",
        saved(completed=True, **nothing),
        State.COMPLETE,
        "delete-empty",
        empty=True,
    )
    add("of a project in another script", saved(project_dir="/home/анна/приложение"), State.CRASHED)
    add("with fields that a later opendev adds", saved(pid=4711, schema=2), State.CRASHED)
    add(
        "saved under a clock that ran ahead", snapshot(id_(), now + 400 * DAY, completed=True), State.COMPLETE
    )
    add("cost that was no number", saved(cost_usd=None), State.CORRUPT, empty=None)
    add("of an opendev that knew no cost", without("cost_usd", saved()), State.CORRUPT, empty=None)
    add("cut off by a full disk", saved()[:150], State.CORRUPT, empty=None)
    add("power lost, nothing but zeros", bytes(512), State.CORRUPT, empty=None)
    add("power lost, nothing at all", b"", State.CORRUPT, empty=None)
    add("copied under another name", snapshot("3f9c0a7d21be", long_ago), State.UNKNOWN)
    leftovers = {
        ("snapshots", f"3f9c0a7d21be{SUFFIX}.tmp"): b'{\n  "session_id": "3f9c0a7d2',
        ("snapshots", f"{made[0].id}{SUFFIX}.tmp"): snapshot(str(made[0].id), long_ago - 5),
        ("snapshots", f"{made[0].id}{SUFFIX}.tmp.5b0f5c1e-92c3-4a0f-bb2d-9a50b7c0e1f2"): b"",
        (
            "snapshots",
            f"{made[1].id}_session_snapshot.tmp.c61b0a7e-0c7d-4d3c-a6c0-7c1be8a3d9f4",
        ): b'{\n  "session_id"',
    }
    made.append(Specimen("leftovers of interrupted saves", None, leftovers, long_ago, None, "remove-litter"))
    return tuple(made)
