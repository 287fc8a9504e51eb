"""What is plugged in: the modules of a package, by name, without importing any of them."""

import os
from types import ModuleType


def plugged_into(package: ModuleType) -> list[str]:
    """The names of the modules and packages right in this one, in order; what begins with ``_`` is none of them.

    They lie in folders, as sources. `pkgutil` knows more, and imports `inspect` for it, a tenth of the start.
    """
    found: set[str] = set()
    for folder in package.__path__:
        for name in os.listdir(folder):
            if name.endswith(".py") or os.path.isfile(os.path.join(folder, name, "__init__.py")):
                found.add(name.removesuffix(".py"))
    return sorted(name for name in found if name.isidentifier() and not name.startswith("_"))
