import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import opening


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    fd = opening.open_folder(str(tmp_path / "root"))
    yield fd
    os.close(fd)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "root"


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
        opening.make_folders(root, relative)


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
        opening.make_folders(root, "link/deeper")
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


def test_folders_are_made_private_and_found_again(root: int, path: Path) -> None:
    made = opening.make_folders(root, "a/b/c")
    again = opening.make_folders(root, "a/b/c")
    assert os.path.samestat(os.fstat(made), os.fstat(again))
    assert stat.S_IMODE((path / "a/b").stat().st_mode) == 0o700
    os.close(made)
    os.close(again)


def test_new_folder_is_synced_into_its_parent(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    first = os.fstat(root).st_ino
    fd = opening.make_folders(root, "a/b")
    os.close(fd)
    assert synced == [first, os.stat("a", dir_fd=root).st_ino]


def test_folder_that_a_killed_run_may_have_left_unsynced_is_synced_once(
    path: Path, root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "a/b").mkdir(parents=True)
    (path / "a/c").mkdir()
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    with opening.RootFds({"sessions": str(path)}) as roots:
        roots.folder("sessions", "a/b")
        roots.folder("sessions", "a/c")
        roots.folder("sessions", "a/b")
    top, a = os.fstat(root).st_ino, (path / "a").stat().st_ino
    assert synced == [top, a, a]


def test_folder_of_another_user_is_not_ours(root: int, path: Path) -> None:
    (path / ".maint").mkdir()
    os.chown(path / ".maint", 12345, -1)
    with pytest.raises(PermissionError):
        opening.make_folders(root, ".maint/trash")
    assert list((path / ".maint").iterdir()) == []


def test_no_descriptor_is_left_behind(root: int, path: Path) -> None:
    (path / "a/b").mkdir(parents=True)
    (path / "a/b/link").symlink_to(".")
    before = len(os.listdir("/proc/self/fd"))
    for relative in ("a/b/link", "a/b/link/x", "a/b/none", "none/x"):
        with pytest.raises(OSError, match="Errno"):
            opening.open_below(root, relative)
    with pytest.raises(OSError, match="Errno"):
        opening.make_folders(root, "a/b/link/x")
    assert len(os.listdir("/proc/self/fd")) == before


def test_roots_keep_few_folders_open_and_close_all(path: Path, root: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with opening.RootFds({"sessions": str(path), "state": str(path)}) as roots:
        for number in range(50):
            os.fstat(roots.folder("state", f"f{number}"))
        assert len(os.listdir("/proc/self/fd")) <= before + 2 + 8
        assert roots.home("state") == "sessions"
    assert len(os.listdir("/proc/self/fd")) == before


def test_root_on_another_file_system_keeps_its_own_trash(path: Path) -> None:
    with opening.RootFds({"sessions": str(path.parent), "state": "/proc"}) as roots:
        assert roots.home("state") == "state"


def test_missing_root_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        opening.RootFds({"sessions": str(tmp_path), "state": str(tmp_path / "none")})
    assert len(os.listdir("/proc/self/fd")) == before
