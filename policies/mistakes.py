"""What is wrong with a policy, said to the person who wrote it.

A `Mistake` names a place, what stands there, and what to write instead.
Everything shown of a policy went through `shown` or `_printable`: a hostile file cannot talk to the terminal
through its own error messages.
"""

import unicodedata
from dataclasses import dataclass, field

_LONGEST_QUOTE = 60
_LONGEST_LINE = 100
_TAB = "    "


class Misread(ValueError):
    """A piece of text that is no value of the type asked for.

    ``message`` says what is wrong, ``hint`` what to write instead (or nothing); ``str()`` gives both.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing to change in a policy; line and column count from 1, and sort first after the source.

    ``source_line`` is the line as it stands in the file; ``hint`` is what to write instead, or empty.
    """

    source: str
    line: int
    column: int
    message: str
    source_line: str = field(compare=False, default="")
    hint: str = field(compare=False, default="")

    def __str__(self) -> str:
        head = f"{_escaped(self.source)}:{self.line}:{self.column}: {self.message}"
        rest = []
        if self.source_line.strip():
            line, caret = _with_caret(self.source_line, self.column - 1)
            rest += [f"    {line}", f"    {caret}"]
        if self.hint:
            rest.append(f"  {self.hint}")
        return "\n".join([head, *rest])


class PolicyInvalid(Exception):
    """A policy that must not be used: ``errors`` are all of its mistakes, sorted by position."""

    def __init__(self, errors: tuple[Mistake, ...]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


def shown(text: str) -> str:
    """The text between backticks, on one line, printable and not too long."""
    cut = text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"
    return f"`{_escaped(cut)}`"


def _escaped(text: str) -> str:
    return "".join(map(_printable, text))


def _printable(char: str) -> str:
    # isprintable() is false for controls, for surrogates, and for the invisible marks that reorder a line.
    if char.isprintable():
        return char
    return char.encode("unicode_escape").decode("ascii")


def _with_caret(line: str, at: int) -> tuple[str, str]:
    """The line as a terminal may show it, and a caret under its character number ``at``, counted from 0."""
    start = max(0, at - _LONGEST_LINE * 2 // 3) if len(line) > _LONGEST_LINE else 0
    window = line[start : start + _LONGEST_LINE]
    before = ("…" if start else "") + "".join(map(_cell, line[start:at]))
    after = "".join(map(_cell, window[at - start :])) + ("…" if start + _LONGEST_LINE < len(line) else "")
    indent = len(before) - len(before.lstrip()) if not start else 0
    before = before[indent:]
    return (before + after).rstrip(), " " * sum(map(_width, before)) + "^"


def _cell(char: str) -> str:
    return _TAB if char == "\t" else _printable(char)


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
