"""The program as its users start it, beside what they would start otherwise: whole processes, from start to end."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import corpora, whole
from benchmarks.beside import Beside
from benchmarks.corpora import Corpus
from benchmarks.floor import Floor
from benchmarks.whole import PROGRAM, command

REMOVED = 2_000
"""Sessions in the store that things are removed from, which is made anew for every round."""


def test_start(beside: Beside) -> None:
    beside(
        "maint --version",
        command(PROGRAM, "--version"),
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
    path = store.paths["path"]
    beside(
        f"maint plan, {what}, a session",
        command(*whole.plan(policy, store.at)),
        {
            "both ends of every file, in C": None
            if floor is None
            else command(floor.program, "survey", path),
            "find -mtime +365": command("find", path, "-mtime", "+365"),
        },
        per=sessions,
        rounds=5,
    )


@pytest.mark.parametrize("verb", ["apply", "sweep"])
def test_removing(
    beside: Beside, floor: Floor | None, tmp_path: Path, corpora_folder: Path, verb: str
) -> None:
    """What is older than a year goes: to the trash with a journal, or, with find, for ever."""
    pristine = corpora.realistic(corpora_folder, REMOVED)
    victim = pristine._replace(folder=tmp_path / "victim")
    policy = whole.policy_file(tmp_path / "policy.yaml", victim, ("prune: {older_than: 365d}",))
    saved, aside = tmp_path / "plan.ndjson", tmp_path / "aside"
    path = victim.paths["path"]
    old = ("find", path, "-name", "*.ndjson", "-mtime", "+365")
    names = tmp_path / "names"

    def fresh() -> None:
        for each in (victim.folder, aside):
            shutil.rmtree(each, ignore_errors=True)
        corpora.copied(pristine, victim.folder)
        aside.mkdir()
        saved.unlink(missing_ok=True)
        if verb == "apply":
            command(*whole.plan(policy, pristine.at, "-o", str(saved)))()

    fresh()
    found = subprocess.run((*old, "-printf", "%f\n"), check=True, capture_output=True).stdout
    names.write_bytes(found)
    ours = (PROGRAM, "apply", str(saved)) if verb == "apply" else (PROGRAM, "sweep", "--policy", str(policy))
    beside(
        f"maint {verb}, a session removed",
        command(*ours),
        {
            "find -mtime +365 -delete": command(*old, "-delete"),
            "a rename each, in C": None
            if floor is None
            else command(floor.program, "move", path, str(aside), str(names)),
        },
        per=found.count(b"\n"),
        fresh=fresh,
        rounds=3,
    )
