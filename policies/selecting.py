"""From the tree to selectors.

A mapping must hold as a whole, a list under a key is any of its values, ``any``, ``all`` and ``not`` nest.
What cannot hold for any session is refused: a protection that protects nothing is a loss waiting to happen.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from policies import tree
from policies.durations import Duration
from policies.mistakes import shown
from policies.scope import Refused, Scope
from policies.selectors import Not, Selector, Term, every, some
from policies.sizes import Size
from policies.terms import OPPOSED, TERMS
from policies.unknown import guess

ReadValue: TypeAlias = Callable[[Scope, Any, tree.Node], Any]

KEYS: Final = (*TERMS, "any", "all", "not")
_HOW: Final = "write a selection, such as `{state: crashed}`"
_HOW_AT_TOP: Final = "write a selection, such as `{state: crashed}`, or `all` for every session"


def read_selector(scope: Scope, node: tree.Node, read_value: ReadValue) -> Selector:
    """The selector at the node: a mapping of conditions, or the word ``all``."""
    if isinstance(node, tree.Scalar) and node.text == "all":
        return Selector.ALL
    if isinstance(node, tree.Sequence):
        raise scope.refuse(node, "a list stands where one selection belongs", "write `{any: [{...}, {...}]}`")
    return _read_conditions(scope, node, read_value, _HOW_AT_TOP)


def _read_conditions(scope: Scope, node: tree.Node, read_value: ReadValue, how: str = _HOW) -> Selector:
    if isinstance(node, tree.Scalar) and node.text == "all":
        raise scope.refuse(
            node, "`all` stands inside a selection", "it can only be written alone: `where: all`"
        )
    if isinstance(node, tree.Mapping) and scope.is_nothing(node):
        raise scope.refuse(node, "an empty selection", how)
    body = scope.mapping(node, how)
    parts = []
    for key, value in body.entries:
        with scope.going_on():
            parts.append(_read_condition(scope, key, value, read_value))
    if body.partial or len(parts) < len(body.entries):
        raise Refused
    _check_opposed(scope, body, parts)
    return every(tuple(parts))


def _read_condition(scope: Scope, key: tree.Scalar, value: tree.Node, read_value: ReadValue) -> Selector:
    match key.text:
        case "any":
            return some(_read_parts(scope, key, value, read_value))
        case "all":
            return every(_read_parts(scope, key, value, read_value))
        case "not":
            if isinstance(value, tree.Sequence):
                raise scope.refuse(value, "a list stands under `not`", "write `not: {any: [{...}, {...}]}`")
            return Not(_read_conditions(scope, value, read_value))
        case word if word in TERMS:
            read = read_value(scope, TERMS[word].takes, value)
            if word == "project":
                _check_projects(scope, value)
            return Term(word, read)
        case word:
            text = value.text if isinstance(value, tree.Scalar) else ""
            hint = guess(word, text, KEYS).hint
            raise scope.refuse(key, f"a selection has no key {shown(word)}", hint)


def _read_parts(
    scope: Scope, key: tree.Scalar, value: tree.Node, read_value: ReadValue
) -> tuple[Selector, ...]:
    items = scope.sequence(value, f"write `{key.text}: [{{...}}, {{...}}]`").items
    if not items:
        raise scope.refuse(value, "an empty list stands here", f"write `{key.text}: [{{...}}, {{...}}]`")
    parts = []
    for item in items:
        with scope.going_on():
            parts.append(_read_conditions(scope, item, read_value))
    if len(parts) < len(items):
        raise Refused
    return tuple(parts)


def _check_projects(scope: Scope, value: tree.Node) -> None:
    globs = value.items if isinstance(value, tree.Sequence) else (value,)
    for glob in globs:
        if isinstance(glob, tree.Scalar) and glob.text.startswith(("~", "$")):
            sign = glob.text[0]
            raise scope.refuse(
                glob, f"`{sign}` is not expanded in a glob", "write the whole path, or start it with `*/`"
            )


def _check_opposed(scope: Scope, body: tree.Mapping, parts: list[Selector]) -> None:
    values = {part.key: part.value for part in parts if isinstance(part, Term)}
    for low, high in OPPOSED:
        if low in values and high in values and _surely_within(values[high], values[low]):
            place = next(key for key, _ in body.entries if key.text == high)
            raise scope.refuse(
                place,
                f"nothing is both `{low}: {values[low]}` and `{high}: {values[high]}`",
                "to select either, write `any: [{...}, {...}]`",
            )


def _surely_within(high: Any, low: Any) -> bool:
    match high, low:
        case Duration(), Duration():
            return high.surely_within(low)
        case Size(), Size():
            return high.bytes <= low.bytes + 1
        case int(), int():
            return high <= low + 1
        case _:
            return False
