"""How a verb ends: what it writes, what it says, and with which code."""

import sys
from collections.abc import Iterable
from typing import NoReturn

from maint.talk import say

REFUSED, DEFECT, UNREADABLE, BUSY, INVALID = 3, 70, 74, 75, 78


def out(data: bytes) -> None:
    """Write bytes to stdout, behind whatever was printed before."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)


def out_lines(lines: Iterable[bytes]) -> None:
    """The same for many, which reach their reader together, and not each by a write of its own."""
    sys.stdout.flush()
    sys.stdout.buffer.writelines(lines)


def fail(code: int, text: str) -> NoReturn:
    """Say what is wrong, and end with this code."""
    say(text)
    sys.exit(code)


def end_by(number: int) -> NoReturn:
    """End as a program that a signal ended."""
    sys.exit(128 + number)
