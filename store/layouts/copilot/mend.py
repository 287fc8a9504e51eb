"""Taking out of the events of a session what is none, as later versions of Copilot do before they go on with it.

Every whole event keeps its bytes and its order. Where all that was said is in what is none, a session is left as it is:
mended, it would be one in which nothing was said, and in the end nothing would be left of it. Earlier versions refuse a session with a single line that is none, and
nobody but us mends it for them.
"""

import re
from collections.abc import Iterator

from store import edges
from store.facts import Member
from store.layout import Mend, Unmendable
from store.layouts.copilot.records import event, says_nothing, start

_START = re.compile(rb'\{"type":"')


class CopilotMend(Mend):
    """One session's mending; `build` may be started once."""

    def __init__(self, member: Member) -> None:
        self.source = member
        self.paths = (member.path,)
        self._kept = 0
        self._set_aside = 0
        self._says_something = False

    def build(self, fd: int, path: str) -> Iterator[bytes]:
        for line in edges.iter_lines(fd):
            if line.data is None:
                raise Unmendable(f"the line at byte {line.offset} is too long to be read")
            if not line.data.strip():
                continue
            if self._kept == 0 and start(line.data) is None:
                raise Unmendable("its first event does not begin a session")
            for piece in [line.data] if event(line.data) is not None else edges.pieces(line.data, _START):
                if event(piece) is None:
                    self._set_aside += len(piece)
                    continue
                self._kept += 1
                self._says_something = self._says_something or not says_nothing(piece)
                yield piece + b"\n"
        if self._kept == 0:
            raise Unmendable("it holds no whole event")
        if self._set_aside and not self._says_something:
            raise Unmendable("what was said in it is all in what is no event")

    def account(self) -> str:
        kept = f"kept {self._kept} event{'s' if self._kept != 1 else ''}"
        if not self._set_aside:
            return kept
        return f"{kept}, set aside {self._set_aside} bytes that are none, which stay in the backup"
