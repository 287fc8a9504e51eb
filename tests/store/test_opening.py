import os
import socket
import stat
from pathlib import Path

import pytest
from bare_root import path, root

from store import opening
from store.folders import make_folders

__all__ = ["path", "root"]


def read(fd: int) -> bytes:
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def reason(root: int, name: str) -> str | None:
    return opening.refuse_reason(os.stat(name, dir_fd=root, follow_symlinks=False), os.fstat(root))


def test_root_may_be_a_link(tmp_path: Path, root: int, path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    fd = opening.open_folder(str(tmp_path / "link"))
    assert os.path.samestat(os.fstat(fd), os.fstat(root))
    os.close(fd)


def test_root_that_is_a_fifo_fails_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(NotADirectoryError):
        opening.open_folder(str(tmp_path / "fifo"))


def test_file_below_is_opened(root: int, path: Path) -> None:
    (path / "a/b").mkdir(parents=True)
    (path / "a/b/c").write_text("c")
    assert read(opening.open_below(root, "a/b/c")) == b"c"


@pytest.mark.parametrize(
    "relative", ["", ".", "..", "/etc/passwd", "a/../b", "a//b", "./a", "a/", "a\0b", "a/.."]
)
def test_path_that_could_leave_the_root_is_refused(root: int, path: Path, relative: str) -> None:
    (path / "a").mkdir()
    with pytest.raises(ValueError, match="not a path below"):
        opening.open_below(root, relative)
    with pytest.raises(ValueError, match="not a path below"):
        make_folders(root, relative)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd"])
def test_session_is_opened_by_its_name_alone(root: int, name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        opening.open_session(root, name)


def test_link_on_the_way_is_not_followed(root: int, path: Path) -> None:
    (path / "real").mkdir()
    (path / "real/file").touch()
    (path / "link").symlink_to("real")
    with pytest.raises(NotADirectoryError):
        opening.open_below(root, "link/file")
    with pytest.raises(NotADirectoryError):
        make_folders(root, "link/deeper")
    assert [entry.name for entry in (path / "real").iterdir()] == ["file"]


def test_link_at_the_end_is_not_followed(root: int, path: Path) -> None:
    (path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic link") as caught:
        opening.open_session(root, "link")
    assert opening.refused_open(caught.value) == "is a symbolic link"


def test_fifo_does_not_make_us_wait(root: int, path: Path) -> None:
    os.mkfifo(path / "fifo")
    fd = opening.open_session(root, "fifo")
    assert opening.refuse_reason(os.fstat(fd), os.fstat(root)) == "is a FIFO"
    os.close(fd)


def test_socket_cannot_be_opened_and_is_named(root: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path)  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(OSError, match="No such device") as caught:
            opening.open_session(root, "socket")
    assert opening.refused_open(caught.value) == "is a socket or a device"
    assert reason(root, "socket") == "is a socket"


def test_what_is_no_session_is_named(root: int, path: Path) -> None:
    (path / "folder.ndjson").mkdir()
    (path / "link").symlink_to("nowhere")
    (path / "one").touch()
    os.link(path / "one", path / "two")
    os.mknod(path / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    assert reason(root, "folder.ndjson") == "is a folder"
    assert reason(root, "link") == "is a symbolic link"
    assert reason(root, "one") == "has more than one hard link"
    assert reason(root, "device") == "is a device"


def test_plain_file_is_not_refused(root: int, path: Path) -> None:
    (path / "one").touch()
    assert reason(root, "one") is None


def test_file_of_another_user_is_refused(root: int, path: Path) -> None:
    (path / "one").touch()
    os.chown(path / "one", 12345, -1)
    assert reason(root, "one") == "belongs to another user than its folder"


def test_file_of_another_file_system_is_refused(root: int, path: Path) -> None:
    (path / "one").touch()
    other = os.stat("/proc/self/stat")
    folder = os.stat_result([*os.fstat(root)[:2], other.st_dev, *os.fstat(root)[3:]])
    assert (
        opening.refuse_reason((path / "one").stat(), folder) == "lies on another file system than its folder"
    )


def test_no_descriptor_is_left_behind(root: int, path: Path) -> None:
    (path / "a/b").mkdir(parents=True)
    (path / "a/b/link").symlink_to(".")
    before = len(os.listdir("/proc/self/fd"))
    for relative in ("a/b/link", "a/b/link/x", "a/b/none", "none/x"):
        with pytest.raises(OSError, match="Errno"):
            opening.open_below(root, relative)
    with pytest.raises(OSError, match="Errno"):
        make_folders(root, "a/b/link/x")
    assert len(os.listdir("/proc/self/fd")) == before
