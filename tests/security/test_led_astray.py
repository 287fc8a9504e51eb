"""What led root astray, each by itself: links and folders that somebody else put in root's way."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from robbed_world import Robbed, in_vault, replace_by_link
from thief import THIEF, as_thief, folder, needs_root, needs_zstd

from maint import finding, owner, places, reaching
from store.targets import is_target

__all__ = ["folder"]

pytestmark = [needs_root, needs_zstd]


@pytest.fixture
def his(folder: Path) -> Robbed:
    return Robbed(folder / "his", "rec", shared=False)


def wrong(world: Robbed, *verbs: list[str]) -> list[str]:
    return world.wrong(world.all_as_root(verbs or world.verbs()))


def test_what_root_does_in_the_store_of_somebody_else_leaves_it_his(his: Robbed) -> None:
    assert wrong(his) == []


def test_store_that_its_owner_makes_a_link_to_a_store_of_root_is_refused(his: Robbed) -> None:
    replace_by_link(his, his.sessions, in_vault(his, his.sessions))
    answer = his.as_root("sweep")
    assert (answer.code, "a link of another user" in answer.err) == (74, True)
    assert wrong(his) == []


def test_archive_that_its_owner_makes_a_link_is_not_listed_to_him(his: Robbed) -> None:
    replace_by_link(his, his.ours / "archive", in_vault(his, his.ours / "archive"))
    assert wrong(his, ["list", "--archived"], ["show", his.packed], ["status"], ["sweep"]) == []


def test_our_folder_that_its_owner_makes_a_link_is_not_followed(his: Robbed) -> None:
    replace_by_link(his, his.ours, in_vault(his, his.ours))
    assert wrong(his) == []


def test_folder_for_copies_that_is_made_a_link_is_refused(his: Robbed) -> None:
    replace_by_link(his, his.out, his.vault)
    pack = f"{his.ours}/archive/{his.pack}"
    verbs = (["restore", his.packed, "--to", str(his.out)], ["salvage", pack, "--to", str(his.out)])
    assert [his.as_root(*verb).code for verb in verbs] == [74, 74]
    assert wrong(his, *verbs) == []


def test_pack_that_is_a_link_to_what_its_owner_may_not_read_is_not_salvaged(his: Robbed) -> None:
    pack = his.ours / "archive" / his.pack
    (theirs,) = (in_vault(his, his.ours) / "archive").glob("*.tar.zst")
    replace_by_link(his, pack, theirs)
    out = his.thief / "salvaged"
    assert wrong(his, ["salvage", str(pack), "--to", str(out)], ["salvage", his.pack, "--to", str(out)]) == []
    assert not out.exists()


def test_copies_in_a_folder_of_root_are_his_who_owns_the_folder(his: Robbed) -> None:
    out = his.folder / "copies"
    out.mkdir(mode=0o700)
    assert his.as_root("restore", "*", "--to", str(out)).code == 0
    found = list(out.rglob("*"))
    assert found
    assert wrong(his, ["list"]) == []


def test_store_that_becomes_another_ones_between_two_looks_is_refused(
    his: Robbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = his.place
    real = owner._owner_at

    def looked_at_too_early(path: str) -> int:
        assert real(path) == THIEF
        return 0

    monkeypatch.setattr(owner, "_owner_at", looked_at_too_early)
    with owner.as_owner(place.path), pytest.raises(PermissionError, match="owner changed"):
        reaching.open_roots(place)
    assert {his.as_root(*verb).code for verb in (["sweep"], ["log"], ["list", "--archived"])} == {74}
    assert wrong(his, ["sweep"], ["log"], ["verify"]) == []


def test_catalogue_is_not_made_by_root_where_others_can_bend_its_path(folder: Path) -> None:
    world = Robbed(folder / "shared", "rec", shared=True)
    (world.ours / "catalogue.sqlite").unlink()
    assert world.as_root("list", "--archived").out.count(world.packed) == 1
    assert not (world.ours / "catalogue.sqlite").exists()


def test_journal_of_a_database_that_names_a_file_elsewhere_removes_nothing_of_others(his: Robbed) -> None:
    """SQLite removes the file that a journal names as its head: with whose rights matters."""
    path = his.ours / "catalogue.sqlite"
    victim = his.folder / "victim"
    victim.write_bytes(b"mine")
    name = os.fsencode(victim)
    size = os.stat(path).st_size
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA page_size").fetchone() == (4096,)
    head = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"".join(
        number.to_bytes(4, "big") for number in (0, 0, size // 4096, 512, 4096)
    )
    page = ((1 << 30) // 4096 + 1).to_bytes(4, "big")
    end = page + name + len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + head[:8]
    with as_thief():
        Path(f"{path}-journal").write_bytes(head.ljust(512, b"\0") + end)
    for verb in (["list", "--archived"], ["show", his.packed], ["status"], ["sweep"]):
        his.as_root(*verb)
    assert victim.read_bytes() == b"mine"


def test_folder_elsewhere_that_goes_before_its_session_is_read_is_no_defect(folder: Path) -> None:
    world = Robbed(folder / "his", "outrig", shared=False)
    place, session = next(
        found for found in finding.sessions(None, places(world.policy)) if is_target(found[1].members[0].root)
    )
    shutil.move(place.roots[session.members[0].root], folder / "away")
    with pytest.raises(FileNotFoundError):
        list(finding.content(place, session, raw=True))
