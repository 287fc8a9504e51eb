import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pack_world import open_fds

from store import archives, names
from store.archives import ensure, labels, unreachable, with_archives
from store.durable import Poisoned
from store.facts import Place
from store.roots import RootFds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def place(path: Path) -> Place:
    return Place("mine", "rec", {"sessions": str(path)})


@pytest.fixture
def roots(place: Place) -> Iterator[RootFds]:
    before = open_fds()
    with RootFds(place.roots) as roots:
        yield roots
    assert open_fds() == before


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def record(path: Path, told: Any) -> None:
    (path / names.FOLDER).mkdir(exist_ok=True)
    data = told if isinstance(told, bytes) else json.dumps(told).encode()
    (path / names.ARCHIVES).write_bytes(data)


def known(place: Place) -> dict[str, str]:
    return {label: where for label, where in with_archives(place).roots.items() if label != "sessions"}


def test_store_without_packs_is_as_it_was(place: Place, roots: RootFds, path: Path) -> None:
    assert with_archives(place) is place
    assert (labels(roots), unreachable(place, roots)) == ([], [])
    assert list(path.iterdir()) == []


def test_packs_lie_in_the_store_unless_said_otherwise(place: Place, roots: RootFds, path: Path) -> None:
    made, label = ensure(place, roots, None)
    assert (label, made.roots["archive"]) == ("archive", str(path / names.ARCHIVE))
    assert labels(roots) == ["archive"]
    assert (path / names.ARCHIVE).stat().st_mode & 0o777 == 0o700
    assert ensure(made, roots, None) == (made, label)
    assert with_archives(place) == made
    assert not (path / names.ARCHIVES).exists()


def test_folder_elsewhere_is_found_again_by_whoever_has_the_store(
    place: Place, roots: RootFds, path: Path, elsewhere: Path
) -> None:
    made, label = ensure(place, roots, str(elsewhere))
    (folder,) = elsewhere.iterdir()
    assert (folder.name, made.roots[label]) == (f"mine-{label[-6:]}", str(folder))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert names.is_archive_root(label)
    assert with_archives(place) == made
    with RootFds(with_archives(place).roots) as others:
        assert labels(others) == [label]
        again, same = ensure(with_archives(place), others, f"{elsewhere}/../elsewhere/")
    assert (again.roots[same], same) == (str(folder), label)
    assert list(elsewhere.iterdir()) == [folder]
    assert not (path / names.ARCHIVES_NEW).exists()


def test_each_folder_elsewhere_is_a_root_of_its_own(
    place: Place, roots: RootFds, path: Path, elsewhere: Path, tmp_path: Path
) -> None:
    (tmp_path / "third").mkdir()
    one, first = ensure(place, roots, str(elsewhere))
    two, second = ensure(one, roots, str(tmp_path / "third"))
    both, own = ensure(two, roots, None)
    assert (len({first, second, own}), len(both.roots)) == (3, 4)
    assert with_archives(place).roots == both.roots
    assert labels(roots) == [first, second, own]


def test_two_stores_share_a_folder_without_sharing_packs(
    place: Place, roots: RootFds, elsewhere: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Place("mine", "rec", {"sessions": str(tmp_path / "other")})
    ensure(place, roots, str(elsewhere))
    with RootFds(other.roots) as roots_of_other:
        ensure(other, roots_of_other, str(elsewhere))
    assert len(list(elsewhere.iterdir())) == 2


def test_name_of_a_store_is_no_path(roots: RootFds, path: Path, elsewhere: Path) -> None:
    odd = Place("../../x y/\n\u202e", "rec", {"sessions": str(path)})
    ensure(odd, roots, str(elsewhere))
    (folder,) = elsewhere.iterdir()
    assert folder.name.startswith("..-..-x-y----")


def test_folder_that_is_missing_is_an_error_and_nothing_is_made(
    place: Place, roots: RootFds, path: Path, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        ensure(place, roots, str(tmp_path / "unmounted"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        ensure(place, roots, str(tmp_path / "file"))
    assert {each.name for each in tmp_path.iterdir()} == {"store", "file"}
    assert list(path.iterdir()) == []


def test_folder_that_was_unmounted_is_an_error_and_named(
    place: Place, roots: RootFds, path: Path, elsewhere: Path
) -> None:
    made, label = ensure(place, roots, str(elsewhere))
    (folder,) = elsewhere.iterdir()
    folder.rename(path.parent / "away")
    with RootFds(place.roots) as others:
        assert unreachable(made, others) == [str(folder)]
        with pytest.raises(FileNotFoundError):
            ensure(made, others, str(elsewhere))
    assert list(elsewhere.iterdir()) == []
    assert known(place) == {label: str(folder)}


def test_full_disk_leaves_no_folder_that_nobody_knows(
    place: Place, roots: RootFds, path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(OSError, match="no space"):
        ensure(place, roots, str(elsewhere))
    monkeypatch.undo()
    assert list(elsewhere.iterdir()) == []
    assert not (path / names.ARCHIVES_NEW).exists()
    ensure(place, roots, str(elsewhere))
    assert len(known(place)) == 1


def test_record_that_may_be_there_keeps_its_folder(
    place: Place, roots: RootFds, path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def failing(fd: int) -> None:
        if (path / names.ARCHIVES).exists():
            raise OSError(errno.EIO, "input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Poisoned):
        ensure(place, roots, str(elsewhere))
    assert list(known(place).values()) == [str(each) for each in elsewhere.iterdir()]


def test_what_a_kill_left_of_a_record_is_no_hindrance(
    place: Place, roots: RootFds, path: Path, elsewhere: Path
) -> None:
    record(path, [])
    (path / names.ARCHIVES_NEW).write_text("half")
    ensure(place, roots, str(elsewhere))
    assert len(known(place)) == 1


GOOD = {"label": "archive-0a1b2c", "path": "/srv/packs/mine-0a1b2c"}


def test_record_is_what_a_person_can_read(place: Place, path: Path) -> None:
    record(path, [GOOD])
    assert known(place) == {GOOD["label"]: GOOD["path"]}


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"text",
        b"\xff",
        b"null",
        b"{}",
        b"[[]]",
        b"[" * 100_000,
        b'[{"x":' + b"[" * 100_000,
        b'[{"label":"archive-0a1b2c","path":"/x\\ud800"}]',
        b" " * (2 << 20),
        [{}],
        [{"label": 1, "path": "/x"}],
        [{"label": "archive-0a1b2c"}],
        [{**GOOD, "label": "sessions"}],
        [{**GOOD, "label": "archive"}],
        [{**GOOD, "label": "archive-"}],
        [{**GOOD, "label": "archive-0A1B2C"}],
        [{**GOOD, "label": "archive-0a1b2c\n"}],
        [{**GOOD, "path": ""}],
        [{**GOOD, "path": "x"}],
        [{**GOOD, "path": "../x"}],
        [{**GOOD, "path": "/a/../b"}],
        [{**GOOD, "path": "/a//b"}],
        [{**GOOD, "path": "/a/"}],
        [{**GOOD, "path": "/a\0b"}],
    ],
)
def test_record_that_we_would_not_have_written_is_none(place: Place, path: Path, told: Any) -> None:
    record(path, told)
    assert known(place) == {}


def test_one_wrong_line_costs_that_line(place: Place, path: Path) -> None:
    record(path, [{**GOOD, "path": "x"}, GOOD])
    assert known(place) == {GOOD["label"]: GOOD["path"]}


def test_folders_are_known_once_and_not_more_than_there_are_descriptors_for(
    place: Place, roots: RootFds, path: Path, elsewhere: Path
) -> None:
    ensure(place, roots, None)
    same = [
        GOOD,
        {**GOOD, "label": "archive-ffffff"},
        {**GOOD, "path": "/other"},
        {"label": "archive-000001", "path": str(path)},
        {"label": "archive-000002", "path": str(path / names.ARCHIVE)},
    ]
    record(path, same)
    assert known(place) == {"archive": str(path / names.ARCHIVE), GOOD["label"]: GOOD["path"]}
    record(path, [{"label": f"archive-{n:06x}", "path": f"/{n}"} for n in range(3000)])
    assert len(known(place)) == 1 + 64
    with pytest.raises(OSError, match="too many folders"):
        ensure(place, roots, str(elsewhere))
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "make",
    [os.mkdir, os.mkfifo, lambda name: os.symlink("/etc/passwd", name), lambda name: os.mkdir(name, 0)],
)
def test_record_that_is_no_file_is_none(place: Place, path: Path, make: Callable[[Path], None]) -> None:
    (path / names.FOLDER).mkdir()
    make(path / names.ARCHIVES)
    before = open_fds()
    assert known(place) == {}
    assert open_fds() == before


def test_fifo_that_somebody_writes_to_makes_nobody_wait(place: Place, path: Path) -> None:
    (path / names.FOLDER).mkdir()
    os.mkfifo(path / names.ARCHIVES)
    writer = os.open(path / names.ARCHIVES, os.O_RDWR | os.O_NONBLOCK)
    assert known(place) == {}
    os.close(writer)


def test_folder_of_ours_that_is_a_link_is_not_written_through(
    place: Place, roots: RootFds, path: Path, tmp_path: Path, elsewhere: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (path / names.FOLDER).symlink_to(tmp_path / "outside")
    for into in (None, str(elsewhere)):
        with pytest.raises(OSError, match=r"."):
            ensure(place, roots, into)
    assert list((tmp_path / "outside").iterdir()) == list(elsewhere.iterdir()) == []


def test_unreachable_folders_are_only_those_of_packs(place: Place, roots: RootFds) -> None:
    more = Place("mine", "rec", {**place.roots, "state": "/nowhere", "archive-0a1b2c": "/nowhere/x"})
    assert unreachable(more, roots) == ["/nowhere/x"]
    assert archives.labels(roots) == []


def test_record_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "store/.maint").mkdir(parents=True)
    (tmp_path / "cold").mkdir()
    record = tmp_path / "store" / names.ARCHIVES
    record.write_bytes(b"[{half")
    place = Place("rec", "rec", {"sessions": str(tmp_path / "store")})
    with RootFds(place.roots) as roots, pytest.raises(OSError, match="look at it, or move it away"):
        archives.ensure(place, roots, str(tmp_path / "cold"))
    assert record.read_bytes() == b"[{half"
    assert list((tmp_path / "cold").iterdir()) == []
