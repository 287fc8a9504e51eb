"""The program as its users start it, beside what they would start otherwise: whole processes, from start to end."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks import corpora, line_loop, recordings, whole
from benchmarks.beside import Beside, Times
from benchmarks.corpora import Corpus
from benchmarks.floor import Floor
from benchmarks.standing import sweeping
from benchmarks.stands import Anew
from benchmarks.test_survey import OTHERS
from benchmarks.whole import PROGRAM, command
from store.layout import Layout, known_layouts

REMOVED = 2_000
"""Sessions in the store that things are removed from, which is made anew for every round."""


CRASHED = 300
"""Crashed sessions in the store in which nothing else is wrong, which is made anew, too."""

DAYS = 365
"""What is older goes, where something is removed."""

JQ = 100
"""Sessions that the shell loop looks at, as it starts two processes for each."""

LOOP = (
    """while read -r file; do tail -n 1 "$file" | jq -e '.type == "footer"' || echo "$file"; done < "$1" """
)
ENDS = "both ends of every file, in C"


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_start(beside: Beside, option: str) -> None:
    beside(
        f"maint {option}",
        command(PROGRAM, option),
        {"python -c pass": command(sys.executable, "-c", "pass")},
        rounds=15,
    )


def test_plan_of_nothing(beside: Beside, tmp_path: Path) -> None:
    policy = whole.policy_file(tmp_path / "policy.yaml", _empty(tmp_path), whole.TIDYING)
    beside(
        "maint plan of an empty store",
        command(*whole.plan(policy, 1.8e9)),
        {"python -c pass": command(sys.executable, "-c", "pass")},
        rounds=15,
    )


def _empty(folder: Path) -> Corpus:
    corpus = Corpus("rec", folder / "empty", 1.8e9)
    for path in corpus.paths.values():
        Path(path).mkdir(parents=True)
    return corpus


@pytest.mark.parametrize(
    ("what", "passes"), [("the default passes", whole.TIDYING), ("keep rules", whole.KEEPING)]
)
def test_plan(
    beside: Beside,
    floor: Floor | None,
    tmp_path: Path,
    store: Corpus,
    sessions: int,
    what: str,
    passes: tuple[str, ...],
) -> None:
    policy = whole.policy_file(tmp_path / "policy.yaml", store, passes)
    beside(
        f"maint plan, {what}, a session",
        command(*whole.plan(policy, store.at)),
        {
            ENDS: ends(floor, store),
            "find -mtime +365": command("find", store.paths["path"], "-mtime", "+365"),
        },
        per=sessions,
        rounds=5,
    )


@pytest.mark.parametrize("kind", [kind for kind in corpora.REALISTIC if kind != "rec"])
def test_plan_of_another_kind(
    beside: Beside, floor: Floor | None, tmp_path: Path, corpora_folder: Path, sessions: int, kind: str
) -> None:
    count = max(1, sessions // OTHERS)
    corpus = corpora.realistic(corpora_folder, count, kind=kind)
    policy = whole.policy_file(tmp_path / "policy.yaml", corpus, whole.TIDYING)
    beside(
        f"maint plan of {kind}, a session",
        command(*whole.plan(policy, corpus.at)),
        {ENDS: ends(floor, corpus)},
        per=count,
        rounds=5,
    )


def test_plan_beside_a_line_loop(beside: Beside, tmp_path: Path, store: Corpus, sessions: int) -> None:
    policy = whole.policy_file(tmp_path / "policy.yaml", store, whole.TIDYING)
    loop = command(sys.executable, line_loop.__file__, store.paths["path"])
    beside(
        "maint plan beside a line loop, a session",
        command(*whole.plan(policy, store.at)),
        {"python with a line loop with json": loop},
        per=sessions,
        rounds=3,
    )


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq here")
def test_plan_beside_a_shell_loop(beside: Beside, tmp_path: Path, store: Corpus, sessions: int) -> None:
    """Which sessions have no footer, as somebody finds out who has a shell."""
    policy = whole.policy_file(tmp_path / "policy.yaml", store, whole.TIDYING)
    names = sorted(Path(store.paths["path"]).iterdir())[:JQ]
    (tmp_path / "names").write_text("".join(f"{name}\n" for name in names))
    beside(
        "maint plan beside a shell loop, a session",
        command(*whole.plan(policy, store.at)),
        {"a shell loop with jq": Times(command("sh", "-c", LOOP, "sh", str(tmp_path / "names")), JQ)},
        per=sessions,
        rounds=3,
    )


class Old(NamedTuple):
    """A store that is made anew for every round, of which everything goes that is older than a year."""

    store: Anew
    aside: Path
    names: Path
    many: int

    def fresh(self) -> None:
        self.store.fresh()
        shutil.rmtree(self.aside, ignore_errors=True)
        self.aside.mkdir()

    def moving(self, floor: Floor | None, source: Path, target: Path) -> Callable[[], None] | None:
        """A rename of each of the old ones, in C."""
        if floor is None:
            return None
        return command(floor.program, "move", str(source), str(target), str(self.names))


@pytest.fixture
def old(corpora_folder: Path, tmp_path: Path) -> Old:
    pristine = corpora.realistic(corpora_folder, REMOVED)
    anew = Anew(pristine, tmp_path, (f"prune: {{older_than: {DAYS}d}}",))
    limit = time.time() - DAYS * recordings.DAY
    with os.scandir(pristine.paths["path"]) as entries:
        names = [
            each.name for each in entries if each.name.endswith(".ndjson") and each.stat().st_mtime < limit
        ]
    (tmp_path / "names").write_text("".join(f"{name}\n" for name in names))
    return Old(anew, tmp_path / "aside", tmp_path / "names", len(names))


@pytest.mark.parametrize("verb", ["apply", "sweep"])
def test_removing(beside: Beside, floor: Floor | None, tmp_path: Path, old: Old, verb: str) -> None:
    """To the trash with a journal, or, with find, for ever."""
    stand, saved = old.store.stand, tmp_path / "plan.ndjson"

    def fresh() -> None:
        old.fresh()
        saved.unlink(missing_ok=True)
        if verb == "apply":
            command(*stand.verb("plan", "-o", str(saved)))()

    beside(
        f"maint {verb}, a session removed",
        command(*((PROGRAM, "apply", str(saved)) if verb == "apply" else stand.verb("sweep"))),
        {
            "find -mtime -delete": command(*sweeping.find(stand.sessions, DAYS)),
            "a rename each, in C": old.moving(floor, stand.sessions, old.aside),
        },
        per=old.many,
        fresh=fresh,
        rounds=3,
    )


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="there is no systemd-tmpfiles here")
def test_removing_beside_tmpfiles(beside: Beside, tmp_path: Path, old: Old) -> None:
    stand = old.store.stand
    clean = command(*sweeping.tmpfiles(stand.sessions, DAYS, tmp_path / "bench.conf"))
    beside(
        "maint sweep beside tmpfiles, a session removed",
        command(*stand.verb("sweep")),
        {"systemd-tmpfiles --clean": clean},
        per=old.many,
        fresh=old.fresh,
        rounds=3,
    )


def test_undo(beside: Beside, floor: Floor | None, tmp_path: Path, old: Old) -> None:
    """All of it back in its place."""
    stand, back = old.store.stand, tmp_path / "back"
    run: list[str] = []

    def ours() -> None:
        command(*stand.verb("undo", *run))()

    def fresh() -> None:
        old.fresh()
        shutil.rmtree(back, ignore_errors=True)
        back.mkdir()
        for name in old.names.read_text().splitlines():
            shutil.copy2(stand.sessions / name, old.aside)
        said = subprocess.run(
            stand.verb("sweep", "--json"), check=True, capture_output=True, env=whole.environment()
        )
        run[:] = [json.loads(said.stdout.splitlines()[-1])["run"]]

    references = {"a rename each, in C": old.moving(floor, old.aside, back)}
    beside("maint undo, a session back", ours, references, per=old.many, fresh=fresh, rounds=3)


def test_sweep_with_nothing_to_do(beside: Beside, floor: Floor | None, tmp_path: Path, store: Corpus) -> None:
    """Every night but the first."""
    anew = Anew(store, tmp_path)
    anew.fresh()
    sweep = command(*anew.stand.verb("sweep"))
    sweep()
    beside(
        "maint sweep with nothing to do, a session",
        sweep,
        {ENDS: ends(floor, anew.stand.corpus)},
        per=len(anew.stand.files()),
        rounds=5,
    )


def test_recovering_many(beside: Beside, floor: Floor | None, tmp_path: Path, corpora_folder: Path) -> None:
    anew = Anew(corpora.alike(corpora_folder, CRASHED, "crashed"), tmp_path, ("recover: {idle_for: 24h}",))
    bare = None if floor is None else command(floor.program, "renew", str(anew.stand.sessions))
    beside(
        "maint sweep, a session recovered",
        command(*anew.stand.verb("sweep")),
        {"a bare durable rewrite each, in C": bare},
        per=CRASHED,
        fresh=anew.fresh,
        rounds=3,
    )


@pytest.mark.parametrize("layout", known_layouts().values(), ids=lambda layout: layout.kind)
def test_sweep_of_specimens(
    beside: Beside, floor: Floor | None, tmp_path: Path, corpora_folder: Path, layout: Layout
) -> None:
    """The first sweep over a store in which every ailment is as frequent as health."""
    anew = Anew(corpora.multiplied(corpora_folder, layout, REMOVED // 4), tmp_path)
    beside(
        f"maint sweep of {layout.kind}, a session of its specimens",
        command(*anew.stand.verb("sweep")),
        {ENDS: ends(floor, anew.stand.corpus)},
        per=REMOVED // 4,
        fresh=anew.fresh,
        rounds=3,
    )


def ends(floor: Floor | None, corpus: Corpus) -> Callable[[], None] | None:
    """Both ends of every file, in C, as a process."""
    return None if floor is None else command(floor.program, "survey", *corpus.paths.values())
