"""What the real program promises: exit codes, lines, fields, and silence."""

import json
import os
from pathlib import Path

import pytest
from maint_world import DAY, World, ids

from store import file_systems
from store.layouts.rec.specimens import command, session_id
from store.locks import StoreLock
from store.roots import RootFds

PLAN = {"type", "run", "at", "policy", "policy_sha256", "stores"}
STORE = {"kind", "path", "sessions", "bytes"}
ACTION = {"type", "verb", "pass", "store", "session", "path", "bytes", "reason"}
OUTCOME = (ACTION - {"reason"}) | {"result", "detail"}
SUMMARY = {
    "type",
    "sessions",
    "planned",
    "done",
    "skipped",
    "failed",
    "lost",
    "bytes_freed",
    "seconds",
}
FIELDS = {"plan": PLAN, "action": ACTION, "outcome": OUTCOME, "summary": SUMMARY}


@pytest.fixture
def ill(world: World) -> World:
    """A store in which there is something to do."""
    world.add("complete", 1)
    world.add("torn", 2)
    world.add("empty", 3)
    world.lock(2)
    return world


def types(lines: list[dict[str, object]]) -> list[str]:
    """The types of the lines, each run of one type once."""
    found: list[str] = []
    for line in lines:
        if not found or found[-1] != line["type"]:
            found.append(str(line["type"]))
    return found


# Silence.


def test_sweep_that_needs_nobody_says_nothing(ill: World) -> None:
    first, second = ill.exec("sweep"), ill.exec("sweep")
    assert [(each.code, each.out, each.err) for each in (first, second)] == [(0, "", "")] * 2


def test_sweep_without_any_store_says_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.sessions.rmdir()
    answer = world.maint("sweep")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_problem_is_spoken_of_once_and_not_every_night(ill: World) -> None:
    ill.add("corrupt", 4)
    first, second = ill.maint("sweep"), ill.maint("sweep")
    assert (session_id(4) in first.err, first.out, first.code) == (True, "", 0)
    assert (second.code, second.out, second.err) == (0, "", "")


def test_problem_that_comes_back_is_spoken_of_again(ill: World) -> None:
    path = ill.add("corrupt", 4)
    ill.maint("sweep")
    path.rename(ill.folder / "aside")
    ill.maint("sweep")
    (ill.folder / "aside").rename(path)
    assert session_id(4) in ill.maint("sweep").err


def test_problem_that_was_told_is_not_told_again_because_a_run_was_taken_back(ill: World) -> None:
    ill.add("corrupt", 4)
    assert session_id(4) in ill.maint("sweep").err
    run = ill.maint("log", "--json").lines[0]["run"]
    ill.maint("undo", run)
    assert session_id(4) not in ill.maint("sweep").err


def test_talk_is_prefixed_and_in_lower_case(ill: World) -> None:
    ill.add("corrupt", 4)
    lines = ill.maint("sweep").err.splitlines()
    assert [line for line in lines if not line.startswith("maint: ") or line[7].isupper()] == []


def test_memory_of_a_killed_run_does_not_make_problems_come_back_every_night(ill: World) -> None:
    ill.add("corrupt", 4)
    ill.maint("sweep")
    (ill.ours / "reported").unlink()
    (ill.ours / "reported.new").write_text("torn")
    ill.maint("sweep")
    assert ill.maint("sweep").err == ""


# NDJSON.


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        (("sweep", "--json"), ["plan", "action", "outcome", "summary"]),
        (("sweep", "--json", "--dry-run"), ["plan", "action", "summary"]),
        (("plan", "--json"), ["plan", "action", "summary"]),
    ],
)
def test_lines_come_in_the_documented_order(ill: World, arguments: tuple[str, ...], order: list[str]) -> None:
    answer = ill.maint(*arguments)
    assert (answer.code, answer.err, types(answer.lines)) == (0, "", order)


def test_every_line_has_every_documented_field(ill: World) -> None:
    lines = ill.maint("sweep", "--json").lines
    assert [
        (line["type"], FIELDS[line["type"]] - set(line)) for line in lines if FIELDS[line["type"]] - set(line)
    ] == []
    assert [store for store in lines[0]["stores"].values() if STORE - set(store)] == []


def test_sweep_with_nothing_to_do_has_plan_and_summary(world: World) -> None:
    lines = world.maint("sweep", "--json").lines
    assert types(lines) == ["plan", "summary"]


def test_summary_adds_up(ill: World) -> None:
    lines = ill.maint("sweep", "--json").lines
    outcomes = [line["verb"] for line in lines if line["type"] == "outcome"]
    planned = {verb: outcomes.count(verb) for verb in set(outcomes)}
    summary = lines[-1]
    assert (summary["planned"], summary["done"], summary["sessions"]) == (planned, planned, 3)


def test_each_action_has_its_outcome(ill: World) -> None:
    lines = ill.maint("sweep", "--json").lines
    asked = [(each["verb"], each["session"], each["path"]) for each in lines if each["type"] == "action"]
    got = [(each["verb"], each["session"], each["path"]) for each in lines if each["type"] == "outcome"]
    assert sorted(asked) == sorted(got)


def test_what_a_killed_run_left_is_told_between_plan_and_summary(ill: World) -> None:
    ill.maint("sweep")
    (journal,) = (ill.ours / "journal").glob("*.ndjson")
    begun = journal.read_bytes().partition(b'{"type":"begin"}\n')
    journal.write_bytes(begun[0] + begun[1])
    assert types(ill.maint("sweep", "--json").lines) == ["plan", "outcome", "summary"]


def test_times_have_an_offset(ill: World) -> None:
    plan = ill.maint("plan", "--json", "--at", "2030-01-02T03:04:05+02:00").lines[0]
    assert plan["at"] == "2030-01-02T01:04:05+00:00"


def test_saved_plan_is_what_json_prints(ill: World) -> None:
    printed = ill.maint("plan", "--json", "-o", "plan.ndjson")
    saved = (ill.folder / "plan.ndjson").read_text()
    assert saved == printed.out


# Every verb.


def test_sweep_does_what_plan_said(ill: World) -> None:
    said = [each["session"] for each in ill.maint("plan", "--json").lines if each["type"] == "action"]
    done = [each["session"] for each in ill.maint("sweep", "--json").lines if each["type"] == "outcome"]
    assert sorted(said) == sorted(done)


def test_plan_and_dry_run_change_nothing_and_say_so_in_the_last_line(ill: World) -> None:
    before = ill.snapshot()
    for arguments in (("plan",), ("sweep", "--dry-run")):
        answer = ill.maint(*arguments)
        assert (answer.code, answer.out.splitlines()[-1]) == (0, "this is a plan: nothing is changed")
    assert (ill.snapshot(), ill.ours.exists()) == (before, False)


def test_dry_run_uses_no_verb_in_the_past_tense(ill: World) -> None:
    text = ill.maint("sweep", "--dry-run").out.removesuffix("nothing is changed\n")
    assert [word for word in ("removed", "recovered:", "moved", "deleted", "trashed") if word in text] == []


def test_only_leaves_the_other_passes_and_the_trash_out(ill: World) -> None:
    done = ill.maint("sweep", "--json", "--only", "delete-empty").summary["done"]
    assert done == {"delete-empty": 1}


def test_store_selects(ill: World) -> None:
    other = ill.folder / "other"
    other.mkdir()
    ill.rules(rest=f"stores: {{rec: {{kind: rec}}, other: {{kind: rec, path: {other}}}}}\n")
    assert list(ill.maint("plan", "--json", "--store", "other").lines[0]["stores"]) == ["other"]


def test_apply_carries_a_saved_plan_out(ill: World) -> None:
    ill.maint("plan", "-o", "plan.ndjson")
    answer = ill.maint("apply", "plan.ndjson", "--json")
    assert (answer.code, answer.summary["done"]) == (0, {"delete-empty": 1, "recover": 1, "unlock": 3})


def test_apply_twice_finds_nothing_left(ill: World) -> None:
    ill.maint("plan", "-o", "plan.ndjson")
    ill.maint("apply", "plan.ndjson")
    after = ill.snapshot()
    answer = ill.maint("apply", "plan.ndjson", "--json")
    assert (answer.code, answer.summary["done"], answer.summary["skipped"]) == (0, {}, 5)
    assert ill.snapshot() == after


def test_apply_says_what_it_does_not_do_and_why(ill: World) -> None:
    ill.maint("plan", "-o", "plan.ndjson")
    with (ill.sessions / f"{session_id(3)}.ndjson").open("ab") as file:
        file.write(b"more\n")
    answer = ill.maint("apply", "plan.ndjson")
    (line,) = answer.err.splitlines()
    assert (answer.code, line.startswith("maint: not done: ")) == (0, True)
    assert f"{session_id(3)}.ndjson: " in line


def test_what_was_not_done_is_counted_where_it_is_too_much_for_a_person(world: World) -> None:
    world.add_many("empty", range(1, 15))
    world.maint("plan", "-o", "plan.ndjson")
    world.maint("apply", "plan.ndjson")
    answer = world.maint("apply", "plan.ndjson")
    lines = answer.err.splitlines()
    run = world.journals()[-1]
    assert [line.startswith("maint: not done: ") for line in lines[:-1]] == [True] * 10
    assert lines[-1] == f"maint: and 4 more; `maint log {run}` has all"
    assert world.maint("log", run).out.count("skipped") >= 14


def test_session_written_after_planning_is_skipped(ill: World) -> None:
    ill.maint("plan", "-o", "plan.ndjson")
    with (ill.sessions / f"{session_id(3)}.ndjson").open("ab") as file:
        file.write(b"more\n")
    answer = ill.maint("apply", "plan.ndjson", "--json")
    results = {each["session"]: each["result"] for each in answer.lines if each["type"] == "outcome"}
    assert (answer.code, results[session_id(3)]) == (0, "skipped")


def test_status_tells_what_there_is_and_would_be_done(ill: World) -> None:
    (line,) = ill.maint("status", "--json").lines
    text = ill.maint("status")
    assert (line["sessions"], line["planned"]["recover"], line["states"]["crashed"]["sessions"]) == (3, 1, 1)
    assert (text.code, "next sweep would" in text.out, text.err) == (0, True, "")


def test_explain_tells_every_verdict_and_the_next_change(ill: World) -> None:
    ill.rules("  - recover: {idle_for: 24h}\n  - prune: {older_than: 10d}\n")
    (line,) = ill.maint("explain", session_id(1), "--json").lines
    text = ill.maint("explain", session_id(1))
    assert [(each["pass"], each["verdict"]) for each in line["verdicts"]] == [
        ("recover", "no"),
        ("prune", "wait"),
    ]
    assert line["next_due"] == pytest.approx(ill.now + 7 * DAY)
    assert "next change of verdict" in text.out


def test_explain_agrees_with_plan_about_what_was_brought_back(ill: World) -> None:
    run = ill.maint("sweep", "--json").summary["run"]
    ill.maint("undo", run)
    (line,) = ill.maint("explain", session_id(3), "--json").lines
    assert line["protected"] == "it was brought back by hand"


def test_list_has_a_line_each(ill: World) -> None:
    assert sorted(line["session"] for line in ill.maint("list", "--json").lines) == ids(1, 2, 3)
    assert sorted(row.split()[0] for row in ill.maint("list").out.splitlines()) == ids(1, 2, 3)


def test_list_trashed_has_trash_and_backups(ill: World) -> None:
    ill.maint("sweep")
    lines = ill.maint("list", "--trashed", "--json").lines
    found = {(each["session"], each["backup"]) for each in lines if each["session"] in ids(2, 3)}
    assert found == {(session_id(2), True), (session_id(3), False)}


def test_show_prints_the_records_and_raw_the_bytes(ill: World) -> None:
    raw = ill.maint("show", session_id(1), "--raw").out
    assert raw.encode() == (ill.sessions / f"{session_id(1)}.ndjson").read_bytes()
    assert "git pull" in ill.maint("show", session_id(1)).out


def test_session_is_found_by_prefix_and_by_name(ill: World) -> None:
    ill.add("complete", 9, name="deploy-server")
    by_prefix = ill.maint("show", session_id(9)[:6], "--json")
    by_name = ill.maint("show", "deploy-server", "--json")
    assert [each.summary["session"] for each in (by_prefix, by_name)] == ids(9) * 2


def test_log_lists_runs_and_tells_one(ill: World) -> None:
    run = ill.maint("sweep", "--json").summary["run"]
    assert run in ill.maint("log").out
    kinds = [line["type"] for line in ill.maint("log", run, "--json").lines]
    assert (kinds[0], kinds[-1], kinds.count("action"), kinds.count("outcome")) == ("run", "end", 5, 5)


def test_policy_tools(ill: World) -> None:
    assert ill.maint("policy", "check", str(ill.policy_file)).code in {74, 0}
    ill.rules()
    assert ill.maint("policy", "check", str(ill.policy_file)).out.endswith(": valid\n")
    assert ill.policy_file.read_text() in ill.maint("policy", "show").out
    assert "$schema" in json.loads(ill.maint("policy", "schema").out)


def test_demo_shows_before_and_after_and_leaves_nothing(ill: World) -> None:
    tmp = ill.folder / "tmp"
    tmp.mkdir()
    answer = ill.exec("demo", TMPDIR=str(tmp))
    assert (answer.code, answer.err, list(tmp.iterdir())) == (0, "", [])
    assert "nothing to do" in answer.out


def test_without_a_verb_there_is_help_and_help_lists_the_verbs(ill: World) -> None:
    text = ill.maint("--help").out
    verbs = [
        "sweep",
        "plan",
        "apply",
        "status",
        "explain",
        "list",
        "show",
        "restore",
        "undo",
        "log",
        "policy",
        "demo",
    ]
    assert [verb for verb in verbs if f"  {verb} " not in text] == []
    assert ill.maint("--version").out.startswith("maint, version")


@pytest.mark.parametrize(
    "verb", ["sweep", "plan", "apply", "status", "explain", "list", "show", "restore", "undo", "log", "demo"]
)
def test_each_verb_has_help(world: World, verb: str) -> None:
    answer = world.maint(verb, "--help")
    assert (answer.code, answer.err, "usage:" in answer.out) == (0, "", True)


# Exit codes.


def test_refusal_is_3_changes_nothing_and_keeps_the_plan(world: World) -> None:
    world.rules(rest="limits: {max_removed: {fraction: 1%, at_least: 1}}\n")
    world.add_many("empty", [1, 2])
    before = world.snapshot()
    answer = world.maint("sweep")
    assert (answer.code, answer.out, world.snapshot()) == (3, "", before)
    assert "max_removed" in answer.err
    (kept,) = (world.folder / "state/maint/plans").iterdir()
    applied = world.maint("apply", str(kept), "--json")
    assert (applied.code, applied.summary["done"]) == (0, {"delete-empty": 2})


def test_refused_plan_is_3_too(world: World) -> None:
    world.rules(rest="limits: {max_removed: {fraction: 1%, at_least: 1}}\n")
    world.add_many("empty", [1, 2])
    assert (world.maint("plan").code, world.maint("sweep", "--dry-run").code) == (3, 3)


def test_clock_behind_is_3(ill: World) -> None:
    ill.rules()
    journal = ill.ours / "journal"
    journal.mkdir(parents=True)
    (journal / "20990101T000000-abcdef.ndjson").write_bytes(
        b'{"type":"end","done":{},"skipped":0,"failed":0,"lost":0,"bytes_freed":0,"bytes_trashed":0,"seconds":0}\n'
    )
    before = ill.snapshot()
    answer = ill.maint("sweep")
    assert (answer.code, "clock" in answer.err, ill.snapshot() == before) == (3, True, True)


def test_store_that_is_held_is_75_and_silent_until_the_third_time(ill: World) -> None:
    with RootFds({"sessions": str(ill.sessions)}) as roots, StoreLock(roots["sessions"]) as lock:
        assert lock.acquire()
        answers = [ill.maint("sweep") for _ in range(3)]
    assert [each.code for each in answers] == [75] * 3
    assert [each.err == "" for each in answers] == [True, True, False]
    assert f"pid {os.getpid()}" in answers[2].err
    assert "3 times in a row" in answers[2].err


def test_waiting_for_a_held_store_is_bounded(ill: World) -> None:
    with RootFds({"sessions": str(ill.sessions)}) as roots, StoreLock(roots["sessions"]) as lock:
        assert lock.acquire()
        assert ill.maint("sweep", "--wait", "1s").code == 75


def test_store_that_cannot_be_read_is_74_and_named(ill: World) -> None:
    ill.rules(rest=f"stores: {{gone: {{kind: rec, path: {ill.folder}/nowhere}}, rec: {{kind: rec}}}}\n")
    answer = ill.maint("sweep")
    assert (answer.code, "'gone'" in answer.err, "Traceback" in answer.err) == (74, True, False)
    assert session_id(3) not in ill.maint("list", "--store", "rec").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("list",),
        ("list", "--trashed"),
        ("log",),
        ("explain", "x"),
        ("show", "x"),
        ("undo", "x"),
        ("restore", "x"),
        ("plan",),
    ],
)
def test_store_that_is_not_there_is_74_for_every_verb(world: World, arguments: tuple[str, ...]) -> None:
    world.rules(rest=f"stores: {{gone: {{kind: rec, path: {world.folder}/nowhere}}}}\n")
    answer = world.maint(*arguments)
    assert (answer.code, "defect" in answer.err, "nowhere" in answer.err) == (74, False, True)


def test_invalid_policy_is_78_and_shows_every_mistake(ill: World) -> None:
    ill.policy_file.write_text("version: 1\npasses:\n  - delete-emty: {idle_for: 2d}\n  - prune: {}\n")
    before = ill.snapshot()
    answer = ill.maint("sweep")
    assert (answer.code, answer.out, ill.snapshot()) == (78, "", before)
    assert f"{ill.policy_file}:3:5: " in answer.err
    assert "delete-empty" in answer.err
    assert ill.maint("policy", "check", str(ill.policy_file)).code == 78


def test_failed_action_is_1_and_the_others_go_on(world: World) -> None:
    path = world.add("crashed", 1)
    world.put(path.name, path.read_bytes() + command(2, "x" * 1000, 0.0) * 400)
    world.add("empty", 3)
    answer = world.shell("ulimit -f 200; exec maint sweep --json")  # no file may grow beyond that
    summary = answer.summary
    assert (answer.code, summary["failed"], summary["done"]) == (1, 1, {"delete-empty": 1})
    assert "1 actions failed" in answer.err


# Streams.


@pytest.mark.parametrize("arguments", ["list", "status", "plan --json", "sweep --json", "policy schema"])
def test_reader_who_has_enough_is_no_error(world: World, arguments: str) -> None:
    world.add_many("empty", range(1, 40))
    answer = world.shell(f"maint {arguments} | true")
    assert (answer.out, answer.err) == ("", "")


@pytest.mark.parametrize("arguments", ["sweep", "sweep --json", "list", "plan"])
@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(world: World, arguments: str, streams: str) -> None:
    world.add_many("empty", range(1, 4))
    answer = world.shell(f"maint {arguments} {streams}")
    assert (answer.code, answer.err) == (0, "")


def test_full_disk_under_stdout_is_told(world: World) -> None:
    world.add_many("empty", range(1, 4))
    answer = world.shell("maint list > /dev/full")
    assert (answer.code, "no space left" in answer.err, "Traceback" in answer.err) == (74, True, False)


def test_on_a_file_system_of_other_machines_nothing_is_changed_until_it_is_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = os.stat(world.sessions).st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 {os.major(device)}:{os.minor(device)} / / rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(file_systems, "_MOUNTS", str(mounts))
    world.add("empty", 3)
    refused = world.maint("sweep")
    assert (refused.code, world.waiting()) == (3, [])
    assert "is on nfs4, where other machines may write" in refused.err
    assert "limits: {file_systems: [nfs4]}" in refused.err
    world.rules(rest="limits: {file_systems: [cifs, nfs4]}\n")
    assert world.maint("sweep").code == 0
    assert len(world.waiting()) == 1


def test_what_is_on_a_file_system_of_other_machines_can_be_brought_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("empty", 3)
    assert world.maint("sweep").code == 0
    device = os.stat(world.sessions).st_dev
    (tmp_path / "mountinfo").write_text(f"1 0 {os.major(device)}:{os.minor(device)} / / rw - cifs x rw\n")
    monkeypatch.setattr(file_systems, "_MOUNTS", str(tmp_path / "mountinfo"))
    assert world.maint("restore", session_id(3)).code == 0
    assert world.maint("sweep").code == 0  # there is nothing to do, and so nothing to refuse
