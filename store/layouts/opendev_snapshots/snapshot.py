"""The one record of a snapshot file, as opendev-runtime 0.1.4 writes and reads it.

All fields are required and unknown ones ignored, so that "decodes" means the same to both.
What is left of differences is on the side of seeing a session: a field that is given twice, which opendev refuses.
On the other side is only what no clock and no count reaches: whole numbers beyond 63 bits.
"""

from typing import Annotated

import msgspec

LIMIT = 16 * 1024 * 1024
"""Far more than opendev writes; of a larger file nobody can say what it is."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class ToolResult(msgspec.Struct, gc=False):
    tool_name: str
    call_id: str
    output_preview: str
    success: bool


class Snapshot(msgspec.Struct, gc=False):
    session_id: str
    message_count: Count
    last_tool_results: list[ToolResult]
    snapshot_timestamp_ms: Count
    completed: bool
    project_dir: str
    cost_usd: float

    @property
    def saved_at(self) -> float:
        return self.snapshot_timestamp_ms / 1000


class Damaged(Exception):
    """Bytes that opendev cannot load; the text says why, as a clause."""


class TooDeep(Exception):
    """Bytes that opendev may be able to load, but not we: nested too deeply."""


_decode = msgspec.json.Decoder(Snapshot).decode


def decode(content: bytes) -> Snapshot:
    """The snapshot in these bytes; raises `Damaged` or `TooDeep`."""
    try:
        # Text that nobody asks for is not looked at by the decoder, but opendev wants the whole file to be UTF-8.
        return _decode(content if content.isascii() else content.decode())
    except UnicodeDecodeError:
        raise Damaged("it is no UTF-8") from None
    except RecursionError:
        raise TooDeep from None
    except msgspec.DecodeError as error:
        raise Damaged(_why(content, error)) from None


def _why(content: bytes, error: msgspec.DecodeError) -> str:
    if not content:
        return "it is empty"
    if not content.strip(b"\0"):
        return "it holds nothing but zeros"
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        return f"opendev could not load it: {text[:1].lower()}{text[1:]}"
    return "it is no whole JSON"
