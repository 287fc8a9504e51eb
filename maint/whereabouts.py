"""Where the stores are, and where the user's own policy is: the environment, without reading any rule."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from maint.owner import as_owner
from store.archives import with_archives
from store.facts import Place
from store.layout import Layout, Moment, known_kinds, known_layouts, layout_of
from store.names import printable
from store.targets import with_targets

if TYPE_CHECKING:  # the shipped default names no store, so that it need not be read to find them
    from maint.remembered import Named
    from policies import Policy, StoreSpec


def user_policy_path(env: Mapping[str, str] | None = None) -> str:
    """Where the user's own policy is, if there is one."""
    env = os.environ if env is None else env
    base = env.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "maint", "policy.yaml")


def places(policy: "Policy | None", env: Mapping[str, str] | None = None) -> list[Place]:
    """The stores that a policy names, or, if it names none, those that exist at their default roots.

    A store named without a path is left out when its default root does not exist; one named with a path is not,
    because a path that leads nowhere needs a person.
    Folders with packs of a store are further roots of it.
    ``None`` is the shipped default, which names none.
    """
    return places_named(policy.stores if policy is not None else (), env)


def places_named(specs: "Sequence[StoreSpec | Named]", env: Mapping[str, str] | None = None) -> list[Place]:
    """The same for the stores that a policy names; the default ones if it names none."""
    return [_with_all_roots(place) for place in _places(specs, os.environ if env is None else env)]


def _with_all_roots(place: Place) -> Place:
    """The store with the folders of its packs, and those elsewhere that its entries lead to."""
    with suppress(OSError), as_owner(place.path):
        return with_targets(with_archives(place), layout_of(place.kind).targets(place))
    return place  # whoever opens it says what is wrong with it


def _places(specs: "Sequence[StoreSpec | Named]", env: Mapping[str, str]) -> list[Place]:
    home = os.path.expanduser("~")
    found: list[Place] = []
    if not specs:
        for kind, layout in known_layouts().items():
            found += _default_places(kind, layout, env, home)
        return found
    for spec in specs:
        layout = layout_of(spec.kind)
        if spec.paths:
            paths = {key: os.path.expanduser(path) for key, path in spec.paths.items()}
            found.append(Place(spec.name, spec.kind, layout.roots(paths, env, home)))
        else:
            found += _default_places(spec.name, layout, env, home)
    return found


def _default_places(name: str, layout: Layout, env: Mapping[str, str], home: str) -> list[Place]:
    """Those of the default stores of a kind that exist: the first by this name, others with what tells them apart.

    One folder is one store, however many ways lead to it.
    """
    found: dict[tuple[int, int], Place] = {}
    for suffix, roots in layout.default_roots(env, home, sys.platform).items():
        place = Place(f"{name}@{suffix}" if suffix else name, layout.kind, roots)
        if os.path.isdir(place.path):
            there = os.stat(place.path)
            found.setdefault((there.st_dev, there.st_ino), place)
    return list(found.values())


class NoStore(LookupError):
    """What lies at a path is no store of a known kind; the text says what was looked for."""


def place_at(path: str, now: float, env: Mapping[str, str] | None = None) -> Place:
    """The store at an absolute path, of the kind whose sessions lie there; OSError if it cannot be read."""
    env = os.environ if env is None else env
    home = os.path.expanduser("~")
    with as_owner(path):
        for kind, layout in known_layouts().items():
            place = Place(os.path.basename(path) or kind, kind, layout.roots({"path": path}, env, home))
            place = msgspec.structs.replace(place, roots={**place.roots, **layout.targets(place)})
            if layout.discover(place, Moment(now, 0.0)).entries:
                return _with_all_roots(place)
    raise NoStore(
        f"no sessions of {', '.join(known_kinds())} in {printable(path)}; name the store in a policy"
    )
