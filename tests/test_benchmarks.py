"""What the benchmarks stand on, without a clock: corpora, copies, references, tables and pictures."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from benchmarks import corpora, counts, drawing, line_loop, plots, promises, recordings
from benchmarks.census import census, tail
from benchmarks.floor import compiled
from benchmarks.promises import Figure
from benchmarks.standing import sweeping
from benchmarks.whole import command
from store.layout import known_layouts

DAY = recordings.DAY


def names_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


# Corpora.


def test_same_seed_gives_the_same_files_and_another_does_not() -> None:
    for make in corpora.REALISTIC.values():
        once, again, other = (list(make(60, seed, 1.8e9)) for seed in (1, 1, 2))
        assert once == again
        assert once != other


def test_corpus_is_built_once_and_anew_when_its_stamp_is_of_another_make(tmp_path: Path) -> None:
    first = corpora.realistic(tmp_path, 30)
    files = {each.name: each.stat().st_ino for each in Path(first.paths["path"]).iterdir()}
    assert corpora.realistic(tmp_path, 30) == first
    assert files == {each.name: each.stat().st_ino for each in Path(first.paths["path"]).iterdir()}
    stamp = first.folder.parent / "stamp.json"
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"digest": "of an older make"}))
    Path(first.paths["path"], "stale").touch()
    assert "stale" not in names_in(Path(corpora.realistic(tmp_path, 30).paths["path"]))


def test_realistic_store_is_known_for_every_kind() -> None:
    assert corpora.REALISTIC.keys() == known_layouts().keys()


@pytest.mark.parametrize("kind", [kind for kind in corpora.REALISTIC if kind != "rec"])
def test_realistic_store_holds_every_state_that_the_specimens_of_its_kind_show(
    kind: str, tmp_path: Path
) -> None:
    corpus = corpora.realistic(tmp_path, 400, kind=kind)
    wanted = {
        f"{each.state}{', empty' if each.empty else ''}"
        for each in corpus.layout.specimens(corpus.at)
        if each.state is not None
    }
    assert wanted <= census(corpus).states.keys()


@pytest.mark.parametrize("kind", corpora.REALISTIC)
def test_one_session_in_a_hundred_holds_most_of_the_bytes(kind: str, tmp_path: Path) -> None:
    assert tail(census(corpora.realistic(tmp_path, 1_500, kind=kind)).sizes) > 0.5


def test_store_of_one_state_holds_no_other(tmp_path: Path) -> None:
    assert census(corpora.alike(tmp_path, 50, "complete", 1)).states.keys() == {"complete"}
    assert census(corpora.alike(tmp_path, 50, "crashed")).states.keys() == {"crashed"}


def test_links_of_a_copy_lead_into_the_copy(tmp_path: Path) -> None:
    corpus = corpora.multiplied(tmp_path, known_layouts()["outrig"], 60)
    copy = corpora.copied(corpus, tmp_path / "copy")
    links = [each for each in Path(copy.paths["path"]).iterdir() if each.is_symlink()]
    assert len(links) > 4
    for link in links:
        assert os.readlink(link).startswith(f"{copy.folder}/")
    assert (
        sum(link.exists() for link in links) == len(links) - 1
    )  # one of them leads to a folder that is gone
    assert census(copy) == census(corpus)


# References.


@pytest.fixture
def aged(tmp_path: Path) -> Path:
    """A folder with a file for every half of a day of the last month, and one that is not a session."""
    folder = tmp_path / "aged"
    folder.mkdir()
    for half in range(60):
        path = folder / f"{half}.ndjson"
        path.touch()
        changed = time.time() - half * DAY / 2 - 3600
        os.utime(path, (changed, changed))
    return folder


def test_find_and_tmpfiles_delete_the_same_files_and_those_alone_that_are_old(
    aged: Path, tmp_path: Path
) -> None:
    expected = {f"{half}.ndjson" for half in range(20)}
    copy = tmp_path / "copy"
    shutil.copytree(aged, copy)
    command(*sweeping.find(aged, 10))()
    assert names_in(aged) == expected
    if shutil.which("systemd-tmpfiles") is None:
        pytest.skip("there is no systemd-tmpfiles here")
    command(*sweeping.tmpfiles(copy, 10, tmp_path / "bench.conf"))()
    assert names_in(copy) == expected


def test_line_loop_counts_the_sessions_that_have_no_footer(tmp_path: Path) -> None:
    whole, crashed = corpora.alike(tmp_path, 20, "complete", 3), corpora.alike(tmp_path, 20, "torn", 3)
    assert line_loop.unfinished(whole.paths["path"]) == 0
    assert line_loop.unfinished(crashed.paths["path"]) == 20


def test_floor_that_rewrites_keeps_every_byte_and_makes_new_files(tmp_path: Path) -> None:
    floor = compiled(tmp_path)
    if floor is None:
        pytest.skip("there is no C compiler here, or no Linux")
    folder = Path(corpora.alike(tmp_path, 20, "complete").paths["path"])
    before = {each.name: (each.read_bytes(), each.stat().st_ino) for each in folder.iterdir()}
    command(floor.program, "renew", str(folder))()
    after = {each.name: (each.read_bytes(), each.stat().st_ino) for each in folder.iterdir()}
    assert before.keys() == after.keys()
    for name, (content, inode) in before.items():
        assert after[name][0] == content
        assert after[name][1] != inode


def test_calls_are_counted_once_with_the_bytes_that_were_read(tmp_path: Path) -> None:
    if not counts.available():
        pytest.skip("there is no strace here")
    few, many = tmp_path / "few", tmp_path / "many"
    few.write_bytes(bytes(1_000))
    many.write_bytes(bytes(9_000))
    less, more = (counts.traced(["md5sum", str(path)], tmp_path) for path in (few, many))
    assert more.pop("bytes") - less.pop("bytes") == 8_000
    assert more == less


# What is said.


FIGURES = [
    promises.count("calls | none", 5, most=4),
    promises.times("time | theirs", [1.0, 1.2], [1.0, 1.0], most=1.5),
    promises.unknown("cold", "no root", "<= 0.25"),
]


def test_broken_promise_is_told_from_a_kept_one_and_from_one_that_was_not_measured() -> None:
    assert [figure.kept for figure in FIGURES] == [False, True, None]
    assert promises.broken(FIGURES)
    assert not promises.broken(FIGURES[1:])


def test_table_for_a_readme_has_as_many_cells_in_each_row() -> None:
    rows = promises.markdown([*FIGURES, Figure("a | b", "1")])
    assert {row.count("|") for row in rows} == {7}


def test_history_compares_only_what_was_measured_in_the_same_way() -> None:
    one, other = (
        {"form": "short", "machine": {"processors": 2}},
        {"form": "whole", "machine": {"processors": 2}},
    )
    assert plots.comparable([one, other, one, other, other]) == [other, other, other]
    assert plots.comparable([]) == []


def test_picture_comes_out_the_same_byte_for_byte_and_without_a_date(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawing.prepare()
    profile = {
        "sessions": 10,
        "phases": [{"phase": "survey", "seconds": 2.0, "more": 1}, {"phase": "end", "seconds": 0.001}],
        "passes": {"prune": 1.5, "recover": {"judging": 0.1, "changing": {"seconds": 1.0, "times": 3}}},
    }
    checks = [
        {"date": f"2026-11-{day}T00:00:00", "commit": None, "ratios": {"a": day / 10, "b": 2.0}}
        for day in (10, 11, 12)
    ]
    sizes = [{"sessions": 10, "plan": 0.1, "floor": 0.01}, {"sessions": 100, "plan": 0.2}]
    for picture, records in ((drawing.cost, sizes), (drawing.phases, [profile]), (drawing.history, checks)):
        for name in ("once.svg", "again.svg"):
            drawing.save(picture(records), tmp_path / name)
        once = (tmp_path / "once.svg").read_bytes()
        assert once == (tmp_path / "again.svg").read_bytes()
        assert not re.search(rb"<dc:date>", once)
