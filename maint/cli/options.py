"""The options that verbs share, so that they mean the same everywhere."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from maint.cli.arguments import Mistaken, argument, number
from maint.cli.ending import UNREADABLE, fail
from maint.cli.problems import fail_to_find
from maint.finding import Ambiguous, NotFound
from maint.reaching import describe

T = TypeVar("T")


def span(text: str) -> float:
    """A duration of the policy language, as seconds."""
    from maint.selection import machine_zone  # noqa: PLC0415  nobody else needs the rules of time
    from policies import Duration  # noqa: PLC0415

    try:
        now = time.time()
        return now - Duration.parse(text).before(now, machine_zone())
    except ValueError as error:
        raise Mistaken(str(error)) from error


def moment(text: str) -> float:
    """A moment as RFC 3339, or without an offset in the machine's own zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Mistaken(f"{text!r} is no time; write 2026-12-31 or 2026-12-31T03:00:00+01:00") from error
    if found.tzinfo is None:
        from maint.selection import machine_zone  # noqa: PLC0415  see span

        found = found.replace(tzinfo=machine_zone())
    return found.timestamp()


POLICY = argument("--policy", metavar="FILE", help="the policy; else your own, else the default one")
STORE = argument(
    "--store", dest="stores", action="append", default=[], metavar="NAME", help="only this store"
)
ONLY = argument(
    "--only", metavar="PASS,...", help="as if the policy had these passes alone, and no end of trash"
)
JOBS = argument("--jobs", type=number(1, 256), metavar="N", help="worker processes")
WAIT = argument("--wait", type=span, default=0.0, metavar="D", help="how long to wait for a busy store")
PROFILE = argument("--profile", action="store_true", help="tell where the time went")
JSON = argument("--json", dest="as_json", action="store_true", help="NDJSON on stdout")
AT = argument("--at", type=moment, metavar="TIME", help="as if it were that time")


def or_fail(ask: Callable[[], T]) -> T:
    """The answer, or the end.

    2 where no session is meant, or not exactly one; 1 where one may be out of sight; 74 where something cannot be read.
    """
    try:
        return ask()
    except (NotFound, Ambiguous) as error:
        fail_to_find(error)
    except BrokenPipeError:
        raise  # whoever read it has had enough
    except OSError as error:
        fail(UNREADABLE, describe(error))
