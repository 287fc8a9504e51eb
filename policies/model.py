"""A policy as it was understood: plain frozen data, with every default filled in.

The docs and types of `Limits`, `TrashRules` and `ArchiveRules` are also those of their sections in the language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from policies.durations import Duration
from policies.options import PassOptions, option
from policies.selectors import Selector
from policies.sizes import Size
from policies.words import FileSystem, FolderOrDefault, PackSize


@dataclass(frozen=True)
class KindSpec:
    """What a policy may say of a store of this kind: the keys of its paths, each with its doc."""

    paths: Mapping[str, str]


@dataclass(frozen=True)
class StoreSpec:
    """A store as the policy names it.

    ``paths`` are absolute or start with ``~/``, as written; empty means the default roots of the kind.
    """

    name: str
    kind: str
    paths: Mapping[str, str]


@dataclass(frozen=True)
class Cap:
    """How many sessions of a store may go in one run: a share of them, or a number if that is larger."""

    fraction: float
    at_least: int

    def allows(self, total: int) -> int:
        """The cap for a store of ``total`` sessions."""
        # Rounded first: 0.29 * 100 is 28.999999999999996.
        return max(int(round(self.fraction * total, 6)), self.at_least)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a whole plan may do at most; a cap of None is no cap."""

    min_idle: Duration = option(
        "Nothing that changed more recently is touched, whatever a pass says.", default=Duration.parse("1h")
    )
    max_removed: Cap | None = option(
        "How many sessions may be moved to the trash in one run, a store each, or `unlimited`.",
        default=Cap(0.5, 100),
    )
    max_archived: Cap | None = option(
        "How many sessions may be archived in one run, a store each, or `unlimited`.", default=None
    )
    max_expired: Cap | None = option(
        "How many trashed or archived sessions may end for good in one run, a store each, or `unlimited`.",
        default=Cap(0.5, 1000),
    )
    file_systems: tuple[FileSystem, ...] = option(
        "File systems of other machines, or that are unknown here, on which sessions may be changed even so.",
        default=(),
    )


@dataclass(frozen=True, kw_only=True)
class TrashRules:
    """How long removed sessions can be put back."""

    keep_for: Duration = option(
        "How long what was removed waits in the trash.", default=Duration.parse("14d")
    )


@dataclass(frozen=True, kw_only=True)
class ArchiveRules:
    """Where packs lie and how large they get.

    ``dir`` is absolute or starts with ``~/``, as written; None means the archive in the store's own ``.maint``.
    """

    dir: FolderOrDefault = option(
        "The folder of the packs, or `default`: the archive in each store's own `.maint`.", default=None
    )
    pack_size: PackSize = option(
        "How much a pack holds at most, before compression.", default=Size.parse("256MiB")
    )


VERSION: Final = "1"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Everything a policy says. ``sha256`` is of its bytes; no ``stores`` means all default roots."""

    source: str
    sha256: str
    zone: ZoneInfo
    stores: tuple[StoreSpec, ...] = ()
    protect: tuple[Selector, ...] = ()
    passes: tuple[PassOptions, ...] = ()
    limits: Limits = Limits()
    trash: TrashRules = TrashRules()
    archive: ArchiveRules = ArchiveRules()
