"""All kinds of stores in one sweep, where their programs keep them: nobody has to say where that is."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from maint.demo import write_specimens
from store.layout import known_layouts, layout_of

MAINT = [sys.executable, "-c", "from maint.cli import main; main()"]


class Home:
    """A home with a store of every kind at its default place, each with every ailment."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self.path.mkdir()
        self.env = {"HOME": str(self.path), "PATH": os.environ["PATH"], "TZ": "UTC", "LANG": "C.UTF-8"}
        self.env |= {"TMPDIR": str(folder)}
        self.now = float(int(time.time()))

    def fill(self, kind: str, which: str = "") -> dict[str, str]:
        """Write the specimens of a kind at one of its default places; its roots."""
        layout = layout_of(kind)
        roots = dict(layout.default_roots(self.env, str(self.path), sys.platform)[which])
        fitting = [
            each for each in layout.specimens(self.now) if {root for root, _ in each.files} <= roots.keys()
        ]
        write_specimens(roots, fitting)
        return roots

    def maint(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MAINT, *arguments], env=self.env, capture_output=True, text=True, check=False, timeout=120
        )

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        answer = self.maint(*arguments, "--json")
        assert "Traceback" not in answer.stderr, answer.stderr
        return [json.loads(line) for line in answer.stdout.split("\n") if line]

    def files(self) -> dict[str, bytes | str]:
        """Everything that is not ours."""
        return {
            str(path.relative_to(self.path)): os.readlink(path) if path.is_symlink() else path.read_bytes()
            for path in self.path.rglob("*")
            if ".maint" not in path.parts and (path.is_symlink() or path.is_file())
        }


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_stores_of_every_kind_are_found_and_swept_in_one_run(home: Home) -> None:
    for kind in known_layouts():
        home.fill(kind)
    plan, *_, summary = home.lines("sweep")
    assert set(plan["stores"]) == set(known_layouts())
    assert (summary["failed"], summary["lost"], summary["skipped"]) == (0, 0, 0)
    assert {"recover", "delete-empty", "remove-litter", "unlock"} <= set(summary["done"])
    assert home.lines("sweep")[-1]["done"] == {}


def test_run_over_every_kind_can_be_taken_back_as_a_whole(home: Home) -> None:
    for kind in known_layouts():
        home.fill(kind)
    before = home.files()
    run = home.lines("sweep")[0]["run"]
    assert home.files() != before
    answer = home.maint("undo", run)
    assert (answer.returncode, home.files()) == (0, before)


def test_sweep_without_any_store_says_nothing_and_makes_nothing(home: Home) -> None:
    answer = home.maint("sweep")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert list(home.path.iterdir()) == []


def test_opendev_is_looked_after_in_both_places_and_neither_is_made(home: Home) -> None:
    roots = home.fill("opendev", "xdg")
    plan = home.lines("sweep")[0]
    assert list(plan["stores"]) == ["opendev@xdg"]
    assert not (home.path / ".opendev").exists()
    home.fill("opendev")
    stores = home.lines("plan", "--store", "opendev")[0]["stores"]
    assert stores["opendev@xdg"]["path"] == roots["data"]
    assert stores["opendev"]["path"] == str(home.path / ".opendev")
    assert list(home.lines("plan", "--store", "opendev@xdg")[0]["stores"]) == ["opendev@xdg"]


def test_one_name_in_a_policy_means_both_places(home: Home, tmp_path: Path) -> None:
    home.fill("opendev")
    home.fill("opendev", "xdg")
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nstores:\n  code: {kind: opendev}\npasses:\n"
        "  - delete-empty: {idle_for: 2d, stores: code, where: {store: code}}\n"
    )
    lines = home.lines("plan", "--policy", str(policy))
    assert {line["store"] for line in lines if line["type"] == "action"} == {"code", "code@xdg"}


def test_nothing_of_ours_lies_where_opendev_would_take_it_for_a_project(home: Home) -> None:
    roots = home.fill("opendev")
    home.maint("sweep")
    home.maint("archive", "--older-than", "1s", "--store", "opendev")
    ours = list(Path(roots["data"]).rglob(".maint"))
    assert ours == [Path(roots["data"]) / ".maint"]
