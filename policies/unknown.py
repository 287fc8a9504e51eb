"""What to say of an option that does not exist: the habits of other tools, then the nearest word."""

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from policies.suggest import closest, did_you_mean

_KEEP: Final = "last|within|hourly|daily|weekly|monthly|yearly|tags|names"
_SPANS: Final = {
    "days": "d",
    "day": "d",
    "hours": "h",
    "hour": "h",
    "minutes": "min",
    "minute": "min",
    "weeks": "w",
    "week": "w",
    "months": "mo",
    "month": "mo",
    "years": "y",
    "year": "y",
    "seconds": "s",
}
_EVERY: Final = {
    "days": "daily",
    "hours": "hourly",
    "weeks": "weekly",
    "months": "monthly",
    "years": "yearly",
}


class Guess(NamedTuple):
    """A hint, and the known word that was probably meant."""

    hint: str
    meant: str | None


def guess(word: str, value: str, known: Collection[str]) -> Guess:
    """What was probably meant by an unknown option ``word`` with a plain ``value``, which may be empty."""
    plain = word.replace("-", "_").lower()
    number = value if re.fullmatch(r"[0-9]{1,9}", value) else ""
    rule = re.fullmatch(f"(?:keep_)?({_KEEP})", plain)
    if rule is not None and "keep" in known:
        return Guess(f"write `keep: {{{rule[1]}: {number or '...'}}}`", "keep")
    if plain in _EVERY and _EVERY[plain] in known:
        return Guess(f"did you mean `{_EVERY[plain]}`?", _EVERY[plain])
    time = next((each for each in ("older_than", "idle_for", "keep_for", "within") if each in known), None)
    if plain in _SPANS and time is not None:
        return Guess(f"write `{time}: {number or '30'}{_SPANS[plain]}`", time)
    if plain in {"dry_run", "dryrun"}:
        return Guess("a policy is not a run: `maint plan` changes nothing", None)
    if ":" in word:
        head = word.partition(":")[0]
        if head in known:
            return Guess(f"a space is missing after `{head}:`", head)
    return Guess(did_you_mean(word, known), closest(word, known))
