"""Times as most programs write them into their sessions: ISO 8601 with an offset."""

import datetime as dt


def seconds(text: object) -> float | None:
    """Seconds since the epoch; ``None`` for what is no time with an offset."""
    try:
        time = dt.datetime.fromisoformat(text) if isinstance(text, str) else None
        return time.timestamp() if time is not None and time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
