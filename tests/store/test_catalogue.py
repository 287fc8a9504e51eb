import os
import re
import shutil
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pack_world import NEXT, PACK, RUN, entry, forged, head, numbered, open_fds, pack, session
from swaps import made_fifo, made_folder

from store import archives, catalogue_file, manifest, marks, names
from store.archived import Archived
from store.catalogue import Catalogue
from store.facts import Account, Place, State
from store.marks import Mark, Why
from store.packs import open_pack
from store.roots import RootFds

SECOND = names.pack_name(RUN, 1)
LATER = names.pack_name(NEXT, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "store" / names.ARCHIVE).mkdir(parents=True)
    return tmp_path / "store"


@pytest.fixture
def place(path: Path) -> Place:
    return archives.with_archives(Place("mine", "rec", {"sessions": str(path)}))


@pytest.fixture
def roots(place: Place) -> Iterator[RootFds]:
    before = open_fds()
    with RootFds(place.roots) as roots:
        yield roots
    assert open_fds() == before


@pytest.fixture
def file(path: Path) -> Path:
    return path / names.CATALOGUE


def shelve(path: Path, roots: RootFds, *ids: str, name: str = PACK, started: float | None = None) -> None:
    """Pack sessions of these ids, whose files end with their packing."""
    told = [session(path, id_, {id_: f"{id_} in {name}".encode()}, started=started) for id_ in ids]
    pack(roots, numbered(*told), name=name)
    for id_ in ids:
        (path / id_).unlink()


def mark(roots: RootFds, *sessions: str, why: Why = Why.EXPIRED, name: str = PACK) -> None:
    told = [Mark(session=each, why=why, run=NEXT, at=1.0) for each in sessions]
    marks.add(roots["archive"], name, told)


def ids(place: Place, roots: RootFds, *, dead: bool = False) -> list[str]:
    with Catalogue.open(place, roots) as catalogue:
        return [each.entry.id for each in catalogue.sessions(dead=dead)]


def edit(file: Path, *statements: str, values: tuple[Any, ...] = ()) -> list[Any]:
    """What somebody does who has found the file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        return [db.execute(each, values).fetchall() for each in statements]


def rows(file: Path) -> int:
    (((found,),),) = edit(file, "SELECT COUNT(*) FROM sessions")
    return int(found)


# Looking.


def test_sessions_are_found_by_id_by_prefix_and_by_name(place: Place, roots: RootFds, path: Path) -> None:
    shelve(path, roots, "abc", "abd", "b")
    shelve(path, roots, "abcd", name=SECOND)

    def found(catalogue: Catalogue, name: str) -> list[str]:
        return [each.entry.id for each in catalogue.find(name)]

    with Catalogue.open(place, roots) as catalogue:
        assert found(catalogue, "abc") == ["abc"]
        assert found(catalogue, "ab") == ["abc", "abcd", "abd"]
        assert found(catalogue, "abcd") == ["abcd"]
        assert found(catalogue, "name of b") == ["b"]
        for none in ("x", "ABC", "abc%", "a_c", "name", "\udcff", "a\0", "\U0010ffff"):
            assert found(catalogue, none) == []
        assert catalogue.copies("\udcff") == []


def test_names_that_sort_last_are_found_by_prefix(place: Place, roots: RootFds, path: Path) -> None:
    shelve(path, roots, "a\U0010fffe", "b", "a'\"; DROP TABLE packs; --")
    with Catalogue.open(place, roots) as catalogue:
        assert len(catalogue.find("a")) == 2
        assert len(catalogue.find("a'\"; DROP TABLE packs; --")) == 1


def test_copies_are_given_the_oldest_first_and_dead_ones_only_when_asked(
    place: Place, roots: RootFds, path: Path
) -> None:
    for name in (LATER, PACK, SECOND):
        shelve(path, roots, "a", name=name)
    mark(roots, "a", why=Why.SUPERSEDED)
    with Catalogue.open(place, roots) as catalogue:
        copies = [(each.pack, each.dead) for each in catalogue.copies("a")]
        assert copies == [(PACK, "superseded"), (SECOND, None), (LATER, None)]
        assert [each.pack for each in catalogue.find("a")] == [SECOND, LATER]
        assert [each.pack for each in catalogue.find("a", dead=True)] == [PACK, SECOND, LATER]
        assert [each.run for each in catalogue.sessions()] == [RUN, NEXT]
        assert len(list(catalogue.sessions(dead=True))) == 3


def test_sessions_of_a_pack_come_in_the_order_in_which_they_lie_there(
    place: Place, roots: RootFds, path: Path
) -> None:
    shelve(path, roots, "c", "a", "b")
    shelve(path, roots, "x", "a", name=SECOND)
    mark(roots, "a")
    with Catalogue.open(place, roots) as catalogue:
        assert [each.entry.id for each in catalogue.sessions_of("archive", PACK)] == ["c", "b"]
        every = catalogue.sessions_of("archive", PACK, dead=True)
        assert [each.entry.id for each in every] == ["c", "a", "b"]
        wanted = {"b", "c", "x"}
        found = []
        for label, id_, line in catalogue.lines_of(PACK, wanted):
            assert (label, manifest.checked_entry(line).id) == ("archive", id_)
            wanted.remove(id_)
            found.append(id_)
        assert found == ["c", "b"]


def test_sums_are_those_of_what_counts(place: Place, roots: RootFds, path: Path) -> None:
    shelve(path, roots, "a", "b", "c")
    mark(roots, "b")
    with Catalogue.open(place, roots) as catalogue:
        told = {each.entry.id: each.entry.packed for each in catalogue.sessions(dead=True)}
        assert catalogue.count() == (2, told["a"] + told["c"])
        (found,) = catalogue.packs()
    assert (found.sessions, found.dead, found.packed, found.dead_packed) == (
        3,
        1,
        sum(told.values()),
        told["b"],
    )
    assert (found.label, found.name, found.problem) == ("archive", PACK, None)
    assert found.size == (path / names.ARCHIVE / PACK).stat().st_size
    assert found.dead_share == told["b"] / sum(told.values())


def test_facts_of_an_archived_session_are_those_it_had(place: Place, roots: RootFds, path: Path) -> None:
    shelve(path, roots, "a", started=1_770_000_000.0)
    with Catalogue.open(place, roots) as catalogue:
        (each,) = catalogue.find("a")
    found = each.session("mine", "rec")
    assert (found.id, found.name, found.started_at, found.records) == ("a", "name of a", 1_770_000_000.0, 2)
    assert (found.state, found.archived, found.bytes) == (State.COMPLETE, True, each.entry.size)
    assert found.evidence == f"archived in {PACK}"


def test_latest_copy_is_the_one_of_the_latest_pack(place: Place, roots: RootFds, path: Path) -> None:
    shelve(path, roots, "a", name=LATER)
    shelve(path, roots, "a", "b")
    mark(roots, "a", name=LATER)
    with Catalogue.open(place, roots) as catalogue:
        assert catalogue.latest() == {
            "a": (len(f"a in {LATER}"), 1_770_000_000.123456789),
            "b": (len(f"b in {PACK}"), 1_770_000_000.123456789),
        }


def test_session_is_read_without_its_manifest(place: Place, roots: RootFds, path: Path) -> None:
    shelve(path, roots, "a", "b")
    with open_pack(roots["archive"], PACK) as opened:
        spans, digests = opened.spans, opened.digests
    with Catalogue.open(place, roots) as catalogue:
        assert catalogue.frames_of("archive", PACK) == ("sessions", spans, digests)
        (each,) = catalogue.find("b")
        with catalogue.reader(each) as reader:
            assert [b"".join(content) for _, content in reader.members(each.entry)] == [
                f"b in {PACK}".encode()
            ]
        with pytest.raises(FileNotFoundError):
            catalogue.frames_of("archive", SECOND)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (("text", 5.0), ("other", 5.0), True),
        (("text", 5.0), ("text", 6.0), True),
        (("text", None), ("text", None), True),
        (("text", 5.0), ("other", 6.0), False),
        (("text", None), ("other", None), False),
        (("text", None), ("other", 5.0), False),
    ],
)
def test_only_an_earlier_state_of_the_same_recording_is_superseded(
    place: Place,
    roots: RootFds,
    path: Path,
    old: tuple[str, float | None],
    new: tuple[str, float | None],
    same: bool,
) -> None:
    for name, (text, started) in ((PACK, old), (LATER, new)):
        pack(roots, [session(path, "a", {"a": text.encode()}, started=started)], name=name)
    shelve(path, roots, "b", name=SECOND)
    with Catalogue.open(place, roots) as catalogue:
        found = catalogue.superseded_by("archive", LATER)
        assert [(each.pack, each.entry.id) for each in found] == ([(PACK, "a")] if same else [])
        assert catalogue.superseded_by("archive", PACK) == []
        assert catalogue.superseded_by("archive", SECOND) == []
    mark(roots, "a")
    with Catalogue.open(place, roots) as catalogue:
        assert catalogue.superseded_by("archive", LATER) == []


def test_copy_that_counts_no_more_supersedes_none(place: Place, roots: RootFds, path: Path) -> None:
    shelve(path, roots, "a", started=5.0)
    shelve(path, roots, "a", name=LATER, started=5.0)
    mark(roots, "a", why=Why.STALE, name=LATER)
    with Catalogue.open(place, roots) as catalogue:
        assert catalogue.superseded_by("archive", LATER) == []


# Keeping it true.


def test_nothing_is_written_where_there_are_no_packs(
    place: Place, roots: RootFds, path: Path, file: Path
) -> None:
    assert ids(place, roots) == []
    assert not file.exists()
    (path / names.ARCHIVE).rmdir()
    plain = Place("mine", "rec", {"sessions": str(path)})
    with RootFds(plain.roots) as without, Catalogue.open(plain, without) as catalogue:
        assert (catalogue.packs(), catalogue.count(), catalogue.find("a")) == ([], (0, 0), [])
    assert not file.exists()


def test_packs_that_come_go_and_change_are_noticed(
    place: Place, roots: RootFds, path: Path, file: Path
) -> None:
    shelve(path, roots, "a", "b")
    assert ids(place, roots) == ["a", "b"]
    shelve(path, roots, "c", name=SECOND)
    assert ids(place, roots) == ["a", "b", "c"]
    mark(roots, "b")
    assert ids(place, roots) == ["a", "c"]
    mark(roots, "b", why=Why.HELD)
    assert ids(place, roots) == ["a", "b", "c"]
    mark(roots, "a", name=SECOND)
    assert ids(place, roots) == ["a", "b", "c"]
    mark(roots, "c", name=SECOND)
    (path / names.ARCHIVE / names.marks_name(SECOND)).unlink()
    assert ids(place, roots) == ["a", "b", "c"]
    (path / names.ARCHIVE / PACK).unlink()
    assert ids(place, roots, dead=True) == ["c"]
    assert rows(file) == 1
    shelve(path, roots, "d", "e")
    assert ids(place, roots) == ["c", "d", "e"]
    shelve_over(path, roots, "f")
    assert ids(place, roots) == ["c", "f"]


def shelve_over(path: Path, roots: RootFds, id_: str) -> None:
    (path / names.ARCHIVE / PACK).unlink()
    shelve(path, roots, id_)


def test_catalogue_that_is_true_is_not_written_to(
    place: Place, roots: RootFds, path: Path, file: Path
) -> None:
    shelve(path, roots, "a")
    ids(place, roots)
    before = file.stat()
    ids(place, roots)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_only_packs_are_taken_in(place: Place, roots: RootFds, path: Path) -> None:
    shelve(path, roots, "a")
    archive = path / names.ARCHIVE
    for name in ("x.tar.zst", names.unsealed_name(SECOND), f"{SECOND}.bak", "notes.txt"):
        (archive / name).write_bytes((archive / PACK).read_bytes())
    (archive / names.marks_name(SECOND)).write_text("{}")
    assert ids(place, roots) == ["a"]


def test_pack_that_is_damaged_is_told_and_the_others_are_found(
    place: Place, roots: RootFds, path: Path
) -> None:
    shelve(path, roots, "a")
    shelve(path, roots, "b", name=SECOND)
    archive = path / names.ARCHIVE
    data = (archive / PACK).read_bytes()
    (archive / PACK).write_bytes(data[:-1])
    os.mkdir(archive / names.pack_name(NEXT, 1))
    os.symlink(SECOND, archive / names.pack_name(NEXT, 2))
    os.mkfifo(archive / names.pack_name(NEXT, 3))
    hostile = manifest.encode_head(head(names.pack_name(NEXT, 4), sessions=1))
    wrong = manifest.encode_entry(entry("../x"))
    (archive / names.pack_name(NEXT, 4)).write_bytes(forged(hostile + wrong))
    with Catalogue.open(place, roots) as catalogue:
        assert [each.entry.id for each in catalogue.sessions()] == ["b"]
        problems = [each.problem for each in catalogue.packs()]
    assert [problem is None for problem in problems] == [False, True, False, False, False, False]
    assert "cut off" in (problems[0] or "")
    assert "a file that no store has" in (problems[-1] or "")
    (archive / PACK).write_bytes(data)
    assert ids(place, roots) == ["a", "b"]


@pytest.mark.parametrize(
    "account",
    [
        Account(started_at=1e300),
        Account(records=1 << 63),
        Account(name="\u202e\n\0"),
        Account(tags=("x" * 9999,)),
    ],
)
def test_pack_that_says_odd_things_is_damaged_or_read(
    place: Place, roots: RootFds, path: Path, account: Account
) -> None:
    line = manifest.encode_entry(msgspec.structs.replace(entry(), account=account))
    (path / names.ARCHIVE / PACK).write_bytes(forged(manifest.encode_head(head(sessions=1)) + line))
    with Catalogue.open(place, roots) as catalogue:
        (found,) = catalogue.packs()
        told = [each.session("mine", "rec").name for each in catalogue.sessions()]
    assert told == ([] if found.problem else [account.name])


def test_folder_of_packs_that_cannot_be_read_is_an_error(
    place: Place, roots: RootFds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(folder: int) -> list[str]:
        raise PermissionError(13, "permission denied")

    monkeypatch.setattr(os, "listdir", failing)
    with pytest.raises(PermissionError):
        Catalogue.open(place, roots)


# Made anew.


def other_make(file: Path) -> None:
    edit(
        file,
        "CREATE TABLE more (x)",
    )


def other_version(file: Path) -> None:
    edit(
        file,
        "PRAGMA user_version = 99",
    )


def with_trigger(file: Path) -> None:
    edit(
        file,
        "CREATE TRIGGER evil AFTER INSERT ON packs BEGIN DELETE FROM sessions; END",
        "UPDATE packs SET state = 'old'",
    )


def with_view(file: Path) -> None:
    edit(
        file,
        "ALTER TABLE sessions RENAME TO kept",
        "CREATE VIEW sessions AS SELECT * FROM kept",
    )


def made_dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parent.parent / "outside")


def zeroed(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def halved(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)


def filled(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100] + b"\xff" * 8192)


def odd_text(file: Path) -> None:
    """What SQLite says is wrong with it quotes bytes that are no text."""
    said = file.read_bytes()
    assert b"tablepackspacks" in said
    file.write_bytes(said.replace(b"tablepackspacks", b"table\xac\xac\xac\xac\xacpacks"))


SPOILT: list[Callable[[Path], object]] = [
    Path.unlink,
    lambda file: file.write_bytes(b""),
    lambda file: file.write_text("text\n" * 5000),
    other_make,
    other_version,
    with_trigger,
    with_view,
    made_folder,
    made_fifo,
    made_dangling,
    zeroed,
    halved,
    filled,
    odd_text,
    lambda file: os.truncate(file, 1000),
    lambda file: file.chmod(0),
    lambda file: file.with_name(file.name + "-journal").write_bytes(b"journal" * 999),
    lambda file: file.with_name(file.name + "-journal").mkdir(),
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_catalogue_that_is_lost_or_spoilt_is_made_anew_unasked(
    place: Place, roots: RootFds, path: Path, file: Path, spoil: Callable[[Path], object]
) -> None:
    shelve(path, roots, *(f"s{n:03}" for n in range(60)))
    mark(roots, "s001")
    shelve(path, roots, "z", name=SECOND)
    expected = ids(place, roots)
    spoil(file)
    before = open_fds()
    assert ids(place, roots) == expected == ids(place, roots)
    assert open_fds() == before
    assert not (path / "outside").exists()


@pytest.mark.parametrize("spoil", [other_make, made_dangling, zeroed, made_fifo, with_trigger])
def test_catalogue_that_was_made_anew_is_there_again(
    place: Place, roots: RootFds, path: Path, file: Path, spoil: Callable[[Path], object]
) -> None:
    shelve(path, roots, "a")
    ids(place, roots)
    spoil(file)
    ids(place, roots)
    assert not file.is_symlink()
    assert rows(file) == 1


def answers(catalogue: Catalogue) -> Any:
    """All that a catalogue says."""
    told = [
        list(catalogue.sessions(dead=True)),
        list(catalogue.sessions_of("archive", PACK)),
        list(catalogue.lines_of(PACK, {"s003"})),
        catalogue.find("s001"),
        catalogue.find("s"),
        catalogue.find("name of s002"),
        catalogue.copies("s001"),
        catalogue.count(),
        catalogue.packs(),
        catalogue.latest(),
        catalogue.frames_of("archive", PACK),
        catalogue.superseded_by("archive", LATER),
    ]
    return msgspec.json.encode(told)


def test_no_flipped_byte_makes_a_catalogue_lie_about_a_session(
    place: Place, roots: RootFds, path: Path, file: Path
) -> None:
    shelve(path, roots, *(f"s{n:03}" for n in range(12)))
    shelve(path, roots, "s001", name=LATER)
    mark(roots, "s002")
    with Catalogue.open(place, roots) as catalogue:
        true = {(each.pack, each.entry.id): each for each in catalogue.sessions(dead=True)}
    whole = file.read_bytes()
    unseen = 0
    for at in range(3, len(whole), 131):
        spoilt = bytearray(whole)
        spoilt[at] ^= 0x55
        file.write_bytes(spoilt)
        with Catalogue.open(place, roots) as catalogue:
            every = list(catalogue.sessions(dead=True))
            assert all(true[each.pack, each.entry.id] == each for each in every), f"byte {at}"
            unseen += len(every) < len(true)
            answers(catalogue)
    # An index or a list of pages may leave out a row: then the packs themselves are asked.
    assert unseen < 20
    with Catalogue.open(place, roots, fresh=True) as catalogue:
        assert {(each.pack, each.entry.id): each for each in catalogue.sessions(dead=True)} == true


HOSTILE_ROWS = [
    f"UPDATE packs SET name = '../../etc/passwd' WHERE name = '{PACK}'",
    "UPDATE packs SET label = 'sessions'",
    "UPDATE packs SET label = 5",
    "UPDATE packs SET frames = 'text'",
    "UPDATE packs SET frames = '[[1,2,3]]'",
    "UPDATE packs SET frames = '[[99999999999999999999,1,\"\"]]'",
    "UPDATE packs SET frames = zeroblob(50000000)",
    "UPDATE packs SET first = 5",
    "UPDATE packs SET size = 'large'",
    "UPDATE packs SET problem = 5",
    "UPDATE packs SET sum = 'x'",
    "UPDATE sessions SET line = 'text'",
    "UPDATE sessions SET line = 5",
    "UPDATE sessions SET line = zeroblob(100000000)",
    "UPDATE sessions SET line = x'5b5b5b5b'",
    "UPDATE sessions SET line = replace(CAST(line AS TEXT), 's001', 's999')",
    "UPDATE sessions SET id = 's999' WHERE id = 's001'",
    "UPDATE sessions SET dead = 5",
    "UPDATE sessions SET dead = 'expired' WHERE id = 's001'",
    "UPDATE sessions SET sum = sum + 1 WHERE id = 's003'",
    "UPDATE sessions SET packed = 9e999",
    "UPDATE sessions SET packed = 'x'",
    "UPDATE sessions SET packed = 9223372036854775807",
    "DELETE FROM packs",
]


@pytest.mark.parametrize("statement", HOSTILE_ROWS)
def test_hostile_rows_give_no_traceback(
    place: Place, roots: RootFds, path: Path, file: Path, statement: str
) -> None:
    shelve(path, roots, *(f"s{n:03}" for n in range(5)))
    shelve(path, roots, "s001", name=LATER)
    with Catalogue.open(place, roots) as catalogue:
        true = {(each.pack, each.entry.id): each for each in catalogue.sessions()}
    edit(file, statement)
    with Catalogue.open(place, roots) as catalogue:
        answers(catalogue)
        assert {(each.pack, each.entry.id): each for each in catalogue.sessions()} == true


def test_lines_that_a_manifest_may_not_have_are_not_taken_from_a_catalogue_either(
    place: Place, roots: RootFds, path: Path, file: Path
) -> None:
    shelve(path, roots, "a")
    ids(place, roots)
    line = manifest.encode_entry(entry("../../etc/passwd"))[:-1]
    edit(
        file,
        "UPDATE sessions SET line = ?, sum = ?",
        values=(line, catalogue_file.sum_of(None, line)),
    )
    with Catalogue.open(place, roots) as catalogue:
        (found,) = catalogue.find("a")
        assert [member.path for member in found.entry.members] == ["a"]


def test_line_with_a_moment_that_no_file_has_is_not_listed_from_a_catalogue_either(
    place: Place, roots: RootFds, path: Path, file: Path
) -> None:
    shelve(path, roots, "a")
    true = [each.entry.last_changed for each in all_of(place, roots)]
    line = re.sub(rb'"mtime_ns":\d+', b'"mtime_ns":' + b"9" * 400, manifest.encode_entry(entry("a"))[:-1])
    edit(
        file,
        "UPDATE sessions SET line = ?, sum = ?",
        values=(line, catalogue_file.sum_of(None, line)),
    )
    assert [each.entry.last_changed for each in all_of(place, roots)] == true


def all_of(place: Place, roots: RootFds) -> list[Archived]:
    with Catalogue.open(place, roots) as catalogue:
        return list(catalogue.sessions())


def test_store_that_cannot_be_written_to_is_read_all_the_same(
    place: Place, roots: RootFds, path: Path, file: Path
) -> None:
    shelve(path, roots, "a", "b")
    for step in range(2):

        def look() -> None:
            os.seteuid(12345)
            assert ids(place, roots) == ["a", "b"]

        for each in (path, *path.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
        parents = [each for each in path.parents if os.stat(each).st_mode & 0o5 != 0o5]
        modes = [os.stat(each).st_mode for each in parents]
        for each in parents:
            each.chmod(0o755)
        before = file.exists() and file.read_bytes()
        codes = together(1, look)
        for each, mode in zip(parents, modes, strict=True):
            each.chmod(mode)
        assert codes == [0]
        assert (file.exists() and file.read_bytes()) == before, step
        ids(place, roots)


def test_catalogue_that_somebody_else_writes_is_left_alone(
    place: Place, roots: RootFds, path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_file, "_WAIT", 0.01)
    shelve(path, roots, "a")
    ids(place, roots)
    shelve(path, roots, "b", name=SECOND)
    inode = file.stat().st_ino
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert ids(place, roots) == ["a", "b"]
    other.execute("ROLLBACK")
    other.close()
    assert (file.stat().st_ino, rows(file)) == (inode, 1)
    ids(place, roots)
    assert (file.stat().st_ino, rows(file)) == (inode, 2)


def together(count: int, act: Callable[[], None]) -> list[int]:
    """Let so many processes act at once; their exit codes."""
    waiting, gate = os.pipe()
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(gate)
                os.read(waiting, 1)
                act()
                code = 0
            except BaseException:  # noqa: BLE001  it must not get out of here
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    os.close(waiting)
    os.close(gate)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def emptied_and_replaced(place: Place, roots: RootFds, file: Path, folder: Path) -> None:
    """What a journal does to whoever reads on in a file that was replaced: it is as it was when that journal began."""
    empty = folder / "empty"
    shutil.copyfile(file, empty)
    edit(empty, "DELETE FROM sessions", "DELETE FROM packs")
    with file.open("r+b") as behind:
        file.unlink()
        ids(place, roots)
        behind.write(empty.read_bytes())


def test_who_reads_a_file_that_another_one_replaces_finds_everything_once(
    place: Place, roots: RootFds, file: Path, tmp_path: Path
) -> None:
    shelve(Path(place.path), roots, "a", "b", "c")
    ids(place, roots)
    for ask in (
        lambda catalogue: catalogue.count()[0],
        lambda catalogue: len(list(catalogue.sessions())),
        lambda catalogue: len(list(catalogue.sessions_of("archive", PACK))),
        lambda catalogue: sum(each.sessions for each in catalogue.packs()),
    ):
        with Catalogue.open(place, roots) as catalogue:
            emptied_and_replaced(place, roots, file, tmp_path)
            replaced = file.stat()
            assert ask(catalogue) == 3
        assert os.path.samestat(file.stat(), replaced)  # that one is sound


def test_who_has_read_some_of_a_file_that_is_replaced_finds_the_rest(
    place: Place, roots: RootFds, file: Path
) -> None:
    shelve(Path(place.path), roots, "a", "b", "c")
    with Catalogue.open(place, roots) as catalogue:
        found = catalogue.sessions()
        first = next(found).entry.id
        file.unlink()
        ids(place, roots)
        assert [first, *(each.entry.id for each in found)] == ["a", "b", "c"]


@pytest.mark.parametrize("state", ["missing", "stale", "spoilt"])
def test_processes_that_open_it_at_once_all_find_everything_once(
    place: Place, roots: RootFds, path: Path, file: Path, state: str
) -> None:
    for number in range(4):
        shelve(path, roots, *(f"{number}-{n}" for n in range(20)), name=names.pack_name(RUN, number))
        if number == 1 and state != "missing":
            ids(place, roots)
    if state == "spoilt":
        zeroed(file)
    expected = sorted(f"{number}-{n}" for number in range(4) for n in range(20))

    def look() -> None:
        for _ in range(5):
            with RootFds(place.roots) as own, Catalogue.open(place, own) as catalogue:
                assert [each.entry.id for each in catalogue.sessions()] == expected
                assert catalogue.count()[0] == len(expected)

    assert together(6, look) == [0] * 6
    assert ids(place, roots) == expected
    assert rows(file) == 80


def test_fresh_catalogue_reads_every_pack_again(place: Place, roots: RootFds, path: Path, file: Path) -> None:
    shelve(path, roots, "a", "b")
    ids(place, roots)
    edit(
        file,
        "DELETE FROM sessions WHERE id = 'a'",
    )
    assert ids(place, roots) == ["b"]
    with Catalogue.open(place, roots, fresh=True) as catalogue:
        assert [each.entry.id for each in catalogue.sessions()] == ["a", "b"]
    assert ids(place, roots) == ["a", "b"]


def test_packs_in_all_folders_are_in_it(place: Place, roots: RootFds, path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    more, label = archives.ensure(place, roots, str(tmp_path / "elsewhere"))
    shelve(path, roots, "a")
    pack(roots, [session(path, "b", {"b": b"b"})], label=label)
    with Catalogue.open(more, roots) as catalogue:
        found: list[Archived] = list(catalogue.sessions())
    assert [(each.label, each.pack, each.entry.id) for each in found] == [
        ("archive", PACK, "a"),
        (label, PACK, "b"),
    ]
    with RootFds(place.roots) as fewer:
        assert ids(place, fewer) == ["a"]


def test_name_of_a_store_is_no_address(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory&x#y %20"
    (path / names.ARCHIVE).mkdir(parents=True)
    odd = archives.with_archives(Place("odd", "rec", {"sessions": str(path)}))
    with RootFds(odd.roots) as roots:
        shelve(path, roots, "a")
        assert ids(odd, roots) == ["a"]
    assert (path / names.CATALOGUE).is_file()
