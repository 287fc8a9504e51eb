"""A line of a thread as a person is shown it: what was said, and what was run."""

from store.layouts.codex.records import Record, decode, texts_of
from store.names import printable

_LONGEST = 2_000
"""Characters of a text that are shown; the output of a command may be anything."""

_ROLES = {"user": "user", "assistant": "codex"}
_CALLS = ("function_call", "custom_tool_call", "local_shell_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def shown(line: bytes) -> str | None:
    """A line for a person, or ``None`` for what is the program's own affair."""
    if not line.strip():
        return None
    record = decode(line)
    if record is None:
        return f"no record of Codex's: {printable(line[:80].decode(errors='replace'))}"
    told = record.payload
    if not isinstance(told, dict):
        return _item(record.type, record)
    if record.type == "session_meta":
        version, where = told.get("cli_version"), told.get("cwd")
        return f"header  codex {printable(str(version))} in {printable(str(where))}"
    if record.type == "response_item":
        item = Record(**{name: told.get(name) for name in ("role", "content", "name", "arguments", "output")})
        return _item(told.get("type"), item)
    return None


def _item(kind: object, item: Record) -> str | None:
    """A message, a call of a tool, or what came of one."""
    if kind == "message":
        role = _ROLES.get(str(item.role))
        return _line(role, " ".join(texts_of(item.content))) if role is not None else None
    if kind in _CALLS:
        return _line("call", f"{item.name or ''} {item.arguments or ''}")
    if kind in _OUTPUTS:
        return _line("output", str(item.output))
    return None


def _line(who: str, text: str) -> str:
    return f"{who:<6}  {printable(text[:_LONGEST])}{' ...' if len(text) > _LONGEST else ''}"
