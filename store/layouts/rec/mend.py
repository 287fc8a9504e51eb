"""Making a crashed rec session whole: the header marked, whole records kept byte for byte, a footer added.

rec's own recovery rewrites the header only, never finds the file in real use, and leaves the session without a
footer, so that its list calls it active for ever.
What is set aside here stays in the backup of the original.
"""

import os
from collections.abc import Iterator

from store import edges
from store.facts import Member
from store.layout import Mend, Unmendable
from store.layouts.rec.records import (
    Command,
    Footer,
    Header,
    as_commands,
    decode,
    decode_header,
    is_foreign,
    rename_header,
    render_footer,
    split_records,
    type_error,
)


class RecMend(Mend):
    """One session's mending; `build` may be started once."""

    def __init__(self, member: Member, name: str | None, changed: float) -> None:
        self.source = member
        self.paths = (member.path,)
        self._name = name
        self._changed = changed
        self._commands = 0
        self._set_aside = 0
        self._footer_added = False

    def build(self, fd: int, path: str) -> Iterator[bytes]:
        header: Header | None = None
        last: Header | Command | Footer | None = None
        start = 0
        # Nearly all sessions are a header and commands as far as they are whole: these are taken by the block.
        while block := self._commands_at(fd, start, headed=header is not None):
            head, commands, last = block
            if head is not None:
                header = decode_header(head)
                yield rename_header(head, self._name)
                start += len(head) + 1
            start += len(commands)
            yield commands
        for line in edges.iter_lines(fd, start=start):
            if line.data is None:
                raise Unmendable(f"the line at byte {line.offset} is too long to be read")
            if not line.data.strip(b" \t\r\n"):
                continue
            for piece, record in self._records(line.data, line.offset):
                if isinstance(record, Header):
                    if header is not None:
                        raise Unmendable(f"there is a second header at byte {line.offset}")
                    header = last = record
                    yield rename_header(piece, self._name)
                    continue
                if header is None:
                    raise Unmendable("its first record is no header")
                last = record
                if isinstance(record, Command):
                    self._count(record)
                yield piece + b"\n"
        if header is None:
            raise Unmendable("it holds no complete record")
        if not isinstance(last, Footer):
            self._footer_added = True
            yield render_footer(self._changed, self._commands)

    def _commands_at(
        self, fd: int, start: int, *, headed: bool
    ) -> tuple[bytes | None, bytes, Command] | None:
        """The lines that begin at ``start``, as they are, if all of a block are commands, and the last of them.

        The line of the header comes first and by itself, unless the session is ``headed`` already.
        ``None`` where anything is otherwise: that is looked at line by line.
        """
        data = os.pread(fd, edges.BLOCK, start)
        first = 0 if headed else data.find(b"\n") + 1
        lines = data[first : data.rfind(b"\n") + 1]
        head = None if headed else data[: first - 1] if first else b""
        if not lines or not _is_utf8(lines):
            return None
        if head is not None and not (_is_utf8(head) and decode_header(head) is not None):
            return None
        try:
            commands = as_commands(lines)
        except type_error:
            return None
        # Who decodes many does not ask where the lines end. No object holds such a break, so each is one line.
        if len(commands) != lines.count(b"\n") or lines.count(b"}\n{") != len(commands) - 1:
            return None
        self._count(commands[-1], len(commands))
        return head, lines, commands[-1]

    def _count(self, command: Command, commands: int = 1) -> None:
        self._commands += commands
        self._changed = command.started_at if command.ended_at is None else command.ended_at

    def _records(self, line: bytes, offset: int) -> Iterator[tuple[bytes, Header | Command | Footer]]:
        """The records on a line with their bytes: one as a rule, none or some where the line is damaged."""
        record = decode(line)
        if record is None and is_foreign(line):
            raise Unmendable(f"the record at byte {offset} is none of rec's")
        if record is not None:
            if not _is_utf8(line):
                raise Unmendable(f"the record at byte {offset} is no UTF-8")
            yield line, record
            return
        for piece in split_records(line):
            whole = piece.strip(b"\0")
            record = decode(whole)
            if record is None or not _is_utf8(whole):
                self._set_aside += len(piece)
            else:
                yield whole, record

    def account(self) -> str:
        parts = [f"kept {self._commands} commands" if self._commands != 1 else "kept 1 command"]
        if self._footer_added:
            parts.append("added a footer")
        if self._set_aside:
            parts.append(f"set aside {self._set_aside} bytes, which stay in the backup")
        return ", ".join(parts)


def _is_utf8(line: bytes) -> bool:
    """Whether rec could read the line at all; it gives up a session over one byte, in whatever field."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
