"""Templates for names that are made from a time, such as ``recovered-%Y-%m-%d-%H%M%S``.

A template may only use the few directives that sort and that every platform formats alike, and letters that
need no quoting in a shell or a file name.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from policies.mistakes import Misread, shown

_DIRECTIVES: Final = {
    "%Y": "{0.year:04}",
    "%m": "{0.month:02}",
    "%d": "{0.day:02}",
    "%H": "{0.hour:02}",
    "%M": "{0.minute:02}",
    "%S": "{0.second:02}",
}
_LONGEST: Final = 100

PATTERN: Final = r"^[A-Za-z0-9_%][A-Za-z0-9_%-]*%S[A-Za-z0-9_%-]*$|^%S[A-Za-z0-9_%-]*$"


@dataclass(frozen=True)
class NameTemplate:
    """A template that was found sound; raises `Misread`, a ValueError, for any other text."""

    text: str

    def __post_init__(self) -> None:
        for directive in re.findall(r"%.?", self.text, re.DOTALL):
            if directive not in _DIRECTIVES:
                raise Misread(
                    f"{shown(directive)} is no directive of a name",
                    "the directives are %Y, %m, %d, %H, %M and %S",
                )
        stray = re.search(r"[^A-Za-z0-9_%-]", self.text)
        if stray is not None:
            raise Misread(
                f"{shown(stray[0])} cannot stand in a name",
                "write letters, digits, `_` and `-` beside the directives",
            )
        if self.text.startswith("-"):
            raise Misread(
                "a name that starts with `-` would be taken for an option", "start it with a letter"
            )
        if "%S" not in self.text:
            raise Misread(
                f"{shown(self.text)} has no `%S`",
                "seconds are needed: a name that is taken already is made unique by moving on a second",
            )
        if len(self.text) > _LONGEST:
            raise Misread(f"a name template of {len(self.text)} characters", f"write at most {_LONGEST}")

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> "NameTemplate":
        """The template that ``text`` is; raises `Misread`, a ValueError, where it is none."""
        return cls(text)

    @property
    def prefix(self) -> str:
        """The literal text before the first directive, which may be empty."""
        return self.text.partition("%")[0]

    def render(self, when: float, zone: ZoneInfo) -> str:
        """The name for a moment, as the clocks of the zone show it.

        Raises ValueError for a moment that no calendar has.
        """
        try:
            moment = datetime.fromtimestamp(when, zone)
        except (OverflowError, OSError) as error:
            raise ValueError(f"no date for the time {when!r}") from error
        return _format_of(self.text).format(moment)


@cache
def _format_of(template: str) -> str:
    """The template as Python formats a moment; a sweep may name thousands of sessions."""
    return re.sub("%.", lambda directive: _DIRECTIVES[directive[0]], template)
