"""Working on a folder as its owner.

What is guarded: a sweep that root starts over other people's folders can do nothing there that the owner could not
do himself, so that no link, no swapped folder and no defect of ours turns root's rights against the machine; and
what we leave there belongs to the owner.
"""

import importlib
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LATE = (
    "encodings.ascii",
    "encodings.latin_1",
    "encodings.raw_unicode_escape",
    "encodings.unicode_escape",
    "concurrent.futures.thread",
    "filelock",
    "maint.archiving",
    "maint.compacting",
    "maint.unpacking",
    "maint.worker",
    "multiprocess.popen_fork",
    "psutil",
    "secrets",
    "socket",
    "tempfile",
    "traceback",
)
"""What is otherwise imported when it is first needed: the owner may not be able to read where it is installed."""


@contextmanager
def as_owner(path: str) -> Iterator[None]:
    """Have the rights of the owner of this folder, for the time of the context, if we are root and he is not.

    Worker processes that are started meanwhile keep them. Contexts do not nest.
    """
    if os.geteuid() != 0:
        yield
        return
    try:
        owner = os.stat(path).st_uid
    except OSError:  # whoever opens it next says what is wrong with it
        owner = 0
    if owner == 0:
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
