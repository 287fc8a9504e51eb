"""Logic over true, false and unknown, as functions made once and called a hundred thousand times.

Unknown is ``None``.
A conjunction is false as soon as one part is, even beside an unknown one; only then unknown; else true.
A disjunction is the mirror image.
"""

from collections.abc import Callable
from typing import TypeAlias

from store.facts import Session

Test: TypeAlias = Callable[[Session], bool | None]


def all_hold(tests: tuple[Test, ...]) -> Test:
    """True where every test is, false where any is false, else unknown."""

    def test(session: Session) -> bool | None:
        verdict: bool | None = True
        for each in tests:
            one = each(session)
            if one is False:
                return False
            if one is None:
                verdict = None
        return verdict

    return test


def any_holds(tests: tuple[Test, ...]) -> Test:
    """True where any test is, false where every one is false, else unknown."""

    def test(session: Session) -> bool | None:
        verdict: bool | None = False
        for each in tests:
            one = each(session)
            if one is True:
                return True
            if one is None:
                verdict = None
        return verdict

    return test


def inverted(test: Test) -> Test:
    """True where the test is false, false where it is true, unknown where it is."""

    def opposite(session: Session) -> bool | None:
        verdict = test(session)
        return None if verdict is None else not verdict

    return opposite
