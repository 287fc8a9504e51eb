"""Keeps stores of recorded sessions healthy: what to call from Python.

``load`` and ``places`` say what is to be looked after (`maint.selection`, `maint.whereabouts`), ``plan``,
``sweep``, ``apply``, ``undo`` and ``restore`` do it (`maint.interface`), ``sessions``, ``find`` and ``explain`` look
(`maint.finding`, `maint.explaining`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maint.explaining import explain
    from maint.finding import find, sessions
    from maint.interface import apply, plan, restore, sweep, undo
    from maint.selection import load
    from maint.whereabouts import places

__all__ = ["apply", "explain", "find", "load", "places", "plan", "restore", "sessions", "sweep", "undo"]

_HOMES = {
    "maint.explaining": ("explain",),
    "maint.finding": ("find", "sessions"),
    "maint.interface": ("apply", "plan", "restore", "sweep", "undo"),
    "maint.selection": ("load",),
    "maint.whereabouts": ("places",),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: ``maint --version`` need not pay for it."""
    for home, held in _HOMES.items():
        if name in held:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'maint' has no attribute {name!r}")
