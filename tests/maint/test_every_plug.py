"""What every pass and every layout must do, whichever there are: nothing here names one."""

import time
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest
from maint_world import UTC, verbs

from maint import engine, finding, interface, selection
from maint.contract import Pass, known_passes
from maint.demo import build_store
from maint.run import Listener, Run
from policies import Checked, Policy, check_policy, default_policy_text, load_policy
from store.facts import Leftover, Lock, Place, Session, State
from store.layout import Layout, Specimen, known_layouts

EVERY_PASS = pytest.mark.parametrize("pass_", known_passes().values(), ids=known_passes())
EVERY_LAYOUT = pytest.mark.parametrize("layout", known_layouts().values(), ids=known_layouts())

# What may be written for an option of each type, by the type's name.
SPELLINGS = {
    "Duration": "30d",
    "Keep": "{last: 3}",
    "Size": "1GiB",
    "NameTemplate": "x-%S",
    "int": "5",
    "Selector": "all",
    "folder": "/srv/archive",
}


def checked(passes: str) -> Checked:
    return check_policy(
        f"version: 1\nstores: {{s: {{kind: {next(iter(known_layouts()))}, path: /s}}}}\npasses:\n{passes}\n",
        source="p.yaml",
        passes=selection.pass_options(),
        kinds=selection.kinds(),
        zone=UTC,
    )


def options_of(pass_: Pass) -> list[Field[Any]]:
    """The fields that a policy may give."""
    return [each for each in fields(pass_.options_type) if each.name != "pass_name"]


def required(pass_: Pass) -> list[str]:
    return [each.name for each in options_of(pass_) if each.default is MISSING]


def spelled(pass_: Pass) -> Iterator[tuple[str, str]]:
    """Each option with something that may be written for it."""
    properties = schema_of(pass_)["properties"]
    assert isinstance(properties, dict)
    for each in options_of(pass_):
        known = next((text for name, text in SPELLINGS.items() if name in str(each.type)), None)
        yield each.name, known or choice_in(properties[each.name]) or "[s]"


def choice_in(node: object) -> str | None:
    """The first word that a schema offers to choose, however deep."""
    if isinstance(node, dict):
        if "const" in node or "enum" in node:
            return str(node.get("const") or node["enum"][0])
        return next(filter(None, map(choice_in, node.values())), None)
    if isinstance(node, list):
        return next(filter(None, map(choice_in, node)), None)
    return None


def schema_of(pass_: Pass) -> dict[str, object]:
    """What the JSON Schema says of a pass's options."""
    found: list[dict[str, object]] = []

    def look(node: object) -> None:
        if isinstance(node, dict):
            inner = node.get("properties", {})
            if isinstance(inner, dict) and pass_.name in inner and isinstance(inner[pass_.name], dict):
                found.append(inner[pass_.name])
            for each in node.values():
                look(each)
        elif isinstance(node, list):
            for each in node:
                look(each)

    sections = selection.schema()["properties"]
    assert isinstance(sections, dict)
    look(sections["passes"])  # a section may have a pass's name
    assert found, f"the schema does not know {pass_.name}"
    return found[0]


# Passes.


@EVERY_PASS
def test_pass_is_one_module_of_its_name(pass_: Pass) -> None:
    assert type(pass_).__module__ == f"maint.passes.{pass_.name.replace('-', '_')}"
    assert pass_.subject in {Session, Lock, Leftover}


@EVERY_PASS
def test_every_option_is_documented(pass_: Pass) -> None:
    docs = {each.name: each.metadata.get("doc", "") for each in options_of(pass_)}
    assert [name for name, doc in docs.items() if not doc.endswith(".")] == []


@EVERY_PASS
def test_every_option_is_in_the_schema_with_its_doc(pass_: Pass) -> None:
    properties = schema_of(pass_)["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == {each.name for each in options_of(pass_)}
    assert [name for name, each in properties.items() if not each.get("description")] == []


@EVERY_PASS
def test_every_option_is_usable_from_a_policy(pass_: Pass) -> None:
    spellings = dict(spelled(pass_))
    for name in spellings:
        given = {each: spellings[each] for each in (*required(pass_), name)}
        text = ", ".join(f"{key}: {value}" for key, value in given.items())
        assert checked(f"  - {pass_.name}: {{{text}}}").errors == ()


@EVERY_PASS
def test_every_pass_needs_a_time_spelled_out(pass_: Pass) -> None:
    assert [name for name in required(pass_) if name in {"older_than", "idle_for"}] != []
    assert checked(f"  - {pass_.name}: {{}}").errors != ()


@EVERY_PASS
def test_no_option_takes_what_is_none(pass_: Pass) -> None:
    for name in required(pass_):
        for nonsense in ("0", "0d", "5", "''", "[]", "{}", "null", "-1d", "unlimited"):
            assert checked(f"  - {pass_.name}: {{{name}: {nonsense}}}").errors != (), (name, nonsense)


# Layouts.


def world_of(layout: Layout, folder: Path, now: float) -> tuple[Place, tuple[Specimen, ...]]:
    return build_store(layout, str(folder), now)


def default_policy() -> Policy:
    return load_policy(
        default_policy_text(),
        source="default",
        passes=selection.pass_options(),
        kinds=selection.kinds(),
        zone=UTC,
    )


def sweep(place: Place, now: float) -> Run:
    return engine.sweep(
        default_policy(), [place], now=now, jobs=1, expire=True, wait=0.0, listener=Listener()
    )


def snapshot(place: Place) -> dict[str, tuple[int, int, bytes]]:
    """Everything in a store but what is ours."""
    return {
        str(path): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        for root in set(place.roots.values())
        for path in Path(root).rglob("*")
        if path.is_file() and ".maint" not in path.parts
    }


@pytest.fixture
def now() -> float:
    """The present: what was removed is kept by the clock, so that this is no time to be passed."""
    return float(int(time.time()))


@EVERY_LAYOUT
def test_specimens_get_the_state_and_the_emptiness_that_they_claim(
    layout: Layout, tmp_path: Path, now: float
) -> None:
    place, specimens = world_of(layout, tmp_path, now)
    found = {
        each.id: (each.state, each.empty) for _, each in finding.sessions(default_policy(), [place], at=now)
    }
    for specimen in specimens:
        if specimen.state is None:
            assert specimen.id not in found, specimen.title
            continue
        state, empty = found[str(specimen.id)]
        assert state is specimen.state, specimen.title
        if specimen.empty is not None:
            assert empty is specimen.empty, specimen.title


@EVERY_LAYOUT
def test_specimens_meet_the_fate_that_they_claim(layout: Layout, tmp_path: Path, now: float) -> None:
    place, specimens = world_of(layout, tmp_path, now)
    run = interface.plan(default_policy(), [place], at=now, jobs=1)
    assert run.plan is not None
    planned = {
        (member.root, member.path): str(action.verb)
        for action in run.plan.stores[0].actions()
        for member in action.members
    }
    for specimen in specimens:
        for root, path in specimen.files:
            verb = planned.get((root, path))
            if specimen.id is None or layout.session_of(root, path) == specimen.id:
                assert verb == specimen.fate, specimen.title


@EVERY_LAYOUT
def test_specimens_show_every_state(layout: Layout, tmp_path: Path, now: float) -> None:
    _, specimens = world_of(layout, tmp_path, now)
    shown = {specimen.state for specimen in specimens}
    assert {State.COMPLETE, State.CRASHED, State.CORRUPT, State.UNKNOWN} <= shown


@EVERY_LAYOUT
def test_second_sweep_finds_nothing_to_do(layout: Layout, tmp_path: Path, now: float) -> None:
    place, _ = world_of(layout, tmp_path, now)
    first = sweep(place, now)
    after = snapshot(place)
    second = sweep(place, now)
    assert (first.summary.failed, first.summary.skipped, verbs(second)) == (0, 0, {})
    assert snapshot(place) == after


@EVERY_LAYOUT
def test_undo_restores_everything(layout: Layout, tmp_path: Path, now: float) -> None:
    place, _ = world_of(layout, tmp_path, now)
    before = snapshot(place)
    run = sweep(place, now)
    assert snapshot(place) != before
    _, impossible = interface.undo(run.id, [place])
    assert (impossible, snapshot(place)) == ([], before)


@EVERY_LAYOUT
def test_default_policy_removes_nothing_that_anybody_recorded(
    layout: Layout, tmp_path: Path, now: float
) -> None:
    place, specimens = world_of(layout, tmp_path, now)
    sweep(place, now)
    there = {each.id for _, each in finding.sessions(default_policy(), [place], at=now)}
    assert {each.id for each in specimens if each.state and not each.empty} <= there


@EVERY_LAYOUT
def test_what_is_mended_is_whole_in_the_eyes_of_its_layout(
    layout: Layout, tmp_path: Path, now: float
) -> None:
    place, specimens = world_of(layout, tmp_path, now)
    sweep(place, now)
    found = {each.id: each.state for _, each in finding.sessions(default_policy(), [place], at=now)}
    mended = {specimen.id for specimen in specimens if specimen.fate == "recover" and specimen.id is not None}
    assert {found[str(id_)] for id_ in mended} <= {State.RECOVERED, State.COMPLETE}


@EVERY_LAYOUT
def test_every_record_can_be_shown(layout: Layout, tmp_path: Path, now: float) -> None:
    place, _ = world_of(layout, tmp_path, now)
    for _, session in finding.sessions(default_policy(), [place], at=now):
        for line in finding.content(place, session, raw=False):
            assert line.endswith(b"\n")
            assert line.decode().rstrip("\n").isprintable()


@EVERY_LAYOUT
@pytest.mark.parametrize("strange", ["", "x", "../x", "a/b", "\udcff", ".maint/lock", "x" * 300])
def test_strange_names_belong_to_no_session_or_to_one_by_name(layout: Layout, strange: str) -> None:
    stores = layout.default_roots({}, "/home/x", "linux").values()
    for root in {label for roots in stores for label in roots}:
        found = layout.session_of(root, strange)
        assert found is None or found in strange


@EVERY_LAYOUT
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_default_roots_are_absolute_and_below_home(layout: Layout, platform: str) -> None:
    stores = layout.default_roots({}, "/home/x", platform)
    assert next(iter(stores)) == ""
    for roots in stores.values():
        assert next(iter(roots.values())).startswith("/home/x/")
        assert [root for root in roots.values() if not root.startswith("/")] == []


@EVERY_LAYOUT
def test_layout_is_one_module_of_its_kinds_name(layout: Layout) -> None:
    assert type(layout).__module__ == f"store.layouts.{layout.kind.replace('-', '_')}"
