"""Ways in which a session could go astray: of many files, with a payload, in a folder elsewhere, through a plan file."""

import json
import os
import shutil
import time
from pathlib import Path

import maint_world
import msgspec
import pytest

import maint
from maint import engine
from maint.actions import Verb
from maint.archived import archived
from maint.journal import timestamp
from maint.run import Listener, Run
from maint.saved import PlanUnusable, read_plan
from maint.whereabouts import places_named
from policies import Policy
from store import opening, targets
from store.archives import with_archives
from store.change import RootFds, move_to_trash
from store.facts import Member, Place
from store.layout import layout_of
from store.layouts.opendev import specimens as opendev
from store.looking import Stranded
from store.moves import Moves
from store.names import new_run_id

DAY = 86_400.0
NOW = time.time()
ID, OTHER = "20260712T164416-f507", "20260713T164416-0001"
PAYLOADS = "  - archive: {older_than: 1d, part: payload}\n"
WHOLE = "  - archive: {older_than: 1d}\n"
PRUNE = "  - prune: {older_than: 1d}\n"
UNLIMITED = "limits: {max_removed: unlimited, max_expired: unlimited}\n"
SESSION = "3f9c0a7d21be"


def rules(passes: str) -> Policy:
    return maint_world.rules(passes, UNLIMITED)


class Store:
    """A store of this kind in a folder of its own."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self.root = folder / "store"
        self.root.mkdir()

    @property
    def place(self) -> Place:
        layout = layout_of(self.kind)
        bare = Place("mine", self.kind, layout.roots({"path": str(self.root)}, {}, "/home/ana"))
        place = with_archives(bare)
        return targets.with_targets(place, layout.targets(place))

    def put(self, path: str, content: bytes, days: float = 3.0) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (NOW - days * DAY,) * 2)
        return file

    def run(self, passes: str, hours: float = 0.0) -> Run:
        """A sweep, as if it were so many hours later."""
        run = engine.sweep(
            rules(passes),
            [self.place],
            now=time.time() + hours * 3600,
            jobs=1,
            expire=True,
            wait=0.0,
            listener=Listener(),
        )
        assert (run.summary.failed, run.summary.lost, run.unreachable) == (0, 0, [])
        return run

    def sweep(self, passes: str, hours: float = 0.0) -> dict[Verb, int]:
        return dict(self.run(passes, hours).summary.done)

    def files(self) -> dict[str, bytes]:
        found = [each for each in self.folder.rglob("*") if each.is_file() and not each.is_symlink()]
        return {
            str(each.relative_to(self.folder)): each.read_bytes()
            for each in found
            if ".maint" not in each.parts
        }


class Runs(Store):
    """A store of outrig with sessions that ended three days ago."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "outrig")

    def add(self, id_: str, *, code: int = 0, at: str = "", days: float = 3.0) -> Path:
        folder = f"../{at}" if at else id_
        record = {
            "id": id_,
            "started_at": "2026-07-12T16:44:16Z",
            "ended_at": "2026-07-12T16:48:18Z",
            "container_name": f"outrig-{id_}",
            "image_tag": "x",
            "working_dir": "/srv/app",
            "session_dir": str(self.root / folder),
            "exit_code": code,
        }
        self.put(f"{folder}/session.json", json.dumps(record, indent=2).encode(), days)
        self.put(f"{folder}/logs/fs.stderr", b"ready\n" * 99, days)
        if at:
            (self.root / id_).symlink_to(self.folder / at)
        return self.folder / at if at else self.root / id_


class Agents(Store):
    """A store of opendev with a session that ended three days ago."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "opendev")

    def add(
        self, id_: str = SESSION, *, project: str = "-home-ana-app", days: float = 3.0, debug: bytes = b""
    ) -> None:
        began = NOW - 9 * DAY
        at = f"projects/{project}/{id_}"
        said = opendev.transcript(opendev.message("user", "hello", began))
        self.put(f"{at}.json", opendev.record(id_, began, NOW - days * DAY), days)
        self.put(f"{at}.jsonl", said, days)
        if debug:
            self.put(f"{at}.debug", debug, days)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    return Agents(tmp_path)


def counting(place: Place) -> list[str]:
    return [each.entry.id for _, each in archived([place], lambda found: pytest.fail(found.text))]


def test_payload_that_was_begun_anew_supersedes_no_copy_of_the_one_before(agents: Agents) -> None:
    agents.add(debug=b'{"first":1}\n' * 50)
    assert agents.sweep(PAYLOADS) == {Verb.ARCHIVE: 1}
    agents.add(debug=b'{"second":1}\n' * 50, days=2.0)  # its program appends to what is not there
    assert agents.sweep(PAYLOADS) == {Verb.ARCHIVE: 1}
    assert counting(agents.place) == [f"{SESSION}+payload"] * 2


class Meddled(Moves):
    """The moves in a store whose program writes a file anew in the moment after the last of these went to the trash."""

    def __init__(self, roots: RootFds, anew: Path, after: int) -> None:
        super().__init__(roots)
        self._file = anew
        self._after = after

    def put_one(self, label: str, relative: str) -> None:
        super().put_one(label, relative)
        self._after -= 1
        if not self._after:
            self._file.write_text("new")


def test_session_of_which_one_file_cannot_go_back_gets_all_others_back(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).write_text(name)
    found = {name: opening.fingerprint((tmp_path / name).stat()) for name in "abcd"}
    (tmp_path / "d").write_text("changed since")
    members = tuple(Member("sessions", name, print_of) for name, print_of in found.items())
    with RootFds({"sessions": str(tmp_path)}) as roots:
        roots.moves = Meddled(roots, tmp_path / "b", after=3)
        with pytest.raises(Stranded):
            move_to_trash(roots, members, new_run_id(NOW, b"abc"))
    left = {each.name: each.read_text() for each in tmp_path.iterdir() if each.is_file()}
    assert left == {"a": "a", "b": "new", "c": "c", "d": "changed since"}


@pytest.mark.parametrize("passes", [WHOLE, PRUNE], ids=["archive", "prune"])
def test_run_can_be_taken_back_when_a_folder_elsewhere_is_gone(runs: Runs, passes: str) -> None:
    runs.add(ID, at="nightly")
    runs.add(OTHER)
    run = runs.run(passes)
    shutil.rmtree(runs.folder / "nightly")
    maint.undo(run.id, [runs.place])
    assert (runs.root / OTHER / "session.json").exists()


def test_folder_elsewhere_is_remembered_however_many_there_were(runs: Runs) -> None:
    old = {targets.label_of(f"/srv/gone/{n}"): f"/srv/gone/{n}" for n in range(targets.MOST)}
    runs.put(".maint/targets", msgspec.json.encode(old))
    runs.add(ID, at="nightly")
    before = runs.files()
    run = runs.run(PRUNE)
    assert runs.files() == {}
    maint.undo(run.id, [runs.place])
    assert runs.files() == before


def test_session_counts_once_in_a_pack_that_has_its_payload_too(runs: Runs) -> None:
    runs.add(ID)
    runs.sweep(PAYLOADS)
    runs.sweep(WHOLE)
    assert counting(runs.place) == [ID, f"{ID}+payload"]
    runs.sweep("  - prune: {of: archived, older_than: 1d, keep: {last: 1}}\n", 3)
    assert counting(runs.place) == [ID, f"{ID}+payload"]


def test_session_whose_payload_is_out_of_reach_is_not_taken_for_empty(runs: Runs, tmp_path: Path) -> None:
    runs.add(ID, code=1)
    into = tmp_path / "packs"
    into.mkdir()
    runs.sweep(f"  - archive: {{older_than: 1d, part: payload, into: {into}}}\n")
    into.rename(tmp_path / "unplugged")
    assert runs.sweep("  - delete-empty: {idle_for: 1d}\n") == {}


def test_session_whose_payload_went_under_another_name_is_not_taken_for_empty(agents: Agents) -> None:
    for project in ("a", "b"):
        at = f"projects/{project}/{SESSION}"
        agents.put(f"{at}.json", opendev.record(SESSION, NOW - 9 * DAY, NOW - 3 * DAY, metadata={}))
        agents.put(f"{at}.jsonl", b"")
        agents.put(f"{at}.debug", b'{"x":1}\n')
    agents.sweep(PAYLOADS)
    assert counting(agents.place) == [f"{SESSION}@a+payload", f"{SESSION}@b+payload"]
    shutil.rmtree(agents.root / "projects/b")
    assert agents.sweep("  - delete-empty: {idle_for: 1d}\n") == {}


def test_session_and_its_payload_are_no_two_sessions_that_a_name_may_mean(runs: Runs) -> None:
    runs.add(ID)
    before = runs.files()
    runs.sweep(PAYLOADS)
    runs.sweep(WHOLE)
    maint.restore([ID[:-2]], [runs.place])
    assert runs.files() == before


def test_session_behind_a_link_comes_back_by_its_id_though_another_one_begins_so(runs: Runs) -> None:
    runs.add("run", at="nightly")
    runs.add("run2")
    before = runs.files()
    runs.sweep(PRUNE)
    maint.restore(["run"], [runs.place])
    assert set(runs.files()) == {path for path in before if path.startswith("nightly/")}


def test_taking_back_mixes_no_files_of_two_sessions(agents: Agents) -> None:
    agents.add(debug=b"{}\n")
    run = agents.run(PRUNE)
    agents.put(f"projects/-home-ana-app/{SESSION}.json", b"another")
    maint.undo(run.id, [agents.place])
    assert [path for path in agents.files() if SESSION in path] == [
        f"store/projects/-home-ana-app/{SESSION}.json"
    ]


def kill(store: Store, run: Run, *back: str) -> None:
    """As if a run had been killed before it said what became of its actions, and had not come to these files."""
    journal = store.root / f".maint/journal/{run.id}.ndjson"
    lines = journal.read_text().splitlines()
    begun = [line for line in lines if json.loads(line)["type"] not in {"outcome", "end", "indexed"}]
    journal.write_text("".join(f"{line}\n" for line in begun))
    for path in back:
        (store.root / f".maint/trash/{run.id}/data/{path}").rename(store.root / path)


def test_file_that_could_not_go_back_does_so_when_its_run_is_taken_back(agents: Agents) -> None:
    agents.add(debug=b"{}\n")
    before = agents.files()
    run = agents.run(PRUNE)
    at = f"projects/-home-ana-app/{SESSION}"
    kill(agents, run, f"{at}.debug")
    agents.put(f"{at}.json", b"another")
    maint.sweep(rules("  - litter: {older_than: 99d}\n"), [agents.place])  # which settles it
    (agents.root / f"{at}.json").unlink()
    maint.undo(run.id, [agents.place])
    assert {path: data for path, data in agents.files().items() if SESSION in path} == before


def test_killed_run_gives_back_what_it_can(agents: Agents) -> None:
    agents.add(debug=b"{}\n")
    run = agents.run(PRUNE)
    at = f"projects/-home-ana-app/{SESSION}"
    kill(agents, run, f"{at}.debug")
    agents.put(f"{at}.json", b"another")
    maint.sweep(rules("  - litter: {older_than: 99d}\n"), [agents.place])
    assert (agents.root / f"{at}.jsonl").exists()


def plan_file(store: Store, actions: list[dict[str, object]], roots: dict[str, str] | None = None) -> Path:
    """A plan that says this, made by somebody else."""
    head = {
        "type": "plan",
        "run": new_run_id(NOW, b"abc"),
        "at": timestamp(NOW, None),
        "policy": "",
        "policy_sha256": "",
        "stores": {
            "mine": {
                "kind": store.kind,
                "path": str(store.root),
                "sessions": 1,
                "bytes": 1,
                "roots": roots or dict(store.place.roots),
            }
        },
    }
    lines = [head, *actions, {"type": "summary", "sessions": 1}]
    path = store.folder / "plan.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def action(verb: str, members: list[tuple[str, str, Path]], **more: object) -> dict[str, object]:
    prints = [[r, p, list(msgspec.structs.astuple(opening.fingerprint(f.lstat())))] for r, p, f in members]
    return {
        "type": "action",
        "verb": verb,
        "pass": "x",
        "store": "mine",
        "session": "x",
        "path": "x",
        "bytes": 1,
        "reason": "x",
        "members": prints,
    } | more


def test_plan_that_takes_a_session_for_a_list_of_sessions_is_refused(agents: Agents) -> None:
    agents.add()
    path = f"projects/-home-ana-app/{SESSION}.json"
    plan = plan_file(agents, [action("recover", [("data", path, agents.root / path)], index=["data", path])])
    with pytest.raises(PlanUnusable):
        maint.apply(read_plan(str(plan)))
    assert json.loads((agents.root / path).read_bytes())["id"] == SESSION


def test_plan_with_a_folder_elsewhere_under_another_label_is_refused(runs: Runs) -> None:
    runs.add(ID)
    mine = runs.put("../documents/logs/thesis.txt", b"mine")
    label = targets.label_of("/srv/else")
    roots = dict(runs.place.roots) | {label: str(runs.folder / "documents")}
    plan = plan_file(runs, [action("prune", [(label, "logs/thesis.txt", mine)])], roots)
    with pytest.raises(PlanUnusable):
        maint.apply(read_plan(str(plan)))


@pytest.mark.parametrize("passes", [WHOLE, PRUNE])
def test_plan_is_carried_out_though_a_folder_elsewhere_is_gone_since(runs: Runs, passes: str) -> None:
    runs.add(ID, at="nightly")
    runs.add(OTHER)
    planned = maint.plan(rules(passes), [runs.place]).plan
    assert planned is not None
    said = [msgspec.to_builtins(each) for store in planned.stores for each in store.actions()]
    plan = plan_file(runs, said)
    shutil.rmtree(runs.folder / "nightly")
    done = maint.apply(read_plan(str(plan))).summary
    assert (sum(done.done.values()), done.failed + done.skipped, done.lost) == (1, 1, 0)


@pytest.mark.parametrize("passes", [WHOLE, PRUNE])
def test_killed_run_is_settled_though_a_folder_elsewhere_is_gone_since(runs: Runs, passes: str) -> None:
    runs.add(ID, at="nightly")
    run = runs.run(passes)
    kill(runs, run)
    shutil.rmtree(runs.folder / "nightly")
    runs.add(OTHER)
    assert runs.sweep(PRUNE) == {Verb.PRUNE: 1}


def test_one_folder_is_one_store_however_many_ways_lead_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"XDG_DATA_HOME": str(tmp_path / "data")}
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data/opendev/projects").mkdir(parents=True)
    (tmp_path / ".opendev").symlink_to(tmp_path / "data/opendev")
    assert [place.name for place in places_named((), env)] == ["opendev"]
    (tmp_path / ".opendev").unlink()
    (tmp_path / ".opendev").mkdir()
    assert [place.name for place in places_named((), env)] == ["opendev", "opendev@xdg"]
