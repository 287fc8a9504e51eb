"""The JSON Schema of the policy language, for editors, made from the types that the loader binds to."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

from policies.binding import bare, options_of
from policies.forms import FORMS, Share
from policies.keep import Keep
from policies.model import VERSION, ArchiveRules, Cap, KindSpec, Limits, TrashRules
from policies.options import PassOptions
from policies.paths import PATTERN
from policies.sections import SECTIONS
from policies.selectors import Selector
from policies.terms import TERMS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PATH = {"type": "string", "pattern": PATTERN}


def json_schema(passes: Mapping[str, type[PassOptions]], kinds: Mapping[str, KindSpec]) -> dict[str, Any]:
    """The schema (draft 2020-12) of policies over these passes and kinds of stores.

    It is for help while typing: the loader knows more, and decides.
    """
    sections: dict[str, dict[str, Any]] = {
        "version": {"const": int(VERSION)},
        "timezone": {"type": "string", "examples": ["Europe/Berlin", "UTC"]},
        "stores": {"type": "object", "minProperties": 1, "additionalProperties": _store(kinds)},
        "protect": {"type": "array", "items": _ref("selector")},
        "passes": {"type": "array", "items": {"oneOf": [_pass(name, each) for name, each in passes.items()]}},
        "limits": {**_options(Limits), "minProperties": 1},
        "trash": {**_options(TrashRules), "minProperties": 1},
        "archive": {**_options(ArchiveRules), "minProperties": 1},
    }
    return {
        "$schema": _DIALECT,
        "title": "maintenance policy",
        "description": "What is done to stores of recorded sessions, in which order, and within which limits.",
        "type": "object",
        "properties": {name: {"description": SECTIONS[name].doc, **sections[name]} for name in SECTIONS},
        "required": [name for name, section in SECTIONS.items() if section.required],
        "additionalProperties": False,
        "$defs": {
            "selector": {"anyOf": [{"const": "all"}, _ref("conditions")]},
            "conditions": _conditions(kinds),
            "keep": {**_options(Keep), "minProperties": 1},
            "cap": _cap(),
        },
    }


def _pass(name: str, owner: type[PassOptions]) -> dict[str, Any]:
    body = _options(owner)
    if owner.__doc__ and not owner.__doc__.startswith(f"{owner.__name__}("):
        # Without a docstring of its own a dataclass gets its signature, which is no help to anyone.
        body["description"] = " ".join(owner.__doc__.split())
    return {"type": "object", "properties": {name: body}, "required": [name], "additionalProperties": False}


def _options(owner: type) -> dict[str, Any]:
    options = options_of(owner)
    return {
        "type": "object",
        "properties": {each.name: {"description": each.doc, **_schema(each.type)} for each in options},
        "required": [each.name for each in options if each.required],
        "additionalProperties": False,
    }


def _schema(wanted: Any) -> dict[str, Any]:
    if wanted in FORMS:
        return dict(FORMS[wanted].schema)
    if wanted in _REFS:
        return _ref(_REFS[wanted])
    if get_origin(wanted) is Literal:
        words = get_args(wanted)
        return {"type": "boolean"} if set(words) == {"true", "false"} else {"enum": list(words)}
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return {"enum": list(map(str, wanted))}
    if get_origin(wanted) is tuple:
        item = _schema(bare(get_args(wanted)[0]))
        return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1, "uniqueItems": True}]}
    raise TypeError(f"no policy can express the type {wanted!r}")


_REFS: dict[Any, str] = {Keep: "keep", Cap: "cap", Selector: "selector"}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _conditions(kinds: Mapping[str, KindSpec]) -> dict[str, Any]:
    several = {"type": "array", "items": _ref("conditions"), "minItems": 1}
    keys = {key: {"description": term.doc, **_schema(term.takes)} for key, term in TERMS.items()}
    kind = {"enum": list(kinds)}
    keys["kind"] = {
        "description": TERMS["kind"].doc,
        "anyOf": [kind, {"type": "array", "items": kind, "minItems": 1, "uniqueItems": True}],
    }
    keys["any"] = {"description": "At least one of the selections holds.", **several}
    keys["all"] = {"description": "All of the selections hold.", **several}
    keys["not"] = {"description": "The selection does not hold.", **_ref("conditions")}
    return {"type": "object", "properties": keys, "minProperties": 1, "additionalProperties": False}


def _store(kinds: Mapping[str, KindSpec]) -> dict[str, Any]:
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    "kind": {"const": name},
                    **{key: {"description": doc, **_PATH} for key, doc in spec.paths.items()},
                },
                "required": ["kind"],
                "dependentRequired": {
                    key: ["path"] for key in spec.paths if key != "path" and "path" in spec.paths
                },
                "additionalProperties": False,
            }
            for name, spec in kinds.items()
        ]
    }


def _cap() -> dict[str, Any]:
    share = {"description": "A share of the sessions of a store.", **_schema(Share)}
    count = {"description": "This many may go even where the share is less.", **_schema(int)}
    return {
        "anyOf": [
            {"const": "unlimited"},
            {
                "type": "object",
                "properties": {"fraction": share, "at_least": count},
                "required": ["fraction", "at_least"],
                "additionalProperties": False,
            },
        ]
    }
