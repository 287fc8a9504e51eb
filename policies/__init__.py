"""The rules: what a policy says, and what follows from it for a session.

Pure: text and facts in, values out.
Nothing here opens a file of a store, reads a clock, or knows what a pass does.
"""

from policies import retention
from policies.durations import Duration
from policies.keep import Keep
from policies.loader import Checked, check_policy, load_policy
from policies.mistakes import Misread, Mistake, PolicyInvalid
from policies.model import Cap, KindSpec, Limits, Policy, StoreSpec, TrashRules
from policies.names import NameTemplate
from policies.options import PassOptions, option
from policies.retention import Row, Weight
from policies.schema import json_schema
from policies.selectors import Selector
from policies.shipped import default_policy_text, example_names, example_text
from policies.sizes import Size
from policies.words import Glob

__all__ = [
    "Cap",
    "Checked",
    "Duration",
    "Glob",
    "Keep",
    "KindSpec",
    "Limits",
    "Misread",
    "Mistake",
    "NameTemplate",
    "PassOptions",
    "Policy",
    "PolicyInvalid",
    "Row",
    "Selector",
    "Size",
    "StoreSpec",
    "TrashRules",
    "Weight",
    "check_policy",
    "default_policy_text",
    "example_names",
    "example_text",
    "json_schema",
    "load_policy",
    "option",
    "retention",
]
