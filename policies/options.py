"""What a pass declares of itself to become part of the policy language.

A pass subclasses `PassOptions`, with one field an option; the types of the fields decide what may be written.
"""

from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from policies.durations import Duration
from policies.selectors import Selector
from policies.words import Place


def option(doc: str, *, default: Any = MISSING) -> Any:
    """A field of the policy language: what it does, and its default if it may be left out.

    The type of the field must be one of: `Duration`, `Size`, `int` (a positive count), `str`, a ``Literal`` of
    strings, `Keep`, `Selector`, `NameTemplate`, ``Glob``, ``Folder``, ``Level``, a ``tuple[X, ...]`` of these, or
    ``X | None``.
    """
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, kw_only=True)
class PassOptions:
    """The options of one pass as a policy gives them.

    ``where`` is None where the policy says nothing: what that means is the pass's own decision.
    ``stores`` is None for all of them.
    ``pass_name`` is set by the loader.
    A pass that can judge sessions in packs has an option ``of: live | archived``.
    A ``__post_init__`` may raise ValueError to refuse options that do not go together.
    """

    pass_name: str = ""
    where: Selector | None = option("Which sessions; `all` for every one.", default=None)
    stores: tuple[Place, ...] | None = option(
        "The stores of this policy to work on; all by default.", default=None
    )

    @property
    def of_archived(self) -> bool:
        """Whether it judges sessions in packs, and not those that lie in the store."""
        return getattr(self, "of", "live") == "archived"

    @property
    def claims_from(self) -> Duration | None:
        """The age from which it claims every session that it selects, and none before; None where more decides."""
        return None

    @property
    def own(self) -> dict[str, Any]:
        """The options that not every pass has, by name, written or not."""
        common = {each.name for each in fields(PassOptions)}
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in common}
