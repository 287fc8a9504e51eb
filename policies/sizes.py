"""Sizes as a policy writes them: ``256MiB``, ``1.5GiB``, ``20GB``."""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from policies.mistakes import Misread, shown

UNITS: Final = {
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_SIZE = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?([A-Za-z]+)")
_LARGEST: Final = 1 << 62

PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)$"


@dataclass(frozen=True)
class Size:
    """A number of ``bytes``; ``text`` is how it was written."""

    bytes: int
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> "Size":
        """Read a number, which may have decimals, and a unit.

        Raises `Misread`, a ValueError, for everything else: bare numbers, zero, the units K, M, G and T.
        """
        match = _SIZE.fullmatch(text)
        if match is None or match[3] not in UNITS:
            raise _no_size(text)
        whole, decimals, unit = match[1], match[2] or "", match[3]
        if whole[0] == "0" and len(whole) > 1:
            raise Misread(f"{shown(text)} starts with a zero", f"write {shown(text.lstrip('0') or text)}")
        size = int(Fraction(int(whole + decimals), 10 ** len(decimals)) * UNITS[unit])
        if not size:
            raise Misread(
                f"{shown(text)} is a size of zero", "zero is neither nothing nor unlimited: write a size"
            )
        if size > _LARGEST:
            raise Misread(f"{shown(text)} is larger than any disk", "write a smaller size")
        return cls(size, text)


def _no_size(text: str) -> Misread:
    known = "a size is a number and a unit: B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, such as `256MiB`"
    if not text.strip():
        return Misread("no size is written here", known)
    if text[0] in "-+\N{MINUS SIGN}":
        return Misread(f"{shown(text)} has a sign", known)
    loose = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([A-Za-z]*)", text)
    if loose is None:
        return Misread(f"{shown(text)} is no size", known)
    number, unit = loose[1], loose[2]
    if not unit:
        if not number.strip("0."):
            return Misread("a size of zero", "zero is neither nothing nor unlimited: write a size")
        return Misread(
            f"{shown(text)} has no unit", f"write `{number}MiB` for mebibytes or `{number}B` for bytes"
        )
    if unit.upper() in {"K", "M", "G", "T"}:
        letter = unit.upper()
        binary, decimal = f"{letter}iB", "kB" if letter == "K" else f"{letter}B"
        return Misread(
            f"`{unit}` in {shown(text)} is {UNITS[binary]:,} bytes to some tools and {UNITS[decimal]:,} to others",
            f"write `{number}{binary}` or `{number}{decimal}`",
        )
    if unit.upper() == "KB" and unit != "kB":
        return Misread(
            f"{shown(text)} is no size", f"write `{number}kB` for 1,000s or `{number}KiB` for 1,024s"
        )
    meant = next((each for each in UNITS if each.lower() == unit.lower()), None)
    if meant is None:
        return Misread(f"{shown(text)} is no size", known)
    return Misread(f"{shown(text)} is no size", f"did you mean `{number}{meant}`?")
