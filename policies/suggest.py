"""Guessing what somebody meant to write, and saying nothing where a guess would be wild."""

import re
import unicodedata
from collections.abc import Collection
from difflib import get_close_matches

from policies.mistakes import shown

# Words of other tools and of plain English, and what they are called here.
# One that is known where it stands is suggested; the rest are skipped.
_ELSEWHERE: dict[str, tuple[str, ...]] = {
    "age": ("older_than",),
    "and": ("all",),
    "bytes": ("larger_than",),
    "command_count": ("records_over",),
    "compression": ("level",),
    "compression_level": ("level",),
    "cwd": ("project",),
    "dest": ("into",),
    "destination": ("into",),
    "dir": ("path", "project", "into"),
    "directory": ("path", "project", "dir", "into"),
    "except": ("protect", "not"),
    "exclude": ("protect", "not"),
    "excludes": ("protect", "not"),
    "filter": ("where",),
    "filters": ("where",),
    "folder": ("path", "project", "dir", "into"),
    "grace": ("keep_for",),
    "grace_period": ("keep_for",),
    "group": ("group_by",),
    "idle": ("idle_for",),
    "if": ("where",),
    "ignore": ("protect", "not"),
    "jobs": ("passes",),
    "match": ("where",),
    "max_age": ("older_than",),
    "max_bytes": ("max_total",),
    "max_delete": ("max_removed",),
    "max_deleted": ("max_removed",),
    "max_size": ("max_total", "smaller_than"),
    "min": ("at_least",),
    "min_age": ("older_than",),
    "minimum": ("at_least",),
    "newer_than": ("younger_than",),
    "only": ("where",),
    "or": ("any",),
    "path": ("project", "dir", "into"),
    "percent": ("fraction",),
    "percentage": ("fraction",),
    "protected": ("protect",),
    "retention": ("keep", "passes"),
    "root": ("path",),
    "rules": ("passes",),
    "select": ("where",),
    "selector": ("where",),
    "size": ("larger_than", "pack_size"),
    "status": ("state",),
    "steps": ("passes",),
    "tasks": ("passes",),
    "type": ("kind",),
    "tz": ("timezone",),
    "unless": ("not",),
    "when": ("where",),
    "zone": ("timezone",),
}

# Letters of other scripts that look like Latin ones in most typefaces; a key written with one of them looks
# right and is not.
_LOOKS_LIKE = str.maketrans("аеорсухіјѕԁһӏԛԝոսցοαν", "aeopcyxijsdhlqwnugoav")  # noqa: RUF001  they are the point

_LONGEST_GUESS = 40


def closest(word: str, known: Collection[str]) -> str | None:
    """The known word that was most probably meant, if any is near enough."""
    if not 0 < len(word) <= _LONGEST_GUESS:
        return None
    plain = _plain(word)
    by_plain = {_plain(each): each for each in known}
    if plain in by_plain:
        return by_plain[plain]
    for meant in _ELSEWHERE.get(plain, ()):
        if meant in known:
            return meant
    near = get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[near[0]] if near else None


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A hint for a word that is not known: the likely one, or all there are."""
    stray = next((char for char in word if ord(char) > 0x7F), None)
    found = closest(word, known)
    if found is not None:
        hint = f"did you mean `{found}`?"
        if stray is not None:
            hint += f" (U+{ord(stray):04X} is no plain letter)"
        return hint
    return choices(known)


def choices(known: Collection[str]) -> str:
    """All that could be written, as a hint."""
    if not known:
        return ""
    if len(known) == 1:
        return f"write {shown(next(iter(known)))}"
    return "write one of " + ", ".join(shown(each) for each in known)


def _plain(word: str) -> str:
    folded = unicodedata.normalize("NFKC", word).casefold().translate(_LOOKS_LIKE)
    return re.sub(r"[\s_-]+", "_", folded).strip("_")
