"""The verbs that look at what there is, and change nothing."""

import time
from itertools import islice
from typing import TYPE_CHECKING

import click

from maint import archived, finding, ndjson, report
from maint.cli.ending import UNREADABLE, fail, out
from maint.cli.options import options, or_fail
from maint.cli.problems import tell
from maint.cli.stores import only_stores_of, stores_of
from maint.reaching import describe
from store.archived import Archived
from store.facts import Place, Problem, Session
from store.frames import Damaged
from store.names import printable

if TYPE_CHECKING:
    from policies import Policy


@click.command(name="list")
@click.option("--archived", "packed", is_flag=True, help="What lies in packs.")
@click.option("--trashed", is_flag=True, help="What waits in the trash and among the backups.")
@options("policy", "store", "json")
def list_(packed: bool, trashed: bool, policy: str | None, stores: tuple[str, ...], as_json: bool) -> None:
    """The sessions of the stores, by id."""
    now = time.time()
    if trashed:
        for place, kept in finding.trashed(only_stores_of(policy, stores)):
            row = report.trashed_row(place, kept).encode() + b"\n"
            out(ndjson.trashed_line(place, kept) if as_json else row)
        return
    if packed:
        _list_packed(only_stores_of(policy, stores), now, as_json=as_json)
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


@click.command(name="show")
@click.argument("session")
@click.option("--raw", is_flag=True, help="The bytes of the session, as they are.")
@options("policy", "store", "json")
def show_(session: str, raw: bool, policy: str | None, stores: tuple[str, ...], as_json: bool) -> None:
    """One session: its facts and its records."""
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


@click.command(name="log")
@click.argument("run", required=False)
@options("policy", "store", "json")
def log_(run: str | None, policy: str | None, stores: tuple[str, ...], as_json: bool) -> None:
    """The runs that were, and what each of them did."""
    where = only_stores_of(policy, stores)
    known = False
    for line in finding.log(run, where):
        known = True
        out(ndjson.log_line(line) if as_json else report.log_text(line).encode() + b"\n")
    if run is not None and not known:
        fail(2, f"no store has a run {printable(run)!r}; `maint log` lists them")
