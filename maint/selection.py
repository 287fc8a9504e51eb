"""Which policy is in force, and which stores it is about: the environment meets the policy here."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from maint.contract import known_passes
from policies import (
    Checked,
    KindSpec,
    PassOptions,
    Policy,
    check_policy,
    default_policy_text,
    json_schema,
    load_policy,
)
from store.facts import Place
from store.layout import known_layouts
from store.names import printable

POLICY_LIMIT = 16 << 20
"""Bytes of a policy that are read: far more than may be in one, and fewer than a device without an end has."""

DEFAULT_SOURCE = "<default policy>"


def user_policy_path(env: Mapping[str, str] | None = None) -> str:
    """Where the user's own policy is, if there is one."""
    env = os.environ if env is None else env
    base = env.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "maint", "policy.yaml")


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
    """The time zone of this machine, by name where it has one."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        link = os.path.realpath("/etc/localtime")
        name = link.partition("zoneinfo/")[2]
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError):
        return ZoneInfo("UTC")


def places(policy: Policy, env: Mapping[str, str] | None = None) -> list[Place]:
    """The stores that a policy names, or, if it names none, those that exist at their default roots.

    A store named without a path is left out when its default root does not exist; one named with a path is not,
    because a path that leads nowhere needs a person.
    """
    env = os.environ if env is None else env
    home = os.path.expanduser("~")
    found: list[Place] = []
    layouts = known_layouts()
    if not policy.stores:
        for kind, layout in layouts.items():
            place = Place(kind, kind, layout.default_roots(env, home, sys.platform))
            if os.path.isdir(place.path):
                found.append(place)
        return found
    for spec in policy.stores:
        layout = layouts[spec.kind]
        if spec.paths:
            paths = {key: os.path.expanduser(path) for key, path in spec.paths.items()}
            found.append(Place(spec.name, spec.kind, layout.roots(paths, env, home)))
        else:
            place = Place(spec.name, spec.kind, layout.default_roots(env, home, sys.platform))
            if os.path.isdir(place.path):
                found.append(place)
    return found


def only(policy: Policy, passes: tuple[str, ...]) -> Policy:
    """The same policy with only these passes; all of them must be in it."""
    return replace(policy, passes=tuple(each for each in policy.passes if each.pass_name in passes))


def schema() -> dict[str, object]:
    """The JSON Schema of the policy language, with all known passes and kinds of stores."""
    return json_schema(pass_options(), kinds())
