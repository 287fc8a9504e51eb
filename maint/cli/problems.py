"""What is said of problems, and of sessions that are not found."""

import sys
from typing import NoReturn

from maint.cli.ending import fail
from maint.finding import Ambiguous, NotFound, Unseen
from maint.talk import say
from store.facts import Problem


def tell(problems: list[Problem]) -> None:
    """Say what is wrong with stores, as briefly as can be."""
    if not problems:
        return
    from maint import report  # noqa: PLC0415  where there is something to say

    for text in report.shortened(report.problem_lines(problems)):
        say(text)


def fail_to_find(error: NotFound | Ambiguous) -> NoReturn:
    """End where no session was found; it is no mistake of the user's if it may be where nobody can look."""
    if not isinstance(error, Unseen):
        fail(2, str(error))
    say(str(error))
    tell(error.problems)
    sys.exit(1)
