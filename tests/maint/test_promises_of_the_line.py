"""What the command line promises, where one promise meets another: each was broken once."""

import fcntl
import json
import os
from pathlib import Path

import pytest
from archive_world import packs
from maint_world import DAY, World, policy_text

from maint.demo import build_store
from maint.saved import KEPT_PLANS
from store.layout import layout_of
from store.layouts.rec.specimens import session_id

ARCHIVE = "  - archive: {older_than: 30d}\n"
PRUNE = "  - prune: {older_than: 1y}\n"


def stamped(moment: float) -> str:
    import datetime as dt  # noqa: PLC0415

    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat()


@pytest.fixture
def archived(world: World) -> World:
    """Two sessions in a pack, and a policy that says nothing of them yet."""
    world.add("complete", 1, days=40.0)
    world.add("complete", 2, days=800.0)
    assert world.maint("archive", "--older-than", "30d").code == 0
    return world


# A plan for another time.


def test_plan_for_a_moment_that_has_not_come_is_not_carried_out(world: World) -> None:
    world.add("complete", 1, days=400.0)
    world.policy_file.write_text(policy_text(PRUNE))
    assert world.maint("sweep").code == 0
    world.add("complete", 2, days=1.0)
    later = stamped(world.now + 800 * DAY)
    assert world.maint("plan", "--at", later, "-o", "plan.ndjson").code == 0
    before = world.snapshot()
    answer = world.maint("apply", "plan.ndjson")
    assert (answer.code, "has not come yet" in answer.err) == (74, True)
    assert world.snapshot() == before


@pytest.mark.parametrize("at", ["", "tomorrow", "9999-99-99T00:00:00+00:00"])
def test_plan_that_does_not_say_for_when_it_is_is_not_carried_out(world: World, at: str) -> None:
    world.add("empty", 1)
    assert world.maint("plan", "-o", "plan.ndjson").code == 0
    plan = world.folder / "plan.ndjson"
    head, *rest = plan.read_text().splitlines()
    plan.write_text("\n".join([json.dumps(json.loads(head) | {"at": at}), *rest, ""]))
    answer = world.maint("apply", "plan.ndjson")
    assert (answer.code, "for when it was made" in answer.err) == (74, True)


# The time zone of the machine.


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        ("JST-9", "+09:00"),
        ("GMT+1", "-01:00"),
        ("<+0330>-3:30", "+03:30"),
        (":Asia/Tokyo", "+09:00"),
        ("No/Where", "+00:00"),
        (" ", "+00:00"),
    ],
)
def test_zone_of_the_machine_is_what_the_c_library_takes_it_for(world: World, zone: str, offset: str) -> None:
    world.env["TZ"] = zone
    limits = "limits: {max_removed: unlimited}\n"
    world.policy_file.write_text(f"version: 1\n{limits}passes:\n  - delete-empty: {{idle_for: 2d}}\n")
    world.add_many("empty", range(1, 200), days=4.0)
    assert world.maint("plan", "--json").lines[0]["at"].endswith(offset)
    answer = world.maint("sweep", "--jobs", "2", "--json")
    assert (answer.code, answer.summary["done"]) == (0, {"delete-empty": 199})


# Protection however the store is named.


def test_path_that_leads_to_a_store_another_way_is_the_store_that_the_policy_protects(world: World) -> None:
    world.add("complete", 1, days=40.0)
    named = f"stores: {{mine: {{kind: rec, path: {world.sessions}, state: {world.state}}}}}\n"
    world.policy_file.write_text(policy_text(ARCHIVE, named + "protect: [{store: mine}]\n"))
    link = world.folder / "link"
    link.symlink_to(world.sessions)
    for path in (world.sessions, link, f"{world.sessions}/../sessions"):
        assert world.maint("archive", str(path), "--older-than", "30d").code == 0
        assert packs(world) == []


def test_path_within_a_store_is_that_store_and_no_other(world: World) -> None:
    place, _ = build_store(layout_of("opendev"), str(world.folder), world.now)
    named = f"stores: {{agent: {{kind: opendev, path: {place.path}}}}}\n"
    world.policy_file.write_text(policy_text(ARCHIVE, named + "protect: [{store: agent}]\n"))
    before = world.snapshot()
    for path in (place.path, f"{place.path}/projects"):
        answer = world.maint("archive", path, "--older-than", "1h", "--json")
        assert (answer.code, answer.summary["planned"]) == (0, {})
        assert list(answer.lines[0]["stores"]) == ["agent"]
    assert world.snapshot() == before


def test_archive_of_a_store_that_no_policy_names_says_how_to_find_it_again(world: World) -> None:
    world.add("complete", 1, days=40.0)
    elsewhere = world.folder / "elsewhere"
    world.sessions.rename(elsewhere)
    answer = world.maint("archive", str(elsewhere), "--older-than", "30d")
    assert (answer.code, "name it in yours" in answer.err) == (0, True)


# Archiving.


def test_session_that_somebody_holds_open_is_not_packed_again_and_again(world: World) -> None:
    path = world.add("complete", 1, days=40.0)
    world.add("complete", 2, days=40.0)
    with path.open("ab"):
        for _ in range(3):
            answer = world.maint("archive", "--older-than", "30d")
            assert (answer.code, f"{path}: is open for writing" in answer.err) == (0, True)
        assert len(packs(world)) == 1
        held = [line["session"] for line in world.maint("list", "--archived", "--json").lines]
        assert held == [session_id(2)]
    assert world.maint("archive", "--older-than", "30d").err == ""
    assert len(packs(world)) == 2


@pytest.mark.parametrize(
    "began", [-62_135_596_800.0, -62_135_596_800.0 - 86_000, -1e15, 253_402_300_799.0 + 1e6, -1e300]
)
def test_time_that_no_calendar_has_keeps_no_other_session_out_of_a_pack(world: World, began: float) -> None:
    odd = world.add("complete", 1, days=40.0)
    world.add("complete", 2, days=40.0)
    lines = odd.read_bytes().splitlines(keepends=True)
    lines[0] = json.dumps(json.loads(lines[0]) | {"started_at": began}).encode() + b"\n"
    odd.write_bytes(b"".join(lines))
    world.age(odd, 40.0)
    answer = world.maint("archive", "--older-than", "30d", "--json")
    wanted = 1 if began > world.now else 2  # a time in the future protects
    assert (answer.code, answer.summary["done"]) == (0, {"archive": wanted})
    assert world.maint("verify").code == 0
    assert world.maint("list", "--archived").code == 0


def test_second_sweep_at_once_takes_no_next_step_with_what_was_just_copied(world: World) -> None:
    world.add_many("complete", range(1, 5), days=40.0)
    keep = "  - archive: {older_than: 30d, originals: keep}\n"
    world.policy_file.write_text(policy_text(keep + "  - prune: {older_than: 30d, max_count: 1}\n"))
    assert world.maint("sweep", "--json").summary["done"] == {"archive": 4}
    assert world.maint("sweep", "--json").summary["done"] == {}
    assert "that was done a moment ago" in world.maint("explain", session_id(1)).out
    world.ahead = 7200.0
    assert world.maint("sweep", "--json").summary["done"] == {"prune": 3}


@pytest.mark.parametrize(("into", "code"), [("", 2), ("nowhere", 74), ("file", 74)])
def test_folder_for_packs_that_is_none_is_told_and_nothing_is_done(
    world: World, into: str, code: int
) -> None:
    world.add("complete", 1, days=40.0)
    (world.folder / "file").write_bytes(b"")
    before = world.snapshot()
    for more in ((), ("--dry-run",)):
        answer = world.maint("archive", "--older-than", "30d", "--into", into, *more)
        assert (answer.code, "folder for packs" in answer.err) == (code, True)
    assert world.maint("archive", "", "--older-than", "30d").code == 2
    assert world.snapshot() == before


def test_size_of_an_archived_session_is_that_of_its_files(archived: World) -> None:
    (one, *_) = archived.maint("list", "--archived", "--json").lines
    assert one["packed"] < one["bytes"]
    larger = f"{one['packed'] + 1}B"
    expire = f"  - prune: {{of: archived, older_than: 30d, where: {{larger_than: {larger}}}}}\n"
    archived.policy_file.write_text(policy_text(expire))
    archived.ahead = 7200.0
    answer = archived.maint("explain", one["session"], "--json")
    assert (answer.lines[0]["bytes"], answer.lines[0]["claimed_by"]) == (one["bytes"], "prune")


def test_earlier_state_that_came_back_takes_no_later_one_out_of_the_archive(world: World) -> None:
    path = world.add("complete", 1, days=40.0)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert world.maint("archive", "--older-than", "30d").code == 0
    path.write_bytes(b"".join((lines[0], lines[-1])))  # as out of a backup of the disk
    world.age(path, 50.0)
    assert world.maint("archive", "--older-than", "30d").code == 0
    assert len(world.maint("list", "--archived", "--json").lines) == 2
    assert world.maint("restore", session_id(1)).code == 0
    assert path.read_bytes() == whole


def test_later_state_takes_an_earlier_one_out_of_the_archive(world: World) -> None:
    path = world.add("complete", 1, days=50.0)
    lines = path.read_bytes().splitlines(keepends=True)
    assert world.maint("archive", "--older-than", "30d").code == 0
    path.write_bytes(b"".join((lines[0], *lines[1:-1], *lines[1:-1], lines[-1])))
    world.age(path, 40.0)
    assert world.maint("archive", "--older-than", "30d").code == 0
    (one,) = world.maint("list", "--archived", "--json").lines
    assert one["records"] > len(lines)


# Refusals.


def test_refused_plans_are_kept_for_review_and_not_for_ever(world: World) -> None:
    world.add_many("complete", range(1, 150), days=400.0)
    world.policy_file.write_text(policy_text(PRUNE))
    folder = world.folder / "state/maint/plans"
    folder.mkdir(parents=True)
    older = [folder / f"202501{day:02}T000000-abcdef.ndjson" for day in range(1, 30)]
    mine = folder / "mine.ndjson"
    for each in (*older, mine):
        each.write_bytes(b"")
    assert world.maint("sweep").code == 3
    kept = sorted(each.name for each in folder.iterdir() if each != mine)
    assert (len(kept), mine.exists(), older[-1].name in kept, older[0].name in kept) == (
        KEPT_PLANS,
        True,
        True,
        False,
    )


def test_status_says_that_a_sweep_would_be_refused(world: World) -> None:
    world.add_many("complete", range(1, 150), days=400.0)
    world.policy_file.write_text(policy_text(PRUNE))
    (line,) = world.maint("status", "--json").lines
    text = world.maint("status")
    assert (len(line["refused"]), "next sweep would be refused" in text.out) == (1, True)


# Explaining.


def test_what_was_archived_a_moment_ago_is_explained_as_a_sweep_sees_it(archived: World) -> None:
    archived.policy_file.write_text(policy_text("  - prune: {of: archived, older_than: 30d}\n"))
    assert archived.maint("plan", "--json").summary["planned"] == {}
    (told,) = archived.maint("explain", session_id(2), "--json").lines
    assert (told["claimed_by"], "archived less than min_idle 1h ago" in told["protected"]) == (None, True)
    assert told["next_due"] == pytest.approx(archived.now + 3600, abs=120)


@pytest.mark.parametrize(
    ("rest", "passes", "days"),
    [
        ("protect: [{idle_under: 50d}]\n", "  - prune: {older_than: 30d}\n", 50),
        ("protect: [{younger_than: 50d}, {tags: [none-such]}]\n", "  - prune: {older_than: 30d}\n", 50),
        ("", "  - prune: {older_than: 30d, where: {older_than: 90d}}\n", 90),
        ("", "  - prune: {older_than: 30d, where: {not: {idle_under: 90d}}}\n", 90),
        ("", "  - prune: {older_than: 30d, where: {any: [{idle_for: 90d}, {older_than: 70d}]}}\n", 70),
        ("", "  - prune: {older_than: 30d, where: {all: [{idle_for: 90d}, {older_than: 70d}]}}\n", 90),
    ],
)
def test_what_rests_on_time_alone_is_explained_with_its_date(
    world: World, rest: str, passes: str, days: int
) -> None:
    path = world.add("complete", 1, days=40.0)
    world.policy_file.write_text(policy_text(passes, rest))
    (told,) = world.maint("explain", session_id(1), "--json").lines
    ended = told["ended_at"] if "idle" not in rest + passes else path.stat().st_mtime
    assert told["next_due"] == pytest.approx(ended + days * DAY, abs=DAY)
    assert told["claimed_by"] is None
    later = world.maint("explain", session_id(1), "--json", "--at", stamped(told["next_due"] + DAY))
    assert later.lines[0]["claimed_by"] == "prune"


def test_selector_that_does_not_hold_is_named(world: World) -> None:
    world.add("complete", 1, days=40.0)
    world.policy_file.write_text(policy_text("  - prune: {older_than: 30d, where: {larger_than: 1GiB}}\n"))
    said = world.maint("explain", session_id(1)).out
    assert "no: where: {larger_than: 1GiB} does not hold" in said


# Undoing.


@pytest.mark.parametrize("passes", [PRUNE, "  - recover: {idle_for: 1d}\n", ARCHIVE])
def test_undo_of_what_was_undone_has_nothing_to_do(world: World, passes: str) -> None:
    world.add("complete", 1, days=400.0)
    world.add("crashed", 2, days=4.0)
    world.policy_file.write_text(policy_text(passes))
    assert world.maint("sweep").code == 0
    (run,) = world.journals()
    assert world.maint("undo", run).code == 0
    before = {path.name: path.read_bytes() for path in world.sessions.glob("*.ndjson")}
    again = world.maint("undo", run, "--json")
    assert (again.code, again.summary["done"], again.summary["impossible"]) == (0, {}, [])
    assert {path.name: path.read_bytes() for path in world.sessions.glob("*.ndjson")} == before


def test_undo_of_an_archive_whose_originals_are_in_the_trash_has_nothing_to_do_twice(world: World) -> None:
    world.add("complete", 1, days=400.0)
    assert world.maint("archive", "--older-than", "30d", "--originals", "trash").code == 0
    (run,) = world.journals()
    assert world.maint("undo", run).code == 0
    again = world.maint("undo", run, "--json")
    assert (again.code, again.summary["done"], again.summary["impossible"]) == (0, {}, [])


def test_undo_says_where_the_packs_are_that_it_cannot_see(world: World) -> None:
    world.add("complete", 1, days=400.0)
    away = world.folder / "packs"
    away.mkdir()
    assert world.maint("archive", "--older-than", "30d", "--into", str(away)).code == 0
    (run,) = world.journals()
    away.rename(world.folder / "unmounted")
    answer = world.maint("undo", run, "--json")
    assert (answer.code, len(answer.summary["impossible"])) == (1, 1)
    assert f"{away}/" in answer.summary["impossible"][0]
    assert "with packs is not either" in answer.summary["impossible"][0]
    (world.folder / "unmounted").rename(away)
    assert world.maint("undo", run).code == 0


def test_litter_and_locks_that_an_undo_has_brought_back_are_left_alone_for_a_while(world: World) -> None:
    (world.sessions / f"{session_id(9)}.ndjson.tmp").write_bytes(b"x")
    world.age(world.sessions / f"{session_id(9)}.ndjson.tmp", 9.0)
    world.lock(1, days=9.0)
    done = world.maint("sweep", "--json").summary["done"]
    assert done["remove-litter"] == 1
    assert done["unlock"] > 0
    (run,) = world.journals()
    assert world.maint("undo", run).code == 0
    assert world.maint("sweep", "--json").summary["done"] == {}
    world.ahead = 20 * DAY
    assert world.maint("sweep", "--json").summary["done"] == done


def test_recording_that_is_still_marked_is_recovered_and_not_archived(world: World) -> None:
    world.add("crashed", 1, days=40.0)
    world.lock(1, days=40.0)
    answer = world.maint("archive", "--older-than", "30d", "--json")
    assert (answer.summary["planned"], packs(world)) == ({}, [])
    world.policy_file.write_text(policy_text(ARCHIVE))
    assert "recover it first" in world.maint("explain", session_id(1)).out
    assert world.maint("sweep", "--json").summary["done"] == {}
    world.policy_file.write_text(policy_text())
    assert world.maint("sweep", "--json").summary["done"]["recover"] == 1
    world.policy_file.write_text(policy_text(ARCHIVE))
    world.ahead = 7200.0
    assert world.maint("sweep", "--json").summary["done"] == {"archive": 1}


# Restoring.


def test_name_with_brackets_is_a_name(world: World) -> None:
    world.add("complete", 1, days=40.0, name="fix [bug] in parser")
    assert world.maint("archive", "--older-than", "30d").code == 0
    assert world.maint("restore", "fix [bug] in parser").code == 0
    assert world.maint("archive", "--older-than", "30d").code == 0
    assert world.maint("restore", "fix [bug]*").code == 0
    assert len(list(world.sessions.glob("*.ndjson"))) == 1


def test_beginning_of_an_id_means_the_same_beside_a_pattern(archived: World) -> None:
    answer = archived.maint("restore", "none*", session_id(1)[:20], "--json")
    assert answer.summary["done"] == {"restore": 1}
    answer = archived.maint("restore", session_id(2)[:20], "--older-than", "1y", "--json")
    assert answer.summary["done"] == {"restore": 1}


@pytest.mark.parametrize("more", [(), ("--to", "out")])
def test_pattern_that_nothing_matches_is_told(archived: World, more: tuple[str, ...]) -> None:
    (archived.folder / "out").mkdir()
    answer = archived.maint("restore", "zz*", *more)
    assert (answer.code, "no session in a pack matches 'zz*'" in answer.err) == (0, True)
    assert archived.maint("restore", "--older-than", "90y", *more).code == 0


@pytest.mark.parametrize("more", [(), ("--to", "out")])
def test_session_that_is_missing_beside_a_pattern_is_told(archived: World, more: tuple[str, ...]) -> None:
    (archived.folder / "out").mkdir()
    answer = archived.maint("restore", f"{session_id(1)[:20]}*", session_id(9), *more)
    assert (answer.code, f"no session in a pack matches '{session_id(9)}'" in answer.err) == (1, True)
    assert "*" not in answer.err
    young = archived.maint("restore", session_id(2), "--older-than", "9y", *more)
    assert (young.code, "matches" in young.err) == (0, False)


def test_pattern_over_many_stores_brings_each_back_as_of_its_own(archived: World) -> None:
    place, _ = build_store(layout_of("outrig"), str(archived.folder), archived.now)
    stores = f"{{rec: {{kind: rec}}, runs: {{kind: outrig, path: {place.path}}}}}"
    archived.policy_file.write_text(policy_text(rest=f"stores: {stores}\n"))
    done = archived.maint("restore", "*", "--json").lines[:-1]
    assert {(each["store"], each["path"].startswith(str(archived.sessions))) for each in done} == {
        ("rec", True)
    }


def test_copies_are_told_to_scripts(archived: World) -> None:
    out = archived.folder / "out"
    out.mkdir()
    copied, summary = archived.maint("restore", session_id(1), "--to", "out", "--json").lines
    assert (copied["type"], Path(copied["path"]).parent.name, summary["type"]) == ("copied", "out", "summary")
    assert (summary["copied"], summary["failed"]) == (1, 0)
    again = archived.maint("restore", session_id(1), "--to", "out")
    assert (again.code, Path(copied["path"]).name in again.err) == (1, True)


def test_person_who_is_kept_waiting_is_told_by_whom(archived: World) -> None:
    fd = os.open(archived.sessions / ".maint/lock", os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        answer = archived.maint("restore", session_id(1))
    finally:
        os.close(fd)
    assert (answer.code, "is held by another maintainer" in answer.err) == (75, True)
    assert "nothing was changed" in answer.out


def test_plan_that_cannot_be_written_names_the_file_that_was_asked_for(world: World) -> None:
    world.add("empty", 1)
    for path in ("/nosuch/x", ""):
        answer = world.maint("plan", "-o", path)
        assert (answer.code, f"cannot write the plan to {path!r}" in answer.err) == (74, True)


# Two options at once.


def test_list_of_packs_and_of_the_trash_at_once_lists_both(archived: World) -> None:
    archived.add("empty", 3)
    assert archived.maint("sweep").code == 0
    both = [
        json.loads(line)
        for line in archived.maint("list", "--archived", "--trashed", "--json").out.splitlines()
    ]
    apart = [
        json.loads(line)
        for option in ("--archived", "--trashed")
        for line in archived.maint("list", option, "--json").out.splitlines()
    ]
    assert both == apart
    assert {line["type"] for line in both} == {"archived", "trashed"}


def test_bytes_and_facts_of_a_session_are_not_to_be_had_at_once(archived: World) -> None:
    answer = archived.maint("show", session_id(1), "--raw", "--json")
    assert (answer.code, answer.out) == (2, "")
    assert "one of them" in answer.err


# What cannot be mended.


def test_session_that_cannot_be_mended_though_it_has_a_footer_is_told(world: World) -> None:
    path = world.add("complete", 1, days=40.0)
    whole = path.read_bytes()
    first = whole[: whole.index(b"\n") + 1]
    last = whole[whole[:-1].rindex(b"\n") + 1 :]
    path.write_bytes(first + last + b'{"type":"command","index":0,"comm')
    os.utime(path, (world.now - 40 * DAY,) * 2)
    answer = world.maint("sweep")
    assert (answer.code, "crashed, and cannot be mended" in answer.err) == (0, True)
    assert path.exists()
