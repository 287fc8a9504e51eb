"""The policy in force, and what it selects for the verbs that plan by it."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from maint import selection as selecting
from maint.cli.ending import INVALID, UNREADABLE, fail
from maint.cli.stores import places_of, tell_of_none
from maint.reaching import describe
from policies import Policy, PolicyInvalid
from store.facts import Place


def selection(policy: str | None, stores: Sequence[str], only: str | None) -> tuple[Policy, list[Place]]:
    """The policy and the places that a verb is to work on; ends with a usage error for unknown names."""
    rules = policy_in_force(policy)
    where = places_of(rules, stores)
    if only is not None:
        wanted = tuple(name.strip() for name in only.split(","))
        has = [each.pass_name for each in rules.passes]
        missing = [name for name in wanted if name not in has]
        if missing:
            fail(2, f"the policy has no pass {missing[0]!r}; it has {', '.join(has)}")
        rules = selecting.only(rules, wanted)
    tell_of_none(where)
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
