"""Which kind of file system a folder lies on, and whether it is one that keeps what is relied on here.

What is relied on: that a lease tells of every writer, that nothing is renamed over another file unseen, and that
what was synced is still there after a power cut. Where another machine writes to the same files, none of that holds:
its writers are told of by no lease, and its process ids are those of strangers.

Linux tells (`proc_pid_mountinfo(5)`); of other systems nothing is known, and nothing is said.
"""

import os
import re
from collections.abc import Iterable

KNOWN = frozenset(
    {
        "bcachefs", "btrfs", "ecryptfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "overlay", "ramfs",
        "reiserfs", "rootfs", "tmpfs", "xfs", "zfs",
    }
)  # fmt: skip
"""File systems of this machine alone. All others are somebody else's to write to, or nobody has looked at them."""

_MOUNTS = "/proc/self/mountinfo"


def unknown(folders: Iterable[tuple[str, int]]) -> dict[str, str]:
    """File systems which are none of `KNOWN`, by what they are called, such as ``nfs4``, each with a folder on it.

    Folders are given with their devices, of each of which one is looked at; what nobody can tell is none of them.
    """
    try:
        with open(_MOUNTS, "rb") as file:
            mounts = _parse(file.read())
    except OSError:
        return {}
    found: dict[str, str] = {}
    first: dict[int, str] = {}
    for folder, device in folders:
        first.setdefault(device, folder)
    for device, folder in first.items():
        name = mounts.by_device.get(device) or _by_place(mounts, folder)
        if name is not None and name not in KNOWN:
            found.setdefault(name, folder)
    return found


class _Mounts:
    """What is mounted: names by device, and by where, in the order in which one hides the other."""

    def __init__(self) -> None:
        self.by_device: dict[int, str] = {}
        self.by_path: dict[str, str] = {}


def _parse(told: bytes) -> _Mounts:
    mounts = _Mounts()
    for line in told.split(b"\n"):
        about, separator, rest = line.partition(b" - ")
        fields = about.split(b" ")
        if not separator or len(fields) < 5:
            continue
        name = os.fsdecode(rest.split(b" ")[0])
        major, _, minor = fields[2].partition(b":")
        mounts.by_device[os.makedev(int(major), int(minor))] = name
        path = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), fields[4])
        mounts.by_path[os.fsdecode(path)] = name
    return mounts


def _by_place(mounts: _Mounts, folder: str) -> str | None:
    """The name by the mount that a folder lies in, for file systems whose devices are no mounts', such as btrfs."""
    path = os.path.realpath(folder)
    while path not in mounts.by_path and path != "/":
        path = os.path.dirname(path)
    return mounts.by_path.get(path)
