"""Making a crashed rec session whole: the header marked, whole records kept byte for byte, a footer added.

rec's own recovery rewrites the header only, never finds the file in real use, and leaves the session without a
footer, so that its list calls it active for ever.
What is set aside here stays in the backup of the original.
"""

from collections.abc import Iterator

from store import edges
from store.layout import Mend, Unmendable
from store.layouts.rec.records import (
    Command,
    Footer,
    Header,
    decode,
    is_foreign,
    rename_header,
    render_footer,
)


class RecMend(Mend):
    """One session's mending; `build` may be started once."""

    def __init__(self, name: str | None, changed: float) -> None:
        self._name = name
        self._changed = changed
        self._commands = 0
        self._set_aside = 0
        self._footer_added = False

    def build(self, fd: int) -> Iterator[bytes]:
        header: Header | None = None
        last: Header | Command | Footer | None = None
        for line in edges.iter_lines(fd):
            if line.data is None:
                raise Unmendable(f"the line at byte {line.offset} is too long to be read")
            if not line.data.strip(b" \t\r\n"):
                continue
            record = decode(line.data)
            if record is None:
                if is_foreign(line.data):
                    raise Unmendable(f"the record at byte {line.offset} is none of rec's")
                self._set_aside += line.end - line.offset
                continue
            if isinstance(record, Header):
                if header is not None:
                    raise Unmendable(f"there is a second header at byte {line.offset}")
                header = last = record
                yield rename_header(line.data, self._name)
                continue
            if header is None:
                raise Unmendable("its first record is no header")
            last = record
            if isinstance(record, Command):
                self._commands += 1
                self._changed = record.started_at if record.ended_at is None else record.ended_at
            yield line.data + b"\n"
        if header is None:
            raise Unmendable("it holds no complete record")
        if not isinstance(last, Footer):
            self._footer_added = True
            yield render_footer(self._changed, self._commands)

    def account(self) -> str:
        parts = [f"kept {self._commands} commands" if self._commands != 1 else "kept 1 command"]
        if self._footer_added:
            parts.append("added a footer")
        if self._set_aside:
            parts.append(f"set aside {self._set_aside} bytes, which stay in the backup")
        return ", ".join(parts)
