"""What verifying came to, as data for the door."""

from enum import StrEnum

import msgspec


class Soundness(StrEnum):
    """What reading an archive came to."""

    SOUND = "sound"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"


class Bad(msgspec.Struct, frozen=True):
    """A session that is not what was packed, and why it did not count any more, if so."""

    session: str
    detail: str
    name: str | None = None
    marked: str | None = None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """One pack that was read, or, by its ``form``, one session that is a file by itself.

    ``store`` is ``None`` for one that belongs to no store that is known. ``bytes`` are those of its sound sessions, ``packed`` its own; ``detail`` says what is wrong with the whole of
    it, ``marks`` what is wrong with the file beside it.
    """

    store: str | None
    pack: str
    path: str
    packed: int
    result: Soundness
    form: str = "pack"
    sessions: int = 0
    bytes: int = 0
    detail: str | None = None
    damaged: tuple[Bad, ...] = ()
    marks: str | None = None
    seconds: float = 0.0


class Unread(msgspec.Struct, frozen=True):
    """A store, or a folder with packs of it, that could not be looked into, and why."""

    store: str
    path: str
    why: str


class Verification(msgspec.Struct):
    """What verifying came to.

    ``left`` packs were not read to their end; ``oldest`` is when the one was verified that now waits longest,
    ``None`` if one never was.
    """

    packs: list[Verified] = msgspec.field(default_factory=list)
    left: int = 0
    oldest: float | None = None
    unread: list[Unread] = msgspec.field(default_factory=list)
    seconds: float = 0.0
    stopped: bool = False

    def count(self, result: Soundness) -> int:
        """How many packs came to this."""
        return sum(each.result is result for each in self.packs)

    @property
    def sessions(self) -> int:
        """The sessions of all packs that were read."""
        return sum(each.sessions for each in self.packs)

    @property
    def bytes(self) -> int:
        """The bytes of the sound ones among them."""
        return sum(each.bytes for each in self.packs)

    @property
    def marks(self) -> int:
        """How many packs have marks that cannot be read."""
        return sum(each.marks is not None for each in self.packs)

    @property
    def is_sound(self) -> bool:
        """Whether nothing that was looked at needs anybody."""
        return not self.unread and not self.marks and self.count(Soundness.SOUND) == len(self.packs)
