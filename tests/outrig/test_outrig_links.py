"""Sessions in folders of the user's choice, which the store holds a link to: followed only where outrig made it lead."""

import hashlib
import os
from pathlib import Path

import pytest
from outrig_world import BEGAN, GOING, ID, OTHER, STDERR, OutrigStore, paths

from store import targets
from store.facts import Member, Place, State
from store.layout import Moment
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.specimens import finished


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutrigStore:
    return OutrigStore(tmp_path, monkeypatch)


def label(folder: Path) -> str:
    return f"dir-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


def test_folder_that_a_link_leads_to_is_a_root_of_its_own(store: OutrigStore) -> None:
    folder = store.elsewhere(fs=STDERR)
    store.put("outrig-enter", b"\x7fELF", within=folder)
    store.put("notes.md", b"mine", within=folder)
    assert LAYOUT.targets(store.place) == {label(folder): str(folder)}
    found = store.facts()
    assert (found.state, found.id) == (State.COMPLETE, ID)
    assert paths(found.members) == ["session.json", "outrig-enter", "logs/fs.stderr"]
    assert {member.root for member in (*found.members, *found.payload)} == {label(folder)}
    assert store.problems() == []
    for member in (*found.members, *found.pointers):
        assert LAYOUT.knows(member.root, member.path)


def test_link_itself_leads_to_the_session_and_is_no_member(store: OutrigStore) -> None:
    store.elsewhere()
    (pointer,) = store.facts().pointers
    assert (pointer.root, pointer.path) == ("sessions", ID)
    assert pointer.fingerprint.inode == (store.sessions / ID).lstat().st_ino


def test_crashed_session_elsewhere_is_one(store: OutrigStore) -> None:
    store.containers()
    store.elsewhere(GOING, fs=STDERR)
    assert (store.facts().state, store.facts().empty) == (State.CRASHED, False)


def test_files_of_the_user_in_his_own_folder_are_no_problem_but_nothing_is_called_empty(
    store: OutrigStore,
) -> None:
    store.containers()
    folder = store.elsewhere(GOING)
    assert store.facts().empty is True
    store.put("result.txt", b"mine", within=folder)
    assert (store.facts().empty, store.problems()) == (None, [])


def test_relative_link_is_left_alone(store: OutrigStore) -> None:
    store.session(within=store.folder / "share/outrig/there")
    store.link("../there")
    assert (store.ids(), LAYOUT.targets(store.place)) == ([], {})
    assert store.problems() == [f"{ID}: leads to ../there, which is no absolute path; left alone"]


def test_link_to_a_link_is_left_alone(store: OutrigStore) -> None:
    folder = store.session(within=store.folder / "there")
    (store.folder / "second").symlink_to(folder)
    store.link(store.folder / "second")
    assert (store.ids(), LAYOUT.targets(store.place)) == ([], {})
    assert "lies behind another link" in store.problems()[0]


def test_link_through_a_link_is_left_alone(store: OutrigStore) -> None:
    store.session(within=store.folder / "there/nightly")
    (store.folder / "second").symlink_to(store.folder / "there")
    store.link(store.folder / "second/nightly")
    assert store.ids() == []
    assert "lies behind another link" in store.problems()[0]


@pytest.mark.parametrize("text", ["{}/x/../there", "{}//there", "{}/there/", "{}/./there"])
def test_link_that_is_not_spelled_as_outrig_does_is_left_alone(store: OutrigStore, text: str) -> None:
    store.session(within=store.folder / "there")
    (store.folder / "x").mkdir()
    store.link(text.format(store.folder))
    assert store.ids() == []
    assert "no path as outrig writes it" in store.problems()[0]


def test_two_links_to_one_folder_are_both_left_alone(store: OutrigStore) -> None:
    folder = store.elsewhere()
    store.link(folder, OTHER)
    assert (store.ids(), LAYOUT.targets(store.place)) == ([], {})
    first, second = store.problems()
    assert first.startswith(f"{ID}: leads to {folder}, to which {OTHER} leads, too")
    assert second.startswith(f"{OTHER}: leads to {folder}, to which {ID} leads, too")


def test_link_into_the_store_and_link_to_what_holds_it_are_left_alone(store: OutrigStore) -> None:
    folder = store.session(id_=OTHER, content=finished(OTHER, BEGAN))
    store.link(folder)
    store.link(store.sessions.parent, "20260918T131322-0a1d")
    store.link("/", "20260918T131323-0a1e")
    assert (store.ids(), LAYOUT.targets(store.place)) == ([OTHER], {})
    assert ["part of this store, or holds it" in each for each in store.problems()] == [True] * 3


def test_link_into_the_store_by_its_other_name_is_left_alone(store: OutrigStore, tmp_path: Path) -> None:
    store.session(id_=OTHER, content=finished(OTHER, BEGAN))
    store.link(store.sessions / OTHER)
    (tmp_path / "alias").symlink_to(store.sessions)
    assert LAYOUT.targets(Place("runs", "outrig", {"sessions": str(tmp_path / "alias")})) == {}


def test_link_to_another_file_system_is_left_alone(store: OutrigStore) -> None:
    if Path("/proc").stat().st_dev == store.sessions.stat().st_dev:
        pytest.skip("there is no other file system here")
    store.link("/proc")
    assert "lies on another file system" in store.problems()[0]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_link_to_another_users_folder_is_left_alone(store: OutrigStore) -> None:
    folder = store.elsewhere()
    os.chown(folder, 12345, 12345)
    assert (store.ids(), LAYOUT.targets(store.place)) == ([], {})
    assert "belongs to another user" in store.problems()[0]


def test_link_to_a_file_is_left_alone(store: OutrigStore) -> None:
    store.put("file", b"", within=store.folder)
    store.link(store.folder / "file")
    assert "no folder" in store.problems()[0]


def test_link_whose_folder_holds_no_record_stays_because_that_may_come_back(store: OutrigStore) -> None:
    folder = store.elsewhere()
    (folder / "session.json").unlink()
    assert LAYOUT.targets(store.place) == {label(folder): str(folder)}
    assert store.leftovers() == {}
    assert store.problems() == [
        f"{ID}: leads to {folder}, where no record is; it stays, in case that comes back"
    ]


def test_link_to_a_folder_that_is_not_looked_after_in_this_run_is_left_alone(store: OutrigStore) -> None:
    store.elsewhere()
    alone = Place("runs", "outrig", {"sessions": str(store.sessions)})
    listing = LAYOUT.discover(alone, Moment(store.now, 0.0))
    assert listing.entries == []
    assert "not looked after" in listing.problems[0].text


def test_more_links_than_are_followed_are_left_alone_the_last_ones(
    store: OutrigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(targets.MOST + 2):
        id_ = f"20260918T131320-{number:04x}"
        store.link(store.session(finished(id_, BEGAN), within=store.folder / f"runs/{number}"), id_)
    assert len(LAYOUT.targets(store.place)) == targets.MOST
    assert len(store.ids()) == targets.MOST
    assert [each[:20] for each in store.problems()] == ["20260918T131320-0100", "20260918T131320-0101"]


def test_link_that_leads_elsewhere_since_it_was_listed_is_left_alone(store: OutrigStore) -> None:
    store.elsewhere()
    place, listing = store.place, store.listing()
    (store.sessions / ID).unlink()
    store.link(store.session(within=store.folder / "runs/other"))
    (told,) = LAYOUT.read(place, listing.context, listing.entries)
    assert "leads somewhere else now" in getattr(told, "text", "")


def test_folder_that_became_a_link_since_it_was_listed_is_not_followed(store: OutrigStore) -> None:
    folder = store.elsewhere()
    place, listing = store.place, store.listing()
    folder.rename(store.folder / "moved")
    folder.symlink_to(store.folder / "moved")
    (told,) = LAYOUT.read(place, listing.context, listing.entries)
    assert "cannot be read" in getattr(told, "text", "")


def test_temp_file_in_a_folder_elsewhere_is_litter_there(store: OutrigStore) -> None:
    folder = store.elsewhere()
    store.put(".tmpQ3xZ9k", b"{", within=folder)
    (found,) = store.leftovers().values()
    assert (found.id, found.session) == (f"{ID}/.tmpQ3xZ9k", ID)
    assert [(each.root, each.path) for each in found.members] == [(label(folder), ".tmpQ3xZ9k")]


# Links to nothing.


def test_dangling_link_is_litter(store: OutrigStore) -> None:
    store.session(within=store.folder / "runs/nightly")
    link = store.link(store.folder / "runs/gone")
    (found,) = store.leftovers().values()
    seen = link.lstat()
    assert found.id == ID
    assert found.bytes == 0
    assert found.members == (Member("sessions", ID, found.members[0].fingerprint),)
    assert found.members[0].fingerprint.inode == seen.st_ino
    assert found.last_changed == pytest.approx(seen.st_mtime)
    assert store.problems() == []


@pytest.mark.parametrize("state", ["bare", "missing", "ours"])
def test_link_to_where_a_disk_may_not_be_mounted_stays(store: OutrigStore, state: str) -> None:
    disk = store.folder / "mnt/disk"
    if state != "missing":
        disk.mkdir(parents=True)
    if state == "ours":
        (disk / ".maint").mkdir()
    store.link(disk / "nightly")
    assert store.leftovers() == {}
    assert "its disk may not be mounted" in store.problems()[0]


def test_dangling_link_under_a_name_that_is_not_outrigs_is_somebody_elses(store: OutrigStore) -> None:
    store.session(within=store.folder / "runs/nightly")
    store.link(store.folder / "runs/gone", "latest")
    assert (store.leftovers(), store.problems()) == ({}, [])


def test_dangling_link_whose_container_runs_stays(store: OutrigStore) -> None:
    store.session(within=store.folder / "runs/nightly")
    store.link(store.folder / "runs/gone")
    store.runs(f"outrig-{ID}")
    assert store.leftovers() == {}
    assert store.problems() == [f"{ID}: has no record, but its container runs; left alone"]


def test_record_that_is_copied_into_a_folder_elsewhere_is_not_believed(store: OutrigStore) -> None:
    store.elsewhere(finished(OTHER, BEGAN))
    assert store.facts().state is State.UNKNOWN
