"""The rules of a policy that keep sessions of a group, whatever their age."""

from dataclasses import dataclass, fields

from policies.durations import Duration
from policies.mistakes import Misread
from policies.options import option
from policies.wording import listed, mapped
from policies.words import Glob


@dataclass(frozen=True, kw_only=True)
class Keep:
    """What is kept of a group of sessions: each rule is asked by itself, and one yes is enough.

    Raises `Misread`, a ValueError, where no rule is given: that would keep nothing.
    """

    last: int | None = option("This many of the newest sessions.", default=None)
    within: Duration | None = option(
        "All that ended within this time before the newest session.", default=None
    )
    hourly: int | None = option("The newest session of each of the last N hours that have one.", default=None)
    daily: int | None = option("The newest session of each of the last N days that have one.", default=None)
    weekly: int | None = option("The newest session of each of the last N weeks that have one.", default=None)
    monthly: int | None = option(
        "The newest session of each of the last N months that have one.", default=None
    )
    yearly: int | None = option("The newest session of each of the last N years that have one.", default=None)
    tags: tuple[str, ...] = option("All sessions that carry one of these tags.", default=())
    names: tuple[Glob, ...] = option("All sessions whose name matches one of these globs.", default=())

    def __str__(self) -> str:
        """The rules on one line, in the words of the policy language."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return mapped(
            {
                name: listed(value) if isinstance(value, tuple) else str(value)
                for name, value in given.items()
                if value
            }
        )

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int) and value < 1:
                raise Misread(f"`{each.name}` keeps {value}", "write a count of at least 1, or leave it out")
        if not any(getattr(self, each.name) for each in fields(self)):
            raise Misread(
                "an empty `keep` keeps nothing", "write a rule, such as `last: 10`, or leave `keep` out"
            )
