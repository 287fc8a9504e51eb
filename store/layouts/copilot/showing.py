"""An event as a person is shown it: what was said, and what was run."""

import msgspec

from store.layouts.copilot.records import event, said, start
from store.names import printable

_LONGEST = 2_000
"""Characters of a text that are shown; the output of a command may be anything."""

_ROLES = {"user.message": "user", "assistant.message": "copilot"}


def shown(line: bytes) -> str | None:
    """A line for a person, or ``None`` for what is the program's own affair."""
    if not line.strip():
        return None
    found = event(line)
    if found is None:
        return f"no event of Copilot's: {printable(line[:80].decode(errors='replace'))}"
    if (told := start(line)) is not None:
        return f"header   in {printable(told.project or '-')}"
    content, tool, arguments = said(found)
    if (role := _ROLES.get(found.type)) is not None:
        return _line(role, content) if content else None
    if found.type == "tool.execution_start":
        return _line("call", f"{tool} {msgspec.json.encode(arguments).decode()}")
    return None


def _line(who: str, text: object) -> str:
    said_ = str(text)
    return f"{who:<7}  {printable(said_[:_LONGEST])}{' ...' if len(said_) > _LONGEST else ''}"
