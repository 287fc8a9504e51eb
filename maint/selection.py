"""Which policy is in force: the environment meets the rules here."""

import io
import os
import struct
from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from maint.contract import known_passes
from maint.whereabouts import user_policy_path
from policies import Checked, KindSpec, PassOptions, Policy, check_policy, load_policy
from store.layout import known_layouts
from store.names import printable

POLICY_LIMIT = 16 << 20
"""Bytes of a policy that are read: far more than may be in one, and fewer than a device without an end has."""

DEFAULT_SOURCE = "<default policy>"


def load(path: str | None = None) -> Policy:
    """The policy in a file; without one, the user's own, or else the shipped default.

    Raises `policies.PolicyInvalid` with every mistake, and OSError when the file cannot be read.
    """
    text, source = read_policy(path)
    return load_policy(text, source=source, passes=pass_options(), kinds=kinds(), zone=machine_zone())


def check(path: str) -> Checked:
    """The policy in a file with its mistakes and lints; OSError when the file cannot be read."""
    text, source = read_policy(path)
    return check_policy(
        text,
        source=source,
        passes=pass_options(),
        kinds=kinds(),
        zone=machine_zone(),
        exists=lambda store: os.path.isdir(os.path.expanduser(store)),
    )


def read_policy(path: str | None = None) -> tuple[bytes, str]:
    """The text of the policy that is in force, and what it is called."""
    if path is None:
        path = user_policy_path()
        if not os.path.lexists(path):  # a link that leads nowhere is no wish for another policy
            from policies import default_policy_text  # noqa: PLC0415  whoever has one of his own does without it

            return default_policy_text().encode(), DEFAULT_SOURCE
    with open(path, "rb") as file:
        return file.read(POLICY_LIMIT), printable(path)


def pass_options() -> Mapping[str, type[PassOptions]]:
    """What each known pass declares as its options."""
    return {name: each.options_type for name, each in known_passes().items()}


def kinds() -> Mapping[str, KindSpec]:
    """What a policy may say of each known kind of store."""
    return {kind: KindSpec(layout.paths) for kind, layout in known_layouts().items()}


def machine_zone() -> ZoneInfo:
    """The time zone of this machine: by name where it has one, else by the rule that ``TZ`` states, as in ``CET-1``.

    UTC where it is neither, as the C library takes it.
    """
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        link = os.path.realpath("/etc/localtime")
        name = link.partition("zoneinfo/")[2]
    for known in (ZoneInfo, _zone_by_rule):
        try:
            return known(name or "UTC")
        except (ValueError, OSError, ZoneInfoNotFoundError):
            continue
    return ZoneInfo("UTC")


def _zone_by_rule(rule: str) -> ZoneInfo:
    """The zone of a rule as POSIX has it: a file of zones (RFC 8536) may hold nothing else. ValueError if it is none."""
    block = (
        b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    )
    return ZoneInfo.from_file(io.BytesIO(block * 2 + b"\n" + rule.encode() + b"\n"), key=rule)


def only(policy: Policy, passes: tuple[str, ...]) -> Policy:
    """The same policy with only these passes; all of them must be in it."""
    return replace(policy, passes=tuple(each for each in policy.passes if each.pass_name in passes))


def schema() -> dict[str, object]:
    """The JSON Schema of the policy language, with all known passes and kinds of stores."""
    from policies import json_schema  # noqa: PLC0415  a policy can be read without it

    return json_schema(pass_options(), kinds())
