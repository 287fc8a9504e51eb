"""What an actor has done to a store: what may be gone because of him, and what must be there from then on."""

from dataclasses import dataclass, field

from oracle import Key

LATE = b'{"type":"command","index":9,"command":"late","cwd":"/","exit_code":0}\n'
"""A record that nobody has but the actor."""


@dataclass
class Deed:
    """What must be asked for afterwards, and what must not.

    ``took`` are contents that the actor destroyed, by the place where they lay.
    ``fresh`` are bytes that must be in a file of the store, at that place: of a file that was written just now.
    ``changed`` are contents of a file that was changed in place: they count wherever that file is.
    ``anywhere`` are bytes that must be in some file of the store or of `maint`, whatever its name is.
    ``apart`` are files that are none of the store's any more, by path, with their numbers and the place they had:
    they must stay, and what was in that place may be in there.
    ``odd`` are things that are no files, by path, with their types: they must stay, too.
    ``wrong`` is what the actor himself has to complain of.
    """

    took: dict[Key, bytes] = field(default_factory=dict)
    fresh: dict[Key, bytes] = field(default_factory=dict)
    changed: dict[Key, bytes] = field(default_factory=dict)
    anywhere: list[bytes] = field(default_factory=list)
    apart: dict[str, tuple[Key, int]] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)
    wrong: str = ""
