"""Talk: what is said on stderr, and the end that a second signal brings."""

import sys


def say(text: str) -> None:
    """One line on stderr, under our name."""
    print(f"maint: {text}", file=sys.stderr)


class Stopped(BaseException):
    """The second signal: end at once. Nothing is lost by it; the next run sees to what was half done."""

    def __init__(self, number: int) -> None:
        self.signal = number
