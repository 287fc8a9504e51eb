"""The names in a folder: all of them, once, in order, however many there are."""

import errno
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import listing, opening
from store.listing import Listed, Names, lists, names_in

names_of_files = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MANY", 20)
    monkeypatch.setattr(listing, "_AT_ONCE", 7)
    monkeypatch.setattr(listing, "_PARTS", 4)
    monkeypatch.setattr(listing, "_WAITING", 3)


def listed(names: list[str], at_once: int = 7) -> "list[str] | Names":
    found = Listed()
    for start in range(0, len(names), at_once):
        found.take(names[start : start + at_once])
    return found.in_order()


@settings(deadline=None, database=None)
@given(names=st.lists(names_of_files, unique=True, max_size=80), seed=st.integers())
def test_all_names_come_once_and_in_order(names: list[str], seed: int) -> None:
    random.Random(seed).shuffle(names)
    found = listed(names)
    assert (list(found), len(found)) == (sorted(names), len(names))
    assert [each for some in lists(found) for each in some] == sorted(names)


def test_few_names_are_a_list_and_many_are_not() -> None:
    assert isinstance(listed([str(number) for number in range(20)]), list)
    assert isinstance(listed([str(number) for number in range(28)]), Names)


def test_many_names_know_their_own() -> None:
    found = listed([f"{number:03}" for number in range(0, 200, 2)])
    assert [f"{number:03}" in found for number in range(200)] == [number % 2 == 0 for number in range(200)]


def test_names_that_are_no_utf8_come_back_as_they_were() -> None:
    names = [os.fsdecode(b"\xff%d" % number) for number in range(40)]
    assert list(listed(names)) == sorted(names)


def test_names_that_come_later_and_lie_elsewhere_are_in_order_too() -> None:
    """The parts are made by the first ones, and nobody says that the others are like them."""
    names = [f"a{number:03}" for number in range(30)] + [f"{letter}{n}" for letter in "0zm" for n in range(9)]
    assert list(listed(names)) == sorted(names)


def test_one_list_at_a_time_is_in_memory() -> None:
    found = listed([f"{number:04}" for number in random.Random(1).sample(range(4000), 4000)])
    sizes = [len(some) for some in lists(found)]
    assert (len(sizes) > 3, sum(sizes)) == (True, 4000)


def test_folder_is_listed_some_names_at_a_time(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / str(number)).touch()
    folder = opening.open_folder(str(tmp_path))
    some = list(names_in(folder))
    os.close(folder)
    assert (max(map(len, some)), sorted(name for each in some for name in each)) == (
        7,
        sorted(map(str, range(30))),
    )


@pytest.mark.parametrize("lasts", [0, 1, 3])
def test_where_there_is_no_room_names_wait_in_memory(lasts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:03}" for number in random.Random(2).sample(range(300), 300)]
    real = tempfile.TemporaryFile

    class Full:
        """A file on a disk that is full after some writes, the last of which is cut short."""

        def __init__(self, **how: Any) -> None:
            self._real = real(**how)
            self._left = lasts

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def write(self, data: bytes) -> int:
            self._left -= 1
            if self._left == 0:
                return int(self._real.write(data[:3]))
            if self._left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return int(self._real.write(data))

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    found = listed(names)
    assert (list(found), len(found), "007" in found) == (sorted(names), 300, True)


def test_where_there_is_no_place_for_a_file_names_wait_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(**_: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", nowhere)
    names = [f"{number:03}" for number in range(100)]
    assert list(listed(names)) == names
