"""The files below a folder that belongs to one session: which are its own, and what else lies there.

What is guarded: only regular files become members. Links, FIFOs, files with a second name, of another user or on
another file system, and names that cannot be shown are told; nothing is followed, nothing but folders is opened.
How deep and how many is bounded, because whoever records may be made to write whatever somebody likes.
"""

import errno
import os
import stat

from store import opening
from store.facts import Member

DEPTH = 32
"""How deep below its folder a file may lie."""

MOST = 100_000
"""Files of one session."""

_LONGEST = 255
_NOT_NAMES = frozenset({"", ".", ".."})
_NO_FOLDER = (errno.ENOTDIR, errno.ELOOP)
"""What an open of a folder says of a file or, by the system, of a link."""


def is_shown(name: str) -> bool:
    """Whether a file or folder of this name may be looked after: names that cannot be shown may not."""
    return name.isprintable() and 0 < len(name) <= _LONGEST and "/" not in name and name not in _NOT_NAMES


class Tree:
    """The files below one folder, and what else was found there.

    ``odd`` are the paths of what is no member, with the reason as a clause; ``bare`` are the folders with nothing in
    them, as members; ``beyond`` says that there is more than is looked at.
    """

    __slots__ = ("bare", "beyond", "bytes", "files", "newest", "odd")

    def __init__(self) -> None:
        self.files: list[Member] = []
        self.odd: list[tuple[str, str]] = []
        self.bare: list[Member] = []
        self.beyond = False
        self.bytes = 0
        self.newest = 0.0

    def read(self, fd: int, root: str, path: str, around: os.stat_result) -> None:
        """Look at all below the open folder at ``path`` below a root; OSError if a part of it cannot be read.

        ``around`` is the folder of the session: what lies on another file system, or belongs to somebody else, is not taken.
        """
        self._walk(fd, root, path, around.st_dev, around.st_uid, 1)
        self.files.sort(key=_path_of)

    def read_within(self, folder: int, name: str, root: str, path: str, around: os.stat_result) -> None:
        """The same of a folder of this name in another one, if there is such a one; what is none there is odd."""
        try:
            fd = os.open(name, opening.FOLDER_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            self.odd.append((path, "is no folder"))
            return
        try:
            self.read(fd, root, path, around)
        finally:
            os.close(fd)

    def _walk(self, fd: int, root: str, path: str, device: int, owner: int, depth: int) -> None:
        bare = True
        with os.scandir(fd) as entries:
            for entry in entries:
                bare = False
                name = entry.name
                inner = f"{path}/{name}"
                if len(self.files) + len(self.odd) + len(self.bare) >= MOST or depth > DEPTH:
                    self.beyond = True
                    return
                if not is_shown(name):
                    self.odd.append((inner, "has a name that cannot be shown"))
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        self._descend(fd, name, root, inner, device, owner, depth)
                        continue
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                # The usual file, told by the cheapest questions; `refuse_reason` says what is wrong with another.
                if (
                    found.st_nlink != 1
                    or found.st_uid != owner
                    or found.st_dev != device
                    or not stat.S_ISREG(found.st_mode)
                ):
                    why = opening.refuse_reason(found, os.fstat(fd))
                    if why is not None or found.st_dev != device:
                        self.odd.append((inner, why or "lies on another file system"))
                        continue
                self.bytes += found.st_size
                self.newest = max(self.newest, found.st_mtime)
                self.files.append(Member(root, inner, opening.fingerprint(found)))
        if bare:
            self.bare.append(Member(root, path, opening.fingerprint(os.fstat(fd))))

    def _descend(self, fd: int, name: str, root: str, path: str, device: int, owner: int, depth: int) -> None:
        try:
            deeper = os.open(name, opening.FOLDER_FLAGS, dir_fd=fd)
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            self.odd.append((path, "is no folder any more"))
            return
        try:
            self._walk(deeper, root, path, device, owner, depth + 1)
        finally:
            os.close(deeper)


def _path_of(member: Member) -> str:
    return member.path
