"""What reading a part of a policy needs to know, and where it reports.

A reader that cannot make a value of a node says why with ``refuse`` and raises what that returns.
Whoever reads several things catches `Refused` for each, so that all mistakes are found in one go.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from policies import tree
from policies.mistakes import Misread, Mistake, shown
from policies.model import KindSpec
from policies.options import PassOptions
from policies.suggest import did_you_mean

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})

T = TypeVar("T")


class Refused(Exception):
    """This part has no value; why was reported."""


@dataclass(frozen=True)
class Placed(Generic[T]):
    """A value and where it was written: the key or dash it belongs to, and its own node."""

    value: T
    owner: tree.Node
    node: tree.Node


@dataclass(frozen=True)
class Scope:
    """The surroundings of what is read; ``stores`` is None where their names could not be made out."""

    source: tree.Source
    passes: Mapping[str, type[PassOptions]]
    kinds: Mapping[str, KindSpec]
    stores: tuple[str, ...] | None
    errors: list[Mistake] = field(default_factory=list)

    def refuse(self, place: tree.Node, message: str, hint: str = "") -> Refused:
        """Report a mistake; the caller raises what this returns."""
        self.errors.append(self.source.mistake(place, message, hint))
        return Refused()

    def unknown(self, node: tree.Scalar, message: str, known: Collection[str]) -> Refused:
        """Report a word that is none of the known ones, with the nearest of them."""
        return self.refuse(node, message, did_you_mean(node.text, known))

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Go on after a part that was refused."""
        with suppress(Refused):
            yield

    @contextmanager
    def blaming(self, node: tree.Node) -> Iterator[None]:
        """Report what a constructor or a parser finds wrong as a mistake at the node."""
        try:
            yield
        except Misread as error:
            raise self.refuse(node, error.message, error.hint) from None
        except ValueError as error:
            raise self.refuse(node, str(error)) from None

    def is_nothing(self, node: tree.Node) -> bool:
        """Whether nothing is written there: no text, YAML's words for nothing, or empty braces."""
        match node:
            case tree.Scalar():
                return node.text in _NOTHING and node.plain and not node.broken
            case tree.Mapping():
                return not node.entries and not node.partial
            case tree.Sequence():
                return not node.items

    def text(self, node: tree.Node, wanted: str) -> str:
        """The text of a scalar that is not empty; ``wanted`` is what should stand there."""
        if not isinstance(node, tree.Scalar):
            what = "a list" if isinstance(node, tree.Sequence) else "a mapping"
            raise self.refuse(node, f"{what} stands where {wanted} belongs", f"write {wanted}")
        self._check_something(node, wanted)
        return node.text

    def mapping(self, node: tree.Node, hint: str) -> tree.Mapping:
        """The node as a mapping with at least one entry; ``hint`` says how it is written."""
        if isinstance(node, tree.Mapping):
            if self.is_nothing(node):
                raise self.refuse(node, "nothing is written between the braces", hint)
            return node
        if isinstance(node, tree.Scalar):
            self._check_something(node, hint.removeprefix("write "))
            raise self.refuse(node, f"{shown(node.text)} stands where a mapping belongs", hint)
        raise self.refuse(node, "a list stands where a mapping belongs", hint)

    def sequence(self, node: tree.Node, hint: str) -> tree.Sequence:
        """The node as a list; ``hint`` says how it is written."""
        if isinstance(node, tree.Sequence):
            return node
        if isinstance(node, tree.Scalar):
            self._check_something(node, hint.removeprefix("write "))
            raise self.refuse(node, f"{shown(node.text)} stands where a list belongs", hint)
        raise self.refuse(node, "a mapping stands where a list belongs", hint)

    def _check_something(self, node: tree.Scalar, wanted: str) -> None:
        if node.broken:
            raise Refused
        if self.is_nothing(node):
            raise self.refuse(node, "nothing is written here", f"write {wanted}, or remove the key")
        if not node.text.strip():
            raise self.refuse(node, "an empty text stands here", f"write {wanted}")
