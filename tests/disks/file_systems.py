"""The kinds of file systems that are tried, and how each is made."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class FileSystem:
    """One kind of file system: how large it must be, how it is made, with which options it is mounted.

    Without a journal a disk is looked through (``check``) before it is mounted again, as machines do when they start.
    """

    name: str
    kind: str
    size: int
    make: tuple[str, ...]
    options: str = "rw"
    shuts_down: bool = True
    check: bool = False


def _ext(name: str, options: str = "rw", *more: str, kind: str = "ext4", journal: bool = True) -> FileSystem:
    make = (f"mkfs.{kind}", "-q", "-F", "-m", "0", *more)
    return FileSystem(name, kind, 32 * MIB, make, options, shuts_down=journal, check=not journal)


JOURNALLED = (
    _ext("ext4"),
    FileSystem("xfs", "xfs", 300 * MIB, ("mkfs.xfs", "-q", "-f")),
    FileSystem("btrfs", "btrfs", 110 * MIB, ("mkfs.btrfs", "-q", "-f", "--mixed"), shuts_down=False),
    _ext("ext4, data=writeback", "data=writeback"),
    _ext("ext4, data=journal", "data=journal"),
    _ext("ext4, noauto_da_alloc", "noauto_da_alloc"),
    _ext("ext4, fast_commit", "rw", "-O", "fast_commit"),
    _ext("ext3", kind="ext3"),
)
WITHOUT_JOURNAL = (
    _ext("ext4 without a journal", "rw", "-O", "^has_journal", journal=False),
    _ext("ext2", kind="ext2", journal=False),
)
BY_NAME = {each.name: each for each in JOURNALLED + WITHOUT_JOURNAL}
