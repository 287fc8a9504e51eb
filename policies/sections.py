"""The top-level keys of a policy, one row each: how it is read, and where its value goes.

A new section is a new row, a field of `Policy`, and a row of `policies.schema`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from policies import tree
from policies.binding import options_of, read, read_fields
from policies.mistakes import shown
from policies.model import VERSION, ArchiveRules, Limits, StoreSpec, TrashRules
from policies.options import PassOptions
from policies.paths import store_path
from policies.scope import Placed, Refused, Scope
from policies.selectors import Selector
from policies.suggest import choices, closest
from policies.unknown import guess
from policies.words import Kind

# Lints compare every pass with every other one.
_MOST_PASSES: Final = 500


@dataclass(frozen=True)
class Section:
    """A top-level key: what it is for, and how its node is read. ``read`` may raise `Refused`."""

    doc: str
    read: Callable[[Scope, tree.Scalar, tree.Node], Any]
    required: bool = False


def read_sections(scope: Scope, root: tree.Node) -> dict[str, Any]:
    """The value of every section that could be read; everything else was reported."""
    try:
        body = scope.mapping(root, "start the policy with `version: 1`")
    except Refused:
        return {}
    values: dict[str, Any] = {}
    settled = set()
    for key, node in body.entries:
        section = SECTIONS.get(key.text)
        if section is None:
            guessed = _guess_section(scope, key)
            scope.refuse(key, f"a policy has no section {shown(key.text)}", guessed[0])
            settled.add(guessed[1])
            continue
        settled.add(key.text)
        with scope.going_on():
            values[key.text] = section.read(scope, key, node)
    for name, section in SECTIONS.items():
        if section.required and name not in settled and not body.partial:
            hint = (
                f"start it with `version: {VERSION}`" if name == "version" else f"write `{name}:` and a list"
            )
            scope.refuse(body, f"the policy has no `{name}`", hint)
    return values


def named_stores(root: tree.Node) -> tuple[str, ...] | None:
    """The names under ``stores``, sound or not: empty without the section, None where it is no mapping."""
    found = root.get("stores") if isinstance(root, tree.Mapping) else None
    if found is None:
        return ()
    if isinstance(found, tree.Mapping) and not found.partial:
        return tuple(key.text for key, _ in found.entries)
    return None


def _guess_section(scope: Scope, key: tree.Scalar) -> tuple[str, str | None]:
    if key.text in scope.passes:
        return f"it is a pass: write `- {key.text}: ...` under `passes:`", None
    return guess(key.text, "", tuple(SECTIONS))


def _read_version(scope: Scope, _key: tree.Scalar, node: tree.Node) -> str:
    written = f"`version: {VERSION}`"
    text = scope.text(node, written)
    if text != VERSION:
        raise scope.refuse(
            node, f"there is no version {shown(text)} of the policy language", f"write {written}"
        )
    return text


def _read_zone(scope: Scope, _key: tree.Scalar, node: tree.Node) -> ZoneInfo:
    text = scope.text(node, "a time zone such as `Europe/Berlin`")
    # Checked first: a zone's key is a path to those who look it up.
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", text):
        try:
            return ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    known = available_timezones()
    city = next(
        (each for each in sorted(known) if each.lower().endswith("/" + text.lower().replace(" ", "_"))), None
    )
    meant = city or closest(text, known)
    hint = f"did you mean `{meant}`?" if meant else "write a place, such as `Europe/Berlin`, or `UTC`"
    raise scope.refuse(node, f"there is no time zone {shown(text)}", hint)


def _read_stores(scope: Scope, _key: tree.Scalar, node: tree.Node) -> tuple[Placed[StoreSpec], ...]:
    written = "write `NAME: {kind: KIND}`"
    if scope.is_nothing(node):
        # Nothing would mean every default root, which is the opposite of what an empty list says.
        raise scope.refuse(
            node,
            "no store is named here",
            f"{written}; without `stores` the default roots of all kinds are used",
        )
    body = scope.mapping(node, f"{written} for each store")
    stores = []
    for name, value in body.entries:
        with scope.going_on():
            stores.append(Placed(_read_store(scope, name, value), name, value))
    if body.partial or len(stores) < len(body.entries):
        raise Refused
    return tuple(stores)


def _read_store(scope: Scope, name: tree.Scalar, node: tree.Node) -> StoreSpec:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name.text):
        scope.refuse(
            name,
            f"{shown(name.text)} cannot be the name of a store",
            "write letters, digits, `.`, `_` and `-`, at most 64",
        )
    if isinstance(node, tree.Scalar) and node.text in scope.kinds:
        raise scope.refuse(node, "a kind stands where a mapping belongs", f"write `{{kind: {node.text}}}`")
    body = scope.mapping(node, f"write `{name.text}: {{kind: KIND}}`")
    kind_node = body.get("kind")
    if kind_node is None:
        raise _without_kind(scope, name, body)
    kind = read(scope, Kind, kind_node)
    known = scope.kinds[kind].paths
    paths = {}
    for key, value in body.entries:
        if key.text == "kind":
            continue
        with scope.going_on():
            if key.text not in known:
                guessed = guess(key.text, "", ("kind", *known))
                raise scope.refuse(key, f"a store of kind `{kind}` has no {shown(key.text)}", guessed.hint)
            paths[key.text] = _read_path(scope, value)
    if body.partial or len(paths) < len(body.entries) - 1:
        raise Refused
    if paths and "path" in known and "path" not in paths:
        given = next(iter(paths))
        raise scope.refuse(
            name, f"the store {shown(name.text)} has `{given}` and no `path`", "write `path` too, or neither"
        )
    return StoreSpec(name.text, kind, paths)


def _without_kind(scope: Scope, name: tree.Scalar, body: tree.Mapping) -> Refused:
    every_key = {"kind", *(key for spec in scope.kinds.values() for key in spec.paths)}
    for key, _ in body.entries:
        if key.text not in every_key:
            guessed = guess(key.text, "", tuple(sorted(every_key)))
            scope.refuse(key, f"a store has no {shown(key.text)}", guessed.hint)
            if guessed.meant == "kind":
                return Refused()
    if body.partial:
        return Refused()
    return scope.refuse(name, f"the store {shown(name.text)} has no `kind`", choices(scope.kinds))


def _read_path(scope: Scope, node: tree.Node) -> str:
    text = scope.text(node, "a path such as `/srv/sessions` or `~/sessions`")
    with scope.blaming(node):
        return store_path(text)


def _read_protect(scope: Scope, _key: tree.Scalar, node: tree.Node) -> tuple[Placed[Selector], ...]:
    if isinstance(node, tree.Mapping):
        raise scope.refuse(node, "a mapping stands where a list belongs", "put `- ` before each selection")
    items = scope.sequence(node, "a list of selections, such as `- {tags: [keep]}`").items
    selectors = []
    for item in items:
        with scope.going_on():
            selectors.append(Placed(read(scope, Selector, item), item, item))
    if len(selectors) < len(items):
        raise Refused
    return tuple(selectors)


def _read_passes(scope: Scope, _key: tree.Scalar, node: tree.Node) -> tuple[Placed[PassOptions], ...]:
    if isinstance(node, tree.Mapping) and node.entries:
        raise scope.refuse(node, "the passes are a mapping", "their order counts: put `- ` before each")
    items = scope.sequence(node, "a list of passes, such as `- litter: {older_than: 2d}`").items
    if len(items) > _MOST_PASSES:
        raise scope.refuse(
            items[_MOST_PASSES], f"more than {_MOST_PASSES} passes", "select more with each of them"
        )
    passes = []
    for item in items:
        with scope.going_on():
            passes.append(_read_pass(scope, item))
    if len(passes) < len(items):
        raise Refused
    return tuple(passes)


def _read_pass(scope: Scope, node: tree.Node) -> Placed[PassOptions]:
    key: tree.Scalar
    body: tree.Node
    if isinstance(node, tree.Scalar) and node.text in scope.passes:
        # As if it stood there with nothing after it: what it needs is what there is to say.
        key, body = node, tree.Scalar(node.line, node.column, "")
    else:
        key, body = _only_entry(scope, scope.mapping(node, "write `NAME: {OPTION: VALUE}`"))
    owner = scope.passes[key.text]
    bare = scope.is_nothing(body) and not any(option.required for option in options_of(owner))
    values = {} if bare else read_fields(scope, owner, body, key)
    with scope.blaming(key):
        return Placed(owner(pass_name=key.text, **values), key, body)


def _only_entry(scope: Scope, mapping: tree.Mapping) -> tuple[tree.Scalar, tree.Node]:
    if not mapping.entries:
        raise Refused
    key, body = mapping.entries[0]
    if key.text not in scope.passes:
        known = next((each for each, _ in mapping.entries if each.text in scope.passes), None)
        if known is None or ":" in key.text:
            raise scope.refuse(
                key, f"there is no pass {shown(key.text)}", guess(key.text, "", tuple(scope.passes)).hint
            )
    if len(mapping.entries) > 1:
        other = mapping.entries[1][0]
        if scope.is_nothing(body):
            hint = f"indent what belongs to `{key.text}:` by two more spaces"
        elif other.text in scope.passes:
            hint = f"put `- ` before {shown(other.text)}"
        else:
            hint = f"if it belongs to {shown(key.text)}, indent it below; if it is a pass, put `- ` before it"
        raise scope.refuse(other, f"{shown(other.text)} stands beside {shown(key.text)}", hint)
    return key, body


def _read_limits(scope: Scope, key: tree.Scalar, node: tree.Node) -> Limits:
    return Limits(**read_fields(scope, Limits, node, key))


def _read_trash(scope: Scope, key: tree.Scalar, node: tree.Node) -> TrashRules:
    return TrashRules(**read_fields(scope, TrashRules, node, key))


def _read_archive(scope: Scope, key: tree.Scalar, node: tree.Node) -> Placed[ArchiveRules]:
    if isinstance(node, tree.Mapping) and key.text in scope.passes:
        # The section says where packs lie, the pass of the same name what goes there: they are easily confused.
        of_pass = {each.name for each in options_of(scope.passes[key.text])}
        for word, _ in node.entries:
            if word.text in of_pass - {each.name for each in options_of(ArchiveRules)}:
                raise scope.refuse(
                    word,
                    f"{shown(word.text)} is an option of the pass {shown(key.text)}, and this is the section",
                    f"write `- {key.text}: {{{word.text}: ...}}` under `passes:`",
                )
    return Placed(ArchiveRules(**read_fields(scope, ArchiveRules, node, key)), key, node)


SECTIONS: Final[Mapping[str, Section]] = {
    "version": Section("The version of the policy language.", _read_version, required=True),
    "timezone": Section("The zone of calendar rules and names; the machine's own by default.", _read_zone),
    "stores": Section("The stores by name; by default the usual places of every kind.", _read_stores),
    "protect": Section("What is never touched, whatever a pass says.", _read_protect),
    "passes": Section(
        "The passes in order; the first that claims a session has it.", _read_passes, required=True
    ),
    "limits": Section("What a whole plan may do at most.", _read_limits),
    "trash": Section("How long removed sessions can be put back.", _read_trash),
    "archive": Section("Where packs lie, and how large they are.", _read_archive),
}
