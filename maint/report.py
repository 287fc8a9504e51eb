"""What is said of a run to people, as text; nothing where nobody needs it is the door's business.

Every name of a file is made printable on the way out: nobody's terminal is at the mercy of a file name.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from maint import journal
from maint.actions import Action, Outcome, Result, Verb, is_expiry
from maint.finding import id_of
from maint.journal import EndLine, IndexedLine, RunLine, SealedLine
from maint.laps import Laps
from maint.planned import Plan, PlannedStore
from maint.run import SPEAK_AFTER, Busy, Run, Summary
from maint.tally import Tally
from maint.verdicts import Act, Compare, Kept, No, Verdict, Wait
from store.archived import Archived
from store.facts import Place, Problem, Session
from store.names import one_line, printable
from store.trash import Trashed

if TYPE_CHECKING:  # it brings all of planning with it
    from maint.explaining import Explanation

PLANNED = {
    Verb.UNLOCK: "remove stale locks",
    Verb.RECOVER: "recover",
    Verb.DELETE_EMPTY: "trash empty ones",
    Verb.REMOVE_LITTER: "trash litter",
    Verb.ARCHIVE: "archive",
    Verb.PRUNE: "trash old ones",
    Verb.COMPACT: "rewrite packs",
    Verb.EXPIRE_TRASH: "end what waited in the trash",
    Verb.RESTORE: "bring back",
}
DONE = {
    Verb.UNLOCK: "stale locks removed",
    Verb.RECOVER: "recovered",
    Verb.DELETE_EMPTY: "empty ones moved to trash",
    Verb.REMOVE_LITTER: "litter moved to trash",
    Verb.ARCHIVE: "archived",
    Verb.PRUNE: "old ones moved to trash",
    Verb.COMPACT: "packs rewritten",
    Verb.EXPIRE_TRASH: "ended for good",
    Verb.RESTORE: "brought back",
}
EXPIRING, EXPIRED = "expire in packs", "expired in packs"
"""What pruning is called where it is of archived sessions."""

SHOWN = 10
"""Lines of a kind that are shown to a person; the rest is counted, and `--json` has them all."""

EXAMPLES = 3
"""Files that are named of those that share a problem."""

_encode = msgspec.json.Encoder().encode


def size(count: int) -> str:
    """Bytes as a person says them."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def ago(seconds: float) -> str:
    """A span as a person says it, in its largest unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def planned_text(plan: Plan, *, dry: bool) -> Iterator[str]:
    """A plan as a person reviews it: by store and verb, some of each, with the reason."""
    for store in plan.stores:
        yield _store_head(store)
        if not store.planned:
            yield "  nothing to do"
            continue
        counts: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        shown: dict[str, list[Action]] = {}
        for action in store.actions():
            what = EXPIRING if is_expiry(action) else PLANNED[action.verb]
            counts[what] += 1
            sizes[what] += action.bytes
            if counts[what] <= SHOWN:
                shown.setdefault(what, []).append(action)
        for what, actions in shown.items():
            yield f"  {what}: {counts[what]:,} ({size(sizes[what])})"
            for action in actions:
                called = printable(action.session)
                if action.old_name:
                    called += f" ({printable(action.old_name)})"
                yield f"    {called}: {action.reason}"
                if action.name is not None:
                    yield f"      as {action.name}"
            if counts[what] > SHOWN:
                yield f"    and {counts[what] - SHOWN:,} more (--json lists all)"
    if dry:
        yield "this is a plan: nothing is changed"


def _store_head(store: PlannedStore) -> str:
    total = store.tally.total
    return (
        f"{store.place.name} ({store.place.kind}, {printable(store.place.path)}): "
        f"{total.sessions:,} sessions, {size(total.bytes)}"
    )


def summary_text(run: Run) -> Iterator[str]:
    """What a run came to."""
    summary = run.summary
    for verb, count in (summary.done - Counter({Verb.PRUNE: summary.expired})).items():
        yield f"  {DONE[verb]}: {count:,}"
    if summary.expired:
        yield f"  {EXPIRED}: {summary.expired:,}"
    for label, count in (("skipped", summary.skipped), ("failed", summary.failed), ("lost", summary.lost)):
        if count:
            yield f"  {label}: {count:,}"
    if not summary.done:
        hindered = run.refused or run.busy or run.unreachable
        yield "  nothing was changed" if hindered or summary.planned else "  nothing to do"
    if summary.bytes_packed:
        yield f"  {size(summary.bytes_archived)} are {size(summary.bytes_packed)} in packs now"
    freed = f", {size(summary.bytes_freed)} freed" if summary.bytes_freed > 0 else ""
    trash = f", {size(summary.bytes_trashed)} in the trash" if summary.bytes_trashed else ""
    stopped = ", stopped early" if summary.stopped else ""
    yield f"run {run.id}: {summary.sessions:,} sessions in {summary.seconds:.1f} s{trash}{freed}{stopped}"


def profile_text(measured: Laps) -> Iterator[str]:
    """Where the time of a run went: by phase, and by pass."""
    whole = sum(measured.phases.values())
    yield f"where the time went: {whole:.2f} s, {sum(measured.processors.values()):.2f} s of processors"
    width = max(map(len, measured.phases))
    for phase, seconds in measured.phases.items():
        work = ", ".join(f"{work} {lap.seconds:.2f} s" for work, lap in measured.work(phase).items())
        share = f"{seconds / whole:4.0%}" if whole else ""
        yield f"  {phase:<{width}}  {seconds:7.2f} s  {share}{f'  all workers: {work}' if work else ''}"
    passes = measured.passes()
    width = max(map(len, passes), default=0)
    for pass_, done in passes.items():
        said = ", ".join(f"{work} {lap.times:,} in {lap.seconds:.2f} s" for work, lap in done.items())
        yield f"  pass {pass_:<{width}}  {said}"


def complaints(run: Run, *, everything: bool) -> Iterator[str]:
    """What a person should know of a run that went less than well, busy stores included when it is time."""
    for text in run.refused:
        yield f"refused: {text}; nothing was changed"
    for each in run.unreachable:
        yield f"store {each.place.name!r} at {printable(each.place.path)} cannot be used: {each.why}"
    yield from shortened(problem_lines([*run.unwritten, *run.unseen]))
    for busy in run.busy:
        if everything or busy.skips >= SPEAK_AFTER:
            yield _busy_text(busy)
    summary = run.summary
    if summary.failed or summary.lost:
        yield f"{summary.failed} actions failed and {summary.lost} were lost; see `maint log {run.id}`"


def _busy_text(busy: Busy) -> str:
    text = f"store {busy.place.name!r} is held by another maintainer"
    if busy.holder is not None:
        since = datetime.fromtimestamp(busy.holder.since).astimezone().isoformat(timespec="seconds")
        text += f": {busy.holder.command} (pid {busy.holder.pid} on {busy.holder.host}) since {since}"
    if busy.skips > 1:
        text += f"; skipped {busy.skips} times in a row"
    return text


def bad_outcome_text(outcome: Outcome) -> str | None:
    """A line about an outcome that a person should see, or ``None``."""
    if outcome.result in (Result.FAILED, Result.LOST):
        return f"{outcome.result}: {outcome.verb} {printable(outcome.path)}: {outcome.detail}"
    return None


def problem_lines(problems: Iterable[Problem]) -> list[str]:
    """Problems as lines, grave ones first; many of a kind are one line with some examples."""
    kinds: dict[tuple[bool, str, str], list[str]] = {}
    for each in problems:
        paths = kinds.setdefault((not each.grave, each.store, each.text), [])
        if each.path not in paths[-1:]:
            paths.append(each.path)
    lines: list[str] = []
    for (_, store, text), paths in sorted(kinds.items()):
        if len(paths) <= EXAMPLES:
            lines += [f"{store}: {path or 'store'}: {text}" for path in sorted(paths)]
        else:
            shown = ", ".join(sorted(paths)[:EXAMPLES])
            lines.append(f"{store}: {len(paths):,} files: {text}: {shown}, ...")
    return lines


def shortened(lines: list[str]) -> Iterator[str]:
    """Some of many lines, and how many more there are."""
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"and {len(lines) - SHOWN:,} more (--json lists all)"


def status_text(store: PlannedStore, trash: tuple[int, int]) -> Iterator[str]:
    """What there is in a store, and what the next sweep would do."""
    tally = store.tally
    yield _store_head(store)
    states = ", ".join(f"{share.sessions:,} {state}" for state, share in tally.states.items())
    if states:
        yield f"  states  {states}; {tally.empty:,} empty"
        yield f"  ages    {', '.join(_ages(tally))}"
    if store.archived:
        yield f"  archive {store.archived:,} sessions, {size(store.archived_bytes)} packed"
    count, held = trash
    if count:
        yield f"  trash   {count:,} files, {size(held)}"
    if store.planned:
        todo = ", ".join(f"{PLANNED[verb]} {count:,}" for verb, count in store.planned.items())
        yield f"  next sweep would {'be refused; it would ' if store.refusals else ''}{todo}"
    else:
        yield "  next sweep would do nothing"


def _ages(tally: Tally) -> Iterator[str]:
    for label, share in tally.ages.items():
        yield f"{label}: {share.sessions:,} ({size(share.bytes)})"


def session_row(session: Session, now: float) -> str:
    """A session as a row of a list."""
    count = "?" if session.records is None else str(session.records)
    name = printable(session.name or "-")
    return (
        f"{session.id:<36}  {session.state:<9}  {ago(now - session.ended):>7}  "
        f"{size(session.bytes):>10}  {count:>6}  {name}"
    )


def explanation_text(told: "Explanation", at: float, zone_text: Any) -> Iterator[str]:
    """Why a session stays or goes."""
    session = told.session
    where = f", in the pack {printable(told.pack)}" if told.pack is not None else ""
    yield f"{session.id} in {session.store}{where}"
    yield f"  name      {printable(session.name or '-')}"
    yield f"  state     {session.state}: {session.evidence}"
    yield f"  idle      {ago(at - session.last_changed)}"
    yield f"  age       {ago(at - session.ended)}"
    yield f"  size      {size(session.bytes)}, {'unknown' if session.records is None else session.records} records"
    if session.empty:
        yield "  empty     nothing was recorded in it"
    if session.project is not None:
        yield f"  project   {printable(session.project)}"
    if session.tags:
        yield f"  tags      {', '.join(map(printable, session.tags))}"
    if session.parent is not None:
        yield f"  begun by  {printable(session.parent)}: it goes only together with that one"
    if session.rests_on is not None:
        yield f"  rests on  {printable(session.rests_on)}: that one stays for as long as this one"
    if told.protected is not None:
        yield f"protected: {told.protected.reason}"
    width = max((len(name) for name, _ in told.verdicts), default=0)
    for name, verdict in told.verdicts:
        yield f"  {name:<{width}}  {verdict_text(verdict)}"
    if told.protected is not None:
        yield "so nothing is done to it"
    elif told.claimed_by is not None:
        yield f"so {told.claimed_by} has it"
    else:
        yield "so no pass claims it"
    if told.next_due is not None:
        yield f"next change of verdict, if nothing happens to it: {zone_text(told.next_due)}"


def verdict_text(verdict: Verdict) -> str:
    """A verdict in words."""
    match verdict:
        case Act(verb=verb, reason=reason):
            return f"{verb}: {reason}"
        case Kept(reason=reason):
            return reason
        case Wait(reason=reason):
            return f"not yet: {reason}"
        case Compare(reason=reason, old=old):
            return f"compared with its group: {reason}" if old else f"not yet: {reason}"
        case No(reason=reason):
            return f"no: {reason}"


def archived_row(each: Archived, now: float) -> str:
    """A session in a pack as a row of a list."""
    told = each.entry.account
    count = "?" if told.records is None else str(told.records)
    return (
        f"{printable(each.entry.id):<36}  {told.state:<9}  {ago(now - each.ended):>7}  "
        f"{size(each.entry.size):>10}  {count:>6}  {printable(told.name or '-')}"
    )


def trashed_row(place: Place, kept: Trashed) -> str:
    """What waits in the trash as a row of a list."""
    what = "backup" if kept.backup else "trash"
    name = printable(id_of(place, kept))
    return f"{name:<36}  {what:<6}  {size(kept.fingerprint.size):>10}  run {kept.run}"


def _called(verb: str) -> str:
    """What was done, in words; a verb of a later maint, or of nobody, by its name."""
    return DONE[Verb(verb)] if verb in DONE else printable(verb)


def log_text(line: journal.Line) -> str:
    """A line of a journal in words, as one line whoever wrote the journal."""
    return one_line(_log_text(line))


def _log_text(line: journal.Line) -> str:
    match line:
        case RunLine():
            about = f" of {line.about}" if line.about else ""
            return f"{line.run}  {line.at}  {line.command}{about} on {printable(line.store)}"
        case EndLine():
            done = ", ".join(f"{_called(verb)} {count:,}" for verb, count in line.done.items())
            rest = "".join(
                f", {label} {count}"
                for label, count in (("skipped", line.skipped), ("failed", line.failed), ("lost", line.lost))
                if count
            )
            if line.settled_by is not None:
                undone = f", {line.skipped:,} not begun" if line.skipped else ""
                how = "was killed" if line.stopped else "lost some with its workers"
                return f"    {how}: {done or 'nothing done'}{undone}; seen to by {line.settled_by}"
            return f"    {done or 'nothing to do'}{rest}{', stopped early' if line.stopped else ''}"
        case Action():
            return f"    to {line.verb} {printable(line.session)}: {line.reason}"
        case Outcome():
            detail = f": {line.detail}" if line.detail else ""
            return f"    {line.result}: {line.verb} {printable(line.session)}{detail}"
        case SealedLine():
            text = f"{line.sessions:,} sessions, {size(line.bytes)} in {size(line.packed)}"
            return f"    sealed {printable(line.path)}: {text}"
        case IndexedLine():
            return f"    {'made' if line.made else 'made true'}: {printable(line.path)}, which lists sessions"
        case _:
            return "    begun"


def exit_code(run: Run) -> int:
    """What a run's end means to whoever called: the worst of what happened."""
    summary: Summary = run.summary
    if run.unreachable or run.unwritten:
        return 74
    if summary.failed or summary.lost or run.unseen:
        return 1
    if run.refused:
        return 3
    if run.busy:
        return 75
    return 0
