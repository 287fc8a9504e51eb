import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interposed import failing_over
from pack_world import NEXT, PACK, RUN, entry, forged, head, numbered, open_fds, pack, session, wanted
from test_packs import files_end_at, prose

from store import change, emptied, manifest, names, packing, packs, repacking, syscalls, unnamed, unpacking
from store.barriers import alone
from store.durable import Poisoned
from store.frames import Damaged
from store.looking import Skip
from store.manifest import Entry, PackedFolder
from store.packs import OpenPack, open_pack
from store.roots import RootFds
from store.salvaging import Salvage

MANY = {"m/1": b"one\n", "m/2": b"", "m/deep/3": prose(5000)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for name in ("sessions/.maint/archive", "state", "out"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path / "sessions"


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    before = open_fds()
    all_roots = {"sessions": path, "state": path.parent / "state", "archive": path / names.ARCHIVE}
    with RootFds({label: str(each) for label, each in all_roots.items()}) as roots:
        yield roots
    assert open_fds() == before


@pytest.fixture
def out(path: Path) -> Path:
    return path.parent / "out"


@pytest.fixture
def packed(roots: RootFds, path: Path) -> Iterator[OpenPack]:
    """Two sessions in a pack, whose originals are gone."""
    pack(roots, numbered(session(path, "a", {"a.ndjson": b"a\n"}), session(path, "many", MANY)))
    (path / "a.ndjson").unlink()
    for name in MANY:
        (path / name).unlink()
    (path / "m/deep").rmdir()
    (path / "m").rmdir()
    with open_pack(roots["archive"], PACK) as opened:
        yield opened


def one(opened: OpenPack, id_: str = "many") -> Entry:
    return next(each for each in opened.entries() if each.id == id_)


def restore(roots: RootFds, opened: OpenPack, which: Entry, n: int = 0) -> None:
    unpacking.settle(roots, unpacking.write(opened, which, roots, NEXT, n))


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder but for packs, and those in our own folders too."""
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in sorted(folder.rglob("*"))
        if each.is_file() and not each.is_symlink() and each.parent.name != "archive"
    }


def test_session_comes_back_as_it_was(roots: RootFds, path: Path, packed: OpenPack) -> None:
    many = one(packed)
    assert not unpacking.is_there(roots, many)
    restore(roots, packed, many)
    assert files(path) == MANY
    assert unpacking.is_there(roots, many)
    for member in many.members:
        found = (path / member.path).stat()
        assert (found.st_mtime_ns, found.st_mode & 0o7777) == (member.mtime_ns, member.mode)


@settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    mode=st.integers(0, 0o7777),
    mtime_ns=st.integers(-(2**30) * 10**9, 2**33 * 10**9),
    data=st.binary(max_size=100),
)
def test_moment_is_exact_and_mode_is_never_wider_than_reading_writing_and_running(
    tmp_path_factory: pytest.TempPathFactory, mode: int, mtime_ns: int, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("store")
    (path / "archive").mkdir()
    with RootFds({"sessions": str(path), "archive": str(path / "archive")}) as roots:
        session(path, "a", {"a": data})
        (path / "a").chmod(mode)
        os.utime(path / "a", ns=(0, mtime_ns))
        pack(roots, [wanted(path, "a", "a")])
        (path / "a").unlink()
        with open_pack(roots["archive"], PACK) as opened:
            restore(roots, opened, one(opened, "a"))
        found = (path / "a").stat()
        assert (found.st_mode & 0o7777, found.st_mtime_ns, found.st_size) == (
            mode & 0o777,
            mtime_ns,
            len(data),
        )


def test_owner_comes_back_where_that_is_permitted(path: Path) -> None:
    session(path, "a", {"a": b"a"})
    os.chown(path, 12345, 23456)
    os.chown(path / "a", 12345, 23456)
    with RootFds({"sessions": str(path), "archive": str(path / names.ARCHIVE)}) as roots:
        pack(roots, [wanted(path, "a", "a")])
        (path / "a").unlink()
        with open_pack(roots["archive"], PACK) as opened:
            restore(roots, opened, one(opened, "a"))
    assert ((path / "a").stat().st_uid, (path / "a").stat().st_gid) == (12345, 23456)


def test_links_come_back_as_links(roots: RootFds, path: Path, out: Path) -> None:
    os.symlink("nowhere", path / "link")
    os.utime(path / "link", ns=(1, 7_000_000_001), follow_symlinks=False)
    pack(roots, [wanted(path, "a", "link")])
    (path / "link").unlink()
    with open_pack(roots["archive"], PACK) as opened:
        restore(roots, opened, one(opened, "a"))
        unpacking.copy_out(opened, one(opened, "a"), str(out))
    for link in (path / "link", out / "link"):
        assert (os.readlink(link), link.lstat().st_mtime_ns) == ("nowhere", 7_000_000_001)


def test_members_go_back_each_to_its_root(roots: RootFds, path: Path) -> None:
    (path.parent / "state/s").write_bytes(b"state")
    session(path, "a", {"a": b"a"})
    both = wanted(path, "a", "a")
    other = wanted(path.parent / "state", "a", "s").members[0]
    moved = msgspec.structs.replace(other, root="state")
    pack(roots, [both._replace(members=(*both.members, moved))])
    (path / "a").unlink()
    (path.parent / "state/s").unlink()
    with open_pack(roots["archive"], PACK) as opened:
        restore(roots, opened, one(opened, "a"))
    assert (files(path), files(path.parent / "state")) == ({"a": b"a"}, {"s": b"state"})


# Never over anything.


def make_file(where: Path) -> None:
    where.write_bytes(b"another")


def found(where: Path) -> tuple[int, int, int]:
    there = where.lstat()
    return there.st_ino, there.st_mode, there.st_mtime_ns


OCCUPANTS: list[Callable[[Path], None]] = [
    make_file,
    os.mkdir,
    os.mkfifo,
    lambda where: os.symlink("/etc/passwd", where),
    lambda where: os.symlink("dangling", where),
]


@pytest.mark.parametrize("occupy", OCCUPANTS)
@pytest.mark.parametrize("name", MANY)
def test_nothing_is_ever_replaced_and_no_other_member_is_placed(
    roots: RootFds, path: Path, packed: OpenPack, out: Path, occupy: Callable[[Path], None], name: str
) -> None:
    for top in (path, out):
        (top / name).parent.mkdir(parents=True)
        occupy(top / name)
    before = [(files(top), found(top / name)) for top in (path, out)]
    assert unpacking.is_there(roots, one(packed))
    with pytest.raises(Skip, match="another file has its place"):
        restore(roots, packed, one(packed))
    with pytest.raises(FileExistsError):
        unpacking.copy_out(packed, one(packed), str(out))
    assert [(files(top), found(top / name)) for top in (path, out)] == before


def test_file_where_a_folder_should_be_stays(roots: RootFds, path: Path, packed: OpenPack, out: Path) -> None:
    for top in (path, out):
        (top / "m").mkdir()
        (top / "m/deep").write_bytes(b"another")
    with pytest.raises(OSError, match=r"."):
        restore(roots, packed, one(packed))
    with pytest.raises(OSError, match=r"."):
        unpacking.copy_out(packed, one(packed), str(out))
    assert files(path) == files(out) == {"m/deep": b"another"}


def test_link_where_a_folder_should_be_is_not_followed(
    roots: RootFds, path: Path, packed: OpenPack, out: Path
) -> None:
    (path.parent / "outside").mkdir()
    for top in (path, out):
        (top / "m").symlink_to(path.parent / "outside")
    assert not unpacking.is_there(roots, one(packed))
    with pytest.raises(OSError, match=r"."):
        restore(roots, packed, one(packed))
    with pytest.raises(OSError, match=r"."):
        unpacking.copy_out(packed, one(packed), str(out))
    assert files(path) == files(out) == files(path.parent / "outside") == {}


@pytest.mark.parametrize("times", range(1, 4))
def test_folder_that_is_swapped_for_a_link_leads_nothing_out(
    roots: RootFds, path: Path, packed: OpenPack, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    outside = path.parent / "outside"
    outside.mkdir()
    rename = syscalls.rename_noreplace
    calls = iter(range(1, 99))

    def renaming(*args: Any, **kwargs: Any) -> None:
        if next(calls) == times:
            (path / "m").rename(path / f"moved{times}")
            (path / "m").symlink_to(outside)
        rename(*args, **kwargs)

    monkeypatch.setattr(syscalls, "rename_noreplace", renaming)
    with pytest.raises((Skip, OSError)) if times < 3 else _nothing():
        restore(roots, packed, one(packed))
    assert files(outside) == {}
    assert os.listdir(path / names.TMP) == []


class _nothing:  # noqa: N801
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def actor(monkeypatch: pytest.MonkeyPatch, call: int, act: Callable[[], object]) -> None:
    """Let somebody act just before our rename of that number."""
    rename = syscalls.rename_noreplace
    calls = iter(range(99))

    def renaming(*args: Any, **kwargs: Any) -> None:
        if next(calls) == call:
            act()
        rename(*args, **kwargs)

    monkeypatch.setattr(syscalls, "rename_noreplace", renaming)


def test_file_that_takes_a_place_in_the_last_moment_keeps_it(
    roots: RootFds, path: Path, packed: OpenPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor(monkeypatch, 2, lambda: (path / "m/deep/3").write_bytes(b"another"))
    with pytest.raises(Skip, match="another file has its place"):
        restore(roots, packed, one(packed))
    assert files(path) == {"m/deep/3": b"another"}


def test_what_was_written_to_a_restored_file_is_not_taken_back_with_it(
    roots: RootFds, path: Path, packed: OpenPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act() -> None:
        with (path / "m/1").open("ab") as file:
            file.write(b"late\n")
        make_file(path / "m/deep/3")

    actor(monkeypatch, 2, act)
    with pytest.raises(Skip, match="another file has its place"):
        restore(roots, packed, one(packed))
    assert files(path) == {"m/1": b"one\nlate\n", "m/deep/3": b"another"}


def test_file_that_replaced_a_restored_one_is_not_taken_back(
    roots: RootFds, path: Path, packed: OpenPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act() -> None:
        (path / "m/new").write_bytes(b"mine")
        (path / "m/new").replace(path / "m/1")
        make_file(path / "m/deep/3")

    actor(monkeypatch, 2, act)
    with pytest.raises(Skip, match="another file has its place"):
        restore(roots, packed, one(packed))
    assert files(path) == {"m/1": b"mine", "m/deep/3": b"another"}


# Nothing is left.


def test_dropped_files_leave_nothing(roots: RootFds, path: Path, packed: OpenPack) -> None:
    written = unpacking.write(packed, one(packed), roots, NEXT, 0)
    assert [each.tmp for each in written] == [names.tmp_path(NEXT, 0, part) for part in range(3)]
    assert len(os.listdir(path / names.TMP)) == 3
    unpacking.drop(roots, written)
    unpacking.drop(roots, written)
    assert files(path) == {}


@pytest.mark.parametrize("size", [0, 2, 4999])
def test_full_disk_leaves_nothing(roots: RootFds, path: Path, packed: OpenPack, out: Path, size: int) -> None:
    roots.forget()
    before = open_fds()
    with files_end_at(size), pytest.raises(OSError, match="too large") as failed:
        unpacking.write(packed, one(packed), roots, NEXT, 0)
    assert failed.value.errno == errno.EFBIG
    with files_end_at(size), pytest.raises(OSError, match="too large"):
        unpacking.copy_out(packed, one(packed), str(out))
    roots.forget()
    assert (files(path), files(out)) == ({}, {})
    assert open_fds() == before


def lying(opened: OpenPack, roots: RootFds, **changes: Any) -> Entry:
    """A session whose last file has other content than its line says."""
    many = one(opened)
    last = msgspec.structs.replace(many.members[-1], **changes)
    return msgspec.structs.replace(many, members=(*many.members[:-1], last))


@pytest.mark.parametrize("changes", [{"sha256": "f" * 64}, {"mode": 0o777}, {"mtime_ns": 1}, {"path": "x"}])
def test_last_file_that_is_damaged_leaves_nothing_of_the_others(
    roots: RootFds, path: Path, packed: OpenPack, out: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(Damaged):
        unpacking.write(packed, lying(packed, roots, **changes), roots, NEXT, 0)
    with pytest.raises(Damaged):
        unpacking.copy_out(packed, lying(packed, roots, **changes), str(out))
    assert files(path) == files(out) == {}


@pytest.mark.parametrize("root", ["nowhere", "archive", "archive-0a1b2c"])
def test_root_that_is_none_of_the_stores_is_refused(roots: RootFds, path: Path, root: str) -> None:
    raw = packing.raw_frame(entry(root=root).members[0].header("sessions"), 3)
    line = manifest.encode_entry(entry(root=root))
    first = head(sessions=1, frames=manifest.frames_of([(len(raw[0]), *raw[1:])]))
    (path / names.ARCHIVE / PACK).write_bytes(forged(manifest.encode_head(first) + line, [raw]))
    with open_pack(roots["archive"], PACK) as opened:
        (which,) = opened.entries()
        assert not unpacking.is_there(roots, which)
        with pytest.raises(Skip, match="of the store is not there"):
            unpacking.write(opened, which, roots, NEXT, 0)
    assert (files(path), os.listdir(path / names.ARCHIVE)) == ({}, [PACK])


# Folders that were made for a session alone.


def own(root: str, path: str) -> bool:
    return root == "sessions" and path.split("/", 1)[0] == "m"


def modes(path: Path) -> dict[str, int]:
    return {
        str(each.relative_to(path)): each.stat().st_mode & 0o7777
        for each in sorted(path.rglob("*"))
        if each.is_dir() and names.FOLDER not in each.parts
    }


MODES = {"m": 0o755, "m/bare": 0o701, "m/deep": 0o750}


@pytest.fixture
def housed(roots: RootFds, path: Path) -> Iterator[OpenPack]:
    """A session in folders of its own, one of them empty, which are gone."""
    each = session(path, "many", MANY)
    (path / "m/bare").mkdir()
    for folder, mode in MODES.items():
        (path / folder).chmod(mode)
    pack(roots, [each._replace(folders=emptied.folders_of(roots, each.members, own))])
    shutil.rmtree(path / "m")
    with open_pack(roots["archive"], PACK) as opened:
        yield opened


def bring_back_unnamed(roots: RootFds, opened: OpenPack, which: Entry) -> None:
    if not alone(unnamed.bringing_back(opened, which, roots, sync=True)):
        pytest.skip("this file system makes no files without names")


WAYS = [restore, bring_back_unnamed]


@pytest.mark.parametrize("way", WAYS)
def test_folders_come_back_with_their_modes_and_the_empty_ones_too(
    roots: RootFds, path: Path, housed: OpenPack, way: Callable[..., None]
) -> None:
    umask = os.umask(0o077)
    try:
        way(roots, housed, one(housed))
    finally:
        os.umask(umask)
    assert (files(path), modes(path)) == (MANY, MODES)


@pytest.mark.parametrize("way", WAYS)
def test_folders_of_which_an_older_pack_knows_nothing_are_for_their_owner_alone(
    roots: RootFds, path: Path, packed: OpenPack, way: Callable[..., None]
) -> None:
    way(roots, packed, one(packed))
    assert (files(path), modes(path)) == (MANY, {"m": 0o700, "m/deep": 0o700})


@pytest.mark.parametrize("way", WAYS)
def test_folder_that_is_there_stays_as_it_is(
    roots: RootFds, path: Path, housed: OpenPack, way: Callable[..., None]
) -> None:
    (path / "m").mkdir(mode=0o700)
    (path / "m/KEEP").write_bytes(b"mine")
    way(roots, housed, one(housed))
    assert (files(path), modes(path)["m"]) == ({**MANY, "m/KEEP": b"mine"}, 0o700)


@pytest.mark.parametrize("way", WAYS)
def test_session_that_cannot_come_back_leaves_no_folders(
    roots: RootFds, path: Path, housed: OpenPack, way: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    which = one(housed)

    def failing(fd: int, times: object = None, *, ns: object = None, **_: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    if way is bring_back_unnamed:
        monkeypatch.setattr(os, "utime", failing)
    else:
        actor(monkeypatch, 1, lambda: make_file(path / "m/2"))
    with pytest.raises((Skip, OSError)):
        way(roots, housed, which)
    assert set(files(path)) <= {"m/2"}
    assert set(modes(path)) <= {"m"}
    if way is bring_back_unnamed:
        assert modes(path) == {}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("folder", ["m", "m/deep"])
def test_session_whose_folder_is_a_link_now_does_not_come_back(
    roots: RootFds, path: Path, housed: OpenPack, way: Callable[..., None], folder: str
) -> None:
    outside = path.parent / "outside"
    outside.mkdir()
    (path / folder).parent.mkdir(exist_ok=True)
    (path / folder).symlink_to(outside)
    with pytest.raises(NotADirectoryError):
        way(roots, housed, one(housed))
    assert (files(path), files(outside)) == ({}, {})


def test_session_whose_folder_another_one_took_away_again_says_so_and_leaves_nothing(
    roots: RootFds, path: Path, packed: OpenPack
) -> None:
    """One of two in the same folder fails behind its barrier; the folder was its own to make, and to remove."""
    steps = unnamed.bringing_back(packed, one(packed), roots, sync=False)
    next(steps)
    shutil.rmtree(path / "m")
    with pytest.raises(Skip, match="the folder it belongs in went away meanwhile"):
        for _ in steps:
            pass
    assert files(path) == {}


def test_empty_folder_that_is_a_link_now_is_not_followed_and_hinders_nothing(
    roots: RootFds, path: Path, housed: OpenPack
) -> None:
    (path / "m").mkdir()
    (path / "m/bare").symlink_to("/")
    restore(roots, housed, one(housed))
    assert (files(path), (path / "m/bare").is_symlink()) == (MANY, True)


@pytest.mark.parametrize("way", WAYS)
def test_session_does_not_come_back_where_its_empty_folder_could_not_be_made_durable(
    roots: RootFds, path: Path, housed: OpenPack, way: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    which = one(housed)
    failing_over(monkeypatch, "bare")
    with pytest.raises(Poisoned):
        way(roots, housed, which)
    assert (files(path), modes(path)) == ({}, {})


def test_each_file_of_a_few_is_synced_once_more_when_it_has_its_name_and_then_its_folder(
    roots: RootFds, path: Path, packed: OpenPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of btrfs passes over a file that has no name, however often that is synced."""
    synced: list[tuple[str, int]] = []

    def sync(fd: int) -> None:
        found = os.fstat(fd)
        synced.append(("folder" if stat.S_ISDIR(found.st_mode) else "file", found.st_ino))

    which = one(packed)
    (path / "m/deep").mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", sync)
    bring_back_unnamed(roots, packed, which)
    numbers = {name: (path / name).stat().st_ino for name in (*MANY, "m", "m/deep")}
    bare = [("file", numbers[name]) for name in MANY]
    last = [("folder", numbers[name]) for name in ("m", "m/deep")]
    assert [each for each in synced if each in {*bare, *last}] == [*bare, *bare, *last]


@pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFDIR])
def test_few_whose_names_the_disk_does_not_keep_have_none(
    roots: RootFds, path: Path, packed: OpenPack, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = one(packed)
    (path / "m/deep").mkdir(parents=True)
    sync = os.fsync

    def failing(fd: int) -> None:
        found = os.fstat(fd)
        # What has its name by now, and the folder that it has it in.
        if stat.S_IFMT(found.st_mode) == kind and (path / "m/1").exists() and found.st_nlink:
            raise OSError(errno.EIO, "input/output error")
        sync(fd)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Poisoned):
        bring_back_unnamed(roots, packed, which)
    assert files(path) == {}


def test_folder_of_a_forged_line_is_never_wider_than_files_are(
    roots: RootFds, path: Path, housed: OpenPack
) -> None:
    told = (PackedFolder(root="sessions", path="m", mode=0o7000),)
    restore(roots, housed, msgspec.structs.replace(one(housed), folders=told))
    assert modes(path) == {"m": 0o700, "m/deep": 0o700}


def test_large_session_has_its_folders_too(roots: RootFds, path: Path) -> None:
    each = session(path, "a", {"m/a": b"a" * (packing.FRAME + 1)})
    (path / "m").chmod(0o751)
    pack(roots, [each._replace(folders=emptied.folders_of(roots, each.members, own))])
    shutil.rmtree(path / "m")
    with open_pack(roots["archive"], PACK) as opened:
        restore(roots, opened, one(opened, "a"))
    assert modes(path) == {"m": 0o751}


def test_housed_session_goes_through_everything(roots: RootFds, path: Path, housed: OpenPack) -> None:
    """Back from its pack, into another, let go, verified, back, to the trash, and back from there."""
    restore(roots, housed, one(housed))
    again = wanted(path, "many", *MANY)
    again = again._replace(folders=emptied.folders_of(roots, again.members, own))
    name = names.pack_name(NEXT, 0)
    (entry,) = pack(roots, [again], name=name)
    assert entry.folders == one(housed).folders
    change.let_go(roots, again.members, NEXT, owned=own)
    assert (files(path), modes(path)) == ({}, {})
    with open_pack(roots["archive"], name) as opened:
        assert packs.verify(opened, opened.lines).sound == 1
        restore(roots, opened, one(opened))
    planned = wanted(path, "many", *MANY).members
    change.move_to_trash(roots, planned, RUN, owned=own)
    for each in planned:
        change.put_back(roots, RUN, each.root, each.path)
    assert (files(path), modes(path)) == (MANY, MODES)


@pytest.mark.parametrize("damaged", [False, True])
def test_housed_session_is_saved_from_its_pack_with_or_without_a_manifest(
    path: Path, housed: OpenPack, out: Path, damaged: bool
) -> None:
    data = bytearray((path / names.ARCHIVE / PACK).read_bytes())
    if damaged:
        data[-1] ^= 1
        data[housed.spans[-1].end + 20] ^= 1
    (out.parent / "copy").write_bytes(data)
    fds = os.open(out.parent / "copy", os.O_RDONLY), os.open(out, os.O_RDONLY)
    salvage = Salvage(*fds)
    assert [each.session for each in salvage.run() if each.session] == ([] if damaged else ["many"])
    salvage.finish()
    for fd in fds:
        os.close(fd)
    assert files(out) == MANY


def test_repacked_session_keeps_its_folders(roots: RootFds, path: Path, housed: OpenPack) -> None:
    ((_, lines),) = repacking.repacked(housed, housed.entries(), frozenset(), 3)
    assert manifest.checked_entry(lines[0][:-1]).folders == one(housed).folders


# Copies.


def test_copy_of_a_single_file_goes_by_its_name_alone(roots: RootFds, path: Path, out: Path) -> None:
    pack(roots, [session(path, "a", {"p/q/a": b"a"})])
    with open_pack(roots["archive"], PACK) as opened:
        assert unpacking.copy_out(opened, one(opened, "a"), str(out)) == [f"{out}/a"]
    assert files(out) == {"a": b"a"}


def test_copy_is_the_same_file_by_file(roots: RootFds, path: Path, packed: OpenPack, out: Path) -> None:
    many = one(packed)
    assert unpacking.copy_out(packed, many, str(out)) == [f"{out}/{name}" for name in MANY]
    assert files(out) == MANY
    for member in many.members:
        found = (out / member.path).stat()
        assert (found.st_mtime_ns, found.st_mode & 0o777) == (member.mtime_ns, member.mode)
    assert files(path) == {}


def test_copy_of_a_name_that_is_as_long_as_can_be(roots: RootFds, path: Path, out: Path) -> None:
    name = "x" * 255
    pack(roots, [session(path, "a", {name: b"a"})])
    with open_pack(roots["archive"], PACK) as opened:
        unpacking.copy_out(opened, one(opened, "a"), str(out))
    assert files(out) == {name: b"a"}


def test_copy_of_very_many_files_needs_few_descriptors(
    roots: RootFds, path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {f"{n % 7}/{n}": b"%d" % n for n in range(60)}
    pack(roots, [session(path, "a", told)])
    most = 0
    rename = syscalls.rename_noreplace

    def renaming(*args: Any, **kwargs: Any) -> None:
        nonlocal most
        most = max(most, open_fds())
        rename(*args, **kwargs)

    monkeypatch.setattr(syscalls, "rename_noreplace", renaming)
    with open_pack(roots["archive"], PACK) as opened:
        before = open_fds()
        unpacking.copy_out(opened, one(opened, "a"), str(out))
    assert files(out) == told
    assert most <= before + 4


def test_copy_that_somebody_writes_to_is_not_withdrawn(
    roots: RootFds, packed: OpenPack, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act() -> None:
        (out / "m/1").write_bytes(b"edited")
        make_file(out / "m/deep/3")

    actor(monkeypatch, 2, act)
    with pytest.raises(FileExistsError):
        unpacking.copy_out(packed, one(packed), str(out))
    assert files(out) == {"m/1": b"edited", "m/deep/3": b"another"}


def test_copy_whose_name_could_not_be_made_durable_is_withdrawn(
    roots: RootFds, packed: OpenPack, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    inode = (out).stat().st_ino

    def failing(fd: int) -> None:
        if os.fstat(fd).st_ino == inode and (out / "a.ndjson").exists():
            raise OSError(errno.EIO, "input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="input/output"):
        unpacking.copy_out(packed, one(packed, "a"), str(out))
    assert files(out) == {}


def test_folder_that_is_not_there_is_not_made(packed: OpenPack, out: Path) -> None:
    with pytest.raises(FileNotFoundError):
        unpacking.copy_out(packed, one(packed), str(out / "none"))
    assert list(out.iterdir()) == []


def test_runs_do_not_meet_in_our_own_folder(roots: RootFds, path: Path, packed: OpenPack) -> None:
    first = unpacking.write(packed, one(packed), roots, NEXT, 0)
    second = unpacking.write(packed, one(packed, "a"), roots, NEXT, 1)
    third = unpacking.write(packed, one(packed, "a"), roots, RUN, 0)
    unpacking.drop(roots, third)
    unpacking.settle(roots, first)
    unpacking.settle(roots, second)
    assert files(path) == {"a.ndjson": b"a\n", **MANY}


@pytest.mark.parametrize("sync", [False, True])
def test_what_an_attempt_that_died_has_left_is_written_anew(
    roots: RootFds, path: Path, packed: OpenPack, sync: bool
) -> None:
    for each in unpacking.write(packed, one(packed), roots, NEXT, 0):
        (path / each.tmp).write_bytes(b"half")
    unpacking.settle(roots, unpacking.write(packed, one(packed), roots, NEXT, 0, sync=sync))
    assert files(path) == MANY
