"""What listing a store gives to the workers that read its sessions: so that none of them need list anything again."""

import msgspec

from store.layouts.opendev.filenames import KINDS, RECORD_TMP, TRANSCRIPT_TMP

_READ = (*KINDS, TRANSCRIPT_TMP)
_MARKS = (*_READ, RECORD_TMP)


class Project(msgspec.Struct, frozen=True):
    """A folder with sessions: what tells its sessions from those of the same id elsewhere, and whose work it holds."""

    label: str
    marker: str | None = None


class Shelf(msgspec.Struct, frozen=True):
    """All that is known of a store before a session is read.

    What changed after ``live_after`` counts as living.
    ``projects`` are the folders by their paths, ``shared`` the ids that more than one of them has, and ``histories``
    the names of the copies in the folder of each session that has any, or, of a shared id, may have them.
    """

    live_after: float
    projects: dict[str, Project]
    shared: frozenset[str]
    histories: dict[str, tuple[str, ...]]

    def id_of(self, folder: str, session: str) -> str:
        """What a session is called in its store, where no two may be called the same."""
        return f"{session}@{self.projects[folder].label}" if session in self.shared else session


def plain_id(session: str) -> str:
    """The id that stands in the file names."""
    return session.partition("@")[0]


def entry_of(folder: str, session: str, there: int) -> str:
    """A session to be read: where it lies, and which of its files were there, as bits in the order of `KINDS`.

    Two more bits say that temp files of a save are there, too.
    """
    return f"{folder}/{session}{_SUFFIXES[there]}"


def split_entry(entry: str) -> tuple[str, str, tuple[str, ...], bool]:
    """Folder, session, the kinds of its files, and whether a temp file of its record is there.

    The temp file of its transcript may be one of its files, and is the last.
    """
    folder, _, rest = entry.rpartition("/")
    session, plus, suffix = rest.partition("+")
    kinds, has_tmp = _MEANINGS[plus + suffix]
    return folder, session, kinds, has_tmp


BITS = {kind: 1 << bit for bit, kind in enumerate(_MARKS)}

_SUFFIXES = tuple(
    "".join(f"+{kind}" for kind, bit in BITS.items() if there & bit) for there in range(1 << len(_MARKS))
)
_MEANINGS = {
    suffix: (tuple(kind for kind in _READ if there & BITS[kind]), bool(there & BITS[RECORD_TMP]))
    for there, suffix in enumerate(_SUFFIXES)
}
