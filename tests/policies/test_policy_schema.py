import json
import re
from typing import Any

import pytest
import yaml
from policy_world import KINDS, PASSES, check

from policies import default_policy_text, example_names, example_text, json_schema

SCHEMA = json_schema(PASSES, KINDS)
SHIPPED = {"default": default_policy_text(), **{name: example_text(name) for name in example_names()}}
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
KNOWN = {
    "$ref", "$defs", "$schema", "title", "description", "examples", "type", "const", "enum", "pattern", "minimum",
    "maximum", "minLength", "properties", "required", "additionalProperties", "dependentRequired", "minProperties", "items",
    "minItems", "uniqueItems", "anyOf", "oneOf",
}  # fmt: skip


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Whether the part of JSON Schema that is used here accepts the value."""
    assert schema.keys() <= KNOWN
    if "$ref" in schema and not accepts(SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], value):
        return False
    if "type" in schema and type(value) is not TYPES[schema["type"]]:
        return False
    checks = [
        "const" not in schema or value == schema["const"],
        "enum" not in schema or value in schema["enum"],
        "anyOf" not in schema or any(accepts(each, value) for each in schema["anyOf"]),
        "oneOf" not in schema or sum(accepts(each, value) for each in schema["oneOf"]) == 1,
    ]
    if isinstance(value, str):
        checks.append(re.search(schema.get("pattern", ""), value) is not None)
    if isinstance(value, int):
        checks.append(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    if isinstance(value, list):
        checks.append(len(value) >= schema.get("minItems", 0))
        checks += [accepts(schema.get("items", {}), each) for each in value]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        other = schema.get("additionalProperties", {})
        checks.append(len(value) >= schema.get("minProperties", 0))
        checks += [key in value for key in schema.get("required", ())]
        checks += [
            need in value
            for key, needs in schema.get("dependentRequired", {}).items()
            if key in value
            for need in needs
        ]
        for key, each in value.items():
            rule = known.get(key, other)
            checks.append(rule is not False and accepts(rule, each))
    return all(checks)


def described(schema: dict[str, Any]) -> list[str]:
    """The properties, by name, that have no description."""
    if not schema:
        return []
    missing = []
    for name, each in schema.get("properties", {}).items():
        if "description" not in each and "const" not in each:
            missing.append(name)
        # A pass is described by its docstring, in its body.
        missing += described(each)
    for key in ("anyOf", "oneOf"):
        for each in schema.get(key, ()):
            missing += described(each)
    for each in (
        schema.get("items", {}),
        schema.get("additionalProperties") or {},
        *schema.get("$defs", {}).values(),
    ):
        missing += described(each)
    return missing


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_sound_and_draws_no_lint(name: str) -> None:
    checked = check(SHIPPED[name])
    assert (checked.errors, checked.lints) == ((), ())


@pytest.mark.parametrize("name", SHIPPED)
def test_schema_accepts_what_ships(name: str) -> None:
    assert accepts(SCHEMA, yaml.safe_load(SHIPPED[name]))


@pytest.mark.parametrize(
    "text",
    [
        "{version: 2, passes: []}",
        "{version: 1}",
        "{version: 1, passes: [], filter: 1}",
        "{version: 1, passes: [{prune: {older_than: 30}}]}",
        "{version: 1, passes: [{prune: {older_than: 5m}}]}",
        "{version: 1, passes: [{prune: {}}]}",
        "{version: 1, passes: [{purge: {older_than: 1y}}]}",
        "{version: 1, passes: [{prune: {older_than: 1y, where: {}}}]}",
        "{version: 1, passes: [{prune: {older_than: 1y, keep: {last: 0}}}]}",
        "{version: 1, passes: [{prune: {older_than: 1y, max_total: 20G}}]}",
        "{version: 1, passes: [], stores: {a: {kind: rek}}}",
        "{version: 1, passes: [], stores: {a: {kind: rec, state: /s}}}",
        "{version: 1, passes: [], limits: {max_removed: 5}}",
        "{version: 1, passes: [{archive: {older_than: 30d, level: 20}}]}",
        "{version: 1, passes: [{archive: {older_than: 30d, into: default}}]}",
        "{version: 1, passes: [{archive: {older_than: 30d, originals: delete}}]}",
        "{version: 1, passes: [{prune: {older_than: 30d, of: packs}}]}",
        "{version: 1, passes: [], archive: {}}",
        "{version: 1, passes: [], archive: {dir: defaults}}",
        "{version: 1, passes: [], archive: {pack_size: 256}}",
        "{version: 1, passes: [], archive: {older_than: 30d}}",
    ],
)
def test_schema_refuses_the_usual_slips(text: str) -> None:
    assert not accepts(SCHEMA, yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "{version: 1, passes: [{archive: {older_than: 30d, level: 19, form: pack, into: ~/cold}}]}",
        "{version: 1, passes: [{prune: {older_than: 2y, of: archived, keep: {last: 50}}}]}",
        "{version: 1, passes: [], archive: {dir: default, pack_size: 256MiB}}",
        "{version: 1, passes: [], archive: {dir: /srv/archive}}",
    ],
)
def test_schema_accepts_all_that_can_be_said_of_the_archive(text: str) -> None:
    assert accepts(SCHEMA, yaml.safe_load(text))
    assert check(text).errors == ()


def test_every_property_is_described() -> None:
    assert described(SCHEMA) == []


def test_schema_is_json() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_every_pass_is_in_the_schema_with_its_own_words() -> None:
    passes = SCHEMA["properties"]["passes"]["items"]["oneOf"]
    found = {name: body["description"] for each in passes for name, body in each["properties"].items()}
    assert found == {name: each.__doc__ for name, each in PASSES.items()}


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(SCHEMA)))
    assert references == SCHEMA["$defs"].keys()
