"""Folders elsewhere: what a link led to is still known when the link is gone."""

import json
from pathlib import Path

import pytest

from store import names, targets
from store.facts import Place
from store.roots import RootFds


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "store").mkdir()
    return Place("s", "outrig", {"sessions": str(tmp_path / "store")})


def elsewhere(tmp_path: Path, name: str) -> dict[str, str]:
    path = tmp_path / name
    path.mkdir()
    return {targets.label_of(str(path)): str(path)}


def test_label_is_made_from_the_path_alone() -> None:
    assert targets.label_of("/srv/runs/nightly") == "dir-ef531eb903de7ce9"
    assert targets.is_target(targets.label_of("/srv/runs/nightly"))
    assert not targets.is_target("sessions")


def test_folder_that_was_recorded_is_a_root_when_no_link_leads_to_it_any_more(
    place: Place, tmp_path: Path
) -> None:
    found = elsewhere(tmp_path, "nightly")
    with_it = targets.with_targets(place, found)
    with RootFds(with_it.roots) as roots:
        targets.record(with_it, roots)
    assert targets.with_targets(place, {}).roots == {**place.roots, **found}


def test_record_is_only_added_to(place: Place, tmp_path: Path) -> None:
    first, second = elsewhere(tmp_path, "a"), elsewhere(tmp_path, "b")
    for found in (first, second):
        with_it = msg(place, found)
        with RootFds(with_it.roots) as roots:
            targets.record(with_it, roots)
    assert targets.with_targets(place, {}).roots == {**place.roots, **first, **second}


def msg(place: Place, found: dict[str, str]) -> Place:
    return Place(place.name, place.kind, {**place.roots, **found})


def test_store_without_links_gets_no_record(place: Place) -> None:
    with RootFds(place.roots) as roots:
        targets.record(place, roots)
    assert not (Path(place.path) / names.TARGETS).exists()


@pytest.mark.parametrize(
    "told", [{"dir-0000000000000000": "/etc"}, {"sessions": "/etc"}, {targets.label_of("x"): "x"}]
)
def test_record_that_says_what_none_of_ours_would_is_not_believed(place: Place, told: dict[str, str]) -> None:
    path = Path(place.path) / names.TARGETS
    path.parent.mkdir()
    path.write_text(json.dumps(told))
    assert targets.with_targets(place, {}) == place


def test_record_that_cannot_be_read_is_not_written_over(place: Place, tmp_path: Path) -> None:
    path = Path(place.path) / names.TARGETS
    path.parent.mkdir()
    path.write_bytes(b"[" * 100)
    with_it = targets.with_targets(place, elsewhere(tmp_path, "a"))
    with RootFds(with_it.roots) as roots, pytest.raises(OSError, match="cannot be read"):
        targets.record(with_it, roots)
    assert path.read_bytes() == b"[" * 100
