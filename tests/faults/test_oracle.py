"""The oracle says what is where by bytes alone, and takes nothing for kept that its owner could not get back."""

import shutil
from pathlib import Path

import pytest
from oracle import Oracle
from stories import STORIES, World, alone

pytestmark = pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("zstd", "tar")),
    reason="there is no zstd or tar to look into packs",
)


def archived(folder: Path) -> tuple[World, Oracle, Path]:
    """A store whose sessions are in a pack, and that pack."""
    story = STORIES["rec: archive"]
    world = story.build(folder / "world")
    with alone():
        assert world.maint(*story.arguments(world)).code == 0
    (pack,) = (world.ours / "archive").glob("*.tar.zst")
    return world, Oracle(story.roots(world)), pack


def test_record_is_found_in_the_store_the_trash_and_a_pack(tmp_path: Path) -> None:
    story = STORIES["rec: sweep"]
    world = story.build(tmp_path / "other")
    oracle = Oracle(story.roots(world))
    treasure = oracle.treasure()
    assert world.maint("sweep").code == 0
    assert oracle.missing(treasure) == []
    world, oracle, _ = archived(tmp_path)
    where = {copy.where for copies in oracle.copies().values() for copy in copies}
    assert where == {"store", "pack"}


def test_record_in_a_pack_without_its_name_is_lost(tmp_path: Path) -> None:
    _, oracle, pack = archived(tmp_path)
    treasure = oracle.treasure()
    pack.rename(pack.with_name(pack.name.replace(".tar.zst", ".new")))
    assert {missing.records > 0 for missing in oracle.missing(treasure)} == {True}


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_record_in_a_torn_pack_is_lost(cut: float, tmp_path: Path) -> None:
    _, oracle, pack = archived(tmp_path)
    treasure = oracle.treasure()
    data = pack.read_bytes()
    pack.write_bytes(data[: int(len(data) * cut)])
    assert oracle.missing(treasure)


def test_record_that_a_mark_takes_away_counts_no_more_but_is_there(tmp_path: Path) -> None:
    world, oracle, pack = archived(tmp_path)
    treasure = oracle.treasure()
    session = next(iter(world.maint("list", "--archived", "--json").lines))["session"]
    marks = pack.with_name(pack.name.replace(".tar.zst", ".marks"))
    marks.write_text(f'{{"session":"{session}","why":"expired","run":"x","at":0}}\n')
    (missing,) = oracle.missing(treasure)
    assert missing.key[1] == f"{session}.ndjson"
    assert oracle.missing(treasure._replace(counting={})) == []


def test_half_a_session_is_a_mixture_and_its_lost_records_are_counted(tmp_path: Path) -> None:
    story = STORIES["rec: sweep"]
    world = story.build(tmp_path)
    oracle = Oracle(story.roots(world))
    treasure = oracle.treasure()
    selves = {key: {data} for key, data in oracle.in_store().items()}
    path = max(world.sessions.glob("*.ndjson"), key=lambda each: each.stat().st_size)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert oracle.mixed(selves, story.is_session) == [("sessions", path.name)]
    (missing, *_) = oracle.missing(treasure)
    assert (missing.key, missing.records) == (("sessions", path.name), 1)
