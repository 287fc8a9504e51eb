"""The options that verbs share, so that they mean the same everywhere."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from maint.cli.ending import UNREADABLE, fail
from maint.cli.problems import fail_to_find
from maint.finding import Ambiguous, NotFound
from maint.reaching import describe


class Span(click.ParamType[float]):
    """A duration of the policy language, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        from maint.selection import machine_zone  # noqa: PLC0415  nobody else needs the rules of time
        from policies import Duration  # noqa: PLC0415

        try:
            now = time.time()
            return now - Duration.parse(value).before(now, machine_zone())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[float]):
    """A moment as RFC 3339, or without an offset in the machine's own zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-12-31 or 2026-12-31T03:00:00+01:00", param, ctx)
        if moment.tzinfo is None:
            from maint.selection import machine_zone  # noqa: PLC0415  see Span

            moment = moment.replace(tzinfo=machine_zone())
        return moment.timestamp()


def options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that several verbs share, by name, so that they mean the same everywhere."""
    known = {
        "policy": click.option(
            "--policy", metavar="FILE", help="The policy; else your own, else the default one."
        ),
        "store": click.option("--store", "stores", multiple=True, metavar="NAME", help="Only this store."),
        "only": click.option("--only", metavar="PASS,...", help="Only these passes, and no end of trash."),
        "jobs": click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Worker processes."),
        "wait": click.option("--wait", type=Span(), default=0.0, help="How long to wait for a busy store."),
        "profile": click.option("--profile", is_flag=True, help="Tell where the time went."),
        "json": click.option("--json", "as_json", is_flag=True, help="NDJSON on stdout."),
        "at": click.option("--at", type=Moment(), help="As if it were that time."),
    }

    def add(verb: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            verb = known[name](verb)
        return verb

    return add


def or_fail(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (NotFound, Ambiguous) as error:
        fail_to_find(error)
    except OSError as error:
        fail(UNREADABLE, describe(error))
