import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import syscalls


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture(params=["native", "by number", "without"])
def rename_call(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the ways to rename, from the one that modern systems have down to none."""
    if request.param == "by number":
        libc = syscalls._libc()

        class Old:
            syscall = libc.syscall

        monkeypatch.setattr(syscalls, "_libc", Old)
        monkeypatch.setattr(syscalls, "_rename_call", syscalls._rename_call.__wrapped__)
    elif request.param == "without":
        monkeypatch.setattr(syscalls, "_rename_call", lambda: None)
    return str(request.param)


def test_rename_gives_a_free_name(rename_call: str, folder: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    syscalls.rename_noreplace("a", "b", src_dir_fd=folder, dst_dir_fd=folder)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_rename_replaces_nothing(rename_call: str, folder: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError) as caught:
        syscalls.rename_noreplace("a", "b", src_dir_fd=folder, dst_dir_fd=folder)
    assert (caught.value.filename, caught.value.filename2) == ("a", "b")
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("a", "b")


def test_rename_does_not_follow_a_dangling_link_at_the_new_name(
    rename_call: str, folder: int, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").symlink_to("elsewhere")
    with pytest.raises(FileExistsError):
        syscalls.rename_noreplace("a", "b", src_dir_fd=folder, dst_dir_fd=folder)


def test_rename_moves_a_folder_and_not_over_a_full_one(rename_call: str, folder: int, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    syscalls.rename_noreplace("a", "b", src_dir_fd=folder, dst_dir_fd=folder)
    with pytest.raises(OSError, match=r"\[Errno (17|39)\]"):
        syscalls.rename_noreplace("b", "full", src_dir_fd=folder, dst_dir_fd=folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "full"]


def test_rename_of_nothing_says_so(rename_call: str, folder: int) -> None:
    with pytest.raises(FileNotFoundError):
        syscalls.rename_noreplace("a", "b", src_dir_fd=folder, dst_dir_fd=folder)


def test_name_with_a_zero_byte_is_no_shorter_name(folder: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with pytest.raises(ValueError, match="null byte"):
        syscalls.rename_noreplace("a\0x", "b", src_dir_fd=folder, dst_dir_fd=folder)


def test_name_that_is_no_text_is_renamed(folder: int, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe\n")
    (tmp_path / name).write_text("a")
    syscalls.rename_noreplace(name, "b", src_dir_fd=folder, dst_dir_fd=folder)
    assert (tmp_path / "b").read_text() == "a"


def test_exchange_swaps_two_files(folder: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    syscalls.rename_exchange("a", "b", src_dir_fd=folder, dst_dir_fd=folder)
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("b", "a")


def test_exchange_needs_both_names(folder: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    with pytest.raises(FileNotFoundError):
        syscalls.rename_exchange("a", "b", src_dir_fd=folder, dst_dir_fd=folder)


def test_exchange_says_where_it_cannot_be(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    monkeypatch.setattr(syscalls, "_rename_call", lambda: None)
    with pytest.raises(syscalls.Unsupported) as caught:
        syscalls.rename_exchange("a", "b", src_dir_fd=folder, dst_dir_fd=folder)
    assert caught.value.errno == errno.ENOSYS
    assert (tmp_path / "a").read_text() == "a"


def test_syncfs_syncs_and_reports(folder: int) -> None:
    syscalls.syncfs(folder)
    with pytest.raises(OSError, match="Bad file descriptor"):
        syscalls.syncfs(-1)


def test_child_dies_with_its_parent() -> None:
    # The parent forks a child that waits for ever, tells its pid, and dies; the pipe closes when both are gone.
    script = """
import os, signal
from store.syscalls import die_with_parent
ready, tell = os.pipe()
parent = os.getpid()
if os.fork() == 0:
    die_with_parent(parent)
    os.write(tell, b"x")
    while True:
        signal.pause()
os.read(ready, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b""  # returns only once the child has closed it, too


def test_child_that_comes_too_late_ends_at_once() -> None:
    script = "from store.syscalls import die_with_parent; die_with_parent(1 << 22); print('alive')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (-9, "")
