import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bare_root import path, root

from store import names, opening
from store.change import move_to_trash, put_back
from store.facts import Member
from store.roots import RootFds
from store.trash import list_trash

__all__ = ["path", "root"]

RUN = names.new_run_id(1770628443, b"abc")
FAST = "/dev/shm"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    if not os.path.isdir(FAST) or os.stat(FAST).st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield Path(folder)


def test_folder_that_a_killed_run_may_have_left_unsynced_is_synced_once(
    path: Path, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "a/b").mkdir(parents=True)
    (path / "a/c").mkdir()
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    with RootFds({"sessions": str(path)}) as roots:
        roots.folder("sessions", "a/b")
        roots.folder("sessions", "a/c")
        roots.folder("sessions", "a/b")
    top, a = os.fstat(root).st_ino, (path / "a").stat().st_ino
    assert synced == [top, a, a]


def test_roots_keep_few_folders_open_and_close_all(path: Path, root: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with RootFds({"sessions": str(path), "state": str(path)}) as roots:
        for number in range(50):
            os.fstat(roots.folder("state", f"f{number}"))
        assert len(os.listdir("/proc/self/fd")) <= before + 2 + 8
        assert roots.home("state") == "sessions"
    assert len(os.listdir("/proc/self/fd")) == before


def test_root_that_is_added_is_like_the_others(path: Path, tmp_path: Path, root: int) -> None:
    (tmp_path / "more").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with RootFds({"sessions": str(path)}) as roots:
        roots.add("archive", str(tmp_path / "more"))
        assert (roots.labels, roots.first, roots.home("archive")) == (
            ("sessions", "archive"),
            "sessions",
            "sessions",
        )
        assert roots.stat("archive").st_ino == (tmp_path / "more").stat().st_ino
        roots.folder("archive", "a/b")
        roots.forget()
        with pytest.raises(FileNotFoundError):
            roots.add("other", str(tmp_path / "none"))
        with pytest.raises(ValueError, match="already"):
            roots.add("archive", str(path))
        assert roots.labels == ("sessions", "archive")
    assert (tmp_path / "more/a/b").is_dir()
    assert len(os.listdir("/proc/self/fd")) == before


def test_root_on_another_file_system_keeps_its_own_trash(path: Path) -> None:
    with RootFds({"sessions": str(path.parent), "state": "/proc"}) as roots:
        assert roots.home("state") == "state"


def test_missing_root_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        RootFds({"sessions": str(tmp_path), "state": str(tmp_path / "none")})
    assert len(os.listdir("/proc/self/fd")) == before


def test_root_on_a_second_device_is_its_own_home_and_the_others_share_the_first(
    path: Path, root: int, elsewhere: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    with RootFds({"sessions": str(path), "state": str(tmp_path / "state"), "cache": str(elsewhere)}) as roots:
        assert [roots.home(label) for label in roots.labels] == ["sessions", "sessions", "cache"]


def test_first_root_decides_whose_home_it_is(path: Path, root: int, elsewhere: Path) -> None:
    with RootFds({"cache": str(elsewhere), "sessions": str(path)}) as roots:
        assert (roots.home("cache"), roots.home("sessions")) == ("cache", "sessions")


def test_members_on_two_devices_go_each_to_its_own_trash_and_come_back(
    path: Path, root: int, elsewhere: Path
) -> None:
    members = []
    for label, folder in (("sessions", path), ("cache", elsewhere)):
        (folder / "a").write_text(label)
        members.append(Member(label, "a", opening.fingerprint((folder / "a").stat())))
    with RootFds({"sessions": str(path), "cache": str(elsewhere)}) as roots:
        move_to_trash(roots, tuple(members), RUN)
        kept = [(each.home, each.root, each.path) for each in list_trash(roots)]
        assert kept == [("sessions", "sessions", "a"), ("cache", "cache", "a")]
        assert (elsewhere / names.trash_path(RUN, "cache", "a")).read_text() == "cache"
        for member in members:
            put_back(roots, RUN, member.root, member.path)
    assert ((path / "a").read_text(), (elsewhere / "a").read_text()) == ("sessions", "cache")


@pytest.fixture
def many(tmp_path: Path) -> dict[str, str]:
    """Three hundred roots."""
    for number in range(300):
        (tmp_path / f"many/{number}").mkdir(parents=True)
    return {f"r{number}": str(tmp_path / f"many/{number}") for number in range(300)}


def test_of_very_many_roots_few_are_open_before_they_are_needed(many: dict[str, str]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with RootFds(many) as roots:
        assert len(os.listdir("/proc/self/fd")) <= before + 8
        assert (roots.labels, roots.first) == (tuple(many), "r0")
        assert {roots.home(label) for label in roots.labels} == {"r0"}
        assert roots.stat("r299").st_ino == os.stat(many["r299"]).st_ino
        assert len(os.listdir("/proc/self/fd")) <= before + 8
        assert os.path.samestat(os.fstat(roots["r299"]), os.stat(many["r299"]))
        assert roots["r299"] == roots["r299"]
        roots.folder("r200", "a")
        with pytest.raises(ValueError, match="already"):
            roots.add("r250", many["r250"])
        with pytest.raises(KeyError):
            roots["r300"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_root_that_was_swapped_before_it_was_needed_is_not_worked_in(many: dict[str, str]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with RootFds(many) as roots:
        os.rename(many["r299"], many["r299"] + "away")
        with pytest.raises(FileNotFoundError):
            roots["r299"]
        os.mkdir(many["r299"])
        for _ in range(2):
            with pytest.raises(OSError, match="another folder is there now"):
                roots["r299"]
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("make", [Path.unlink, lambda _: None], ids=["missing", "file"])
def test_late_root_that_is_no_folder_is_an_error_at_once(
    many: dict[str, str], tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "none").touch()
    make(tmp_path / "none")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=r"none"):
        RootFds(many | {"none": str(tmp_path / "none")})
    assert len(os.listdir("/proc/self/fd")) == before


def test_folder_that_need_not_last_is_not_waited_for_but_is_when_it_must(
    path: Path, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    with RootFds({"sessions": str(path)}) as roots:
        roots.folder("sessions", "a", lasting=False)
        assert synced == []
        roots.folder("sessions", "a")
        assert synced == [path.stat().st_ino]


def test_folder_that_is_gone_is_made_and_made_durable_again(
    path: Path, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    with RootFds({"sessions": str(path)}) as roots:
        for _ in range(2):
            roots.folder("sessions", "a")
            (path / "a").rmdir()
            roots.lost("sessions", "a")
    assert synced == [path.stat().st_ino] * 2
    assert len(os.listdir("/proc/self/fd")) == before


def test_existing_folder_is_kept_open_and_a_missing_one_is_not_made(path: Path, root: int) -> None:
    (path / "a").mkdir()
    with RootFds({"sessions": str(path)}) as roots:
        assert roots.existing("sessions", "a") == roots.existing("sessions", "a")
        with pytest.raises(FileNotFoundError):
            roots.existing("sessions", "b")
    assert [entry.name for entry in path.iterdir()] == ["a"]


def test_folder_that_was_only_opened_is_synced_before_a_file_goes_there(
    path: Path, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "a").mkdir()
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    with RootFds({"sessions": str(path)}) as roots:
        roots.existing("sessions", "a")
        assert synced == []
        roots.folder("sessions", "a")
    assert synced == [path.stat().st_ino]
