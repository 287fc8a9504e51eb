"""What is said of a run, a store or a session for scripts: NDJSON, one object a line, each with its ``type``.

Fields are only ever added.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from maint import journal
from maint.actions import Outcome
from maint.finding import id_of
from maint.journal import timestamp
from maint.laps import Laps
from maint.planned import Plan, PlannedStore
from maint.run import Run
from maint.verdicts import Verdict
from store.archived import Archived
from store.facts import Place, Problem, Session
from store.names import printable
from store.trash import Trashed

if TYPE_CHECKING:  # it brings all of planning with it
    from maint.explaining import Explanation

_encode = msgspec.json.Encoder().encode


def plan_lines(plan: Plan) -> Iterator[bytes]:
    """The plan line and a line an action, as parts that need not end where lines do."""
    head = {
        "type": "plan",
        "run": plan.run,
        "at": timestamp(plan.at, plan.policy),
        "policy": plan.policy.source,
        "policy_sha256": plan.policy.sha256,
        "stores": {
            store.place.name: {
                "kind": store.place.kind,
                "path": store.place.path,
                "sessions": store.tally.total.sessions,
                "bytes": store.tally.total.bytes,
                "roots": dict(store.place.roots),
            }
            for store in plan.stores
        },
    }
    yield _encode(head) + b"\n"
    for store in plan.stores:
        yield from store.spool.blocks()


def outcome_line(outcome: Outcome) -> bytes:
    return _encode(outcome) + b"\n"


def summary_line(run: Run) -> bytes:
    """The last line, always."""
    summary = run.summary
    record: dict[str, Any] = {
        "type": "summary",
        "run": run.id,
        "sessions": summary.sessions,
        "planned": dict(summary.planned),
        "done": dict(summary.done),
        "skipped": summary.skipped,
        "failed": summary.failed,
        "lost": summary.lost,
        "bytes_freed": summary.bytes_freed,
        "bytes_trashed": summary.bytes_trashed,
        "bytes_archived": summary.bytes_archived,
        "bytes_packed": summary.bytes_packed,
        "seconds": round(summary.seconds, 3),
        "refused": run.refused,
        "busy": [busy.place.name for busy in run.busy],
        "unreachable": {each.place.name: each.why for each in run.unreachable},
        "stopped": summary.stopped,
        "impossible": run.impossible,
        "problems": [_problem(each) for each in (*summary.problems, *run.unwritten, *run.unseen)],
    }
    return _encode(record) + b"\n"


def profile_line(run: Run, measured: Laps) -> bytes:
    """Where the time of a run went, the line before the last: phases in order, then what was done for each pass."""
    record = {
        "type": "profile",
        "run": run.id,
        "sessions": run.summary.sessions,
        "phases": [
            {
                "phase": phase,
                "seconds": round(seconds, 6),
                "processors": round(measured.processors[phase], 6),
                "work": {work: round(lap.seconds, 6) for work, lap in measured.work(phase).items()},
            }
            for phase, seconds in measured.phases.items()
        ],
        "passes": {
            pass_: {
                work: {"seconds": round(lap.seconds, 6), "times": lap.times} for work, lap in done.items()
            }
            for pass_, done in measured.passes().items()
        },
    }
    return _encode(record) + b"\n"


def status_line(store: PlannedStore, trash: tuple[int, int]) -> bytes:
    """One store's status for scripts."""
    tally = store.tally
    return (
        _encode(
            {
                "type": "status",
                "store": store.place.name,
                "kind": store.place.kind,
                "path": store.place.path,
                "sessions": tally.total.sessions,
                "bytes": tally.total.bytes,
                "states": tally.states,
                "ages": tally.ages,
                "empty": tally.empty,
                "trash": {"files": trash[0], "bytes": trash[1]},
                "archived": {"sessions": store.archived, "bytes": store.archived_bytes},
                "planned": dict(store.planned),
                "refused": store.refusals,
                "problems": [_problem(each) for each in store.problems],
            }
        )
        + b"\n"
    )


def _problem(each: Problem) -> dict[str, Any]:
    """A problem for scripts, without what only a plan asks of it."""
    return {"store": each.store, "path": each.path, "text": each.text, "grave": each.grave}


def session_record(place: Place, session: Session) -> dict[str, Any]:
    """A session's facts for scripts."""
    return {
        "type": "session",
        "store": session.store,
        "kind": session.kind,
        "session": session.id,
        "name": session.name,
        "state": session.state,
        "evidence": session.evidence,
        "path": place.absolute(session.members[0]) if session.members else None,
        "bytes": session.bytes,
        "records": session.records,
        "empty": session.empty,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "last_changed": session.last_changed,
        "project": session.project,
        "tags": session.tags,
        "parent": session.parent,
        "rests_on": session.rests_on,
    }


def session_line(place: Place, session: Session) -> bytes:
    """A session's facts as a line for scripts."""
    return _encode(session_record(place, session)) + b"\n"


def explanation_line(told: "Explanation") -> bytes:
    """An explanation for scripts."""
    record = session_record(told.place, told.session) | {
        "type": "explanation",
        "pack": told.pack,
        "protected": told.protected.reason if told.protected else None,
        "verdicts": [
            {"pass": name, "verdict": verdict_kind(verdict), "reason": verdict.reason}
            for name, verdict in told.verdicts
        ],
        "claimed_by": told.claimed_by,
        "next_due": told.next_due,
    }
    return _encode(record) + b"\n"


def verdict_kind(verdict: Verdict) -> str:
    """A verdict's kind for scripts."""
    return type(verdict).__name__.lower()


def archived_line(place: Place, each: Archived) -> bytes:
    """A session in a pack, for scripts."""
    entry, told = each.entry, each.entry.account
    record = {
        "type": "archived",
        "store": place.name,
        "kind": place.kind,
        "session": entry.id,
        "name": told.name,
        "state": told.state,
        "pack": each.pack,
        "path": f"{place.roots[each.label]}/{each.pack}",
        "run": each.run,
        "bytes": entry.size,
        "packed": entry.packed,
        "records": told.records,
        "empty": told.empty,
        "started_at": told.started_at,
        "ended_at": told.ended_at,
        "last_changed": entry.last_changed,
        "project": told.project,
        "tags": told.tags,
        "files": [member.path for member in entry.members],
    }
    return _encode(record) + b"\n"


def copied_line(path: str) -> bytes:
    """A file that a session was copied to, for scripts."""
    return _encode({"type": "copied", "path": printable(path)}) + b"\n"


def copies_line(copied: int, failed: int, problems: list[Problem]) -> bytes:
    """The last line of what was copied: files, sessions that could not be, and what could not be looked into."""
    record = {"copied": copied, "failed": failed, "problems": list(map(_problem, problems))}
    return _encode({"type": "summary"} | record) + b"\n"


def trashed_line(place: Place, kept: Trashed) -> bytes:
    """What waits in the trash, for scripts."""
    return (
        _encode(
            {
                "type": "trashed",
                "store": place.name,
                "run": kept.run,
                "backup": kept.backup,
                "session": id_of(place, kept),
                "path": f"{place.roots[kept.home]}/{kept.kept}",
                "bytes": kept.fingerprint.size,
            }
        )
        + b"\n"
    )


def log_line(line: journal.Line) -> bytes:
    """A line of a journal, as it stands there."""
    return _encode(line) + b"\n"


def pretty(record: Any) -> bytes:
    """JSON for people."""
    return msgspec.json.format(_encode(record), indent=2) + b"\n"
