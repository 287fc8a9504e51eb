"""Keeps stores of recorded sessions healthy: what to call from Python.

See `maint.interface` for what each function takes and gives.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maint.interface import (
        apply,
        explain,
        find,
        load,
        places,
        plan,
        restore,
        sessions,
        sweep,
        undo,
    )

__all__ = ["apply", "explain", "find", "load", "places", "plan", "restore", "sessions", "sweep", "undo"]


def __getattr__(name: str) -> Any:
    """Import the interface when it is first asked for: `maint --version` need not pay for it."""
    if name in __all__:
        return getattr(import_module("maint.interface"), name)
    raise AttributeError(f"module 'maint' has no attribute {name!r}")
