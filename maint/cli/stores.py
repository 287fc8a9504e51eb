"""The stores that a verb is about; the shipped default policy, which names none, is not read to find them."""

import os
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from maint import remembered, terminal
from maint.cli.ending import fail
from maint.talk import say
from maint.whereabouts import places, places_named, user_policy_path
from store.facts import Place, is_store

if TYPE_CHECKING:
    from policies import Policy


_LONGEST = 1 << 20


def stores_of(policy: str | None, stores: Sequence[str]) -> tuple["Policy | None", list[Place]]:
    """The places that a verb is to look at, and the policy that says so; ``None`` is the shipped default."""
    rules: Policy | None = None
    if policy is not None or os.path.lexists(user_policy_path()):
        from maint.cli.rules import policy_in_force  # noqa: PLC0415  where somebody has written some

        rules = policy_in_force(policy)
    where = places_of(rules, stores)
    tell_of_none(where)
    return rules, where


def only_stores_of(policy: str | None, stores: Sequence[str]) -> list[Place]:
    """The same for verbs that need nothing of a policy but its stores: one that was read before is not read again."""
    path = policy if policy is not None else user_policy_path()
    text = _text_of(path)
    named = remembered.stores(text) if text is not None else None
    if text is None or named is None:
        rules, where = stores_of(policy, stores)
        if text is not None and rules is not None and rules.sha256 == sha256(text).hexdigest():
            remembered.remember(text, rules)
        return where
    where = _chosen(places_named(named), stores)
    tell_of_none(where)
    return where


def _text_of(path: str) -> bytes | None:
    """What a policy says; ``None`` where there is none, or it is too long to be one, or cannot be read."""
    try:
        with open(path, "rb") as file:
            text = file.read(_LONGEST)
    except OSError:
        return None
    return text if len(text) < _LONGEST else None


def places_of(policy: "Policy | None", stores: Sequence[str]) -> list[Place]:
    """The places of a policy, or some of them by name; ends with a usage error for unknown names."""
    return _chosen(places(policy), stores)


def _chosen(where: list[Place], stores: Sequence[str]) -> list[Place]:
    if stores:
        known = [place.name for place in where]
        unknown = [name for name in stores if not any(is_store(place, {name}) for place in known)]
        if unknown:
            fail(2, f"no store {unknown[0]!r} here; there is {', '.join(known) or 'none'}")
        where = [place for place in where if is_store(place.name, stores)]
    return where


def tell_of_none(where: list[Place]) -> None:
    """Tell a person who has no store at all what to do about it."""
    if not where and terminal.is_interactive():
        say("there is no store at any default place; name yours in a policy (see `maint policy show`)")
