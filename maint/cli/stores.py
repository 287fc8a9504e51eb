"""The stores that a verb is about; the shipped default policy, which names none, is not read to find them."""

import os
from typing import TYPE_CHECKING

from maint import terminal
from maint.cli.ending import fail
from maint.talk import say
from maint.whereabouts import places, user_policy_path
from store.facts import Place

if TYPE_CHECKING:
    from policies import Policy


def stores_of(policy: str | None, stores: tuple[str, ...]) -> tuple["Policy | None", list[Place]]:
    """The places that a verb is to look at, and the policy that says so; ``None`` is the shipped default."""
    rules: Policy | None = None
    if policy is not None or os.path.lexists(user_policy_path()):
        from maint.cli.rules import policy_in_force  # noqa: PLC0415  where somebody has written some

        rules = policy_in_force(policy)
    where = places_of(rules, stores)
    tell_of_none(where)
    return rules, where


def places_of(policy: "Policy | None", stores: tuple[str, ...]) -> list[Place]:
    """The places of a policy, or some of them by name; ends with a usage error for unknown names."""
    where = places(policy)
    if stores:
        known = [place.name for place in where]
        unknown = [name for name in stores if name not in known]
        if unknown:
            fail(2, f"no store {unknown[0]!r} here; there is {', '.join(known) or 'none'}")
        where = [place for place in where if place.name in stores]
    return where


def tell_of_none(where: list[Place]) -> None:
    """Tell a person who has no store at all what to do about it."""
    if not where and terminal.is_interactive():
        say("there is no store at any default place; name yours in a policy (see `maint policy show`)")
