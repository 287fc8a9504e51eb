"""Sessions of many files in folders of their own: they go with their folders, and come back with them."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from interposed import failing_over

from store import emptied, leases, names, opening, syscalls
from store.change import Skip, expire, let_go, move_to_trash, put_back, remove_empty_folders
from store.durable import Poisoned
from store.facts import Member
from store.roots import RootFds
from store.trash import list_trash

RUN = names.new_run_id(1770628443, b"abc")
OLD = 1_700_000_000.0

FILES = {"s1/session.json": b"{}\n", "s1/logs/a": b"a\n", "s1/logs/deep/b": b"bb\n"}
OWNED = {"s1", "s1/logs", "s1/logs/deep", "s1/bare", "s1/bare/in", "s2"}


def owned(root: str, path: str) -> bool:
    return root == "sessions" and path in OWNED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for name in ("sessions", "state"):
        (tmp_path / name).mkdir()
    return tmp_path / "sessions"


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    with RootFds({"sessions": str(path), "state": str(path.parent / "state")}) as roots:
        yield roots


@pytest.fixture
def members(path: Path) -> tuple[Member, ...]:
    """The files of a session, in folders of various modes."""
    for name, data in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
        os.utime(path / name, (OLD, OLD))
    for folder, mode in (("s1/logs/deep", 0o711), ("s1/logs", 0o750), ("s1", 0o755)):
        (path / folder).chmod(mode)
        os.utime(path / folder, (OLD, OLD))
    return tuple(member(path, name) for name in FILES)


def member(path: Path, name: str) -> Member:
    return Member("sessions", name, opening.fingerprint(os.lstat(path / name)))


def old_folder(path: Path, name: str, mode: int = 0o755) -> None:
    (path / name).mkdir()
    (path / name).chmod(mode)
    os.utime(path / name, (OLD, OLD))


def tree(path: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """All below a folder but what is ours, with modes."""
    return {
        str(each.relative_to(path)): (
            stat.S_IMODE(each.lstat().st_mode),
            os.readlink(each) if each.is_symlink() else each.read_bytes() if each.is_file() else None,
        )
        for each in sorted(path.rglob("*"))
        if names.FOLDER not in each.relative_to(path).parts
    }


def move_away(
    roots: RootFds,
    members: tuple[Member, ...],
    run: str,
    *,
    owned: emptied.Owned | None = None,
    left: list[str] | None = None,
) -> int:
    """Move a session to the trash, and let its folders go when that is durable."""
    moved = move_to_trash(roots, members, run, owned=owned, left=left)
    roots.moves.remove_emptied()
    return moved


def bring_all_back(roots: RootFds) -> None:
    for kept in list(list_trash(roots)):
        put_back(roots, kept.run, kept.root, kept.path)
    roots.moves.remove_emptied()


def trash(path: Path) -> Path:
    return path / names.TRASH / RUN / "sessions"


def test_folders_go_with_the_session_and_come_back_with_their_modes(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    before = tree(path)
    left: list[str] = []
    assert move_away(roots, members, RUN, owned=owned, left=left) == 8
    assert (tree(path), left) == ({}, [])
    bring_all_back(roots)
    assert tree(path) == before
    assert list((path / names.TRASH).iterdir()) == []


def test_folder_goes_only_when_what_was_moved_out_of_it_is_durable(
    roots: RootFds, path: Path, members: tuple[Member, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(path)
    told: list[str] = []
    monkeypatch.setattr(syscalls, "syncfs", lambda _: told.append("sync"))
    rmdir = os.rmdir

    def removing(name: str, **kwargs: int) -> None:
        told.append(name)
        rmdir(name, **kwargs)

    monkeypatch.setattr(os, "rmdir", removing)
    move_away(roots, members, RUN, owned=owned)
    assert told == ["sync", "deep", "logs", "s1"]
    told.clear()
    bring_all_back(roots)
    assert (told[0], set(told[1:])) == ("sync", {"deep", "logs", "s1", "sessions", RUN})
    assert tree(path) == before


def test_folders_stay_where_the_disk_does_not_keep_what_was_moved_out_of_them(
    roots: RootFds, path: Path, members: tuple[Member, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> None:
        raise OSError(errno.EIO, "it broke")

    monkeypatch.setattr(syscalls, "syncfs", failing)
    with pytest.raises(Poisoned, match="it broke"):
        move_away(roots, members, RUN, owned=owned)
    roots.moves.remove_emptied()
    assert set(tree(path)) == {"s1", "s1/logs", "s1/logs/deep"}


def test_folders_that_are_not_said_to_be_the_sessions_own_stay(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    move_away(roots, members, RUN)
    assert set(tree(path)) == {"s1", "s1/logs", "s1/logs/deep"}


def test_folder_that_is_shared_stays_and_those_in_it_go(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    move_away(roots, members, RUN, owned=lambda _, folder: folder == "s1/logs/deep")
    assert set(tree(path)) == {"s1", "s1/logs"}


def test_modes_of_folders_in_the_trash_are_those_of_the_folders_they_stand_for(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    umask = os.umask(0o077)
    try:
        move_away(roots, members, RUN, owned=owned)
    finally:
        os.umask(umask)
    found = {name: mode for name, (mode, data) in tree(trash(path)).items() if data is None}
    assert found == {"s1": 0o755, "s1/logs": 0o750, "s1/logs/deep": 0o711}
    ours = [path / names.FOLDER, path / names.TRASH, trash(path).parent, trash(path)]
    assert {stat.S_IMODE(each.stat().st_mode) for each in ours} == {0o700}


def test_folder_that_its_owner_may_not_write_to_can_be_worked_in_in_the_trash(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    (path / "s1/logs/deep").chmod(0o555)
    move_away(roots, members, RUN)
    assert tree(trash(path))["s1/logs/deep"][0] == 0o755


def test_what_others_put_there_stays_and_is_named(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    (path / "s1/logs/KEEP\x1bME").write_text("mine")
    (path / "s1/photos").mkdir()
    (path / "s1/photos/1").write_text("mine")
    (path / "s1/link").symlink_to("/")
    left: list[str] = []
    move_away(roots, members, RUN, owned=owned, left=left)
    assert set(tree(path)) == {"s1", "s1/link", "s1/logs", "s1/logs/KEEP\x1bME", "s1/photos", "s1/photos/1"}
    assert left == ["link", "logs/KEEP\\x1bME", "photos"]


def test_of_very_much_that_others_put_there_a_few_names_are_told(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    for number in range(20):
        (path / f"s1/{number:02}").touch()
    left: list[str] = []
    move_away(roots, members, RUN, owned=owned, left=left)
    assert left == ["00", "01", "02", "03", "04", "and 15 more"]


def test_empty_folder_that_no_file_lay_in_goes_and_comes_back_with_the_others(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    old_folder(path, "s1/bare", 0o701)
    before = tree(path)
    move_away(roots, members, RUN, owned=owned)
    assert tree(path) == {}
    remove_empty_folders(roots, RUN)
    for each in members:
        put_back(roots, RUN, each.root, each.path)
    roots.moves.remove_emptied()
    assert tree(path) == before
    assert list((path / names.TRASH).iterdir()) == []


@pytest.mark.parametrize("back", [False, True])
def test_disk_that_fails_when_an_empty_folder_goes_or_comes_back_is_not_passed_over(
    roots: RootFds, path: Path, members: tuple[Member, ...], monkeypatch: pytest.MonkeyPatch, *, back: bool
) -> None:
    old_folder(path, "s1/bare", 0o701)
    old_folder(path, "s1/bare/in", 0o701)
    act: Callable[[], object] = partial(move_away, roots, members, RUN, owned=owned)
    if back:
        act()
        act = partial(put_back, roots, RUN, members[0].root, members[0].path)
    failing_over(monkeypatch, "bare")
    with pytest.raises(Poisoned):
        act()


def test_empty_folders_in_one_another_go_and_come_back(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    old_folder(path, "s1/bare", 0o701)
    old_folder(path, "s1/bare/in", 0o711)
    before = tree(path)
    assert [each[1] for each in emptied.folders_of(roots, members, owned)] == [
        "s1",
        "s1/bare",
        "s1/bare/in",
        "s1/logs",
        "s1/logs/deep",
    ]
    left: list[str] = []
    move_away(roots, members, RUN, owned=owned, left=left)
    assert (tree(path), left) == ({}, [])
    bring_all_back(roots)
    assert tree(path) == before
    assert list((path / names.TRASH).iterdir()) == []


def test_empty_folder_beside_what_others_put_there_stays_because_nothing_would_bring_it_back(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    (path / "s1/KEEP").touch()
    old_folder(path, "s1/bare", 0o701)
    before = tree(path)
    left: list[str] = []
    move_away(roots, members, RUN, owned=owned, left=left)
    assert (set(tree(path)), left) == ({"s1", "s1/KEEP", "s1/bare"}, ["KEEP"])
    bring_all_back(roots)
    assert tree(path) == before


def test_empty_folder_in_which_somebody_has_just_worked_stays_and_is_named(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    (path / "s1/bare").mkdir()
    left: list[str] = []
    move_away(roots, members, RUN, owned=owned, left=left)
    assert (set(tree(path)), left) == ({"s1", "s1/bare"}, ["bare"])


def test_link_where_an_own_folder_should_be_is_not_followed(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    (path.parent / "outside").mkdir()
    (path / "s1/bare").symlink_to(path.parent / "outside")
    left: list[str] = []
    move_away(roots, members, RUN, owned=owned, left=left)
    assert (left, (path.parent / "outside").is_dir(), (path / "s1/bare").is_symlink()) == (
        ["bare"],
        True,
        True,
    )


def test_file_that_comes_in_at_the_last_moment_keeps_its_folder(
    roots: RootFds, path: Path, members: tuple[Member, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rmdir = os.rmdir

    def racing(name: str, **kwargs: int) -> None:
        (path / "s1/late").write_text("late")
        rmdir(name, **kwargs)

    monkeypatch.setattr(os, "rmdir", racing)
    move_away(roots, members, RUN, owned=owned)
    assert tree(path) == {"s1": (0o755, None), "s1/late": (0o644, b"late")}


@pytest.mark.parametrize("removal", [move_away, let_go])
def test_session_that_is_not_as_planned_stays_with_its_folders(
    roots: RootFds, path: Path, members: tuple[Member, ...], removal: Callable[..., int]
) -> None:
    with (path / "s1/logs/deep/b").open("ab") as file:
        file.write(b"more")
    before = tree(path)
    with pytest.raises(Skip, match="grew"):
        removal(roots, members, RUN, owned=owned)
    assert tree(path) == before


@pytest.mark.parametrize("removal", [move_away, let_go])
@pytest.mark.parametrize("folder", ["s1", "s1/logs"])
def test_session_whose_folder_is_a_link_now_is_refused(
    roots: RootFds, path: Path, members: tuple[Member, ...], folder: str, removal: Callable[..., int]
) -> None:
    (path / folder).rename(path.parent / "outside")
    (path / folder).symlink_to(path.parent / "outside")
    before = tree(path), tree(path.parent / "outside")
    with pytest.raises(Skip, match="lies behind something that is no folder"):
        removal(roots, members, RUN, owned=owned)
    assert (tree(path), tree(path.parent / "outside")) == before


def test_nothing_comes_back_through_a_link_that_took_the_folders_place(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    move_away(roots, members, RUN, owned=owned)
    (path.parent / "outside").mkdir()
    (path / "s1").symlink_to(path.parent / "outside")
    with pytest.raises(NotADirectoryError):
        put_back(roots, RUN, "sessions", "s1/logs/a")
    assert (tree(path.parent / "outside"), (trash(path) / "s1/logs/a").read_bytes()) == ({}, b"a\n")


def test_folder_that_is_there_again_keeps_its_mode(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    move_away(roots, members, RUN, owned=owned)
    (path / "s1").mkdir(mode=0o700)
    bring_all_back(roots)
    assert tree(path)["s1"] == (0o700, None)


def test_what_is_not_in_the_trash_makes_no_folders(roots: RootFds, path: Path) -> None:
    with pytest.raises(Skip, match="not in the trash"):
        put_back(roots, RUN, "sessions", "s1/logs/a")
    assert tree(path) == {}


@pytest.mark.parametrize("count", [1, 3])
def test_archived_session_goes_with_its_folders_and_leaves_none_in_the_trash(
    roots: RootFds, path: Path, members: tuple[Member, ...], count: int
) -> None:
    for name in list(FILES)[count:]:
        (path / name).unlink()
    old_folder(path, "s1/bare")
    left: list[str] = []
    let_go(roots, members[:count], RUN, owned=owned, left=left)
    assert (tree(path), left, list(trash(path).iterdir())) == ({}, [], [])


def test_archived_session_that_may_be_open_waits_with_its_folders_modes(
    roots: RootFds, path: Path, members: tuple[Member, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "read_lease", lambda _: leases.Lease.UNAVAILABLE)
    before = tree(path)
    assert let_go(roots, members, RUN, owned=owned) == 0
    assert tree(path) == {}
    bring_all_back(roots)
    assert tree(path) == before


def dying(call: int) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """What lets this process die just after that many calls of what it wraps."""
    calls = iter(range(call))

    def wrap(real: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **kwargs: object) -> object:
            done = real(*args, **kwargs)
            if next(calls, None) is None:
                os._exit(9)
            return done

        return counted

    return wrap


def killed_after(call: int, path: Path, act: Callable[[RootFds], object]) -> bool:
    """Let a process act and die after so many changes of names; whether it was done before that."""
    pid = os.fork()
    if pid == 0:
        try:
            wrap = dying(call)
            syscalls.rename_noreplace = wrap(syscalls.rename_noreplace)  # type: ignore[assignment]
            os.rmdir, os.unlink, os.mkdir = wrap(os.rmdir), wrap(os.unlink), wrap(os.mkdir)  # type: ignore[assignment]
            with RootFds({"sessions": str(path)}) as roots:
                act(roots)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, 9}
    return code == 0


def test_removal_that_was_killed_anywhere_is_finished_and_can_be_taken_back(
    path: Path, members: tuple[Member, ...]
) -> None:
    old_folder(path, "s1/bare", 0o701)
    before = tree(path)
    calls = 0
    while True:
        members = tuple(member(path, name) for name in FILES)
        finished = killed_after(calls, path, partial(move_to_trash, members=members, run=RUN, owned=owned))
        calls += 1
        with RootFds({"sessions": str(path)}) as roots:
            move_away(roots, members, RUN, owned=owned)
            assert tree(path) == {}
            bring_all_back(roots)
        assert tree(path) == before
        if finished:
            break
    assert calls > len(FILES)


def test_letting_go_that_was_killed_anywhere_ends_no_file_before_all_are_moved(
    path: Path, members: tuple[Member, ...]
) -> None:
    before = tree(path)
    for calls in range(99):
        for name, data in FILES.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        members = tuple(member(path, name) for name in FILES)
        finished = killed_after(calls, path, partial(let_go, members=members, run=RUN, owned=owned))
        there = {name for name in FILES if (path / name).exists()}
        waiting = {name for name in FILES if (trash(path) / name).exists()}
        assert not there or there | waiting == set(FILES)
        with RootFds({"sessions": str(path)}) as roots:
            bring_all_back(roots)
            remove_empty_folders(roots, RUN)
        found = tree(path)
        assert found.items() <= before.items()
        assert set(found) >= there | waiting
        if finished:
            assert found == {}
            break
    assert calls > len(FILES)


def test_folders_of_a_session_are_told_from_the_top_with_their_modes(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    old_folder(path, "s1/bare", 0o701)
    assert emptied.folders_of(roots, members, owned) == (
        ("sessions", "s1", 0o755),
        ("sessions", "s1/bare", 0o701),
        ("sessions", "s1/logs", 0o750),
        ("sessions", "s1/logs/deep", 0o711),
    )
    assert emptied.folders_of(roots, members, lambda *_: False) == ()


# Links and empty folders that were planned themselves.


def test_link_goes_comes_back_and_ends_and_nothing_it_leads_to_is_touched(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    (path / "link").symlink_to(path / "s1")
    before = tree(path)
    link = member(path, "link")
    move_away(roots, (link,), RUN)
    assert move_away(roots, (link,), RUN) == link.fingerprint.size
    assert (trash(path) / "link").is_symlink()
    put_back(roots, RUN, "sessions", "link")
    assert tree(path) == before
    move_away(roots, (member(path, "link"),), RUN)
    (kept,) = list_trash(roots)
    assert (kept.kind, kept.path) == ("link", "link")

    expire(roots, kept.kept, kept.fingerprint)
    assert (list((path / names.TRASH).iterdir()), set(tree(path)) | {"link"}) == ([], set(before))


def test_empty_folder_goes_comes_back_and_ends(roots: RootFds, path: Path) -> None:

    old_folder(path, "s2", 0o751)
    before = tree(path)
    planned = member(path, "s2")
    move_away(roots, (planned,), RUN)
    move_away(roots, (planned,), RUN)
    remove_empty_folders(roots, RUN)
    (kept,) = list_trash(roots)
    assert (kept.kind, kept.path, tree(path)) == ("folder", "s2", {})
    put_back(roots, RUN, "sessions", "s2")
    assert tree(path) == before
    move_away(roots, (member(path, "s2"),), RUN)
    expire(roots, kept.kept, kept.fingerprint)
    expire(roots, kept.kept, kept.fingerprint)
    assert list((path / names.TRASH).iterdir()) == []


def relinked(there: Path) -> None:
    there.unlink()
    there.symlink_to("/etc")


def turned_into_a_file(there: Path) -> None:
    there.unlink()
    there.write_text("file")


def given_away(there: Path) -> None:
    os.chown(there, 12345, -1, follow_symlinks=False)


def named_twice(there: Path) -> None:
    os.link(there, there.with_name("second"), follow_symlinks=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (relinked, "is a symbolic link"),
        (turned_into_a_file, "is another file than the planned one|changed since it was planned"),
        (given_away, "is a symbolic link"),
        (named_twice, "is a symbolic link"),
    ],
)
def test_link_that_is_not_the_planned_one_stays(
    roots: RootFds, path: Path, change: Callable[[Path], None], reason: str
) -> None:
    (path / "link").symlink_to("nowhere")
    planned = member(path, "link")
    change(path / "link")
    before = tree(path)
    with pytest.raises(Skip, match=reason):
        move_away(roots, (planned,), RUN)
    assert tree(path) == before


@pytest.mark.parametrize("change", [given_away, named_twice])
def test_link_that_was_planned_as_it_is_but_is_not_fit_to_be_touched_stays(
    roots: RootFds, path: Path, change: Callable[[Path], None]
) -> None:
    (path / "link").symlink_to("nowhere")
    change(path / "link")
    with pytest.raises(Skip, match="is a symbolic link"):
        move_away(roots, (member(path, "link"),), RUN)
    assert (path / "link").is_symlink()


def filled(there: Path) -> None:
    (there / "x").touch()


def filled_unseen(there: Path) -> None:
    (there / "x").touch()
    os.utime(there, (OLD, OLD))


def made_anew(there: Path) -> None:
    there.rename(there.with_name("away"))
    there.mkdir()


@pytest.mark.parametrize("change", [filled, filled_unseen, made_anew])
def test_folder_that_is_not_as_planned_stays(
    roots: RootFds, path: Path, change: Callable[[Path], None]
) -> None:
    old_folder(path, "s2")
    planned = member(path, "s2")
    change(path / "s2")
    before = tree(path)
    with pytest.raises(Skip, match="is a folder"):
        move_away(roots, (planned,), RUN)
    assert tree(path) == before


def test_folder_that_holds_something_was_no_empty_one_when_it_was_planned(roots: RootFds, path: Path) -> None:
    old_folder(path, "s2")
    filled_unseen(path / "s2")
    with pytest.raises(Skip, match="is a folder that holds something"):
        move_away(roots, (member(path, "s2"),), RUN)


def test_folder_that_could_not_be_told_from_ours_in_the_trash_stays(roots: RootFds, path: Path) -> None:
    (path / "s2").mkdir()
    with pytest.raises(Skip, match="changed since this run began"):
        move_away(roots, (member(path, "s2"),), RUN)


@pytest.mark.parametrize("when", ["before", "after"])
def test_folder_that_is_filled_while_it_is_moved_comes_back(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    old_folder(path, "s2")
    planned = member(path, "s2")
    inside = opening.open_folder(str(path / "s2"))
    real = syscalls.rename_noreplace
    steps = iter([True])

    def racing(src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        first = next(steps, False)
        for moment in ("before", "rename", "after"):
            if moment == "rename":
                real(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            elif first and moment == when:
                os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=inside))
                os.utime(inside, (OLD, OLD))

    monkeypatch.setattr(syscalls, "rename_noreplace", racing)
    with pytest.raises(Skip, match="changed while it was removed"):
        move_away(roots, (planned,), RUN)
    os.close(inside)
    assert set(tree(path)) == {"s2", "s2/x"}


def test_folder_that_somebody_put_something_into_in_the_trash_does_not_end(
    roots: RootFds, path: Path
) -> None:

    old_folder(path, "s2")
    planned = member(path, "s2")
    move_away(roots, (planned,), RUN)
    filled_unseen(trash(path) / "s2")
    with pytest.raises(Skip, match="is a folder that something was put into"):
        expire(roots, names.trash_path(RUN, "sessions", "s2"), planned.fingerprint)
    assert (trash(path) / "s2/x").exists()


def test_file_link_and_folder_of_one_session_are_all_or_none(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    (path / "link").symlink_to("s1")
    old_folder(path, "s2")
    every = (*members, member(path, "link"), member(path, "s2"))
    before = tree(path)
    filled_unseen(path / "s2")
    with pytest.raises(Skip):
        move_away(roots, every, RUN, owned=owned)
    (path / "s2/x").unlink()
    assert tree(path) == before
    os.utime(path / "s2", (OLD, OLD))
    move_away(roots, tuple(member(path, each.path) for each in every), RUN, owned=owned)
    assert tree(path) == {}
    bring_all_back(roots)
    assert tree(path) == before


def test_link_of_an_archived_session_ends_with_it(
    roots: RootFds, path: Path, members: tuple[Member, ...]
) -> None:
    (path / "link").symlink_to("s1")
    let_go(roots, (*members, member(path, "link")), RUN, owned=owned)
    remove_empty_folders(roots, RUN)
    assert (tree(path), list((path / names.TRASH).iterdir())) == ({}, [])


def test_no_descriptor_is_left(roots: RootFds, path: Path, members: tuple[Member, ...]) -> None:
    (path / "link").symlink_to("s1")
    old_folder(path, "s2")
    old_folder(path, "s1/bare")
    every = (*members, member(path, "link"), member(path, "s2"))
    before = len(os.listdir("/proc/self/fd"))
    move_away(roots, every, RUN, owned=owned)
    bring_all_back(roots)
    (path / "s1/session.json").write_bytes(b"more")
    with pytest.raises(Skip):
        move_away(roots, every, RUN, owned=owned)
    roots.forget()
    assert len(os.listdir("/proc/self/fd")) == before
