"""Files without a name until they are whole: how sessions come back where the system can do that.

What is guarded: as in `store.unpacking`, no name ever stands for anything but a whole file, and nothing is written
over.
A file is made in the folder where it belongs but under no name (``O_TMPFILE``), compared with its digest while it is
written, and made durable; then it gets its name by a link, which replaces nothing. Whoever is killed before that
leaves nothing at all, and no power cut leaves a name without the bytes.
Two processes that make files in one folder get into each other's way in ext4, by a factor of ten, and so does not
who makes them without names.

Of many, the names are not durable on return: whoever asked syncs the file system, and says that they are back only
then. Of a few they are, for which each file is synced once more under its name: the log of btrfs passes over files
that have none.
"""

import contextlib
import errno
import os

from store import durable, looking, names, unpacking
from store.barriers import Durable, Steps
from store.looking import Skip
from store.manifest import Entry
from store.packs import PackReader
from store.roots import RootFds

_MOST_FILES = 64
_FLAGS = getattr(os, "O_TMPFILE", 0) | os.O_WRONLY | os.O_CLOEXEC
_NOT_HERE = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})


def bringing_back(pack: PackReader, entry: Entry, roots: RootFds, *, sync: bool) -> Steps[bool]:
    """Bring back the files of a session, all or none; ``False`` if that cannot be done so, and nothing was done.

    They are read from the pack before the first barrier. With ``sync`` their names are durable on return.

    Raises Skip if something has one of their places, `store.frames.Damaged` if one is not what was packed.
    """
    if not _FLAGS & getattr(os, "O_TMPFILE", 0) or len(entry.members) > _MOST_FILES:
        return False
    if any(member.link is not None for member in entry.members):
        return False
    made: list[tuple[int, int, str]] = []
    named: list[tuple[int, int, str]] = []
    folders: dict[tuple[str, str], int] = {}
    missing = unpacking.Made(roots, entry.folders)
    try:
        for member, content in pack.members(entry):
            home = unpacking.home_of(roots, member.root)
            above, _, name = member.path.rpartition("/")
            folder = roots[member.root] if not above else folders.get((member.root, above), -1)
            if folder < 0:
                folder = folders[member.root, above] = missing.open(member.root, above)
            try:
                fd = os.open(".", _FLAGS, 0o600, dir_fd=roots.folder(home, names.TMP))
            except OSError as error:
                if error.errno in _NOT_HERE:
                    missing.unmake()
                    return False
                raise
            made.append((fd, folder, name))
            for data in content:
                durable.write_all(fd, data)
            unpacking.dress(fd, member)
        for fd, _, name in made:
            yield Durable(fd, name)
        for each in made:
            _name(*each)
            named.append(each)
        missing.make_rest()
        for fd, _, name in named if sync else ():
            yield Durable(fd, name)
        for folder, name in {folder: name for _, folder, name in named}.items() if sync else ():
            yield Durable(folder, name, folder=True)
    except BaseException:
        for fd, folder, name in named:
            with contextlib.suppress(OSError):
                if looking.is_file(looking.stat_at(folder, name), fd):
                    os.unlink(name, dir_fd=folder)
        missing.unmake()
        raise
    else:
        return True
    finally:
        for fd, _, _ in made:
            os.close(fd)
        for folder in folders.values():
            os.close(folder)


def _name(fd: int, folder: int, name: str) -> None:
    try:
        # The descriptor of a source folder makes Python use linkat, which alone follows this link.
        os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
    except FileExistsError:
        raise Skip("another file has its place now") from None
    except FileNotFoundError:
        if not os.fstat(folder).st_nlink:  # another session made it, failed, and took it away again
            raise Skip("the folder it belongs in went away meanwhile; try again") from None
        raise OSError(errno.ENOSYS, "this system gives no name to a file by its descriptor", name) from None
