"""What a look at a name finds."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import looking

LONG = "x" * 300
"""No file system here lets a file have such a name."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "there").touch()
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_file_is_found_by_its_name_and_by_its_path(folder: int) -> None:
    assert (
        looking.stat_at(folder, "there")
        == looking.stat_below(folder, "there")
        == os.stat("there", dir_fd=folder)
    )


@pytest.mark.parametrize("path", ["none", "none/in", LONG, f"{LONG}/in"])
def test_nothing_has_a_name_that_nothing_can_have(folder: int, path: str) -> None:
    assert looking.stat_below(folder, path) is None
    if "/" not in path:
        assert looking.stat_at(folder, path) is None


def test_folder_that_is_a_file_is_an_error(folder: int) -> None:
    with pytest.raises(NotADirectoryError):
        looking.stat_below(folder, "there/in")
