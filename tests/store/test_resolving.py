"""What leads root astray is refused: links of others to what is not theirs, and paths that others can bend."""

import errno
import os
from pathlib import Path

import pytest

from store import opening, resolving

HIM, HER = 64_001, 64_002

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make links of other users")


def folder(path: Path, owner: int = 0) -> Path:
    path.mkdir()
    os.chown(path, owner, owner)
    return path


def link(path: Path, target: Path | str, owner: int) -> Path:
    path.symlink_to(target)
    os.lchown(path, owner, owner)
    return path


def leads_to(path: Path) -> Path:
    fd = opening.open_folder(str(path))
    try:
        return Path(os.readlink(f"/proc/self/fd/{fd}"))
    finally:
        os.close(fd)


def test_link_leads_to_what_is_its_makers_own(tmp_path: Path) -> None:
    his = folder(tmp_path / "his", HIM)
    assert leads_to(link(tmp_path / "link", his, HIM)) == his


def test_link_of_root_leads_anywhere(tmp_path: Path) -> None:
    his = folder(tmp_path / "his", HIM)
    assert leads_to(link(tmp_path / "link", his, 0)) == his


@pytest.mark.parametrize("owner", [0, HER])
def test_link_to_what_is_another_ones_is_refused(tmp_path: Path, owner: int) -> None:
    folder(tmp_path / "other", owner)
    with pytest.raises(PermissionError, match="a link of another user"):
        leads_to(link(tmp_path / "link", tmp_path / "other", HIM))


def test_link_in_the_middle_of_a_path_is_seen(tmp_path: Path) -> None:
    (folder(tmp_path / "vault") / "store").mkdir()
    link(tmp_path / "link", "vault", HIM)
    with pytest.raises(PermissionError):
        leads_to(tmp_path / "link/store")


def test_link_behind_a_link_is_seen(tmp_path: Path) -> None:
    folder(tmp_path / "vault")
    link(tmp_path / "two", "./vault", HIM)
    with pytest.raises(PermissionError):
        leads_to(link(tmp_path / "one", tmp_path / "two/../two", 0))


def test_path_without_links_may_be_written_in_any_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    his = folder(tmp_path / "his", HIM)
    monkeypatch.chdir(tmp_path)
    assert leads_to(Path("his")) == his
    assert leads_to(Path(f"{tmp_path}//./his/../his/")) == his


def test_link_that_changes_while_it_is_followed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, vault = folder(tmp_path / "own", HIM), folder(tmp_path / "vault", HIM)
    path = link(tmp_path / "link", vault, HIM)
    real = resolving._is_plain

    def swapped(asked: str, fd: int) -> bool:
        path.unlink()
        link(path, own, HIM)
        return real(asked, fd)

    monkeypatch.setattr(resolving, "_is_plain", swapped)
    with pytest.raises(OSError, match="another folder is there now"):
        leads_to(path)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    link(tmp_path / "one", "two", 0)
    link(tmp_path / "two", "one", 0)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        leads_to(tmp_path / "one")


def test_path_of_root_alone_is_fixed(tmp_path: Path) -> None:
    (folder(tmp_path / "ours") / "inner").mkdir()
    link(tmp_path / "link", "ours/inner", HIM)
    assert resolving.fixed_path(str(tmp_path / "ours/inner")) == str(tmp_path / "ours/inner")
    assert resolving.fixed_path(str(tmp_path / "link")) == str(tmp_path / "ours/inner")


def test_path_that_others_can_bend_is_not_fixed(tmp_path: Path) -> None:
    ours = folder(tmp_path / "ours")
    (ours / "inner").mkdir()
    ours.chmod(0o775)
    assert resolving.fixed_path(str(ours / "inner")) is None
    ours.chmod(0o1777)
    assert resolving.fixed_path(str(ours / "inner")) == str(ours / "inner")
    os.chown(ours / "inner", HIM, HIM)
    assert resolving.fixed_path(str(ours / "inner")) is None
    assert resolving.fixed_path(str(tmp_path / "missing")) is None
