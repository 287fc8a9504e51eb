"""The verbs that look at what there is, and change nothing."""

import time
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from maint import archived, finding, ndjson, report
from maint.cli.arguments import argument, command
from maint.cli.ending import UNREADABLE, fail, out
from maint.cli.options import JSON, POLICY, STORE, or_fail
from maint.cli.problems import tell
from maint.cli.stores import only_stores_of, stores_of
from maint.reaching import describe
from store.archived import Archived
from store.facts import Place, Problem, Session
from store.frames import Damaged
from store.names import printable

if TYPE_CHECKING:
    from policies import Policy


@command(
    argument("--archived", dest="packed", action="store_true", help="what lies in packs"),
    argument("--trashed", action="store_true", help="what waits in the trash and among the backups"),
    POLICY,
    STORE,
    JSON,
)
def list_(packed: bool, trashed: bool, policy: str | None, stores: Sequence[str], as_json: bool) -> None:
    """The sessions of the stores, by id."""
    now = time.time()
    if packed or trashed:
        places = only_stores_of(policy, stores)
        if packed:
            _list_packed(places, now, as_json=as_json)
        if trashed:
            _list_trashed(places, as_json=as_json)
        return
    rules, where = stores_of(policy, stores)
    for place, session in finding.sessions(rules, where):
        row = report.session_row(session, now).encode() + b"\n"
        out(ndjson.session_line(place, session) if as_json else row)


def _list_packed(where: list[Place], now: float, *, as_json: bool) -> None:
    """The sessions in packs, and the packs that cannot be looked into; lines go out many at a time, because there may be very many."""
    problems: list[Problem] = []
    lines = (
        ndjson.archived_line(place, each) if as_json else report.archived_row(each, now).encode() + b"\n"
        for place, each in archived.archived(where, problems.append)
    )
    while some := b"".join(islice(lines, 1000)):
        out(some)
    tell(problems)


def _list_trashed(where: list[Place], *, as_json: bool) -> None:
    for place, kept in finding.trashed(where):
        row = report.trashed_row(place, kept).encode() + b"\n"
        out(ndjson.trashed_line(place, kept) if as_json else row)


@command(
    argument("session", metavar="SESSION"),
    argument("--raw", action="store_true", help="the bytes of the session, as they are"),
    POLICY,
    STORE,
    JSON,
)
def show_(session: str, raw: bool, policy: str | None, stores: Sequence[str], as_json: bool) -> None:
    """One session: its facts and its records."""
    if raw and as_json:
        fail(2, "--raw gives the bytes of a session and --json its facts: one of them, please")
    rules, where = stores_of(policy, stores)
    place, found = or_fail(lambda: _find(session, rules, where))
    if isinstance(found, Archived):
        _show_packed(place, found, raw=raw, as_json=as_json)
        return
    if as_json:
        out(ndjson.session_line(place, found))
        return
    if not raw:
        print(report.session_row(found, time.time()))
    for text in finding.content(place, found, raw=raw):
        out(text)


def _find(session: str, rules: "Policy | None", where: list[Place]) -> tuple[Place, Session | Archived]:
    """A session of the stores, or else one in a pack."""
    try:
        return finding.find(session, rules, where)
    except finding.NotFound as error:
        found = archived.find(session, where)
        if found is None:
            raise archived.not_found(str(error), where) from None
        return found


def _show_packed(place: Place, found: Archived, *, raw: bool, as_json: bool) -> None:
    if as_json:
        out(ndjson.archived_line(place, found))
        return
    if not raw:
        print(report.archived_row(found, time.time()))
    try:
        for text in archived.content(place, found, raw=raw):
            out(text)
    except Damaged as error:
        fail(1, f"{found.pack} is damaged: {error}; see `maint verify`")
    except BrokenPipeError:
        raise  # whoever read it has had enough
    except OSError as error:
        fail(UNREADABLE, describe(error))


@command(argument("run", metavar="RUN", nargs="?"), POLICY, STORE, JSON)
def log_(run: str | None, policy: str | None, stores: Sequence[str], as_json: bool) -> None:
    """The runs that were, and what each of them did."""
    where = only_stores_of(policy, stores)
    known = False
    for line in finding.log(run, where):
        known = True
        out(ndjson.log_line(line) if as_json else report.log_text(line).encode() + b"\n")
    if run is not None and not known:
        fail(2, f"no store has a run {printable(run)!r}; `maint log` lists them")
