"""A folder that is the root of a store with nothing in it, as a path and as a descriptor: fixtures."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import opening


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def root(path: Path) -> Iterator[int]:
    fd = opening.open_folder(str(path))
    yield fd
    os.close(fd)
