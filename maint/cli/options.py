"""The options that verbs share, so that they mean the same everywhere, and what they select."""

import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

import click

from maint import selection as selecting
from maint import terminal
from maint.cli.ending import INVALID, UNREADABLE, fail
from maint.execute import describe
from maint.finding import Ambiguous, NotFound
from maint.talk import say
from policies import Duration, Policy, PolicyInvalid
from store.facts import Place


class Span(click.ParamType[float]):
    """A duration of the policy language, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            now = time.time()
            return now - Duration.parse(value).before(now, selecting.machine_zone())
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
        return (moment if moment.tzinfo else moment.replace(tzinfo=selecting.machine_zone())).timestamp()


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
        "json": click.option("--json", "as_json", is_flag=True, help="NDJSON on stdout."),
        "at": click.option("--at", type=Moment(), help="As if it were that time."),
    }

    def add(verb: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            verb = known[name](verb)
        return verb

    return add


def selection(policy: str | None, stores: tuple[str, ...], only: str | None) -> tuple[Policy, list[Place]]:
    """The policy and the places that a verb is to work on; ends with a usage error for unknown names."""
    rules = policy_in_force(policy)
    where = selecting.places(rules)
    if stores:
        known = [place.name for place in where]
        unknown = [name for name in stores if name not in known]
        if unknown:
            fail(2, f"no store {unknown[0]!r} here; there is {', '.join(known) or 'none'}")
        where = [place for place in where if place.name in stores]
    if only is not None:
        wanted = tuple(name.strip() for name in only.split(","))
        has = [each.pass_name for each in rules.passes]
        missing = [name for name in wanted if name not in has]
        if missing:
            fail(2, f"the policy has no pass {missing[0]!r}; it has {', '.join(has)}")
        rules = selecting.only(rules, wanted)
    if not where and terminal.is_interactive():
        say("there is no store at any default place; name yours in a policy (see `maint policy show`)")
    return rules, where


def policy_in_force(path: str | None) -> Policy:
    try:
        return selecting.load(path)
    except PolicyInvalid as error:
        complain_of(error)
    except OSError as error:
        fail(UNREADABLE, f"cannot read the policy: {describe(error)}")


def complain_of(error: PolicyInvalid) -> NoReturn:
    print("\n".join(str(each) for each in error.errors), file=sys.stderr)
    count = len(error.errors)
    fail(INVALID, f"{count} mistake{'s' if count != 1 else ''} in the policy; nothing was touched")


def or_fail(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (NotFound, Ambiguous) as error:
        fail(2, str(error))
    except OSError as error:
        fail(UNREADABLE, describe(error))
