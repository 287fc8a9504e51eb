"""What a user may get wrong: every mistake is told in a line, and none ends in a traceback or in a changed store."""

import json
from pathlib import Path
from typing import Any

import pytest
from maint_world import World

from store.layouts.rec.specimens import session_id


@pytest.fixture
def ill(world: World) -> World:
    world.add("complete", 1)
    world.add("torn", 2)
    world.add("empty", 3)
    return world


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["frobnicate"], 2, "frobnicate"),
        (["sweep", "--frob"], 2, "--frob"),
        (["sweep", "extra"], 2, "extra"),
        (["sweep", "--wait", "soon"], 2, "--wait"),
        (["sweep", "--wait", "5m"], 2, "min"),
        (["sweep", "--wait", "0"], 2, "--wait"),
        (["sweep", "--wait", "99999999999999y"], 2, "--wait"),
        (["sweep", "--jobs", "0"], 2, "--jobs"),
        (["sweep", "--jobs", "many"], 2, "--jobs"),
        (["sweep", "--only", "frob"], 2, "it has stale-locks"),
        (["sweep", "--only", ""], 2, "has no pass"),
        (["sweep", "--store", "frob"], 2, "there is rec"),
        (["plan", "--at", "tomorrow"], 2, "2026-12-31"),
        (["explain", "nothing-like-it"], 2, "no session"),
        (["show", "nothing-like-it"], 2, "maint list"),
        (["restore", "nothing-like-it"], 2, "waits in the trash"),
        (["undo", "nothing-like-it"], 2, "maint log"),
        (["undo", "../../etc/passwd"], 2, "maint log"),
        (["log", "nothing-like-it"], 2, "maint log"),
        (["restore"], 2, "SESSION"),
        (["show", "-x"], 2, "SESSION"),
        (["show", "--", "-x"], 2, "no session '-x'"),
        (["sweep", "--policy", "nowhere.yaml"], 74, "nowhere.yaml"),
        (["sweep", "--policy", "."], 74, "directory"),
        (["policy", "check", "nowhere.yaml"], 74, "nowhere.yaml"),
        (["policy", "show", "--policy", "."], 74, "directory"),
        (["apply", "nowhere.ndjson"], 74, "nowhere.ndjson"),
        (["apply", "."], 74, "directory"),
        (["plan", "-o", "nowhere/plan.ndjson"], 74, "nowhere"),
        (["plan", "-o", "."], 74, "plan"),
    ],
)
def test_mistake_is_told(ill: World, arguments: list[str], code: int, told: str) -> None:
    before = ill.snapshot()
    answer = ill.maint(*arguments)
    assert (answer.code, told in answer.err, "Traceback" in answer.err, "defect" in answer.err) == (
        code,
        True,
        False,
        False,
    )
    assert ill.snapshot() == before


@pytest.mark.parametrize("moment", ["0001-01-01", "9999-12-31", "9999-12-31T23:59:59-23:59", "1970-01-01"])
def test_every_moment_can_be_asked_about(ill: World, moment: str) -> None:
    ill.rules("  - recover: {idle_for: 24h}\n  - prune: {older_than: 10y, keep: {yearly: 2}}\n")
    codes = [ill.maint(*verb, "--at", moment).code for verb in (["plan"], ["explain", session_id(1)])]
    assert codes == [0, 0]


def test_unfinished_plan_file_leaves_nothing_beside_it(ill: World) -> None:
    ill.maint("plan", "-o", ".")
    assert [path.name for path in ill.folder.iterdir() if path.name.endswith(".new")] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "78"),
        (b"\xff\xfe\x00", "78"),
        (b"\x00" * 100, "78"),
        (b"[" * 100_000, "78"),
        (b"version: 1\npasses: no\n", "78"),
        (b"a: &a [*a]\n", "78"),
        (b"version: 1\nversion: 1\n", "78"),
    ],
)
def test_policy_that_is_none_is_78(ill: World, text: bytes, told: str) -> None:
    ill.policy_file.write_bytes(text)
    answer = ill.maint("sweep")
    assert (str(answer.code), "Traceback" in answer.err, "nothing was touched" in answer.err) == (
        told,
        False,
        True,
    )


def test_policy_without_an_end_is_78(ill: World) -> None:
    assert ill.maint("sweep", "--policy", "/dev/zero").code == 78


def test_policy_that_is_a_link_to_nowhere_is_not_taken_for_none(ill: World) -> None:
    ill.policy_file.symlink_to(ill.folder / "nowhere")
    before = ill.snapshot()
    answer = ill.maint("sweep")
    assert (answer.code, ill.snapshot()) == (74, before)


def test_name_of_a_policy_may_be_anything(ill: World) -> None:
    ill.rules()
    name = b"p\xff\n\xc3\xa9.yaml"
    Path(ill.folder, name.decode("utf-8", "surrogateescape")).write_bytes(ill.policy_file.read_bytes())
    given = name.decode("utf-8", "surrogateescape")
    codes = [
        ill.maint("policy", "check", given).code,
        ill.maint("plan", "--json", "--policy", given).code,
        ill.maint("sweep", "--json", "--policy", given).code,
    ]
    assert codes == [0, 0, 0]


def test_store_whose_path_is_no_text_is_refused_aloud(tmp_path: Path) -> None:
    world = World(tmp_path / b"h\xff".decode("utf-8", "surrogateescape"))
    path = world.add("empty", 1)
    for verb in (["plan", "--json"], ["sweep"], ["status"], ["log"], ["list", "--trashed"], ["undo", "x"]):
        answer = world.maint(*verb)
        assert (answer.code, "h\\xff" in answer.err, "defect" in answer.err) == (74, True, False)
    assert path.exists()


def test_home_may_be_called_anything_that_is_text(tmp_path: Path) -> None:
    world = World(tmp_path / "-h\nü'\"\\")
    world.add("empty", 1)
    answers = [world.maint(*each) for each in (["plan", "--json"], ["status"], ["sweep", "--json"], ["log"])]
    assert [(each.code, each.err) for each in answers] == [(0, "")] * 4
    assert world.waiting() == [f"{session_id(1)}.ndjson"]


def test_terminal_that_knows_only_ascii_gets_escapes(ill: World) -> None:
    ill.add("complete", 4, name="größe-日本")
    for arguments in (["explain", session_id(4)], ["list"]):
        answer = ill.exec(*arguments, PYTHONIOENCODING="ascii")
        assert (answer.code, answer.err) == (0, "")


def test_ambiguous_name_lists_the_candidates(ill: World) -> None:
    ill.add("complete", 5, name="twin")
    ill.add("complete", 6, name="twin")
    for verb in ("explain", "show"):
        answer = ill.maint(verb, "twin")
        assert (answer.code, answer.out) == (2, "")
        assert [id_ for id_ in (session_id(5), session_id(6)) if id_ not in answer.err] == []


def test_ambiguous_prefix_lists_the_candidates_in_the_trash(ill: World) -> None:
    ill.add_many("empty", range(3, 40))
    ill.maint("sweep")
    answer = ill.maint("restore", session_id(3)[:1])
    assert (answer.code, session_id(3) in answer.err) == (2, True)


def test_empty_name_is_ambiguous_and_not_everything(ill: World) -> None:
    ill.maint("sweep")
    ill.add("empty", 7)
    assert [ill.maint(verb, "").code for verb in ("explain", "show", "restore")][:2] == [2, 2]


# Plan files.


def lines_of(world: World) -> list[dict[str, Any]]:
    world.maint("plan", "-o", "plan.ndjson")
    return [json.loads(line) for line in (world.folder / "plan.ndjson").read_text().splitlines()]


def refused(world: World, lines: list[dict[str, Any]]) -> str:
    """What is said of a plan that is not to be carried out; checks that it was not."""
    (world.folder / "plan.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = {str(path): path.lstat().st_mtime_ns for path in world.folder.rglob("*")}
    answer = world.maint("apply", "plan.ndjson")
    assert (answer.code, answer.out, "Traceback" in answer.err) == (74, "", False)
    assert {str(path): path.lstat().st_mtime_ns for path in world.folder.rglob("*")} == before
    return answer.err


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"{}\n", b"no plan\n", b"\xff\xfe\n", b"[" * 5000 + b"\n", b"\x00" * 4096, b"x" * 2_000_000],
)
def test_file_that_is_no_plan_is_refused(world: World, content: bytes) -> None:
    (world.folder / "plan.ndjson").write_bytes(content)
    answer = world.maint("apply", "plan.ndjson")
    assert (answer.code, "plan" in answer.err, "Traceback" in answer.err, len(answer.err) < 500) == (
        74,
        True,
        False,
        True,
    )


def test_plan_that_was_cut_short_is_refused(ill: World) -> None:
    lines = lines_of(ill)
    assert "cut short" in refused(ill, lines[:-1])
    whole = (ill.folder / "plan.ndjson").read_bytes()
    (ill.folder / "plan.ndjson").write_bytes(whole[:-20])
    assert ill.maint("apply", "plan.ndjson").code == 74


def test_policy_is_no_plan(ill: World) -> None:
    ill.rules()
    assert ill.maint("apply", str(ill.policy_file)).code == 74


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../../../etc/passwd",
        "./a",
        "a//b",
        "",
        "..",
        "a\x00b",
        ".maint/lock",
        ".maint/trash/x",
    ],
)
def test_path_that_leads_out_of_the_store_is_refused(ill: World, path: str) -> None:
    lines = lines_of(ill)
    lines[1]["members"][0][1] = path
    refused(ill, lines)


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", ".maint/lock", ".maint/journal/x", ".maint/trash/x"]
)
def test_path_that_is_not_in_the_trash_cannot_be_ended(ill: World, path: str) -> None:
    lines = lines_of(ill)
    lines[1] |= {"verb": "expire-trash"}
    lines[1]["members"][0][1] = path
    refused(ill, lines)


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "restore"},
        {"verb": "frob"},
        {"verb": "expire-trash"},
        {"store": "other"},
        {"members": []},
        {"members": [["elsewhere", "a.ndjson", [1, 2, 3, 4, 5]]]},
        {"members": [["sessions", "a.ndjson", [1, 2]]]},
        {"members": "a.ndjson"},
        {"guard": ["sessions", "../../x", [1, 2, 3, 4, 5]]},
        {"bytes": "many"},
        {"type": "outcome"},
    ],
)
def test_action_that_no_plan_has_is_refused(ill: World, change: dict[str, Any]) -> None:
    lines = lines_of(ill)
    lines[1] |= change
    refused(ill, lines)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "frob"},
        {"roots": {}},
        {"roots": {"sessions": "relative"}},
        {"roots": "/"},
    ],
)
def test_store_that_no_plan_has_is_refused(ill: World, change: dict[str, Any]) -> None:
    lines = lines_of(ill)
    lines[0]["stores"]["rec"] |= change
    refused(ill, lines)


def test_action_that_names_a_file_twice_is_refused(ill: World) -> None:
    lines = lines_of(ill)
    recover = next(line for line in lines if line.get("verb") == "recover")
    recover["members"] *= 2
    refused(ill, lines)


def test_plan_for_a_store_that_moved_away_is_74(ill: World) -> None:
    lines_of(ill)
    ill.sessions.rename(ill.sessions.with_name("elsewhere"))
    answer = ill.maint("apply", "plan.ndjson")
    assert (answer.code, "Traceback" in answer.err, "cannot be used" in answer.err) == (74, False, True)


def test_fingerprint_of_another_file_is_skipped(ill: World) -> None:
    lines = lines_of(ill)
    for line in lines[1:-1]:
        line["members"][0][1] = f"{session_id(1)}.ndjson"
    (ill.folder / "plan.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = ill.snapshot()
    answer = ill.maint("apply", "plan.ndjson", "--json")
    assert (answer.code, answer.summary["done"], ill.snapshot()) == (0, {}, before)
