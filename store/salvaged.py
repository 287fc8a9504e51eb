"""What became of the sessions of a damaged pack, as data."""

import errno
from enum import StrEnum

import msgspec

from store.rescued import Part

# What says of a file that it cannot be written, and nothing of the folder.
_OF_THE_FILE = frozenset(
    {
        errno.EEXIST,
        errno.EILSEQ,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
    }
)


class Fate(StrEnum):
    """What became of a session, or of a stretch of the pack."""

    SAVED = "saved"
    UNPROVEN = "unproven"
    """Saved, with no other proof than the checksums of its frames."""

    PARTLY = "partly"
    REFUSED = "refused"
    """It cannot be written where it belongs."""

    LOST = "lost"


class Salvaged(msgspec.Struct, frozen=True, kw_only=True):
    """One session by its id; where there is no manifest a file by its path, or a stretch of the pack by neither."""

    fate: Fate
    session: str | None = None
    name: str | None = None
    path: str | None = None
    detail: str | None = None
    parts: tuple[Part, ...] = ()

    @property
    def bytes(self) -> int:
        """How many bytes of it were saved."""
        return sum(part.bytes for part in self.parts)


def why_refused(error: OSError | ValueError) -> str:
    """Why this one file cannot be written, as a clause; raises what says that none can."""
    if isinstance(error, FileExistsError):
        return "something else has its place, and nothing is overwritten"
    if isinstance(error, ValueError):
        return "no file can be called that"
    if error.errno not in _OF_THE_FILE:
        raise error
    return (error.strerror or str(error)).lower()
