"""Writing values the way a policy would: on one line, quoted where YAML would take them for something else."""

import json
import re
from collections.abc import Iterable, Mapping

_PLAIN = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.*+@~-]*")  # within braces a `?` ends what is not quoted


def mapped(entries: Mapping[str, str]) -> str:
    """``{key: value, ...}`` of values that are written out already."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"


def listed(words: Iterable[str]) -> str:
    """One word as it is, several in brackets."""
    written = [quoted(word) for word in words]
    return written[0] if len(written) == 1 else "[" + ", ".join(written) + "]"


def quoted(word: str) -> str:
    """The word, in quotation marks if it would not be read back without them, and always printable."""
    text = str(word)
    return (
        text
        if _PLAIN.fullmatch(text) and text.lower() != "null"
        else json.dumps(text, ensure_ascii=not text.isprintable())
    )
