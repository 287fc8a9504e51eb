"""What the tests of policies share: passes and kinds as the program has them, and short ways to ask."""

from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from policies import (
    Checked,
    Duration,
    Folder,
    Keep,
    KindSpec,
    Level,
    Misread,
    NameTemplate,
    PassOptions,
    Policy,
    Selector,
    Size,
    check_policy,
    load_policy,
    option,
)
from store.facts import Session, State

BERLIN = ZoneInfo("Europe/Berlin")
UTC = ZoneInfo("UTC")


@dataclass(frozen=True, kw_only=True)
class StaleLocks(PassOptions):
    """Locks of recorders that are gone."""

    idle_for: Duration = option("how long the lock must not have changed")


@dataclass(frozen=True, kw_only=True)
class Recover(PassOptions):
    """Sessions that crashed are made whole."""

    idle_for: Duration = option("how long the session must not have changed")
    name: NameTemplate = option(
        "the name of a recovered session", default=NameTemplate("recovered-%Y-%m-%d-%H%M%S")
    )


@dataclass(frozen=True, kw_only=True)
class DeleteEmpty(PassOptions):
    """Sessions in which nothing happened."""

    idle_for: Duration = option("how long the session must not have changed")


@dataclass(frozen=True, kw_only=True)
class Litter(PassOptions):
    """Leftovers."""

    older_than: Duration = option("age of the leftover")


@dataclass(frozen=True, kw_only=True)
class Archive(PassOptions):
    """Old sessions go into packs."""

    older_than: Duration = option("age beyond which sessions are packed")
    level: Level = option("how hard to compress", default=3)
    form: Literal["pack", "file"] = option("many in a pack, or each by itself", default="pack")
    originals: Literal["remove", "trash", "keep"] = option("what becomes of the originals", default="remove")
    part: Literal["whole", "payload"] = option("which part of a session", default="whole")
    into: Folder | None = option("the folder of the packs", default=None)

    def __post_init__(self) -> None:
        if self.into is not None and self.form == "file":
            raise Misread("`into` stands beside `form: file`", "remove one of them")

    @property
    def claims_from(self) -> Duration | None:
        return None if self.originals == "keep" or self.part == "payload" else self.older_than


@dataclass(frozen=True, kw_only=True)
class Prune(PassOptions):
    """Old sessions go to the trash."""

    older_than: Duration = option("age beyond which sessions go")
    of: Literal["live", "archived"] = option("which sessions", default="live")
    keep: Keep | None = option("what stays all the same", default=None)
    group_by: tuple[Literal["store", "project", "kind"], ...] = option(
        "what keep rules count by", default=("store",)
    )
    max_total: Size | None = option("bytes that may stay", default=None)
    max_count: int | None = option("sessions that may stay", default=None)

    def __post_init__(self) -> None:
        if self.max_count is not None and self.max_count > 1_000_000:
            raise ValueError("`max_count` is beyond what a store holds")

    @property
    def claims_from(self) -> Duration | None:
        return self.older_than


PASSES: dict[str, type[PassOptions]] = {
    "stale-locks": StaleLocks,
    "recover": Recover,
    "delete-empty": DeleteEmpty,
    "litter": Litter,
    "archive": Archive,
    "prune": Prune,
}
KINDS = {
    "rec": KindSpec({"path": "the sessions", "state": "locks and state"}),
    "opendev": KindSpec({"path": "the projects"}),
    "opendev-snapshots": KindSpec({"path": "the snapshots"}),
    "outrig": KindSpec({"path": "the sessions"}),
}


def check(text: bytes | str, **changes: Any) -> Checked:
    given: dict[str, Any] = {"source": "p.yaml", "passes": PASSES, "kinds": KINDS, "zone": BERLIN}
    return check_policy(text, **(given | changes))


def load(text: bytes | str, **changes: Any) -> Policy:
    given: dict[str, Any] = {"source": "p.yaml", "passes": PASSES, "kinds": KINDS, "zone": BERLIN}
    return load_policy(text, **(given | changes))


def with_passes(passes: str) -> str:
    """A policy with these lines under `passes`."""
    return f"version: 1\npasses:\n{passes}\n"


def complaints(text: bytes | str) -> list[str]:
    """Each mistake as `line:column message -> hint`."""
    return [
        f"{each.line}:{each.column} {each.message} -> {each.hint}".removesuffix(" -> ")
        for each in check(text).errors
    ]


def complaint(text: bytes | str) -> str:
    """The only mistake, without its place."""
    (found,) = complaints(text)
    return found.partition(" ")[2]


def with_where(text: str) -> str:
    """A policy with stores `a` and `b` and one pass that selects."""
    stores = "stores: {a: {kind: rec}, b: {kind: outrig}}"
    return f"version: 1\n{stores}\npasses:\n  - litter:\n      older_than: 2d\n      where: {text}\n"


def selector(text: str) -> Selector:
    """The selector as `where` of a pass in a policy with stores `a` and `b`."""
    found = load(with_where(text)).passes[0].where
    assert found is not None
    return found


def session(**facts: Any) -> Session:
    given: dict[str, Any] = {
        "store": "a",
        "kind": "rec",
        "id": "s1",
        "state": State.COMPLETE,
        "evidence": "",
        "members": (),
        "bytes": 100,
        "last_changed": 0.0,
    }
    return Session(**(given | facts))
