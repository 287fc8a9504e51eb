import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interposed import acting
from swaps import given_away, linked, made_fifo, made_folder, made_link, replaced

from store import leases, names, opening
from store.change import (
    RootFds,
    Skip,
    Stranded,
    copy_out,
    expire,
    let_go,
    move_to_trash,
    put_back,
    remove_empty_folders,
)
from store.facts import Fingerprint, Member
from store.looking import Gone

RUN = names.new_run_id(1770628443, b"abc")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "state").mkdir()
    return tmp_path / "sessions"


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    with RootFds({"sessions": str(path), "state": str(path.parent / "state")}) as roots:
        yield roots


def planned(path: Path, root: str = "sessions", base: Path | None = None) -> Member:
    found = opening.fingerprint(os.stat(path, follow_symlinks=False))
    return Member(root, str(path.relative_to(base or path.parent)), found)


def session(path: Path, name: str = "a.ndjson", text: str = "one\n") -> Member:
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_text(text)
    return planned(path / name, base=path)


def trash(path: Path, rel: str = "a.ndjson", root: str = "sessions") -> Path:
    return path / names.trash_path(RUN, root, rel)


def test_session_moves_to_the_trash_of_its_run(roots: RootFds, path: Path) -> None:
    member = session(path)
    inode = (path / "a.ndjson").stat().st_ino
    assert move_to_trash(roots, (member,), RUN) == 4
    assert not (path / "a.ndjson").exists()
    assert (trash(path).read_text(), trash(path).stat().st_ino) == ("one\n", inode)


def test_all_members_go_to_the_first_root(roots: RootFds, path: Path) -> None:
    first = session(path)
    (path.parent / "state/pending.json").write_text("{}")
    second = planned(path.parent / "state/pending.json", "state")
    assert move_to_trash(roots, (first, second), RUN) == 6
    assert trash(path, "pending.json", "state").read_text() == "{}"
    assert list((path.parent / "state").iterdir()) == []


def test_session_in_a_folder_keeps_its_place(roots: RootFds, path: Path) -> None:
    member = session(path, "p/q/a.ndjson")
    move_to_trash(roots, (member,), RUN)
    assert trash(path, "p/q/a.ndjson").read_text() == "one\n"
    put_back(roots, RUN, "sessions", "p/q/a.ndjson")
    assert (path / "p/q/a.ndjson").read_text() == "one\n"


def test_removing_twice_is_removing_once(roots: RootFds, path: Path) -> None:
    member = session(path)
    assert move_to_trash(roots, (member,), RUN) == move_to_trash(roots, (member,), RUN) == 4


def test_removal_killed_half_way_is_finished(roots: RootFds, path: Path) -> None:
    one, two = session(path, "1"), session(path, "2")
    move_to_trash(roots, (one,), RUN)
    assert move_to_trash(roots, (one, two), RUN) == 8
    assert [entry.name for entry in path.iterdir()] == [names.FOLDER]


def test_session_that_is_gone_is_skipped(roots: RootFds, path: Path) -> None:
    member = session(path)
    (path / "a.ndjson").unlink()
    with pytest.raises(Skip, match="is gone"):
        move_to_trash(roots, (member,), RUN)


def grown(file: Path) -> None:
    with file.open("a") as handle:
        handle.write("two\n")


def touched(file: Path) -> None:
    file.chmod(0o640)


def made_socket(file: Path) -> None:
    file.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(file))


CHANGES: list[tuple[Callable[[Path], None], str]] = [
    (grown, "grew since it was planned"),
    (replaced, "is another file than the planned one"),
    (touched, "changed since it was planned"),
    (linked, "has more than one hard link"),
    (given_away, "belongs to another user"),
    (made_fifo, "is a FIFO"),
    (made_folder, "is a folder"),
    (made_link, "is a symbolic link"),
    (made_socket, "is a socket"),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_session_that_is_not_as_planned_is_left_alone(
    roots: RootFds, path: Path, change: Callable[[Path], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path)
    member = session(path)
    change(Path("a.ndjson"))
    before = os.stat(path / "a.ndjson", follow_symlinks=False)
    with pytest.raises(Skip, match=reason):
        move_to_trash(roots, (member,), RUN)
    assert os.path.samestat(before, os.stat(path / "a.ndjson", follow_symlinks=False))


def test_session_behind_a_link_is_left_alone(roots: RootFds, path: Path) -> None:
    member = session(path, "p/a.ndjson")
    (path / "p").rename(path.parent / "outside")
    (path / "p").symlink_to(path.parent / "outside")
    with pytest.raises(Skip, match="lies behind something"):
        move_to_trash(roots, (member,), RUN)
    assert (path.parent / "outside/a.ndjson").exists()


def test_session_open_for_writing_is_left_alone(roots: RootFds, path: Path) -> None:
    member = session(path)
    with (path / "a.ndjson").open("a"), pytest.raises(Skip, match="open for writing"):
        move_to_trash(roots, (member,), RUN)
    assert (path / "a.ndjson").exists()


def test_one_member_that_cannot_go_brings_the_others_back(roots: RootFds, path: Path) -> None:
    one, two, three = session(path, "1"), session(path, "2"), session(path, "3")
    grown(path / "3")
    with pytest.raises(Skip, match="grew"):
        move_to_trash(roots, (one, two, three), RUN)
    assert {entry.name for entry in path.iterdir()} == {"1", "2", "3", names.FOLDER}


def test_member_that_cannot_come_back_is_named_with_its_place(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = session(path, "1"), session(path, "2")
    grown(path / "2")
    acting(monkeypatch, "rename_noreplace", after=lambda: (path / "1").write_text("another"))
    with pytest.raises(Stranded, match=r"trash/.*/1"):
        move_to_trash(roots, (one, two), RUN)
    assert trash(path, "1").read_text() == "one\n"
    assert (path / "1").read_text() == "another"


def test_file_that_took_the_name_in_the_gap_comes_back(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = session(path)
    acting(monkeypatch, "rename_noreplace", before=lambda: replaced(path / "a.ndjson"))
    with pytest.raises(Skip, match="changed while it was removed"):
        move_to_trash(roots, (member,), RUN)
    assert (path / "a.ndjson").stat().st_ino != member.fingerprint.inode
    assert not trash(path).exists()


def test_session_removed_by_its_owner_in_the_gap_is_gone(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = session(path)
    acting(monkeypatch, "rename_noreplace", before=(path / "a.ndjson").unlink)
    with pytest.raises(Skip, match="is gone"):
        move_to_trash(roots, (member,), RUN)


@pytest.mark.parametrize("when", ["before", "after"])
def test_late_append_without_leases_brings_the_session_back(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(leases, "read_lease", lambda _: leases.Lease.UNAVAILABLE)
    member = session(path)
    with (path / "a.ndjson").open("a") as writer:

        def append() -> None:
            writer.write("late\n")
            writer.flush()

        acting(monkeypatch, "rename_noreplace", **{when: append})
        with pytest.raises(Skip, match="changed while it was removed"):
            move_to_trash(roots, (member,), RUN)
    assert (path / "a.ndjson").read_text() == "one\nlate\n"


def test_writer_who_waits_for_the_session_gets_it_back(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = session(path)

    def want() -> None:
        with pytest.raises(BlockingIOError):
            os.open(path / "a.ndjson", os.O_WRONLY | os.O_NONBLOCK)

    acting(monkeypatch, "rename_noreplace", before=want)
    with pytest.raises(Skip, match="changed while it was removed"):
        move_to_trash(roots, (member,), RUN)
    grown(path / "a.ndjson")
    assert (path / "a.ndjson").read_text() == "one\ntwo\n"


def test_trash_folder_that_was_removed_is_made_again(roots: RootFds, path: Path) -> None:
    move_to_trash(roots, (session(path, "1"),), RUN)
    trash(path, "1").unlink()
    trash(path, "1").parent.rmdir()
    assert move_to_trash(roots, (session(path, "2"),), RUN) == 4


def test_second_file_of_a_name_does_not_replace_the_first_in_the_trash(roots: RootFds, path: Path) -> None:
    move_to_trash(roots, (session(path),), RUN)
    again = session(path, text="another\n")
    with pytest.raises(Skip, match="another file of that name"):
        move_to_trash(roots, (again,), RUN)
    assert (trash(path).read_text(), (path / "a.ndjson").read_text()) == ("one\n", "another\n")


def test_name_that_is_no_text_goes_and_comes_back(roots: RootFds, path: Path) -> None:
    name = os.fsdecode(b"\xff\n\x1b.ndjson")
    member = session(path, name)
    move_to_trash(roots, (member,), RUN)
    put_back(roots, RUN, "sessions", name)
    assert (path / name).read_text() == "one\n"


def test_no_descriptor_and_no_lease_is_left(roots: RootFds, path: Path) -> None:
    move_to_trash(roots, (session(path, "0"),), RUN)
    before = len(os.listdir("/proc/self/fd"))
    move_to_trash(roots, (session(path, "1"),), RUN)
    with pytest.raises(Skip):
        move_to_trash(roots, (session(path, "1"),), RUN)
    os.close(os.open(path / "1", os.O_WRONLY | os.O_NONBLOCK))
    assert len(os.listdir("/proc/self/fd")) == before


def test_putting_back_replaces_nothing(roots: RootFds, path: Path) -> None:
    move_to_trash(roots, (session(path),), RUN)
    session(path, text="another\n")
    with pytest.raises(Skip, match="another file has its place"):
        put_back(roots, RUN, "sessions", "a.ndjson")
    assert (trash(path).read_text(), (path / "a.ndjson").read_text()) == ("one\n", "another\n")


def test_putting_back_makes_folders_and_cleans_up_ours(roots: RootFds, path: Path) -> None:
    move_to_trash(roots, (session(path, "p/a.ndjson"),), RUN)
    (path / "p").rmdir()
    put_back(roots, RUN, "sessions", "p/a.ndjson")
    roots.moves.remove_emptied()
    assert (path / "p/a.ndjson").read_text() == "one\n"
    assert list((path / names.TRASH).iterdir()) == []
    with pytest.raises(Skip, match="not in the trash"):
        put_back(roots, RUN, "sessions", "p/a.ndjson")


def expirable(roots: RootFds, path: Path, name: str = "p/a.ndjson") -> tuple[str, Fingerprint]:
    member = session(path, name)
    move_to_trash(roots, (member,), RUN)
    return names.trash_path(RUN, "sessions", name), member.fingerprint


def test_expired_file_and_its_empty_folders_go(roots: RootFds, path: Path) -> None:
    rel, fingerprint = expirable(roots, path)
    assert expire(roots, rel, fingerprint) == 4
    assert list((path / names.TRASH).iterdir()) == []
    assert expire(roots, rel, fingerprint) == 0


def test_expiry_leaves_folders_that_hold_something(roots: RootFds, path: Path) -> None:
    rel, fingerprint = expirable(roots, path)
    expirable(roots, path, "p/b.ndjson")
    expire(roots, rel, fingerprint)
    assert trash(path, "p/b.ndjson").exists()


def test_many_files_expire_with_one_attempt_to_remove_their_folder(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [expirable(roots, path, str(number)) for number in range(9)]
    removed = []
    rmdir = os.rmdir

    def removing(name: str, **kwargs: Any) -> None:
        removed.append(name)
        rmdir(name, **kwargs)

    monkeypatch.setattr(os, "rmdir", removing)
    assert [expire(roots, rel, fingerprint) for rel, fingerprint in kept] == [4] * 9
    assert removed == ["sessions", RUN]


def test_file_in_a_trash_folder_that_was_made_again_expires(roots: RootFds, path: Path) -> None:
    one, two, three = (expirable(roots, path, name) for name in "123")
    expire(roots, *one)
    trash(path, "2").parent.rename(path / "away")
    trash(path, "2").parent.mkdir()
    for name in "23":
        (path / "away" / name).rename(trash(path, name))
    assert (expire(roots, *two), expire(roots, *three)) == (4, 4)
    assert list((path / names.TRASH).iterdir()) == []


def test_folders_that_several_workers_emptied_together_are_removed_at_the_end(
    roots: RootFds, path: Path
) -> None:
    kept = [expirable(roots, path, f"p/{number}") for number in range(4)]
    other, stays = expirable(roots, path, "q/a"), expirable(roots, path, "r/a")
    expire(roots, *kept[0])
    with RootFds({"sessions": str(path)}) as worker:
        expire(worker, *kept[1])
        expire(roots, *kept[2])
        expire(worker, *kept[3])
    expire(roots, *other)
    assert trash(path, "p").exists()
    remove_empty_folders(roots, RUN)
    assert [entry.name for entry in trash(path, "r").parent.iterdir()] == ["r"]
    assert expire(roots, *stays) == 4
    remove_empty_folders(roots, RUN)
    assert list((path / names.TRASH).iterdir()) == []


def test_file_written_to_in_the_trash_does_not_expire(roots: RootFds, path: Path) -> None:
    rel, fingerprint = expirable(roots, path)
    grown(path / rel)
    with pytest.raises(Skip, match="changed since it was put there"):
        expire(roots, rel, fingerprint)
    assert (path / rel).read_text() == "one\ntwo\n"


def test_file_open_for_writing_in_the_trash_does_not_expire(roots: RootFds, path: Path) -> None:
    rel, fingerprint = expirable(roots, path)
    with (path / rel).open("a"), pytest.raises(Skip, match="open for writing"):
        expire(roots, rel, fingerprint)


def test_only_our_own_places_expire(roots: RootFds, path: Path) -> None:
    member = session(path)
    for rel in ("a.ndjson", ".maint/trash/x", ".maint/trash/../../a.ndjson", ".maint/journal/x"):
        with pytest.raises(ValueError, match="not in our trash"):
            expire(roots, rel, member.fingerprint)


def test_copy_is_the_same_in_all_but_the_inode(roots: RootFds, path: Path, tmp_path: Path) -> None:
    member = session(path, text="x" * 3_000_000)
    (path / "a.ndjson").chmod(0o640)
    (tmp_path / "out").mkdir()
    found = copy_out(roots, "a.ndjson", str(tmp_path / "out"), "b")
    copied = (tmp_path / "out/b").stat()
    assert (tmp_path / "out/b").read_text() == "x" * 3_000_000
    assert (copied.st_mtime_ns, copied.st_mode & 0o777) == (member.fingerprint.mtime_ns, 0o640)
    assert found == opening.fingerprint(copied)


def test_copy_replaces_nothing_and_follows_nothing(roots: RootFds, path: Path, tmp_path: Path) -> None:
    rel, _ = expirable(roots, path)
    (tmp_path / "b").symlink_to("c")
    with pytest.raises(FileExistsError):
        copy_out(roots, rel, str(tmp_path), "b")
    assert not (tmp_path / "c").exists()
    copy_out(roots, rel, str(tmp_path), "d")
    assert (tmp_path / "d").read_text() == "one\n"
    (path / "link").symlink_to("/etc/passwd")
    with pytest.raises(Skip, match="symbolic link"):
        copy_out(roots, "link", str(tmp_path), "e")
    with pytest.raises(ValueError, match="not the name"):
        copy_out(roots, rel, str(tmp_path), "../x")


def test_copy_of_what_changes_meanwhile_is_withdrawn(
    roots: RootFds, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(path)
    fsync = os.fsync

    def growing(fd: int) -> None:
        fsync(fd)
        grown(path / "a.ndjson")

    monkeypatch.setattr(os, "fsync", growing)
    with pytest.raises(Skip, match="changed while it was copied"):
        copy_out(roots, "a.ndjson", str(tmp_path), "b")
    assert not (tmp_path / "b").exists()


def test_lease_on_the_session_by_somebody_else_does_not_make_us_wait(roots: RootFds, path: Path) -> None:
    member = session(path)
    with (path / "a.ndjson").open("r+") as file:
        leases.probe(file.fileno())  # makes SIGIO harmless
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(Skip, match="another process's lease"):
            move_to_trash(roots, (member,), RUN)


def test_session_that_lies_in_a_pack_ends_and_is_in_no_trash(roots: RootFds, path: Path) -> None:
    member = session(path)
    assert let_go(roots, (member,), RUN) == 4
    assert not (path / "a.ndjson").exists()
    assert list(trash(path).parent.iterdir()) == []
    remove_empty_folders(roots, RUN)
    assert list((path / names.TRASH).iterdir()) == []


def test_all_files_of_a_session_end(roots: RootFds, path: Path) -> None:
    members = (session(path, "p/1"), session(path, "p/2"), session(path, "p/q/3"))
    assert let_go(roots, members, RUN) == 12
    remove_empty_folders(roots, RUN)
    assert [each for each in path.rglob("*") if each.is_file()] == []


def test_descriptors_of_what_has_ended_are_handed_over(roots: RootFds, path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ended: list[int] = []
    member = session(path)
    let_go(roots, (member,), RUN, ended)
    (fd,) = ended
    assert (os.fstat(fd).st_nlink, os.fstat(fd).st_ino) == (0, member.fingerprint.inode)
    os.close(fd)
    roots.forget()
    with pytest.raises(Skip):
        let_go(roots, (member,), RUN, ended)
    assert (len(ended), len(os.listdir("/proc/self/fd"))) == (1, before)


@pytest.mark.parametrize("others", [0, 2])
@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_session_that_is_not_as_it_was_packed_stays_whole(
    roots: RootFds,
    path: Path,
    change: Callable[[Path], None],
    reason: str,
    others: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(path)
    members = (*(session(path, f"{n}") for n in range(others)), session(path))
    change(Path("a.ndjson"))
    before = os.stat(path / "a.ndjson", follow_symlinks=False)
    with pytest.raises(Skip, match=reason):
        let_go(roots, members, RUN)
    assert os.path.samestat(before, os.stat(path / "a.ndjson", follow_symlinks=False))
    assert all((path / f"{n}").read_text() == "one\n" for n in range(others))


def test_session_open_for_writing_is_not_let_go(roots: RootFds, path: Path) -> None:
    members = (session(path), session(path, "b"))
    with (path / "a.ndjson").open("a"):
        for some in (members[:1], members):
            with pytest.raises(Skip, match="open for writing"):
                let_go(roots, some, RUN)
    assert ((path / "a.ndjson").read_text(), (path / "b").read_text()) == ("one\n", "one\n")


def test_file_that_took_the_name_in_the_gap_is_not_let_go(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = session(path)
    acting(monkeypatch, "rename_noreplace", before=lambda: replaced(path / "a.ndjson"))
    with pytest.raises(Skip, match="changed while it was removed"):
        let_go(roots, (member,), RUN)
    assert (path / "a.ndjson").stat().st_ino != member.fingerprint.inode


@pytest.mark.parametrize("count", [1, 2])
def test_where_nobody_can_tell_who_writes_it_stays_in_the_trash(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(leases, "read_lease", lambda _: leases.Lease.UNAVAILABLE)
    members = tuple(session(path, f"{n}") for n in range(count))
    with (path / "0").open("a") as writer:
        assert let_go(roots, members, RUN) == 0
        writer.write("late\n")
    assert trash(path, "0").read_text() == "one\nlate\n"
    assert not (path / "0").exists()


@pytest.mark.parametrize("count", [1, 3])
def test_killed_attempt_is_finished(roots: RootFds, path: Path, count: int) -> None:
    members = tuple(session(path, f"{n}") for n in range(count))
    move_to_trash(roots, members[:1], RUN)
    let_go(roots, members, RUN)
    assert [entry.name for entry in path.iterdir()] == [names.FOLDER]


def test_session_that_is_gone_is_told_from_one_that_stays(roots: RootFds, path: Path) -> None:
    member = session(path)
    let_go(roots, (member,), RUN)
    with pytest.raises(Gone):
        let_go(roots, (member,), RUN)
