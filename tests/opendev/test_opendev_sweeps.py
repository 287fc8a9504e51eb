"""Sweeps over stores of opendev: what the list says follows what was done, in one step for all of it."""

import json
import shutil
import time
from pathlib import Path

import pytest
from opendev_world import DAY, ID, OpendevStore

import maint
from maint import journal, selection
from maint.actions import Verb
from maint.journal import IndexedLine
from maint.planned import Plan
from maint.reaching import open_roots
from maint.run import Listener, Run
from policies import Policy, load_policy
from store.archives import with_archives
from store.facts import Place
from store.layouts.opendev.specimens import (
    PROJECT,
    added,
    call,
    created,
    entry,
    index,
    message,
    record,
    session_id,
    transcript,
)

LAST = "projects/-home-ana-last"


def rules(*passes: str) -> Policy:
    text = "".join(f"  - {each}\n" for each in passes)
    return load_policy(
        f"version: 1\nlimits: {{max_removed: unlimited}}\npasses:\n{text}",
        source="p.yaml",
        passes=selection.pass_options(),
        kinds=selection.kinds(),
        zone=selection.machine_zone(),
    )


class Swept(OpendevStore):
    """A store of the present, with the sweeps over it."""

    @property
    def whole(self) -> Place:
        return with_archives(self.place)

    def add(self, number: int, days: float, at: str = PROJECT, **more: object) -> str:
        """A session that ended so many days ago, and its entry."""
        id_ = session_id(number)
        ended = self.now - days * DAY
        files = {
            "json": record(id_, ended - 600, ended, **more),
            "jsonl": transcript(message("user", "hi", ended)),
        }
        self.session(files, id_=id_, age=days * DAY, at=at)
        return id_

    def list_all(self, at: str = PROJECT) -> None:
        """The index as the program would have written it."""
        ids = sorted(path.stem for path in (self.data / at).glob("*.json") if path.stem != "sessions-index")
        entries = []
        for id_ in ids:
            told = json.loads((self.data / at / f"{id_}.json").read_bytes())
            row = entry(id_, 0, 0) | {"created": told["created_at"], "modified": told["updated_at"]}
            entries.append(row | {"messageCount": 1, "title": f"as the program called {id_}"})
        self.put(f"{at}/sessions-index.json", index(*entries), 3 * DAY)

    def sweep(self, *passes: str) -> Run:
        run = maint.sweep(rules(*passes), [self.whole])
        assert (run.summary.failed, run.summary.lost, run.summary.skipped, run.unreachable) == (0, 0, 0, [])
        return run

    def rewritten(self, run: Run) -> list[str]:
        """The indexes that a run made true, by its journal."""
        with open_roots(self.whole) as roots:
            return [line.path for line in journal.read(roots, run.id) if isinstance(line, IndexedLine)]

    def listed(self, at: str = PROJECT) -> list[str]:
        told = json.loads((self.data / at / "sessions-index.json").read_bytes())
        return [each["sessionId"] for each in told["entries"]]

    def files(self) -> dict[str, bytes]:
        found = (each for each in self.data.rglob("*") if each.is_file() and ".maint" not in each.parts)
        return {str(each): each.read_bytes() for each in found}


@pytest.fixture
def store(tmp_path: Path) -> Swept:

    return Swept(tmp_path, float(int(time.time())))


def test_index_of_a_project_is_rewritten_once_however_many_sessions_go(store: Swept) -> None:
    kept = [store.add(number, 3) for number in range(1, 11)]
    for number in range(11, 311):
        store.add(number, 400)
    store.list_all()
    run = store.sweep("prune: {older_than: 1y}")
    assert run.summary.done == {Verb.PRUNE: 300}
    assert store.rewritten(run) == [f"{PROJECT}/sessions-index.json"]
    assert store.listed() == sorted(kept)


def test_entries_of_sessions_that_stay_keep_their_bytes(store: Swept) -> None:
    stays, goes = store.add(1, 3), store.add(2, 400)
    odd = json.dumps(entry(stays, 0, 0) | {"messageCount": 1, "future": [1.0, "\\u00e9"], "title": "x"})
    store.put(
        f"{PROJECT}/sessions-index.json",
        b'{"version": 1, "entries": ['
        + odd.encode()
        + b", "
        + json.dumps(entry(goes, 0, 0)).encode()
        + b"]}",
    )
    store.sweep("prune: {older_than: 1y}")
    assert odd.encode() in (store.project / "sessions-index.json").read_bytes()


@pytest.mark.parametrize("how", ["prune: {older_than: 1y}", "archive: {older_than: 1y}"])
def test_undo_gives_the_list_its_bytes_back(store: Swept, how: str) -> None:
    store.add(1, 3)
    store.add(2, 400)
    store.list_all()
    before = store.files()
    run = store.sweep(how)
    assert store.listed() == [session_id(1)]
    maint.undo(run.id, [store.whole])
    assert store.files() == before


def test_session_that_is_restored_is_listed_as_it_was(store: Swept) -> None:
    store.add(1, 3)
    goes = store.add(2, 400)
    store.list_all()
    before = store.entries()
    store.sweep("prune: {older_than: 1y}")
    maint.restore([goes], [store.whole])
    assert sorted(store.entries(), key=lambda each: str(each["sessionId"])) == before


def test_project_whose_last_session_went_keeps_an_empty_list_which_keeps_its_memory(store: Swept) -> None:
    store.add(1, 400, at=LAST)
    store.put(f"{LAST}/memory/MEMORY.md", b"what was learned")
    store.sweep("prune: {older_than: 1y}")
    assert (store.listed(LAST), (store.data / LAST / "memory/MEMORY.md").read_bytes()) == (
        [],
        b"what was learned",
    )


def test_child_goes_with_the_session_that_began_it_and_not_before(store: Swept) -> None:
    parent = store.add(1, 3)
    young = store.add(2, 400, parent_id=parent)
    old_parent = store.add(3, 400)
    old = store.add(4, 500, parent_id=old_parent)
    orphan = store.add(5, 400, parent_id="0123456789ab")
    store.list_all()
    store.sweep("prune: {older_than: 1y}")
    assert store.listed() == sorted([parent, young])
    assert {old, old_parent, orphan}.isdisjoint(store.sessions())


def made_of_its_log(store: Swept) -> Run:
    """A session of which only the log was left, made whole."""
    began = store.now - 3 * DAY
    store.session({"events": created(ID, began) + added(ID, 2, "user", "why?", began + 5)}, age=3 * DAY)
    return store.sweep("recover: {idle_for: 1d}")


def test_session_whose_backup_has_ended_keeps_what_was_made_of_it(store: Swept) -> None:
    run = made_of_its_log(store)
    shutil.rmtree(store.data / f".maint/backup/{run.id}")  # as it ends in the course of time
    before = store.files()
    undone, impossible = maint.undo(run.id, [store.whole])
    assert (undone.summary.done, store.files()) == ({}, before)
    assert impossible == [f"{ID}: its backup is no longer there to be put back"]


def test_session_whose_log_has_grown_since_keeps_what_was_made_of_it(store: Swept) -> None:
    run = made_of_its_log(store)
    log = store.project / f"{ID}.events.jsonl"
    with log.open("ab") as file:
        file.write(added(ID, 4, "user", "and now?", store.now))
    before = store.files()
    undone, _ = maint.undo(run.id, [store.whole])
    assert (undone.summary.done, undone.summary.skipped, store.files()) == ({}, 1, before)


def test_session_that_crashed_before_its_first_save_is_made_listed_and_unmade(store: Swept) -> None:
    began = store.now - 3 * DAY
    log = created(ID, began) + added(
        ID, 2, "assistant", "Let me look.", began + 5, tool_calls=[call(result=None)]
    )
    store.session({"events": log + b'{"id":"c61b'}, age=3 * DAY)
    before = store.files()
    run = store.sweep("recover: {idle_for: 1d}")
    assert run.summary.done == {Verb.RECOVER: 1}
    assert store.listed() == [ID]
    assert b"Let me look." in (store.project / f"{ID}.jsonl").read_bytes()
    _, impossible = maint.undo(run.id, [store.whole])
    assert (impossible, store.files()) == ([], before)


def test_payload_goes_into_a_pack_and_the_list_is_not_touched(store: Swept) -> None:
    id_ = store.add(1, 30)
    store.put(f"{PROJECT}/{id_}.debug", b'{"ts":"x"}\n' * 500, 30 * DAY)
    store.list_all()
    before = store.files()
    run = store.sweep("archive: {older_than: 7d, part: payload}")
    assert store.rewritten(run) == []
    assert set(before) - set(store.files()) == {str(store.project / f"{id_}.debug")}
    maint.restore([f"{id_}+payload"], [store.whole])
    assert store.files() == before


@pytest.mark.parametrize("how", ["prune: {older_than: 1y}", "delete-empty: {idle_for: 1d}"])
def test_child_stays_when_the_session_that_began_it_turns_out_to_be_at_work(store: Swept, how: str) -> None:
    parent = store.add(1, 400)
    child = store.add(2, 400, parent_id=parent)
    if "empty" in how:
        for id_ in (parent, child):
            store.put(f"{PROJECT}/{id_}.jsonl", b"", 400 * DAY)
            told = json.loads((store.project / f"{id_}.json").read_bytes()) | {"metadata": {}}
            store.put(f"{PROJECT}/{id_}.json", json.dumps(told).encode(), 400 * DAY)
    store.list_all()

    def at_work(_: Plan) -> None:
        store.put(f"{PROJECT}/{parent}.jsonl", transcript(message("user", "more", store.now)), 0)

    run = maint.sweep(rules(how), [store.whole], listener=Listener(planned=at_work))
    assert (run.summary.planned.total(), run.summary.skipped) == (2, 2)
    assert store.listed() == sorted([parent, child])


def test_child_is_removed_behind_the_session_that_began_it(store: Swept) -> None:
    parent = store.add(1, 400)
    store.add(2, 500, parent_id=parent)
    store.list_all()
    assert store.sweep("prune: {older_than: 1y}").summary.done == {Verb.PRUNE: 2}
    assert store.listed() == []


def test_payload_of_a_child_is_explained_as_it_is_planned(store: Swept) -> None:
    parent = store.add(1, 100)
    child = store.add(2, 100, parent_id=parent)
    for id_ in (parent, child):
        store.put(f"{PROJECT}/{id_}.debug", b"a line\n", 100 * DAY)
    policy = rules("archive: {older_than: 7d, part: payload}", "archive: {older_than: 200d}")
    told = maint.explain(child, policy, [store.whole])
    assert (told.protected, told.claimed_by) == (None, "archive")
