"""Talk: what is said on stderr, and the end that a second signal brings."""

import sys


def say(text: str) -> None:
    """One line on stderr, or several, under our name; whatever is told in it, a terminal obeys none of it."""
    from store.names import one_line  # noqa: PLC0415  most runs say nothing

    print("maint:", "\n".join(map(one_line, text.split("\n"))), file=sys.stderr)


class Stopped(BaseException):
    """The second signal: end at once. Nothing is lost by it; the next run sees to what was half done."""

    def __init__(self, number: int) -> None:
        self.signal = number
