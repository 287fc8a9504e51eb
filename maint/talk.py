"""Talk: what is said on stderr, and the end that a second signal brings."""

import sys

from store.names import one_line


def say(text: str) -> None:
    """One line on stderr, or several, under our name; whatever is told in it, a terminal obeys none of it."""
    print("maint:", "\n".join(map(one_line, text.split("\n"))), file=sys.stderr)


class Stopped(BaseException):
    """The second signal: end at once. Nothing is lost by it; the next run sees to what was half done."""

    def __init__(self, number: int) -> None:
        self.signal = number
