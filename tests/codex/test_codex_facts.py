"""What the layout makes of the bytes of one thread."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest
from codex_world import DAY, HOUR, ID, NOW, OTHER, THIRD, Codex

from store import leases
from store.facts import Session, State
from store.layouts.codex import LAYOUT
from store.layouts.codex.specimens import early, header, line, message, stamped, surroundings, thread, turn
from store.leases import Lease

BEGAN = NOW - 2 * DAY
WHOLE = thread(ID, BEGAN)
REAL_HEAD = (
    b'{"timestamp":"2026-11-30T08:52:48.917Z","ordinal":39,"type":"session_meta","payload":{"account_scoped":true,'
    b'"session_id":"01a22ba8-2288-7b63-a4ef-c39dd3f4146b","id":"01a22ba8-2288-7b63-a4ef-c39dd3f4146b",'
    b'"forked_from_id":"01a22ba1-8050-7861-87a9-5acc134bb046","forked_from_ordinal_exclusive":39,'
    b'"timestamp":"2026-11-30T08:52:48.916Z","cwd":"/home/ana/app","originator":"codex_exec",'
    b'"cli_version":"0.171.0","source":"vscode","model_provider":"mock","history_mode":"paginated","history_base":'
    b'{"thread_id":"01a22ba1-8050-7861-87a9-5acc134bb046","end_ordinal_exclusive":39,"end_byte_offset":51040},'
    b'"git":{}}}\n'
)
"""The first line of a fork as 0.171 wrote it, but for what it tells a model."""


@pytest.fixture
def store(tmp_path: Path) -> Codex:
    return Codex(tmp_path)


def test_thread_gives_all_its_facts(store: Codex) -> None:
    path = store.save(WHOLE)
    found = store.facts()
    assert (found.id, found.kind, found.state, found.project) == (
        ID,
        "codex",
        State.COMPLETE,
        "/home/ana/app",
    )
    assert (found.started_at, found.last_record_at, found.ended) == (BEGAN, BEGAN + 10, BEGAN + 10)
    assert (found.bytes, found.last_changed) == (path.stat().st_size, BEGAN)
    assert [each.path for each in found.members] == [str(path.relative_to(store.folder))]
    assert (found.name, found.tags, found.records, found.empty) == (None, (), WHOLE.count(b"\n"), False)
    assert (found.parent, found.rests_on, found.mendable) == (None, None, True)


def test_age_is_told_by_the_last_record_and_not_by_the_file(store: Codex) -> None:
    path = store.save(WHOLE)
    os.utime(path, (NOW - HOUR, NOW - HOUR))
    found = store.facts()
    assert (found.ended, found.last_changed) == (BEGAN + 10, NOW - HOUR)


def test_age_of_records_without_times_is_that_of_the_file(store: Codex) -> None:
    found = store.of(early(ID, BEGAN - DAY))
    assert (found.started_at, found.last_record_at, found.ended) == (BEGAN - DAY, None, BEGAN)


def test_thread_larger_than_the_window_is_told_by_its_ends(store: Codex) -> None:
    content = WHOLE + turn(BEGAN + 20, answer="word " * 40_000) + turn(BEGAN + 90)
    found = store.of(content)
    assert (found.state, found.ended, found.records, found.empty) == (
        State.COMPLETE,
        BEGAN + 100,
        None,
        False,
    )


def test_first_line_longer_than_any_window_is_read(store: Codex) -> None:
    content = header(ID, BEGAN, base_instructions={"text": "x" * 300_000}) + turn(BEGAN)
    assert store.of(content).state is State.COMPLETE


def test_first_line_of_a_real_fork_tells_what_it_rests_on(store: Codex) -> None:
    store.save(WHOLE)
    store.save(REAL_HEAD + turn(BEGAN), THIRD)
    found = store.facts(THIRD)
    assert (found.rests_on, found.parent, found.project) == (ID, None, "/home/ana/app")


@pytest.mark.parametrize(
    "more",
    [
        {"parent_thread_id": OTHER},
        {"source": {"subagent": {"thread_spawn": {"parent_thread_id": OTHER, "depth": 1}}}},
    ],
    ids=["by name", "by its source"],
)
def test_thread_of_an_agent_is_begun_by_another_one(store: Codex, more: dict[str, object]) -> None:
    store.save(thread(ID, BEGAN, **more))
    assert store.facts().parent is None  # it is not there
    store.save(id_=OTHER)
    assert store.facts().parent == OTHER


def test_thread_that_rests_on_the_one_that_began_it_goes_by_its_own_age(store: Codex) -> None:
    store.save(id_=OTHER)
    found = store.of(thread(ID, BEGAN, parent_thread_id=OTHER, history_base={"thread_id": OTHER}))
    assert (found.rests_on, found.parent) == (OTHER, None)


@pytest.mark.parametrize("base", ["", 7, None, [], {"thread_id": OTHER}, {}], ids=range(6))
def test_base_that_is_no_id_is_none_and_told(store: Codex, base: object) -> None:
    store.save(id_=OTHER)
    told = json.dumps({"thread_id": base})
    content = header(ID, BEGAN, history_base="here").replace(b'"here"', told.encode()) + turn(BEGAN)
    assert store.of(content).rests_on is None
    (problem,) = store.problems()
    assert problem.endswith(": it rests on another session, and does not say on which")


@pytest.mark.parametrize("base", [OTHER, OTHER.upper()], ids=["lower", "upper"])
def test_base_is_told_whether_it_is_in_the_store_or_not(store: Codex, base: str) -> None:
    content = header(ID, BEGAN, history_base={"thread_id": base}) + turn(BEGAN)
    assert store.of(content).rests_on == OTHER
    (problem,) = store.problems()
    assert problem.endswith(
        f": it rests on session {OTHER}, which is not in the store; `maint restore` brings that back"
    )
    store.save(id_=OTHER)
    assert (store.facts().rests_on, store.problems()) == (OTHER, [])


def test_thread_does_not_rest_on_itself(store: Codex) -> None:
    assert store.of(header(ID, BEGAN, history_base={"thread_id": ID}) + turn(BEGAN)).rests_on is None


@pytest.mark.parametrize("base", [OTHER, 7])
def test_fork_in_which_nobody_has_said_anything_yet_is_not_empty(store: Codex, base: object) -> None:
    store.save(id_=OTHER)
    content = header(ID, BEGAN, history_base={"thread_id": base})
    assert store.of(content + stamped(BEGAN, "event_msg", type="thread_settings_applied")).empty is False


def test_first_line_with_more_than_anybody_asks_for_takes_no_more_memory_than_it_has_bytes(
    store: Codex,
) -> None:
    content = header(ID, BEGAN, x="here").replace(b'"here"', b"[" + b"[]," * 3_000_000 + b"[]]") + turn(BEGAN)
    store.save(content)
    tracemalloc.start()
    try:
        assert store.facts().state is State.COMPLETE
        assert tracemalloc.get_traced_memory()[1] < 8 * len(content)
    finally:
        tracemalloc.stop()


def test_torn_thread_is_crashed_once_it_is_silent(store: Codex) -> None:
    store.save(WHOLE + b'{"timestamp"', age=HOUR)
    assert store.survey(2 * HOUR)[0].state is State.LIVE  # type: ignore[union-attr]
    found = store.survey(HOUR / 2)[0]
    assert isinstance(found, Session)
    assert (found.state, found.evidence) == (
        State.CRASHED,
        "it ends in 12 bytes that are no complete record",
    )


def test_thread_that_somebody_has_open_for_writing_is_live_however_old(store: Codex) -> None:
    path = store.save(WHOLE, age=400 * DAY)
    with path.open("ab"):
        found = store.facts()
        assert (found.state, found.evidence) == (State.LIVE, "a process has it open for writing")
    assert store.facts().state is State.COMPLETE


def test_thread_that_somebody_only_reads_is_not_live(store: Codex) -> None:
    with store.save(WHOLE).open("rb"):
        assert store.facts().state is State.COMPLETE


@pytest.mark.parametrize(("locked", "state"), [(True, State.LIVE), (False, State.COMPLETE)])
def test_where_nobody_can_be_asked_the_lock_of_a_writer_tells(
    store: Codex, monkeypatch: pytest.MonkeyPatch, locked: bool, state: State
) -> None:
    monkeypatch.setattr(leases, "probe", lambda _: Lease.UNAVAILABLE)
    if locked:
        store.put(f"thread-writer-locks/{ID}.lock", b"")
    store.save(WHOLE)
    assert store.facts().state is state


def test_where_nobody_can_be_asked_what_changed_lately_is_live(
    store: Codex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "probe", lambda _: Lease.UNAVAILABLE)
    store.save(WHOLE, age=HOUR)
    assert store.facts().state is State.LIVE


@pytest.mark.parametrize(
    "said",
    [
        b"",
        surroundings(BEGAN),
        stamped(BEGAN, "event_msg", type="thread_settings_applied"),
        message(BEGAN, "user", "<user_instructions>be brief</user_instructions>\n"),
        stamped(BEGAN, "world_state", full=True),
    ],
    ids=["nothing", "surroundings", "settings", "instructions", "world"],
)
def test_thread_in_which_nobody_said_anything_is_empty(store: Codex, said: bytes) -> None:
    assert store.of(header(ID, BEGAN) + said).empty is True


@pytest.mark.parametrize(
    "said",
    [
        message(BEGAN, "user", "and now?"),
        message(BEGAN, "user", "<environment_context> is a tag of yours?"),
        line(id="x", said="hello"),
        line(record_type="state", said="hello"),
        message(BEGAN, "user", ""),
        message(BEGAN, "assistant", "<environment_context>"),
        stamped(BEGAN, "response_item", type="message", role="user", content=[{"type": "input_image"}]),
        stamped(BEGAN, "response_item", type="message", role="user", content=[]),
        stamped(BEGAN, "response_item", type="reasoning"),
        stamped(BEGAN, "event_msg", type="user_message", message="x"),
        stamped(BEGAN, "event_msg", type="something new"),
        stamped(BEGAN, "something new"),
        b"no record\n",
        b'{"timestamp"',
    ],
    ids=range(14),
)
def test_thread_in_which_anything_else_stands_is_not_empty(store: Codex, said: bytes) -> None:
    assert store.of(header(ID, BEGAN) + surroundings(BEGAN) + said).empty is False


@pytest.mark.parametrize(
    ("content", "state", "evidence"),
    [
        pytest.param(turn(BEGAN), State.CORRUPT, "its first line is none with which", id="headless"),
        pytest.param(b"hello\n", State.CORRUPT, "its first line is none with which", id="text"),
        pytest.param(b"[1]\n", State.CORRUPT, "its first line is none with which", id="an array"),
        pytest.param(line(type="session_meta"), State.CORRUPT, "its first line is none", id="no payload"),
        pytest.param(line(id=7), State.CORRUPT, "its first line is none with which", id="no id"),
        pytest.param(bytes(512), State.CORRUPT, "it holds no complete record", id="zeros"),
        pytest.param(WHOLE[:40], State.CORRUPT, "it holds no complete record", id="cut off"),
        pytest.param(
            thread(OTHER, BEGAN), State.UNKNOWN, f"its first line names another session, {OTHER}", id="other"
        ),
    ],
)
def test_what_is_no_thread_says_why(store: Codex, content: bytes, state: State, evidence: str) -> None:
    found = store.of(content)
    assert found.state is state
    assert found.evidence.startswith(evidence)


def test_line_of_a_crash_behind_which_the_program_went_on_is_passed_over(store: Codex) -> None:
    found = store.of(WHOLE + b'{"timestamp":"2026-1\n')
    assert (found.state, found.ended) == (State.COMPLETE, BEGAN + 10)


def test_times_of_any_offset_are_times_and_others_are_none(store: Codex) -> None:
    content = header(ID, BEGAN, timestamp="yesterday") + line(timestamp="2026-11-28T10:00:00+02:00", type="x")
    found = store.of(content)
    assert (found.started_at, found.last_record_at) == (BEGAN, 1_795_852_800.0)
    assert (
        store.of(content + line(timestamp="2026-11-28T10:00:00", type="x")).last_record_at == 1_795_852_800.0
    )


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (message(BEGAN, "user", "why\nso"), "user    why\\nso"),
        (message(BEGAN, "assistant", "It sleeps."), "codex   It sleeps."),
        (message(BEGAN, "developer", "x"), None),
        (line(type="message", role="user", content=[{"type": "input_text", "text": "old"}]), "user    old"),
        (stamped(BEGAN, "response_item", type="function_call", name="sh", arguments="{}"), "call    sh {}"),
        (stamped(BEGAN, "response_item", type="function_call_output", output="ok"), "output  ok"),
        (stamped(BEGAN, "event_msg", type="token_count"), None),
        (line(record_type="state"), None),
        (b"\x1b[2J", "no record of Codex's: \\x1b[2J"),
    ],
    ids=range(9),
)
def test_record_is_shown_as_a_line(record: bytes, text: str | None) -> None:
    assert LAYOUT.describe("home", "", record.rstrip(b"\n")) == text


@pytest.mark.parametrize(
    "said", [b'{"record_type":"state","x":"\xff"}\n', b'{"record_type":"state","x":"\xed\xa0\x80"}\n']
)
def test_byte_that_is_no_text_makes_a_thread_no_empty_one_and_no_error(store: Codex, said: bytes) -> None:
    assert store.of(early(ID, BEGAN, said=False) + said).empty is False


def test_prompt_between_two_surroundings_is_somebodys(store: Codex) -> None:
    tagged = "<environment_context>x</environment_context>"
    said = message(BEGAN, "user", f"{tagged} and what I ask {tagged}")
    assert store.of(header(ID, BEGAN) + said).empty is False
