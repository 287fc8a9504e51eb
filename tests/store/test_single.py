import hashlib
import os
import random
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from store import durable, filing, frames, names, opening, packing, single, unpacking
from store.change import RootFds, Skip, let_go, remove_empty_folders
from store.durable import Poisoned
from store.facts import Account, Member
from store.filing import Prepared, Standing
from store.frames import Damaged
from store.packing import Wanted
from store.single import Making

RUN = names.new_run_id(1770628443, b"abc")
NEXT = names.new_run_id(1770628500, b"abc")
CHANGED = 1_770_000_000_123_456_789
TEXT = b'{"type":"header"}\n' + b'{"type":"command","command":"make"}\n' * 30

zstd = pytest.mark.skipif(shutil.which("zstd") is None, reason="no zstd here")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "sessions").mkdir()
    return tmp_path / "sessions"


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    with RootFds({"sessions": str(path), "data": str(path.parent)}) as roots:
        yield roots


def session(path: Path, content: bytes = TEXT, name: str = "a.ndjson") -> Path:
    file = path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(0o640)
    os.utime(file, ns=(CHANGED, CHANGED))
    return file


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def wanted(path: Path, name: str = "a.ndjson", started: float | None = 1.0) -> Wanted:
    member = Member("sessions", name, opening.fingerprint(os.lstat(path / name)))
    return Wanted(
        3, name.removesuffix(".ndjson"), (member,), Account(name="mine", started_at=started), "archive"
    )


def making(run: str = RUN, level: int = 3) -> Making:
    return Making(run=run, at="now", store="s", kind="rec", policy_sha256="00", level=level, maint="1")


def file_it(roots: RootFds, one: Wanted, run: str = RUN, *, renew: bool = False) -> Prepared:
    """All that is done before the original may go."""
    prepared = filing.prepare(roots, one, making(run), renew=renew)
    durable.sync_file_system(roots["sessions"], "")
    filing.seal(roots, prepared)
    filing.sync_names(roots, [prepared])
    return prepared


def filed(roots: RootFds, path: Path, content: bytes = TEXT) -> Path:
    """A session that has become a file by itself, without its original."""
    original = session(path, content)
    file_it(roots, one := wanted(path))
    let_go(roots, one.members, RUN)
    assert not original.exists()
    return path / "a.ndjson.zst"


def content_of(roots: RootFds, name: str = "a.ndjson.zst") -> bytes:
    with single.open_single(roots, "sessions", name) as reader:
        ((_, content),) = reader.members(reader.entry)
        return b"".join(bytes(block) for block in content)


def left_over(path: Path) -> list[str]:
    """What lies in the store but for our own empty folders."""
    return sorted(str(each.relative_to(path)) for each in path.rglob("*") if not each.is_dir())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        TEXT,
        noise(packing.OWN_FRAME),
        noise(packing.OWN_FRAME + 1),
        noise(packing.LARGE + 5),
        noise(3 << 20) * 4,
        noise(3 << 20) * 12,
    ],
    ids=["empty", "byte", "text", "a frame", "two frames", "large", "repeating", "large and repeating"],
)
def test_session_of_any_size_comes_out_as_it_went_in(roots: RootFds, path: Path, content: bytes) -> None:
    filed(roots, path, content)
    assert content_of(roots) == content
    assert left_over(path) == ["a.ndjson.zst"]


@zstd
@pytest.mark.parametrize("content", [b"", TEXT, noise(9 << 20), noise(3 << 20) * 12])
def test_zstd_itself_is_content_with_it(roots: RootFds, path: Path, content: bytes) -> None:
    file = filed(roots, path, content)
    for option in ("-dc", "-tq", "-l"):
        done = subprocess.run(["zstd", option, file], capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        if option == "-dc":
            assert done.stdout == content


def test_seek_table_tells_of_every_frame_and_of_notes_as_empty(roots: RootFds, path: Path) -> None:
    file = filed(roots, path, noise(9 << 20)).read_bytes()
    length = frames.table_size(file[-frames.FOOTER_SIZE :])
    spans = frames.parse_seek_table(file[-length:])
    assert [span.size for span in spans] == [4 << 20, 4 << 20, 1 << 20, 0, 0]
    assert spans[-1].end + length == len(file)


def test_session_that_repeats_itself_has_long_frames(roots: RootFds, path: Path) -> None:
    file = filed(roots, path, noise(3 << 20) * 12)
    assert file.stat().st_size < 7 << 20
    with single.open_single(roots, "sessions", "a.ndjson.zst") as reader:
        assert [span.size for span in reader.spans] == [frames.LONG_FRAME, (36 << 20) - frames.LONG_FRAME]


def test_file_has_the_mode_and_the_time_of_its_session(roots: RootFds, path: Path) -> None:
    found = filed(roots, path).stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, CHANGED)


def test_note_says_what_a_manifest_says(roots: RootFds, path: Path) -> None:
    filed(roots, path)
    with single.open_single(roots, "sessions", "a.ndjson.zst") as reader:
        entry = reader.entry
        assert reader.note.making == making()
    (member,) = entry.members
    assert (entry.id, entry.account.name, entry.why) == ("a", "mine", "archive")
    assert (member.root, member.path, member.size) == ("sessions", "a.ndjson", len(TEXT))
    assert (member.mode, member.mtime_ns) == (0o640, CHANGED)
    assert member.sha256 == hashlib.sha256(TEXT).hexdigest()
    assert (member.uid, member.gid) == (os.getuid(), os.getgid())


def test_every_flipped_bit_is_noticed(roots: RootFds, path: Path) -> None:
    file = filed(roots, path)
    good = file.read_bytes()
    with file.open("r+b", buffering=0) as bad:
        for bit in range(8 * len(good)):
            at = bit // 8
            os.pwrite(bad.fileno(), bytes([good[at] ^ 1 << bit % 8]), at)
            with pytest.raises(Damaged):
                content_of(roots)
            os.pwrite(bad.fileno(), good[at : at + 1], at)
    assert content_of(roots) == TEXT


def test_every_truncation_and_anything_appended_is_noticed(roots: RootFds, path: Path) -> None:
    file = filed(roots, path)
    good = file.read_bytes()
    for bad in [*(good[:size] for size in range(len(good))), good + b"\0", good + good, b"x" + good]:
        file.write_bytes(bad)
        with pytest.raises(Damaged):
            content_of(roots)


def test_file_under_another_sessions_name_is_not_taken_for_its(roots: RootFds, path: Path) -> None:
    filed(roots, path).rename(path / "b.ndjson.zst")
    with pytest.raises(Damaged, match=r"it is that of a\.ndjson"):
        content_of(roots, "b.ndjson.zst")


def test_session_comes_back_to_its_place_and_the_file_stays(roots: RootFds, path: Path) -> None:
    filed(roots, path)
    with single.open_single(roots, "sessions", "a.ndjson.zst") as reader:
        written = unpacking.write(reader, reader.entry, roots, NEXT, 0)
    unpacking.settle(roots, written)
    found = (path / "a.ndjson").stat()
    assert (path / "a.ndjson").read_bytes() == TEXT
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, CHANGED)
    assert left_over(path) == ["a.ndjson", "a.ndjson.zst"]


def test_damaged_file_gives_nothing_back(roots: RootFds, path: Path) -> None:
    file = filed(roots, path, noise(9 << 20))
    with file.open("r+b") as handle:
        handle.seek(8 << 20)
        handle.write(b"\0\1\2")
    with single.open_single(roots, "sessions", "a.ndjson.zst") as reader, pytest.raises(Damaged):
        unpacking.write(reader, reader.entry, roots, NEXT, 0)
    assert left_over(path) == ["a.ndjson.zst"]


def test_session_in_a_folder_lies_there(roots: RootFds, path: Path) -> None:
    session(path, TEXT, "p/q/a.ndjson")
    file_it(roots, wanted(path, "p/q/a.ndjson"))
    assert left_over(path) == ["p/q/a.ndjson", "p/q/a.ndjson.zst"]
    assert content_of(roots, "p/q/a.ndjson.zst") == TEXT


def refused(roots: RootFds, one: Wanted, why: str, *, renew: bool = False) -> None:
    with pytest.raises(Skip, match=why):
        file_it(roots, one, renew=renew)


def test_session_of_several_files_is_skipped(roots: RootFds, path: Path) -> None:
    session(path)
    one = wanted(path)
    refused(roots, one._replace(members=one.members * 2), "more than one file")
    assert left_over(path) == ["a.ndjson"]


def test_session_that_is_not_as_planned_is_skipped(roots: RootFds, path: Path) -> None:
    file = session(path)
    one = wanted(path)
    with file.open("ab") as handle:
        handle.write(b"more\n")
    refused(roots, one, "grew since it was planned")
    file.unlink()
    refused(roots, one, "is gone")
    file.symlink_to("elsewhere")
    refused(roots, one, "is a symbolic link")
    assert left_over(path) == ["a.ndjson"]


def test_session_that_changes_while_it_is_read_is_skipped(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = session(path)
    one = wanted(path)
    real = packing.plain_frames

    def meanwhile(data: bytes, level: int) -> list[packing.RawFrame]:
        file.write_bytes(TEXT + b"more\n")
        return real(data, level)

    monkeypatch.setattr(packing, "plain_frames", meanwhile)
    refused(roots, one, "changed while it was read")
    assert left_over(path) == ["a.ndjson"]


@pytest.mark.parametrize("kind", ["other", "folder", "link", "damaged", "another session", "fifo"])
def test_whatever_else_has_the_name_is_left_alone(roots: RootFds, path: Path, kind: str) -> None:
    there = path / "a.ndjson.zst"
    match kind:
        case "other":
            there.write_bytes(frames.compress(TEXT, 3))
        case "folder":
            there.mkdir()
        case "link":
            there.symlink_to("elsewhere")
        case "fifo":
            os.mkfifo(there)
        case "damaged":
            filed(roots, path)
            there.write_bytes(there.read_bytes()[:-1])
        case _:
            filed(roots, path, b"quite another one\n")
    session(path)
    before = left_over(path), opening.fingerprint(os.lstat(there))
    for renew in (False, True):
        refused(
            roots, wanted(path, started=2.0), r"^a\.ndjson\.zst (is there|cannot be looked at)", renew=renew
        )
    assert (left_over(path), opening.fingerprint(os.lstat(there))) == before


def test_file_that_has_the_content_already_will_do(roots: RootFds, path: Path) -> None:
    there = filed(roots, path)
    inode = there.stat().st_ino
    session(path)
    prepared = file_it(roots, one := wanted(path), NEXT)
    assert prepared.standing is Standing.THERE
    assert let_go(roots, one.members, NEXT) == len(TEXT)
    assert there.stat().st_ino == inode
    assert content_of(roots) == TEXT


def test_original_stays_where_the_file_beside_it_turns_out_damaged(roots: RootFds, path: Path) -> None:
    there = filed(roots, path)
    session(path)
    with there.open("r+b") as handle:
        handle.seek(20)
        handle.write(b"\0\0\0")
    refused(roots, wanted(path), "beside it is damaged")
    assert left_over(path) == ["a.ndjson", "a.ndjson.zst"]


@pytest.mark.parametrize("content", [TEXT + b"more\n", b"edited, of the same start\n"])
def test_file_of_an_older_state_is_left_unless_it_may_be_renewed(
    roots: RootFds, path: Path, content: bytes
) -> None:
    there = filed(roots, path)
    old = there.read_bytes()
    session(path, content)
    refused(roots, wanted(path), "holds another state of it")
    assert there.read_bytes() == old
    assert file_it(roots, wanted(path), NEXT, renew=True).standing is Standing.RENEWED
    assert content_of(roots) == content
    assert there.stat().st_mtime_ns == CHANGED
    backup = names.backup_path(NEXT, "sessions", "a.ndjson.zst")
    assert (path / backup).read_bytes() == old
    assert left_over(path) == [backup, "a.ndjson", "a.ndjson.zst"]


def test_file_of_an_older_time_is_renewed_where_the_original_is_kept(roots: RootFds, path: Path) -> None:
    filed(roots, path)
    os.utime(session(path), (5, 5))
    assert filing.prepare(roots, wanted(path), making(NEXT)).standing is Standing.THERE
    assert file_it(roots, wanted(path), NEXT, renew=True).standing is Standing.RENEWED
    assert file_it(roots, wanted(path), NEXT, renew=True).standing is Standing.THERE


def test_name_that_was_taken_meanwhile_is_not_taken_back(roots: RootFds, path: Path) -> None:
    session(path)
    prepared = filing.prepare(roots, wanted(path), making())
    (path / "a.ndjson.zst").write_text("mine")
    with pytest.raises(Skip, match="another file has the name"):
        filing.seal(roots, prepared)
    assert (path / "a.ndjson.zst").read_text() == "mine"
    assert left_over(path) == ["a.ndjson", "a.ndjson.zst"]


def test_file_that_reads_back_differently_gets_no_name(roots: RootFds, path: Path) -> None:
    session(path)
    prepared = filing.prepare(roots, wanted(path), making())
    with (path / prepared.tmp).open("r+b") as handle:
        handle.seek(12)
        handle.write(b"\0\0\0")
    with pytest.raises(Poisoned, match="read back"):
        filing.seal(roots, prepared)
    assert left_over(path) == ["a.ndjson"]


def test_dropped_one_leaves_nothing(roots: RootFds, path: Path) -> None:
    session(path)
    filing.drop(roots, filing.prepare(roots, wanted(path), making()))
    assert left_over(path) == ["a.ndjson"]


def test_asking_twice_is_asking_once(roots: RootFds, path: Path) -> None:
    session(path)
    one = wanted(path)
    filing.prepare(roots, one, making())
    assert filing.prepare(roots, one, making()).standing is Standing.NEW
    file_it(roots, one)
    let_go(roots, one.members, RUN)
    assert file_it(roots, one).standing is Standing.LEFT
    refused(roots, one._replace(n=4, members=(wanted_elsewhere(one),)), "is gone")
    with pytest.raises(Skip, match="is gone"):
        file_it(roots, one, NEXT)
    assert left_over(path) == ["a.ndjson.zst"]


def wanted_elsewhere(one: Wanted) -> Member:
    (member,) = one.members
    return Member("sessions", "b.ndjson", member.fingerprint)


@pytest.mark.parametrize("steps", range(6))
def test_work_that_was_stopped_anywhere_is_finished_by_the_next_run(
    roots: RootFds, path: Path, steps: int
) -> None:
    session(path)
    one = wanted(path)

    def work() -> Iterator[None]:
        yield
        prepared = filing.prepare(roots, one, making())
        yield
        durable.sync_file_system(roots["sessions"], "")
        yield
        filing.seal(roots, prepared)
        yield
        filing.sync_names(roots, [prepared])
        yield
        let_go(roots, one.members, RUN)
        yield

    for _, _ in zip(range(steps + 1), work(), strict=False):
        pass
    if steps < 5:
        assert (path / "a.ndjson").read_bytes() == TEXT
        file_it(roots, wanted(path), NEXT)
        let_go(roots, wanted(path).members, NEXT)
    remove_empty_folders(roots, RUN)
    assert content_of(roots) == TEXT
    assert [name for name in left_over(path) if not name.startswith(names.TMP)] == ["a.ndjson.zst"]


def test_what_a_killed_run_left_is_cleared_away(roots: RootFds, path: Path) -> None:
    session(path)
    one = wanted(path)
    filing.prepare(roots, one, making())
    filing.clear(roots, one.members[0], RUN, one.n)
    assert left_over(path) == ["a.ndjson"]


def test_whatever_else_has_the_temporary_name_is_moved_aside(roots: RootFds, path: Path) -> None:
    session(path)
    one = wanted(path)
    tmp = path / filing.prepare(roots, one, making()).tmp
    tmp.write_text("mine")
    filing.clear(roots, one.members[0], RUN, one.n)
    trash = path / names.trash_path(RUN, "sessions", "a.ndjson.zst")
    assert trash.read_text() == "mine"
    assert not tmp.exists()


def test_second_name_of_a_file_that_was_not_renewed_is_taken_back(roots: RootFds, path: Path) -> None:
    there = filed(roots, path)
    session(path, TEXT + b"more\n")
    backup = path / names.backup_path(NEXT, "sessions", "a.ndjson.zst")
    backup.parent.mkdir(parents=True)
    backup.hardlink_to(there)
    filing.clear(roots, wanted(path).members[0], NEXT, 3)
    assert there.stat().st_nlink == 1


def test_files_are_found_by_the_names_of_their_sessions(roots: RootFds, path: Path) -> None:
    for name in (
        "b.ndjson.zst",
        "a.ndjson.zst",
        "c.txt.zst",
        ".maint/x.ndjson.zst",
        "p/d.ndjson.zst",
        "e.ndjson",
    ):
        session(path, b"x", name)
    (path / "q").symlink_to("p")
    found = single.find(roots, lambda root, path: root == "sessions" and path.endswith(".ndjson"))
    assert list(found) == ["a.ndjson.zst", "b.ndjson.zst"]  # what is below belongs to whoever made the folder


def test_file_that_somebody_has_compressed_beside_his_session_is_his(roots: RootFds, path: Path) -> None:
    def found() -> list[str]:
        return list(single.find(roots, lambda _, path: path.endswith(".ndjson")))

    session(path, b"x", "a.ndjson")
    (path / "a.ndjson.zst").write_bytes(zstandard.compress(b"x"))
    assert found() == []
    (path / "a.ndjson").unlink()
    assert found() == ["a.ndjson.zst"]  # it may be one of ours that was cut off
    (path / "a.ndjson.zst").unlink()
    (path / "a.ndjson.zst").mkdir()
    assert found() == []


@pytest.mark.parametrize("name", ["", "x", ".zst", "p/.zst", "/a.zst", "../a.zst", ".maint/a.zst"])
def test_what_is_no_name_of_such_a_file_is_not_taken_for_one(name: str) -> None:
    assert names.parse_zst_path(name) is None


@pytest.mark.parametrize("name", ["a.ndjson", "p/a", "a.zst"])
def test_name_is_read_back(name: str) -> None:
    assert names.parse_zst_path(names.zst_path(name)) == name
