"""An outrig store with every ailment such stores have, as bytes; also the shape that benchmark corpora multiply."""

import datetime as dt
import json
from typing import Any

from store.facts import State
from store.layout import Specimen
from store.layouts.outrig.records import stamp

DAY = 86_400.0

LONG_AGO = 4000 * DAY
"""An age that no machine has been up for.

Where podman cannot be asked, a crash is proven by a start of the machine since: so these have crashed anywhere.
"""

HOME = "/home/ana/.local/share/outrig/sessions"


def session_id(number: int, began: float) -> str:
    """The id that a session begun at this time gets, its four digits made from the number."""
    return f"{dt.datetime.fromtimestamp(began, dt.UTC):%Y%m%dT%H%M%S}-{number * 40503 % 65536:04x}"


def record(id_: str, began: float, **more: Any) -> dict[str, Any]:
    """The fields of a record of a session that goes on, in outrig's order; ``more`` replaces or adds some."""
    fields: dict[str, Any] = {
        "id": id_,
        "started_at": stamp(began),
        "ended_at": None,
        "container_name": f"outrig-{id_}",
        "sidecar_container_names": None,
        "image_tag": "outrig-cache:0f1e2d3c4b5a6978",
        "image_config_name": "coding",
        "agent_name": "coding",
        "working_dir": "/home/ana/app",
        "session_dir": f"{HOME}/{id_}",
        "exit_code": None,
    }
    return {key: value for key, value in (fields | more).items() if value is not None}


def written(fields: dict[str, Any]) -> bytes:
    """A record as outrig writes it: indented by two, without a newline at the end."""
    return json.dumps(fields, indent=2, ensure_ascii=False).encode()


def finished(id_: str, began: float, lasted: float = 242.5, code: int = 0, **more: Any) -> bytes:
    """The record of a session that ended as it should."""
    return written(record(id_, began, **({"ended_at": stamp(began + lasted), "exit_code": code} | more)))


def build(now: float) -> tuple[Specimen, ...]:
    """Every ailment once; ages are chosen for the shipped default policy."""
    made: list[Specimen] = []
    lately = now - 3 * DAY
    stderr = b"[mcp-server-filesystem] starting; root=/workspace\n[mcp-server-filesystem] ready\n"

    def id_of(changed: float) -> str:
        return session_id(len(made) + 1, changed - 3600)

    def add(
        title: str,
        state: State | None,
        fate: str | None,
        *,
        empty: bool | None = None,
        changed: float = lately,
        logs: dict[str, bytes] | None = None,
        also: dict[str, bytes] | None = None,
        code: int | None = None,
        content: bytes | None = None,
        elsewhere: str | None = None,
        **more: Any,
    ) -> str:
        """One session; ``code`` is of one that ended, ``content`` a record unlike any, ``elsewhere`` its folder."""
        id_ = id_of(changed)
        began = changed - 3600
        if content is None:
            content = (
                written(record(id_, began, **more))
                if code is None
                else finished(id_, began, code=code, **more)
            )
        where = id_ if elsewhere is None else f"../{elsewhere}"
        files = {("sessions", f"{where}/session.json"): content}
        files |= {("sessions", f"{where}/logs/{name}"): text for name, text in (logs or {}).items()}
        files |= {("sessions", f"{where}/{name}"): text for name, text in (also or {}).items()}
        links = (
            {}
            if elsewhere is None
            else {("sessions", id_): "{sessions}" + elsewhere.removeprefix("sessions")}
        )
        made.append(Specimen(title, id_, files, changed, state, fate, empty, links))
        return id_

    def litter(title: str, changed: float = lately, **what: Any) -> None:
        made.append(
            Specimen(title, None, what.pop("files", {}), changed, None, "remove-litter", None, **what)
        )

    add("ended well", State.COMPLETE, None, code=0, empty=False, logs={"fs.stderr": stderr})
    add(
        "ended with a failure, after helpers of helpers",
        State.COMPLETE,
        None,
        code=2,
        empty=False,
        logs={
            "fs.stderr": b"",
            "network.jsonl": b'{"ts":1783874656.5,"id.resp_h":"203.0.113.7","action":"allow"}\n',
            "subagent-plan.log": b"> plan\nthree steps\n",
            "subagent-plan/subagent-look.log": b"> look\nnothing there\n",
        },
    )
    add("ended well, and said nothing", State.COMPLETE, None, code=0)
    add(
        "could not be set up",
        State.COMPLETE,
        "delete-empty",
        code=1,
        empty=True,
        logs={"fs.stderr": b""},
    )
    add(
        "from before image configurations were called so",
        State.COMPLETE,
        None,
        code=1,
        empty=False,
        logs={"fs.stderr": stderr},
        image_config_name=None,
        container_config_name="planning",
    )
    add(
        "served to somebody, with a second container",
        State.COMPLETE,
        None,
        code=0,
        empty=False,
        logs={"db.stderr": stderr},
        also={"outrig-enter": b"\x7fELF\x02\x01\x01"},
        agent_name=None,
        image_config_name=None,
        sidecar_container_names=["outrig-db"],
    )
    add(
        "with files of its owner beside it",
        State.COMPLETE,
        None,
        code=0,
        empty=False,
        logs={"fs.stderr": stderr},
        also={"KEEP_ME.txt": b"mine\n"},
    )
    killed = add(
        "killed while it wrote its end",
        State.CRASHED,
        "recover",
        changed=now - LONG_AGO,
        empty=False,
        logs={"fs.stderr": stderr},
    )
    litter(
        "what that write left",
        files={("sessions", f"{killed}/.tmpQ3xZ9k"): b'{\n  "id": "' + killed.encode()},
    )
    add(
        "killed before anything was said",
        State.CRASHED,
        "delete-empty",
        changed=now - LONG_AGO,
        empty=True,
        logs={"fs.stderr": b""},
    )
    add(
        "recovered",
        State.RECOVERED,
        None,
        empty=False,
        logs={"fs.stderr": stderr},
        ended_at=stamp(lately),
    )
    add("building its image", State.LIVE, None, changed=now - 60, empty=True)
    add(
        "record torn",
        State.CORRUPT,
        None,
        content=b'{\n  "id": "20260522T101112-bb02",\n  "started_at": "2026-05-22T1',
    )
    add("record without its container", State.CORRUPT, None, code=0, container_name=None)
    add("record nothing but zeros", State.CORRUPT, None, content=bytes(512))
    add(
        "record of another session",
        State.UNKNOWN,
        None,
        code=0,
        empty=False,
        logs={"fs.stderr": stderr},
        id="../../app",
    )
    add(
        "in a folder of the user's choice",
        State.COMPLETE,
        None,
        code=0,
        empty=False,
        logs={"fs.stderr": stderr},
        also={"notes.md": b"mine\n"},
        elsewhere="sessions-of-ana/nightly",
    )
    add(
        "killed in a folder of the user's choice",
        State.CRASHED,
        "recover",
        changed=now - LONG_AGO,
        empty=False,
        logs={"fs.stderr": stderr},
        elsewhere="sessions-of-ana/weekly",
    )
    bare = id_of(lately)
    litter("record gone, logs left", files={("sessions", f"{bare}/logs/fs.stderr"): stderr})
    litter("begun, and no more than that", folders=(("sessions", id_of(lately)),))
    litter("link to a folder that is gone", links={("sessions", id_of(lately)): "{sessions}-of-ana/gone"})
    return tuple(made)
