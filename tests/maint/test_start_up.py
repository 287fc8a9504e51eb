"""What a verb that only looks, or brings something back, does without: its start-up is most of its time."""

import os

import pytest
from maint_world import NOW, World, policy_text

from maint import selection
from maint.grace import GRACE, grace_of
from policies import default_policy_text, load_policy

PROBE = """\
import sys
from maint.cli import main
sys.argv[0] = "maint"
try:
    main()
finally:
    print("imported:", *sorted(sys.modules))
"""

LIGHT = (
    ("list",),
    ("list", "--json"),
    ("list", "--trashed"),
    ("show", "abc"),
    ("log",),
    ("restore", "abc"),
    ("undo", "20260101T000000Z-abcdef"),
)

DEAR = ("dill", "filelock", "multiprocess", "pickle", "psutil", "rich", "socket", "tempfile", "zstandard")
SWEEPING = (
    "maint.engine",
    "maint.explaining",
    "maint.judge",
    "maint.planning",
    "maint.saved",
    "maint.survey",
    "maint.worker",
)
RULES = ("maint.contract", "maint.passes", "maint.selection", "policies", "yaml", "zoneinfo")


CHANGING = ("maint.execute", "maint.finishing", "maint.indexing", "maint.late_writers", "store.change")


def imported(world: World, *arguments: str) -> set[str]:
    """The modules that the program has imported when it ends, and the packages that they are in."""
    said = world.python(PROBE, *arguments).out
    (line,) = [line for line in said.splitlines() if line.startswith("imported:")]
    return set(line.split()[1:])


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_verb_that_looks_or_restores_imports_neither_rules_nor_workers(
    world: World, arguments: tuple[str, ...]
) -> None:
    assert imported(world, *arguments) & {*DEAR, *SWEEPING, *RULES} == set()


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_verb_that_looks_or_restores_under_a_policy_imports_no_workers(
    world: World, arguments: tuple[str, ...]
) -> None:
    world.policy_file.write_text(policy_text())
    there = imported(world, *arguments)
    assert "yaml" in there  # the policy was read
    assert there & {*DEAR, *SWEEPING} == set()


def test_session_comes_back_without_what_takes_long_to_import(world: World) -> None:
    world.add("complete", 1, days=40.0)
    assert world.maint("archive", "--older-than", "1d").code == 0
    (session,) = [line["session"] for line in world.maint("list", "--archived", "--json").lines]
    there = imported(world, "restore", session)
    assert "maint.unpacking" in there
    assert there & {*DEAR, *SWEEPING, *CHANGING} == {"zstandard"}


def test_session_comes_back_without_the_c_library_where_files_are_made_without_names(world: World) -> None:
    try:
        os.close(os.open(world.sessions, os.O_TMPFILE | os.O_WRONLY))
    except (AttributeError, OSError):
        pytest.skip("this file system makes no files without names")
    world.add("complete", 1, days=40.0)
    assert world.maint("archive", "--older-than", "1d").code == 0
    (session,) = [line["session"] for line in world.maint("list", "--archived", "--json").lines]
    assert "ctypes" not in imported(world, "restore", session)


def test_verb_that_looks_does_not_import_what_changes_a_store(world: World) -> None:
    assert imported(world, "list") & {"maint.carrying_out", *CHANGING} == set()


def test_schema_and_examples_are_not_imported_to_read_a_policy(world: World) -> None:
    world.policy_file.write_text(policy_text())
    assert imported(world, "list") & {"policies.schema", "policies.shipped", "importlib.resources"} == set()


def test_shipped_default_says_what_is_taken_for_it_where_it_is_not_read() -> None:
    default = load_policy(
        default_policy_text(),
        source="default",
        passes=selection.pass_options(),
        kinds=selection.kinds(),
        zone=selection.machine_zone(),
    )
    assert default.stores == ()
    assert grace_of(default, NOW) == grace_of(None, NOW) == GRACE


def test_mistake_in_the_policy_is_told_by_verbs_that_need_little_of_it(world: World) -> None:
    world.policy_file.write_text(policy_text("  - prune: {older_than: 5m}\n", "trash: {keep: 1d}\n"))
    for arguments in LIGHT:
        answer = world.maint(*arguments)
        assert answer.code == 78
        assert "2 mistakes in the policy; nothing was touched" in answer.err


def test_stores_of_a_policy_that_was_read_before_are_known_without_reading_it(world: World) -> None:
    world.policy_file.write_text(policy_text())
    assert "yaml" in imported(world, "restore", "abc")
    assert imported(world, "restore", "abc") & {"yaml", "policies.loader"} == set()
    world.policy_file.write_text(policy_text() + "# and a word more\n")
    assert "yaml" in imported(world, "restore", "abc")


def test_policy_with_a_mistake_is_told_each_time(world: World) -> None:
    world.policy_file.write_text(policy_text() + "oops: 1\n")
    assert [world.maint("restore", "abc").code for _ in range(2)] == [78, 78]


def test_what_was_remembered_of_a_policy_is_what_it_says(world: World) -> None:
    world.add("empty", 1)
    elsewhere = world.folder / "elsewhere"
    world.sessions.rename(elsewhere)
    named = f"stores: {{mine: {{kind: rec, path: {elsewhere}, state: {world.state}}}}}\n"
    world.policy_file.write_text(policy_text(rest=named))
    assert world.maint("sweep").code == 0
    first, second = (world.maint("list", "--trashed", "--json") for _ in range(2))
    assert (first.code, first.out, len(first.lines)) == (0, second.out, 1)


@pytest.mark.parametrize("spoil", [b"", b"[{", b'[{"name":"x","kind":"none","paths":{}}]', b"\xff"])
def test_memory_that_somebody_has_spoilt_is_not_believed(world: World, spoil: bytes) -> None:
    world.policy_file.write_text(policy_text())
    world.maint("restore", "abc")
    (kept,) = (world.folder / "home/.cache/maint/stores").iterdir()
    kept.write_bytes(spoil)
    assert "yaml" in imported(world, "restore", "abc")
    kept.chmod(0o666)  # others could write to it
    assert "yaml" in imported(world, "restore", "abc")


def test_specimens_are_for_the_demo_alone(world: World) -> None:
    for arguments in (*LIGHT, ("sweep",), ("status",)):
        assert [each for each in imported(world, *arguments) if each.endswith(".specimens")] == [], arguments


def test_store_of_one_kind_is_looked_into_without_knowing_the_others(world: World) -> None:
    world.policy_file.write_text(
        policy_text(rest=f"stores: {{mine: {{kind: rec, path: {world.sessions}, state: {world.state}}}}}\n")
    )
    imported(world, "restore", "abc")  # the policy is remembered from now on
    found = imported(world, "restore", "abc")
    assert [each for each in found if each.startswith("store.layouts.") and ".rec" not in each] == []
