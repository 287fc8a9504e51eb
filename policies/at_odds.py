"""Passes of one policy that stand in each other's way: lints of two passes, where `policies.lints` has those of one."""

from collections.abc import Iterable
from typing import Any

from policies import tree
from policies.durations import Duration
from policies.keep import Keep
from policies.mistakes import Mistake
from policies.options import PassOptions
from policies.scope import Placed
from policies.selectors import Selector, conjuncts
from store.facts import State


def shadowed(source: tree.Source, passes: tuple[Placed[PassOptions], ...]) -> Iterable[Mistake]:
    """Passes that never have anything to do, because an earlier one claims it all."""
    for index, later in enumerate(passes):
        for earlier in passes[:index]:
            if _claims_all_of(earlier.value, later.value):
                same = earlier.value.pass_name == later.value.pass_name
                which = "the one" if same else f"the `{earlier.value.pass_name}`"
                hint = "put the narrower one first, or remove it"
                if not same and hasattr(later.value, "of"):
                    hint += "; for what lies in packs, write `of: archived`"
                yield source.mistake(
                    later.owner,
                    f"this `{later.value.pass_name}` can never claim anything: {which} in line "
                    f"{earlier.owner.line} claims it all",
                    hint,
                )
                break


def packed_again(source: tree.Source, passes: tuple[Placed[PassOptions], ...]) -> Iterable[Mistake]:
    """Copies of what stays in the store, which a pass takes and another makes again, night after night."""
    if any("of" in each.value.own and not each.value.of_archived for each in passes):
        return  # what it prunes does not stay
    keeping = [each for each in passes if each.value.own.get("originals") == "keep"]
    for each in passes:
        if not each.value.of_archived:
            continue
        for other in keeping:
            if _may_meet(each.value.stores, other.value.stores) and each.value.where == other.value.where:
                yield source.mistake(
                    each.owner,
                    f"the copies this takes are made again: the `archive` in line {other.owner.line} "
                    "leaves their sessions in the store",
                    "prune the sessions themselves, or write `originals: remove` there",
                )
                break


def _may_meet(some: tuple[str, ...] | None, others: tuple[str, ...] | None) -> bool:
    return some is None or others is None or not set(some).isdisjoint(others)


def _claims_all_of(earlier: PassOptions, later: PassOptions) -> bool:
    """Whether the earlier pass surely claims whatever the later one would."""
    if earlier.of_archived is not later.of_archived:
        return False
    if earlier.stores is not None and not (later.stores and set(later.stores) <= set(earlier.stores)):
        return False
    if not _selects_all_of(earlier.where, later.where):
        return False
    if earlier.claims_from is not None and later.claims_from is not None:
        # Both go by age alone: what becomes of a session, and even that a keep rule holds it, is a claim.
        return earlier.claims_from.surely_within(later.claims_from)
    if earlier.pass_name != later.pass_name:
        return False
    wanted = later.own
    return all(_is_no_narrower(value, wanted[name]) for name, value in earlier.own.items())


def _selects_all_of(earlier: Selector | None, later: Selector | None) -> bool:
    if earlier == later:
        return True
    if later is not None and any(
        later.names_state(state) and not (earlier is not None and earlier.names_state(state))
        for state in State
    ):
        # A pass leaves some states alone unless they are named.
        return False
    needed = conjuncts(earlier) if earlier is not None else frozenset()
    given = conjuncts(later) if later is not None else frozenset()
    return needed <= given


def _is_no_narrower(earlier: Any, later: Any) -> bool:
    """Whether an option of the earlier pass leaves it at least what it leaves the later one."""
    if earlier is None or earlier == later:
        return True
    if isinstance(earlier, Duration) and isinstance(later, Duration):
        return earlier.surely_within(later)
    # What is kept is claimed too, and grouping only decides what is kept.
    return isinstance(earlier, Keep | tuple)
