"""The rules: what a policy says, and what follows from it for a session.

Pure: text and facts in, values out.
Nothing here opens a file of a store, reads a clock, or knows what a pass does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from policies import retention
    from policies.durations import Duration
    from policies.keep import Keep
    from policies.loader import Checked, check_policy, load_policy
    from policies.mistakes import Misread, Mistake, PolicyInvalid
    from policies.model import ArchiveRules, Cap, KindSpec, Limits, Policy, StoreSpec, TrashRules
    from policies.names import NameTemplate
    from policies.options import PassOptions, option
    from policies.schema import json_schema
    from policies.selectors import Selector
    from policies.shipped import default_policy_text, example_names, example_text
    from policies.sizes import Size
    from policies.words import Folder, Glob, Level

__all__ = [
    "ArchiveRules",
    "Cap",
    "Checked",
    "Duration",
    "Folder",
    "Glob",
    "Keep",
    "KindSpec",
    "Level",
    "Limits",
    "Misread",
    "Mistake",
    "NameTemplate",
    "PassOptions",
    "Policy",
    "PolicyInvalid",
    "Selector",
    "Size",
    "StoreSpec",
    "TrashRules",
    "check_policy",
    "default_policy_text",
    "example_names",
    "example_text",
    "json_schema",
    "load_policy",
    "option",
    "retention",
]

_HOMES = {
    "policies.durations": ("Duration",),
    "policies.keep": ("Keep",),
    "policies.loader": ("Checked", "check_policy", "load_policy"),
    "policies.mistakes": ("Misread", "Mistake", "PolicyInvalid"),
    "policies.model": ("ArchiveRules", "Cap", "KindSpec", "Limits", "Policy", "StoreSpec", "TrashRules"),
    "policies.names": ("NameTemplate",),
    "policies.options": ("PassOptions", "option"),
    "policies.schema": ("json_schema",),
    "policies.selectors": ("Selector",),
    "policies.shipped": ("default_policy_text", "example_names", "example_text"),
    "policies.sizes": ("Size",),
    "policies.words": ("Folder", "Glob", "Level"),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: a policy that is read need pay neither for schema nor for examples."""
    if name == "retention":
        return import_module("policies.retention")
    for home, held in _HOMES.items():
        if name in held:
            found = getattr(import_module(home), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module 'policies' has no attribute {name!r}")
