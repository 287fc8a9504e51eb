"""Working on a folder as its owner.

What is guarded: a sweep that root starts over other people's folders can do nothing there that the owner could not
do himself, so that no link, no swapped folder and no defect of ours turns root's rights against the machine; and
what we leave there belongs to the owner.
"""

import importlib
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TypeVar

from store import opening
from store.roots import RootFds

_LATE = (
    "encodings.ascii",
    "encodings.latin_1",
    "encodings.raw_unicode_escape",
    "encodings.unicode_escape",
    "concurrent.futures.thread",
    "ctypes",
    "filelock",
    "maint.archiving",
    "maint.compacting",
    "maint.execute",
    "maint.filing",
    "maint.finishing",
    "maint.late_writers",
    "maint.lineage",
    "maint.marking",
    "maint.unfiling",
    "maint.unpacking",
    "maint.worker",
    "multiprocess.popen_fork",
    "psutil",
    "resource",
    "secrets",
    "socket",
    "tempfile",
    "traceback",
    "zstandard",
)
"""What is otherwise imported when it is first needed: the owner may not be able to read where it is installed."""


_AT_ONCE = 1000
"""Items that are made before whoever asked for them has one."""

_T = TypeVar("_T")


@contextmanager
def as_owner(path: str) -> Iterator[None]:
    """Have the rights of the owner of this folder, for the time of the context, if we are root and he is not.

    Worker processes that are started meanwhile keep them. Within another context nothing changes: there is one owner.
    OSError if it cannot be opened: nobody knows whose it is then, and nothing may be done there as root.
    """
    with _as_user(_owner_at(path)):
        yield


@contextmanager
def as_owner_of(roots: RootFds) -> Iterator[None]:
    """The same for the owner of a store that is open, wherever its path may lead by now."""
    with _as_user(roots.stat(roots.first).st_uid):
        yield


def made_as_owner(path: str, items: Iterable[_T], at_once: int = _AT_ONCE) -> Iterator[_T]:
    """Items that are made with the rights of the owner of this folder, so many ``at_once``; who takes them has his own."""
    owner = _owner_at(path)
    waiting = iter(items)
    while True:
        with _as_user(owner):
            some = list(islice(waiting, at_once))
        if not some:
            return
        yield from some


def _owner_at(path: str) -> int:
    """Whose folder that is, if we are root; nobody else asks."""
    if os.geteuid() != 0:
        return 0
    fd = opening.open_folder(path)
    try:
        return os.fstat(fd).st_uid
    finally:
        os.close(fd)


@contextmanager
def _as_user(owner: int) -> Iterator[None]:
    if owner == 0 or os.geteuid() != 0:
        yield
        return
    for module in _LATE:
        importlib.import_module(module)
    before = os.getgroups(), os.getegid()
    group, groups = owner, [owner]
    with suppress(KeyError):  # a user without an account has no groups but this
        account = pwd.getpwuid(owner)
        group, groups = account.pw_gid, os.getgrouplist(account.pw_name, account.pw_gid)
    os.setgroups(groups)
    os.setegid(group)
    os.seteuid(owner)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(before[1])
        os.setgroups(before[0])
