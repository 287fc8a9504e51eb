"""From the bytes of a policy to a `Policy`, or to everything that is wrong with them.

A policy removes things, so whoever gets a `Policy` from here may rely on it: nothing in the text was skipped,
guessed or defaulted where it said something else.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from policies.lints import lint
from policies.mistakes import Mistake, PolicyInvalid
from policies.model import KindSpec, Policy
from policies.options import PassOptions
from policies.reading import read_tree
from policies.scope import Placed, Scope
from policies.sections import named_stores, read_sections


@dataclass(frozen=True)
class Checked:
    """A policy that was looked at: ``policy`` is None exactly if there are errors; lints are never fatal."""

    policy: Policy | None
    errors: tuple[Mistake, ...]
    lints: tuple[Mistake, ...]


def load_policy(
    text: bytes | str,
    *,
    source: str,
    passes: Mapping[str, type[PassOptions]],
    kinds: Mapping[str, KindSpec],
    zone: ZoneInfo,
    exists: Callable[[str], bool] | None = None,
) -> Policy:
    """The policy that the text is; raises `PolicyInvalid` with all of its mistakes.

    ``source`` is what mistakes call the file, ``passes`` and ``kinds`` are what there is, ``zone`` is for
    policies that name none, ``exists`` gets the paths of stores as they are written.
    """
    checked = check_policy(text, source=source, passes=passes, kinds=kinds, zone=zone, exists=exists)
    if checked.policy is None:
        raise PolicyInvalid(checked.errors)
    return checked.policy


def check_policy(
    text: bytes | str,
    *,
    source: str,
    passes: Mapping[str, type[PassOptions]],
    kinds: Mapping[str, KindSpec],
    zone: ZoneInfo,
    exists: Callable[[str], bool] | None = None,
) -> Checked:
    """The same, with lints, and without raising; a policy with errors is not linted."""
    # A lone surrogate has no UTF-8: let through here, it is refused below with its place.
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    reading = read_tree(data, source)
    if reading.root is None:
        return Checked(None, _sorted(reading.errors), ())
    scope = Scope(reading.source, passes, kinds, named_stores(reading.root), list(reading.errors))
    values = read_sections(scope, reading.root)
    if scope.errors:
        return Checked(None, _sorted(scope.errors), ())
    values.pop("version")
    settings: dict[str, Any] = {"zone": values.pop("timezone", zone), **values}
    policy = Policy(
        source=source,
        sha256=hashlib.sha256(data).hexdigest(),
        **{key: _values(value) for key, value in settings.items()},
    )
    lints = lint(
        reading.source,
        stores=values.get("stores", ()),
        protect=values.get("protect", ()),
        passes=values["passes"],
        limits=policy.limits,
        archive=values.get("archive"),
        exists=exists,
    )
    return Checked(policy, (), lints)


def _values(read: Any) -> Any:
    """What was read, without the places."""
    if isinstance(read, tuple):
        return tuple(map(_values, read))
    return read.value if isinstance(read, Placed) else read


def _sorted(errors: Iterable[Mistake]) -> tuple[Mistake, ...]:
    return tuple(dict.fromkeys(sorted(errors)))
