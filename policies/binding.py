"""From the tree to typed values: the type of a field decides what may stand in the policy.

Strict everywhere: what no type asks for is refused, never skipped.
"""

import types
from collections.abc import Callable
from dataclasses import MISSING, fields
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from policies import tree
from policies.forms import FORMS, Share, choice
from policies.keep import Keep
from policies.mistakes import shown
from policies.model import Cap
from policies.scope import Refused, Scope
from policies.selecting import read_selector
from policies.selectors import Selector
from policies.suggest import choices
from policies.unknown import guess


class Option(NamedTuple):
    """One field of a dataclass that is part of the language; ``type`` is without ``None`` and annotations."""

    name: str
    type: Any
    doc: str
    default: Any

    @property
    def required(self) -> bool:
        return self.default is MISSING


def options_of(owner: type) -> tuple[Option, ...]:
    """The options that a dataclass declares, in their order; raises TypeError for a field without a doc."""
    hints = get_type_hints(owner, include_extras=True)
    found = []
    for each in fields(owner):
        if each.name == "pass_name":
            continue
        if "doc" not in each.metadata:
            raise TypeError(f"{owner.__qualname__}.{each.name} has no doc: declare it with option()")
        found.append(Option(each.name, bare(hints[each.name]), each.metadata["doc"], each.default))
    return tuple(found)


def read(scope: Scope, wanted: Any, node: tree.Node) -> Any:
    """The node as a value of the type; raises `Refused` after saying why it is none.

    Raises TypeError for a type that no policy can express.
    """
    if wanted in FORMS:
        form = FORMS[wanted]
        text = scope.text(node, form.called)
        assert isinstance(node, tree.Scalar)
        return form.read(scope, node, text)
    if wanted in _SHAPES:
        return _SHAPES[wanted](scope, node)
    if get_origin(wanted) is Literal:
        return choice(scope, node, get_args(wanted), choices(get_args(wanted)).removeprefix("write "))
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        words = tuple(map(str, wanted))
        return wanted(choice(scope, node, words, choices(words).removeprefix("write ")))
    if get_origin(wanted) is tuple:
        return _read_list(scope, bare(get_args(wanted)[0]), node)
    raise TypeError(f"no policy can express the type {wanted!r}")


def read_fields(scope: Scope, owner: type, node: tree.Node, key: tree.Scalar) -> dict[str, Any]:
    """The values that stand under ``key`` for the options of a dataclass; raises `Refused` if any is amiss."""
    options = {each.name: each for each in options_of(owner)}
    needed = [each for each in options.values() if each.required]
    if scope.is_nothing(node):
        if needed:
            raise _lacking(scope, key, needed)
        raise scope.refuse(
            key, f"nothing is written under {shown(key.text)}", "write an option, or remove the key"
        )
    example = needed[0].name if needed else next(iter(options))
    body = scope.mapping(node, f"write `{key.text}: {{{example}: ...}}`")
    values: dict[str, Any] = {}
    settled = set()
    before = len(scope.errors)
    for word, value in body.entries:
        if word.text not in options:
            text = value.text if isinstance(value, tree.Scalar) else ""
            guessed = guess(word.text, text, tuple(options))
            scope.refuse(word, f"{shown(key.text)} has no option {shown(word.text)}", guessed.hint)
            settled.add(guessed.meant)
            continue
        settled.add(word.text)
        with scope.going_on():
            values[word.text] = read(scope, options[word.text].type, value)
    lacking = [each for each in needed if each.name not in settled]
    if lacking and not body.partial:
        _lacking(scope, key, lacking)
    if len(scope.errors) > before or body.partial or len(values) < len(body.entries):
        raise Refused
    return values


def _lacking(scope: Scope, key: tree.Scalar, lacking: list[Option]) -> Refused:
    refused = Refused()
    for each in lacking:
        called = FORMS[each.type].called if each.type in FORMS else "it"
        refused = scope.refuse(
            key, f"{shown(key.text)} needs `{each.name}`", f"there is no default for it: write {called}"
        )
    return refused


def bare(hint: Any) -> Any:
    """The type without ``None``, and without annotations that mean nothing here."""
    if hint in FORMS:
        return hint
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) in {Union, types.UnionType}:
        rest = [each for each in get_args(hint) if each is not type(None)]
        if len(rest) != 1:
            raise TypeError(f"no policy can express the type {hint!r}")
        return bare(rest[0])
    return hint


def _read_list(scope: Scope, wanted: Any, node: tree.Node) -> tuple[Any, ...]:
    """One value or a list of several, none of them twice."""
    if isinstance(node, tree.Scalar):
        if node.plain and not node.broken and ", " in node.text and wanted in FORMS:
            hint = f"write {shown(f'[{node.text}]')}, or quote it if it is one text"
            raise scope.refuse(node, f"{shown(node.text)} looks like a list and is one text", hint)
        return (read(scope, wanted, node),)
    items = scope.sequence(node, "write one, or a list in brackets").items
    if not items:
        raise scope.refuse(node, "an empty list stands here", "write what it should hold, or remove the key")
    values: list[Any] = []
    for item in items:
        with scope.going_on():
            value = read(scope, wanted, item)
            if value in values:
                raise scope.refuse(item, f"{shown(str(value))} stands here twice", "remove one of them")
            values.append(value)
    if len(values) < len(items):
        raise Refused
    return tuple(values)


def _read_keep(scope: Scope, node: tree.Node) -> Keep:
    key = tree.Scalar(node.line, node.column, "keep")
    values = read_fields(scope, Keep, node, key)
    with scope.blaming(node):
        return Keep(**values)


def _read_cap(scope: Scope, node: tree.Node) -> Cap | None:
    """A cap, or None where none is wanted: that must be written out."""
    written = "write `{fraction: 20%, at_least: 50}` or `unlimited`"
    if isinstance(node, tree.Scalar) and node.text == "unlimited":
        return None
    body = scope.mapping(node, written)
    values: dict[str, Any] = {}
    settled = set()
    for key, value in body.entries:
        wanted = {"fraction": Share, "at_least": int}.get(key.text)
        if wanted is None:
            guessed = guess(key.text, "", ("fraction", "at_least"))
            scope.refuse(key, f"a cap has no {shown(key.text)}", guessed.hint)
            settled.add(guessed.meant)
            continue
        settled.add(key.text)
        with scope.going_on():
            values[key.text] = read(scope, wanted, value)
    for name in ("fraction", "at_least"):
        if name not in settled and not body.partial:
            scope.refuse(node, f"a cap needs `{name}`", f"{written}; the larger of the two counts")
    if len(values) != 2 or len(body.entries) != 2:
        raise Refused
    return Cap(float(values["fraction"]), values["at_least"])


def _read_selector(scope: Scope, node: tree.Node) -> Selector:
    return read_selector(scope, node, read)


_SHAPES: dict[Any, Callable[[Scope, tree.Node], Any]] = {
    Keep: _read_keep,
    Cap: _read_cap,
    Selector: _read_selector,
}
