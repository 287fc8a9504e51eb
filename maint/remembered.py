"""The stores of a policy that was read before: what bringing one session back needs of it, without reading it again.

What is guarded: only a policy of exactly these bytes, read without a mistake by exactly this version of ours, is
remembered, in the user's own cache; whatever is odd about the memory, the policy itself is read.
It saves what importing YAML and the rules takes, which is more than finding and restoring a session does.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from maint.version import VERSION
from store import durable, opening
from store.layout import known_kinds

if TYPE_CHECKING:
    from policies import Policy

_MOST = 1 << 20


class Named(msgspec.Struct, frozen=True):
    """A store as a policy names it (`policies.StoreSpec`)."""

    name: str
    kind: str
    paths: dict[str, str]


_decode: Callable[[bytes], list[Named]] = msgspec.json.Decoder(list[Named]).decode


def stores(text: bytes, env: Mapping[str, str] | None = None) -> list[Named] | None:
    """The stores of the policy with this text, if it was read before."""
    try:
        fd = os.open(_path(text, env), opening.SESSION_FLAGS)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return None
        named = _decode(os.pread(fd, _MOST, 0))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    finally:
        os.close(fd)
    return named if all(each.kind in known_kinds() for each in named) else None


def remember(text: bytes, policy: "Policy", env: Mapping[str, str] | None = None) -> None:
    """Remember the stores of a policy that was read; where that cannot be, it is read again next time."""
    path = _path(text, env)
    named = [Named(each.name, each.kind, dict(each.paths)) for each in policy.stores]
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        folder = opening.open_folder(os.path.dirname(path))
        try:
            # Half a list is none: what a kill leaves is not believed, and written anew the next time.
            name = os.path.basename(path)
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            fd = durable.create(folder, name)
            try:
                durable.write_all(fd, msgspec.json.encode(named))
            finally:
                os.close(fd)
        finally:
            os.close(folder)


def _path(text: bytes, env: Mapping[str, str] | None) -> str:
    env = os.environ if env is None else env
    base = env.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    digest = hashlib.sha256(f"{VERSION}\n".encode() + text).hexdigest()
    return os.path.join(base, "maint", "stores", f"{digest}.json")
