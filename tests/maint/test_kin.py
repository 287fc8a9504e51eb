"""A child goes when the session that began it goes in the same plan, and not before."""

import pytest

from maint.actions import Action, Packing, Verb
from maint.kin import Child, takes_away, with_their_parents


def action(session: str, verb: Verb = Verb.PRUNE, packing: Packing | None = None) -> Action:
    return Action(
        verb=verb,
        pass_="p",
        store="s",
        session=session,
        path="",
        bytes=1,
        reason="",
        members=(),
        packing=packing,
    )


def going(told: dict[str, str], *parents: str) -> list[str]:
    """The children that go, of those that are told with their parents."""
    children = list(told)
    found = with_their_parents(
        (Child(place, child, told[child]) for place, child in enumerate(children)), set(parents)
    )
    return [children[place] for place in found]


def test_child_whose_parent_stays_stays() -> None:
    assert going({"a": "p", "b": "q"}, "q") == ["b"]


def test_child_of_a_child_goes_with_both_and_behind_them_in_whatever_order_they_stand() -> None:
    assert going({"c": "b", "b": "a", "a": "p"}, "p") == ["a", "b", "c"]


def test_children_of_each_other_stay() -> None:
    assert going({"a": "b", "b": "a"}, "p") == []


@pytest.mark.parametrize(
    ("done", "away"),
    [
        (action("x"), True),
        (action("x", Verb.DELETE_EMPTY), True),
        (action("x", Verb.RECOVER), False),
        (action("x", Verb.ARCHIVE, Packing()), True),
        (action("x", Verb.ARCHIVE, Packing(originals="trash")), True),
        (action("x", Verb.ARCHIVE, Packing(originals="keep")), False),
        (action("x", Verb.ARCHIVE, Packing(part="payload")), False),
    ],
)
def test_only_what_leaves_the_store_waits_for_its_parent(done: Action, away: bool) -> None:
    assert takes_away(done) is away
