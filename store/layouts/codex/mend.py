"""Ending a torn last line, as Codex does before it goes on behind it.

Not a byte is taken away or moved: threads that go on from this one, and the program's own databases, know its records by
their places.
"""

import os
from collections.abc import Iterator

from store import edges
from store.facts import Member
from store.layout import Mend


class CodexMend(Mend):
    """One thread's mending."""

    def __init__(self, member: Member) -> None:
        self.source = member
        self.paths = (member.path,)
        self._ended = False

    def build(self, fd: int, path: str) -> Iterator[bytes]:
        at, last = 0, b"\n"
        while block := os.pread(fd, edges.BLOCK, at):
            yield block
            at += len(block)
            last = block[-1:]
        self._ended = last != b"\n"
        if self._ended:
            yield b"\n"

    def account(self) -> str:
        return "ended its torn last line, which Codex passes over" if self._ended else "found it ended"
