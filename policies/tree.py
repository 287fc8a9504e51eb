"""A policy as written: places and plain text, before anything has a type."""

from dataclasses import dataclass

from policies.mistakes import Mistake


@dataclass(frozen=True, eq=False)
class Scalar:
    """A piece of text; ``plain`` tells whether it stands there without quotation marks.

    A ``broken`` one was complained about already: nothing more is to be said of it.
    """

    line: int
    column: int
    text: str
    plain: bool = True
    broken: bool = False


@dataclass(frozen=True, eq=False)
class Sequence:
    """A list."""

    line: int
    column: int
    items: tuple["Node", ...]


@dataclass(frozen=True, eq=False)
class Mapping:
    """Keys and their values, in the order of the file.

    A ``partial`` one has lost entries that were complained about: nobody should ask for what it lacks.
    """

    line: int
    column: int
    entries: tuple[tuple[Scalar, "Node"], ...]
    partial: bool = False

    def get(self, key: str) -> "Node | None":
        return next((value for each, value in self.entries if each.text == key), None)


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True)
class Source:
    """The text of a policy by lines, which makes mistakes out of places."""

    name: str
    lines: tuple[str, ...]

    def mistake(self, place: Node | tuple[int, int], message: str, hint: str = "") -> Mistake:
        """A mistake at a node, or at a line and a column that count from 1."""
        line, column = place if isinstance(place, tuple) else (place.line, place.column)
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Mistake(self.name, line, column, message, text, hint)
