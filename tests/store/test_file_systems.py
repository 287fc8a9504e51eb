"""Which file systems are told to be none of this machine's own."""

import os
from pathlib import Path

import pytest

from store import file_systems


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(file_systems, "_MOUNTS", str(tmp_path / "mountinfo"))
    return tmp_path / "mountinfo"


def line(path: str, name: str, device: str = "0:9999", source: str = "x") -> str:
    escaped = path.replace(" ", "\\040")
    return f"36 35 {device} / {escaped} rw,noatime shared:1 master:2 - {name} {source} rw\n"


def device_of(path: Path) -> str:
    found = os.stat(path).st_dev
    return f"{os.major(found)}:{os.minor(found)}"


def unknown(*folders: Path) -> dict[str, str]:
    return file_systems.unknown((str(each), os.stat(each).st_dev) for each in folders)


def test_this_machine_s_own_are_known(tmp_path: Path) -> None:
    assert unknown(tmp_path) == {}


@pytest.mark.parametrize("name", ["nfs4", "cifs", "fuse.sshfs", "9p", "vfat", "madeup"])
def test_others_are_told_by_their_names(mounts: Path, tmp_path: Path, name: str) -> None:
    mounts.write_text(line("/", "ext4") + line("/elsewhere", name, device_of(tmp_path)))
    assert unknown(tmp_path) == {name: str(tmp_path)}


def test_what_was_mounted_last_hides_what_was_there(mounts: Path, tmp_path: Path) -> None:
    mounts.write_text(line("/", "nfs4", device_of(tmp_path)) + line("/", "ext4", device_of(tmp_path)))
    assert unknown(tmp_path) == {}


def test_folder_whose_device_is_no_mounts_is_told_by_its_place(mounts: Path, tmp_path: Path) -> None:
    store = tmp_path / "with space/store"
    store.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(store)
    mounts.write_text(line("/", "btrfs") + line(str(store.parent), "fuse.mergerfs"))
    for each in (store, link):
        assert unknown(each, tmp_path) == {"fuse.mergerfs": str(each)}


@pytest.mark.parametrize("told", ["", "\n\n", "36 35\n", "no dash at all here to be seen\n"])
def test_list_of_mounts_that_tells_nothing_tells_nothing(mounts: Path, tmp_path: Path, told: str) -> None:
    mounts.write_text(told)
    assert unknown(tmp_path) == {}


def test_where_there_is_no_list_nothing_is_known(mounts: Path, tmp_path: Path) -> None:
    assert unknown(tmp_path) == {}
