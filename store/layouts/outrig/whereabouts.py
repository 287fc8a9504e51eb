"""Where outrig keeps its sessions when nobody says otherwise.

Its own order is: a flag, the key ``session-root`` of its global configuration, the data folder.
Of these the flag is not for us to know.
A repository's own configuration is not asked either: until 0.2.1 it could name another root, but only from within
that repository, and nothing lists those; such a store is named in a policy.
"""

import os
import stat
from collections.abc import Mapping

from store.layout import xdg_folder

_LIMIT = 1 << 20
"""Bytes of a configuration; whatever is larger is none."""


def default_root(env: Mapping[str, str], home: str, platform: str) -> str:
    """The root of the sessions, absolute."""
    configured = _configured(_config_path(env, home), home)
    if configured is not None:
        return configured
    if platform == "darwin":
        return f"{home}/Library/Application Support/outrig/sessions"
    return f"{xdg_folder(env, 'XDG_DATA_HOME', f'{home}/.local/share')}/outrig/sessions"


def _config_path(env: Mapping[str, str], home: str) -> str:
    folder = env.get("XDG_CONFIG_HOME", "")
    return f"{folder}/outrig/config.toml" if folder.startswith("/") else f"{home}/.outrig/config.toml"


def _configured(config: str, home: str) -> str | None:
    """What the configuration says: beside itself if relative, ``~`` being the home; ``None`` if it says nothing."""
    text = _read(config)
    if text is None:
        return None
    import tomllib  # noqa: PLC0415  most people have no such file

    try:
        root = tomllib.loads(text).get("session-root")
    except (ValueError, RecursionError):  # of numbers beyond some digits, Python says no more than that
        return None
    if not isinstance(root, str) or not root or "\0" in root:
        return None
    first, _, rest = root.partition("/")
    if first == "~":
        root = f"{home}/{rest}"
    root = os.path.normpath(os.path.join(os.path.dirname(config), root))
    return root if root.startswith("/") else None


def _read(path: str) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LIMIT:
            return None
        return os.read(fd, _LIMIT).decode()
    except (OSError, UnicodeDecodeError):
        return None
    finally:
        os.close(fd)
