"""What lies in the folder beside the snapshots, and what the layout says of names."""

import os
import socket
from pathlib import Path

import pytest
from snapshot_world import DONE, ID, NAME, OTHER, UUID, WHOLE, Snapshots

from store.facts import Fingerprint, Member, Place
from store.layout import Moment, Unmendable
from store.layouts.opendev_snapshots import LAYOUT
from store.layouts.opendev_snapshots.specimens import SUFFIX

TMP = f"{NAME}.tmp"
STEM = f"{ID}_session_snapshot"
TEMPS = (TMP, f"{TMP}.{UUID}", f"{STEM}.tmp.{UUID}")
FOREIGN = (
    "notes.txt",
    "snapshot.json",
    "_session_snapshot.json",
    f"-x{SUFFIX}",
    f".{NAME}",
    f"{NAME}.bak",
    f"{NAME}.tmp.1234",
    f"{NAME}.tmp.{UUID.upper()}",
    f"{STEM}.tmp",
    f"{STEM}.json.zst",
    f"{'x' * 200}{SUFFIX}",
    f"a b{SUFFIX}",
)


@pytest.fixture
def store(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("env", [{}, {"OPENDEV_DIR": "/x", "XDG_DATA_HOME": "/y"}])
def test_place_is_hard_coded(platform: str, env: dict[str, str]) -> None:
    found = LAYOUT.default_roots(env, "/home/ana", platform)
    assert found == {"": {"snapshots": "/home/ana/.opendev/data/recovery"}}


def test_place_in_a_policy_is_the_folder_itself() -> None:
    assert LAYOUT.roots({"path": "/srv/recovery/"}, {}, "/home/ana") == {"snapshots": "/srv/recovery"}


def test_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    place = Place("s", LAYOUT.kind, LAYOUT.default_roots({}, str(tmp_path), "linux")[""])
    with pytest.raises(FileNotFoundError):
        LAYOUT.discover(place, Moment(0, 0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", TEMPS)
@pytest.mark.parametrize("content", [b"", WHOLE[:40], WHOLE], ids=["empty", "torn", "whole"])
def test_temp_file_of_every_shape_is_a_leftover_of_its_session(
    store: Snapshots, name: str, content: bytes
) -> None:
    store.put(name, content)
    (found,) = store.listing().leftovers
    assert (found.id, found.session, found.bytes) == (name, ID, len(content))
    assert [(each.root, each.path) for each in found.members] == [("snapshots", name)]
    assert store.problems() == []


@pytest.mark.parametrize("beside", [WHOLE, DONE])
def test_whole_temp_file_beside_a_whole_snapshot_is_a_leftover(store: Snapshots, beside: bytes) -> None:
    store.save(beside)
    store.put(TMP)
    assert store.leftovers() == [TMP]


def test_whole_temp_file_beside_a_damaged_snapshot_is_kept_and_told(store: Snapshots) -> None:
    store.save(WHOLE[:40])
    store.put(TMP)
    assert store.leftovers() == []
    assert store.problems() == [
        f"{TMP}: kept, because it is whole and the snapshot {NAME} is damaged: compare the two and remove one"
    ]


def test_torn_temp_file_beside_a_damaged_snapshot_is_a_leftover(store: Snapshots) -> None:
    store.save(WHOLE[:40])
    store.put(TMP, WHOLE[:80])
    assert store.leftovers() == [TMP]


def test_temp_file_is_no_session(store: Snapshots) -> None:
    for name in TEMPS:
        store.put(name)
    assert store.survey() == []


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_file_is_left_alone(store: Snapshots, name: str) -> None:
    store.put(name)
    assert (store.survey(), store.leftovers()) == ([], [])
    assert not LAYOUT.knows("snapshots", name)
    assert LAYOUT.session_of("snapshots", name) is None


def test_foreign_file_that_opendev_would_take_for_a_snapshot_is_told(store: Snapshots) -> None:
    store.put("copy.json")
    store.put("notes.txt")
    assert store.problems() == ["copy.json: its name cannot be one of opendev's snapshots; left alone"]
    assert [each.grave for each in store.listing().problems] == [False]


def test_name_that_is_no_text_is_told_in_print(store: Snapshots) -> None:
    with open(os.fsencode(store.folder) + b"/\xff\x1b\n.json", "wb"):
        pass
    assert [each.isprintable() for each in store.problems()] == [True]


@pytest.mark.parametrize("name", [NAME, TMP])
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "is a symbolic link"),
        (lambda path: path.symlink_to("nowhere"), "is a symbolic link"),
        (os.mkfifo, "is a FIFO"),
        (os.mkdir, "is a folder"),
        (lambda path: socket.socket(socket.AF_UNIX).bind(os.path.relpath(path)), "is a socket"),
    ],
    ids=["link", "dangling", "fifo", "folder", "socket"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_no_file_is_left_alone_and_told(
    store: Snapshots, monkeypatch: pytest.MonkeyPatch, name: str, make: object, what: str
) -> None:
    monkeypatch.chdir(store.folder)  # the path of a socket is short
    assert callable(make)
    make(store.folder / name)
    (problem,) = store.problems()
    assert problem.startswith(f"{name}: ")
    assert f"but it {what}" in problem
    assert store.leftovers() == []


@pytest.mark.parametrize("name", [NAME, TMP])
def test_file_with_two_hard_links_is_left_alone_and_told(store: Snapshots, name: str) -> None:
    os.link(store.put(name), store.folder / "notes.txt")
    (problem,) = store.problems()
    assert "has more than one hard link" in problem


def test_snapshot_that_may_not_be_read_needs_a_person(store: Snapshots) -> None:
    store.save().chmod(0)
    if os.access(store.folder / NAME, os.R_OK):
        pytest.skip("whoever runs this may read everything")
    (problem,) = store.survey()
    assert getattr(problem, "grave", None) is True


def test_snapshot_that_is_gone_since_it_was_listed_is_nothing(store: Snapshots) -> None:
    path = store.save()
    listing = store.listing()
    path.unlink()
    assert list(LAYOUT.read(store.place, listing.context, listing.entries)) == []


def test_every_path_in_the_facts_is_known_and_says_its_session(store: Snapshots) -> None:
    store.save()
    for name in TEMPS:
        store.put(name)
    for member in (*store.facts().members, *(each.members[0] for each in store.listing().leftovers)):
        assert LAYOUT.knows(member.root, member.path)
        assert LAYOUT.session_of(member.root, member.path) == (ID if member.path == NAME else None)


@pytest.mark.parametrize(
    "path", ["", "x", f"../{NAME}", f"a/{NAME}", f"{NAME}\n", f"{NAME}\0", ".maint/lock"]
)
def test_strange_paths_are_not_known(path: str) -> None:
    assert not LAYOUT.knows("snapshots", path)
    assert LAYOUT.session_of("snapshots", path) is None


def test_names_are_known_in_their_own_root_only() -> None:
    assert LAYOUT.knows("snapshots", NAME)
    assert not LAYOUT.knows("projects", NAME)
    assert LAYOUT.session_of("projects", NAME) is None


def test_id_that_looks_like_the_end_of_a_name_is_an_id(store: Snapshots) -> None:
    assert LAYOUT.session_of("snapshots", f"{OTHER}_session_snapshot{SUFFIX}") == f"{OTHER}_session_snapshot"


def test_lines_are_shown_in_print() -> None:
    shown = [LAYOUT.describe("snapshots", NAME, line) for line in WHOLE.split(b"\n")]
    assert shown[0:2] == ["{", f'  "session_id": "{ID}",']
    assert LAYOUT.describe("snapshots", NAME, b"\xff\x1b[2J\n") == "\ufffd\\x1b[2J"
    assert LAYOUT.describe("snapshots", NAME, b" \r") is None


def test_nothing_is_mended() -> None:
    member = Member("snapshots", NAME, Fingerprint(0, 0, 0, 0, 0))
    with pytest.raises(Unmendable, match="whole as it is"):
        LAYOUT.mend(ID, (member,), None, 0.0)
