"""The verb that archives, and what every verb says of the archive: exit codes, streams, plans, limits, folders."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive_world import (
    OLD,
    archive_pass,
    archived,
    in_store,
    in_trash,
    listed,
    packs,
    unfinished,
)
from maint_world import DAY, World, ids

from maint.reaching import open_roots
from store.layouts.rec.specimens import session_id
from store.locks import StoreLock

NOBODY = 65_534


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three old sessions, a young one, and a policy that does not archive."""
    world = World(tmp_path)
    world.rules()
    world.add_many("complete", (1, 2, 3), OLD)
    world.add("complete", 9, days=3)
    return world


# The verb.


@pytest.mark.parametrize("arguments", [["--older-than", "30d"], ["data/rec/sessions", "--older-than", "30d"]])
def test_archive_says_nothing_where_nobody_looks(world: World, arguments: list[str]) -> None:
    before = in_store(world)
    answer = world.maint("archive", *arguments)
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert archived(world) | in_store(world) == before
    assert sorted(listed(world)) == ids(1, 2, 3)


def test_archive_of_a_named_store_keeps_to_it(world: World) -> None:
    other = world.folder / "other"
    other.mkdir()
    (other / f"{session_id(5)}.ndjson").write_bytes(in_store(world)[f"{session_id(1)}.ndjson"])
    stores = f"stores:\n  one: {{kind: rec, path: {world.sessions}}}\n  two: {{kind: rec, path: {other}}}\n"
    world.rules(rest=stores)
    assert world.maint("archive", "--store", "one", "--older-than", "30d").code == 0
    assert (len(listed(world, "--store", "one")), (other / ".maint").exists()) == (3, False)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "--older-than"),
        (["--older-than", "30"], 2, "30"),
        (["--older-than", "5m"], 2, "5mo"),
        (["--older-than", "30d", "--level", "20"], 2, "--level"),
        (["--older-than", "30d", "--originals", "shred"], 2, "shred"),
        (["nowhere", "--older-than", "30d"], 74, "nowhere"),
        (["home", "--older-than", "30d"], 2, "home"),
        (["data/rec/sessions", "--store", "rec", "--older-than", "30d"], 2, "not by both"),
    ],
)
def test_mistake_is_told_and_nothing_is_archived(
    world: World, arguments: list[str], code: int, told: str
) -> None:
    answer = world.maint("archive", *arguments)
    assert (answer.code, told in answer.err, "Traceback" in answer.err) == (code, True, False)
    assert packs(world) == []


def test_dry_run_changes_nothing(world: World) -> None:
    before = sorted(str(path) for path in world.folder.rglob("*"))
    answer = world.maint("archive", "--older-than", "30d", "--dry-run")
    assert (answer.code, answer.err, "archive: 3" in answer.out) == (0, "", True)
    assert answer.out.splitlines()[-1] == "this is a plan: nothing is changed"
    answer = world.maint("archive", "--older-than", "30d", "--dry-run", "--json")
    assert answer.summary["planned"] == {"archive": 3}
    assert sorted(str(path) for path in world.folder.rglob("*")) == before


def test_archive_protects_what_the_policy_protects(world: World) -> None:
    world.rules(rest=f"protect:\n  - {{id: {session_id(1)}}}\n")
    assert world.maint("archive", "--older-than", "30d").code == 0
    assert sorted(listed(world)) == ids(2, 3)


@pytest.mark.parametrize("verb", [["archive", "--older-than", "30d"], ["sweep"]])
def test_limit_refuses_and_the_kept_plan_can_be_applied(world: World, verb: list[str]) -> None:
    world.rules(archive_pass(), "limits: {max_archived: {fraction: 1%, at_least: 2}}\n")
    answer = world.maint(*verb)
    assert (answer.code, "refused" in answer.err, packs(world)) == (3, True, [])
    plan = answer.err.split("maint apply ")[1].split()[0]
    answer = world.maint("apply", plan)
    assert (answer.code, answer.err, sorted(listed(world))) == (0, "", ids(1, 2, 3))
    answer = world.maint("apply", plan, "--json")
    assert (answer.code, answer.summary["skipped"], answer.summary["failed"]) == (0, 3, 0)
    assert len(packs(world)) == 1


def test_store_that_is_held_is_left_alone(world: World) -> None:
    with open_roots(world.place) as roots:
        lock = StoreLock(roots[roots.first])
        assert lock.acquire()
        answer = world.maint("archive", "--older-than", "30d")
        lock.release()
    assert (answer.code, packs(world)) == (75, [])


# What is said.


def test_actions_and_outcomes_say_what_scripts_need(world: World) -> None:
    sizes = {name.removesuffix(".ndjson"): len(content) for name, content in in_store(world).items()}
    lines = world.maint("archive", "--older-than", "30d", "--json").lines
    kinds = [line["type"] for line in lines]
    assert kinds == ["plan", *["action"] * 3, *["outcome"] * 3, "summary"]
    pack = packs(world)[0]
    for action, outcome in zip(lines[1:4], sorted(lines[4:7], key=lambda line: line["n"]), strict=True):
        id_ = action["session"]
        assert (action["verb"], action["pass"], action["bytes"]) == ("archive", "archive", sizes[id_])
        assert (action["path"], action["store"]) == (str(world.sessions / f"{id_}.ndjson"), "rec")
        assert action["account"]["ended_at"] == pytest.approx(world.now - OLD * DAY)
        assert (outcome["session"], outcome["result"], outcome["pack"]) == (id_, "done", pack.name)
        assert outcome["freed"] == sizes[id_]
    summary = lines[-1]
    gone = sum(sizes[line["session"]] for line in lines[1:4])
    assert (summary["bytes_archived"], summary["bytes_packed"]) == (gone, pack.stat().st_size)
    assert summary["bytes_freed"] == gone - pack.stat().st_size


def test_status_and_log_tell_of_packs(world: World) -> None:
    assert "archive" not in world.maint("status").out
    world.maint("archive", "--older-than", "30d")
    answer = world.maint("status")
    (line,) = [line for line in answer.out.splitlines() if line.startswith("  archive")]
    assert (answer.code, answer.err) == (0, "")
    assert line.startswith("  archive 3 sessions, ")
    (told,) = world.maint("status", "--json").lines
    assert told["archived"]["sessions"] == 3
    assert 0 < told["archived"]["bytes"] < packs(world)[0].stat().st_size
    log = world.maint("log", world.journals()[0]).out
    assert f"sealed {packs(world)[0]}: 3 sessions" in log


def test_explain_tells_of_the_pass_before_and_of_the_pack_after(world: World) -> None:
    world.rules(archive_pass() + "  - prune: {of: archived, older_than: 1y}\n")
    answer = world.maint("explain", session_id(1))
    assert "archive: ended more than 30d ago" in answer.out
    assert "so archive has it" in answer.out
    assert world.maint("sweep").code == 0
    answer = world.maint("explain", session_id(1))
    assert (answer.code, answer.err) == (0, "")
    assert packs(world)[0].name in answer.out
    assert "not yet: archived, ended less than 1y ago" in answer.out
    told = world.maint("explain", session_id(1), "--json").lines[0]
    assert (told["type"], told["session"]) == ("explanation", session_id(1))


# Another folder.


@pytest.fixture
def shelf(world: World) -> Path:
    folder = world.folder / "shelf"
    folder.mkdir()
    return folder


def test_packs_elsewhere_are_found_again_by_the_store_alone(world: World, shelf: Path) -> None:
    before = in_store(world)
    assert world.maint("archive", "--older-than", "30d", "--into", "shelf").code == 0
    (own,) = shelf.iterdir()
    assert (packs(world), len(packs(world, own))) == ([], 1)
    assert archived(world, own) | in_store(world) == before
    assert sorted(listed(world)) == ids(1, 2, 3)
    world.add("complete", 4, OLD)
    assert world.maint("archive", "--older-than", "30d", "--into", "shelf").code == 0
    assert (len(os.listdir(shelf)), len(packs(world, own))) == (1, 2)
    world.add("complete", 5, OLD)
    assert world.maint("archive", "--older-than", "30d").code == 0
    assert (len(packs(world)), len(listed(world))) == (1, 5)
    assert world.maint("restore", "*").code == 0
    assert len(in_store(world)) == 6


def test_missing_folder_is_told_and_not_made(world: World) -> None:
    before = in_store(world)
    answer = world.maint("archive", "--older-than", "30d", "--into", "shelf")
    assert (answer.code, "there is no folder for packs" in answer.err) == (74, True)
    assert str(world.folder / "shelf") in answer.err
    assert (in_store(world), (world.folder / "shelf").exists()) == (before, False)


def test_folder_that_is_not_mounted_is_a_grave_problem_and_no_loss(world: World, shelf: Path) -> None:
    assert world.maint("archive", "--older-than", "30d", "--into", "shelf").code == 0
    away = shelf.rename(world.folder / "away")
    answer = world.maint("sweep")
    assert (answer.code, "this folder of packs cannot be opened" in answer.err) == (0, True)
    answer = world.maint("restore", session_id(1))
    assert (answer.code, str(shelf) in answer.err) == (1, True)
    answer = world.maint("restore", "*")
    assert (answer.code, str(shelf) in answer.err, "nothing to do" in answer.out) == (1, True, True)
    answer = world.maint("archive", "--older-than", "1d", "--into", "shelf")
    assert (answer.code, len(in_store(world))) == (74, 1)
    away.rename(shelf)
    assert world.maint("restore", session_id(1)).code == 0
    assert len(in_store(world)) == 2


# Plans.


def saved(world: World, passes: str) -> Path:
    world.rules(passes)
    answer = world.maint("plan", "-o", "plan.ndjson")
    assert answer.code == 0
    return world.folder / "plan.ndjson"


def changed(path: Path, verb: str, change: Callable[[dict[str, Any]], object]) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line.get("verb") == verb:
            change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_saved_plan_archives(world: World) -> None:
    before = in_store(world)
    plan = saved(world, archive_pass("originals: trash"))
    answer = world.maint("apply", str(plan))
    assert (answer.code, answer.err) == (0, "")
    assert (archived(world), len(in_store(world))) == (in_trash(world), 1)
    assert archived(world) | in_store(world) == before


PACK = "20260101T000000-abcdef-0000.tar.zst"


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line["packing"].update(into="shelf"),
        lambda line: line["packing"].update(into="../shelf"),
        lambda line: line["packing"].update(level=99),
        lambda line: line["packing"].update(pack_size=0),
        lambda line: line["packing"].update(form="file", into="/tmp"),
        lambda line: line.update(packing=None),
        lambda line: line.update(account=None),
        lambda line: line.update(pack=PACK),
        lambda line: line.update(mark="expired"),
        lambda line: line.update(members=[]),
        lambda line: line.update(verb="prune"),
        lambda line: line.update(verb="prune", packing=None, pack=PACK),
        lambda line: line.update(verb="prune", packing=None, pack=PACK, mark="expired"),
        lambda line: line.update(verb="prune", packing=None, pack=PACK, mark="held", members=[]),
        lambda line: line.update(verb="prune", packing=None, pack="../x", mark="expired", members=[]),
        lambda line: line.update(verb="prune", packing=None, mark="expired", members=[]),
        lambda line: line.update(verb="compact", packing=None),
        lambda line: line.update(verb="compact", packing=None, pack=PACK),
        lambda line: line.update(verb="compact", packing=None, pack=PACK, members=[]),
        lambda line: line.update(verb="compact", packing=None, pack="x", members=line["members"]),
        lambda line: line.update(verb="restore", packing=None, pack=PACK),
        lambda line: line["members"][0].__setitem__(0, "archive"),
        lambda line: line["members"][0].__setitem__(1, f".maint/archive/{PACK}"),
    ],
)
def test_plan_that_nobody_made_is_refused(world: World, change: Callable[[dict[str, Any]], object]) -> None:
    plan = saved(world, archive_pass())
    before = in_store(world)
    changed(plan, "archive", change)
    answer = world.maint("apply", str(plan))
    assert (answer.code, "plan.ndjson:2: " in answer.err, "Traceback" in answer.err) == (74, True, False)
    assert (in_store(world), packs(world), unfinished(world)) == (before, [], [])


# Somebody else's store.


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_archives_and_restores_as_the_owner_of_the_store() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own ones are closed to others
        os.chmod(folder, 0o755)
        world = World(Path(folder, "world"))
        world.add_many("complete", range(1, 4), OLD)
        shelf = world.folder / "shelf"
        shelf.mkdir()
        for each in (world.sessions, *world.sessions.iterdir(), world.state, shelf):
            os.chown(each, NOBODY, NOBODY)
        assert world.exec("archive", "--older-than", "30d").code == 0
        assert len(archived(world)) == 3
        assert {path.lstat().st_uid for path in world.ours.rglob("*")} == {NOBODY}
        assert world.exec("restore", session_id(1)).code == 0
        assert {path.stat().st_uid for path in world.sessions.glob("*.ndjson")} == {NOBODY}
        world.add("complete", 4, OLD)
        os.chown(world.sessions / f"{session_id(4)}.ndjson", NOBODY, NOBODY)
        assert world.exec("archive", "--older-than", "30d", "--into", str(shelf)).code == 0
        assert {path.lstat().st_uid for path in shelf.rglob("*")} == {NOBODY}
        assert len(list(shelf.rglob("*.tar.zst"))) == 1
