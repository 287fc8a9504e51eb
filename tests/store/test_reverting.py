import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interposed import acting, deadly

from store import durable, leases, names, opening, syscalls
from store.change import RootFds, Skip, Stranded, revert, rewrite
from store.facts import Fingerprint, Member

RUN = names.new_run_id(1770628443, b"abc")
UNDO = names.new_run_id(1770628500, b"def")
OLD = "one\ntorn"
NEW = "one\nend\n"


@pytest.fixture(params=["a", "p/q/a"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path, name: str) -> Path:
    (tmp_path / "sessions" / name).parent.mkdir(parents=True)
    return tmp_path / "sessions"


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    with RootFds({"sessions": str(path)}) as roots:
        yield roots


@pytest.fixture
def session(path: Path, name: str) -> Path:
    return path / name


@pytest.fixture
def old(session: Path) -> Fingerprint:
    session.write_text(OLD)
    return opening.fingerprint(session.stat())


@pytest.fixture
def left(roots: RootFds, old: Fingerprint, name: str) -> Fingerprint:
    """What a rewrite has left behind."""
    return rewrite(roots, Member("sessions", name, old), RUN, 0, build).fingerprint


@pytest.fixture
def rel(name: str) -> str:
    return names.backup_path(RUN, "sessions", name)


@pytest.fixture
def trashed(path: Path, name: str) -> Path:
    return path / names.trash_path(UNDO, "sessions", name)


def build(fd: int) -> Iterator[bytes]:
    yield NEW.encode()


def append(file: Path, text: str = "late\n") -> None:
    with file.open("a") as handle:
        handle.write(text)


def everything(path: Path) -> list[str]:
    """All bytes that anybody can still reach, by every name there is."""
    return sorted(file.read_text() for file in path.rglob("*") if file.is_file())


def replaced(session: Path, text: str = "other\n") -> None:
    session.with_name("new").write_text(text)
    session.with_name("new").replace(session)


def killed(path: Path, act: Callable[[RootFds], object], *, dying: Callable[[], None]) -> None:
    """Act in a child that dies as ``dying`` arranges: without any clean-up of ours."""
    child = os.fork()
    if child == 0:
        dying()
        with RootFds({"sessions": str(path)}) as roots:
            act(roots)
        os._exit(0)
    os.waitpid(child, 0)


def dying_at_the_exchange(monkeypatch: pytest.MonkeyPatch, when: str) -> Callable[[], None]:
    return lambda: acting(monkeypatch, "rename_exchange", **{when: lambda: os._exit(9)})


def test_old_file_has_its_name_again_and_the_new_one_is_in_the_trash(
    roots: RootFds, path: Path, session: Path, old: Fingerprint, left: Fingerprint, rel: str, trashed: Path
) -> None:
    revert(roots, rel, left, UNDO)
    assert (session.read_text(), trashed.read_text()) == (OLD, NEW)
    assert opening.fingerprint(session.stat()).same_content(old)
    assert opening.fingerprint(trashed.stat()).same_content(left)
    assert (session.stat().st_nlink, trashed.stat().st_nlink) == (1, 1)
    assert everything(path / names.BACKUP) == []


def test_empty_folders_among_the_backups_go(roots: RootFds, path: Path, left: Fingerprint, rel: str) -> None:
    revert(roots, rel, left, UNDO)
    assert list((path / names.BACKUP).iterdir()) == []


@pytest.mark.parametrize("change", [append, replaced, lambda file: os.utime(file, (0, 0))])
def test_session_that_was_changed_since_is_left_alone(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str, change: Callable[[Path], None]
) -> None:
    change(session)
    before = everything(path)
    with pytest.raises(Skip, match="changed since"):
        revert(roots, rel, left, UNDO)
    assert everything(path) == before
    assert (path / rel).read_text() == OLD


def test_where_nobody_knows_what_was_left_the_session_is_taken_as_it_is(
    roots: RootFds, session: Path, left: Fingerprint, rel: str, trashed: Path
) -> None:
    append(session)
    revert(roots, rel, None, UNDO)
    assert (session.read_text(), trashed.read_text()) == (OLD, NEW + "late\n")


def test_session_open_for_writing_is_left_alone(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str
) -> None:
    with session.open("a"), pytest.raises(Skip, match="open for writing"):
        revert(roots, rel, left, UNDO)
    assert everything(path) == [NEW, OLD]


def test_session_with_a_second_name_is_left_alone(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str
) -> None:
    os.link(session, session.with_name("b"))
    with pytest.raises(Skip, match="hard link"):
        revert(roots, rel, left, UNDO)
    assert everything(path) == [NEW, NEW, OLD]


def test_session_that_is_gone_gets_its_backup(
    roots: RootFds, path: Path, session: Path, old: Fingerprint, left: Fingerprint, rel: str
) -> None:
    session.unlink()
    revert(roots, rel, left, UNDO)
    assert opening.fingerprint(session.stat()).same_content(old)
    assert everything(path) == [OLD]


def test_session_that_is_gone_with_its_folder_gets_its_backup(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str
) -> None:
    session.unlink()
    if session.parent != path:
        session.parent.rmdir()
    revert(roots, rel, left, UNDO)
    assert session.read_text() == OLD


def test_name_that_a_killed_attempt_gave_is_known_again(
    roots: RootFds, path: Path, session: Path, old: Fingerprint, left: Fingerprint, rel: str
) -> None:
    session.unlink()
    revert(roots, rel, left, UNDO)
    revert(roots, rel, left, UNDO, old=old)
    assert everything(path) == [OLD]
    with pytest.raises(Skip, match="its backup is gone"):
        revert(roots, rel, left, UNDO)


def test_backup_that_has_ended_is_missed(
    roots: RootFds, path: Path, old: Fingerprint, left: Fingerprint, rel: str
) -> None:
    (path / rel).unlink()
    with pytest.raises(Skip, match="its backup is gone"):
        revert(roots, rel, left, UNDO, old=old)
    assert everything(path) == [NEW]


def test_only_backups_of_ours_are_put_back(roots: RootFds, left: Fingerprint) -> None:
    for rel in ("a", names.trash_path(RUN, "sessions", "a"), ".maint/backup/../../a"):
        with pytest.raises(ValueError, match="not a backup of ours"):
            revert(roots, rel, left, UNDO)


def test_backup_that_became_a_link_is_not_followed(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str
) -> None:
    (path / rel).unlink()
    (path / rel).symlink_to("/etc/passwd")
    with pytest.raises(Skip, match="symbolic link"):
        revert(roots, rel, left, UNDO)
    assert session.read_text() == NEW
    assert session.stat().st_nlink == 1


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("point", range(14))
def test_killed_anywhere_it_is_finished_by_the_next_attempt(
    path: Path, session: Path, left: Fingerprint, rel: str, trashed: Path, point: int, after: bool, told: bool
) -> None:
    def dying() -> None:
        make_deadly = deadly(point, after=after)
        make_deadly(syscalls, "rename_exchange")
        make_deadly(syscalls, "rename_noreplace")
        for name in ("fsync", "link", "unlink", "mkdir", "rmdir"):
            make_deadly(os, name)

    known = left if told else None
    killed(path, lambda roots: revert(roots, rel, known, UNDO), dying=dying)
    assert {OLD, NEW} <= set(everything(path))
    assert session.read_text() in {OLD, NEW}
    with RootFds({"sessions": str(path)}) as roots:
        revert(roots, rel, known, UNDO)
    assert (session.read_text(), trashed.read_text()) == (OLD, NEW)
    assert everything(path) == [NEW, OLD]


@pytest.mark.parametrize("told", [True, False])
def test_exchange_that_took_place_is_not_made_again(
    path: Path, session: Path, left: Fingerprint, rel: str, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    known = left if told else None
    killed(
        path,
        lambda roots: revert(roots, rel, known, UNDO),
        dying=dying_at_the_exchange(monkeypatch, "after"),
    )
    assert session.read_text() == OLD
    exchanges: list[object] = []
    acting(monkeypatch, "rename_exchange", before=lambda: exchanges.append(True))
    for _ in range(3):
        with RootFds({"sessions": str(path)}) as roots:
            revert(roots, rel, known, UNDO)
    assert (exchanges, session.read_text()) == ([], OLD)


def test_exchange_that_took_place_is_kept_though_the_session_goes_on(
    path: Path, session: Path, left: Fingerprint, rel: str, trashed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(
        path, lambda roots: revert(roots, rel, left, UNDO), dying=dying_at_the_exchange(monkeypatch, "after")
    )
    append(session)
    with RootFds({"sessions": str(path)}) as roots:
        revert(roots, rel, left, UNDO)
    assert (session.read_text(), trashed.read_text()) == (OLD + "late\n", NEW)


def test_session_that_was_changed_after_a_kill_has_one_name_again(
    path: Path, session: Path, left: Fingerprint, rel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(
        path, lambda roots: revert(roots, rel, left, UNDO), dying=dying_at_the_exchange(monkeypatch, "before")
    )
    assert session.stat().st_nlink == 2
    append(session)
    with RootFds({"sessions": str(path)}) as roots, pytest.raises(Skip, match="changed since"):
        revert(roots, rel, left, UNDO)
    assert session.stat().st_nlink == 1
    assert everything(path) == [NEW + "late\n", OLD]


def test_session_that_was_replaced_after_a_kill_stays_and_so_do_both_selves(
    path: Path, session: Path, left: Fingerprint, rel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(
        path, lambda roots: revert(roots, rel, left, UNDO), dying=dying_at_the_exchange(monkeypatch, "before")
    )
    replaced(session)
    with RootFds({"sessions": str(path)}) as roots, pytest.raises(Skip, match="was replaced"):
        revert(roots, rel, left, UNDO)
    assert session.read_text() == "other\n"
    assert everything(path) == [NEW, OLD, "other\n"]


@pytest.mark.parametrize("told", [True, False])
def test_file_that_came_out_of_a_killed_exchange_is_told_and_kept(
    path: Path,
    session: Path,
    old: Fingerprint,
    left: Fingerprint,
    rel: str,
    monkeypatch: pytest.MonkeyPatch,
    told: bool,
) -> None:
    def dying() -> None:
        acting(monkeypatch, "rename_exchange", before=lambda: replaced(session), after=lambda: os._exit(9))

    killed(path, lambda roots: revert(roots, rel, left, UNDO), dying=dying)
    kind = Stranded if told else Skip
    with RootFds({"sessions": str(path)}) as roots, pytest.raises(kind, match="while"):
        revert(roots, rel, left, UNDO, old=old if told else None)
    assert everything(path) == [NEW, OLD, "other\n"]


def test_file_that_took_the_name_in_the_gap_comes_back(
    roots: RootFds,
    path: Path,
    session: Path,
    left: Fingerprint,
    rel: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acting(monkeypatch, "rename_exchange", before=lambda: replaced(session))
    with pytest.raises(Skip, match="was replaced"):
        revert(roots, rel, left, UNDO)
    assert (session.read_text(), (path / rel).read_text()) == ("other\n", OLD)
    assert everything(path) == [NEW, OLD, "other\n"]


def test_two_files_that_take_the_name_in_turn_are_both_kept(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The old file had the session's name in between, and its owner replaced it there by his own step.
    acting(
        monkeypatch,
        "rename_exchange",
        before=lambda: replaced(session, "first\n"),
        after=lambda: replaced(session, "second\n"),
    )
    with pytest.raises(Stranded, match="backup"):
        revert(roots, rel, left, UNDO)
    assert {"first\n", "second\n", NEW} <= set(everything(path))


def test_session_removed_by_its_owner_in_the_gap_is_gone_and_the_next_attempt_brings_it_back(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting(monkeypatch, "rename_exchange", before=session.unlink)
    with pytest.raises(Skip, match="is gone"):
        revert(roots, rel, left, UNDO)
    assert everything(path) == [NEW, OLD]
    revert(roots, rel, left, UNDO)
    assert session.read_text() == OLD


def test_writer_who_waits_for_the_session_gets_it_back(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def want() -> None:
        with pytest.raises(BlockingIOError):
            os.open(session, os.O_WRONLY | os.O_NONBLOCK)

    acting(monkeypatch, "rename_exchange", before=want)
    with pytest.raises(Skip, match="written to"):
        revert(roots, rel, left, UNDO)
    append(session)
    assert everything(path) == [NEW + "late\n", OLD]
    assert session.stat().st_nlink == 1


def test_writer_who_comes_just_after_the_exchange_waits_until_it_is_certain(
    roots: RootFds, session: Path, left: Fingerprint, rel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def want() -> None:
        with pytest.raises(BlockingIOError):
            os.open(session, os.O_WRONLY | os.O_NONBLOCK)

    acting(monkeypatch, "rename_exchange", after=want)
    revert(roots, rel, left, UNDO)
    append(session)
    assert session.read_text() == OLD + "late\n"


def test_late_line_without_leases_brings_the_session_back(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "read_lease", lambda _: leases.Lease.UNAVAILABLE)
    acting(monkeypatch, "rename_exchange", before=lambda: append(session))
    with pytest.raises(Skip, match="written to"):
        revert(roots, rel, left, UNDO)
    assert session.read_text() == NEW + "late\n"
    assert everything(path) == [NEW + "late\n", OLD]


def test_where_files_cannot_be_exchanged_nothing_is_done(
    roots: RootFds, path: Path, session: Path, left: Fingerprint, rel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syscalls, "_rename_call", lambda: None)
    with pytest.raises(Skip, match="by hand"):
        revert(roots, rel, left, UNDO)
    assert everything(path) == [NEW, OLD]
    assert session.stat().st_nlink == 1


def test_both_names_are_durable_before_and_after_the_exchange(
    roots: RootFds,
    path: Path,
    session: Path,
    left: Fingerprint,
    rel: str,
    trashed: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    roots.folder("sessions", str(trashed.parent.relative_to(path)))
    events: list[str] = []
    unlink = os.unlink

    def sync(fd: int) -> None:
        events.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), path))

    def removing(name: str, **kwargs: Any) -> None:
        events.append("unlink")
        unlink(name, **kwargs)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "unlink", removing)
    acting(monkeypatch, "rename_exchange", before=lambda: events.append("exchange"))
    revert(roots, rel, left, UNDO)
    kept, own = (os.path.relpath(folder, path) for folder in (trashed.parent, session.parent))
    assert events == [kept, "exchange", own, kept, "unlink"]


@pytest.mark.parametrize("failing", [0, 1])
def test_failed_fsync_is_poison_and_takes_no_name_away(
    roots: RootFds,
    path: Path,
    left: Fingerprint,
    rel: str,
    trashed: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: int,
) -> None:
    roots.folder("sessions", str(trashed.parent.relative_to(path)))
    fsync, count = os.fsync, iter(range(100))

    def failing_once(fd: int) -> None:
        if next(count) == failing:
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", failing_once)
    with pytest.raises(durable.Poisoned):
        revert(roots, rel, left, UNDO)
    assert {NEW, OLD} <= set(everything(path))
    assert (path / rel).exists()


def test_no_descriptor_and_no_lease_is_left(
    roots: RootFds, session: Path, left: Fingerprint, rel: str
) -> None:
    roots.forget()
    before = len(os.listdir("/proc/self/fd"))
    revert(roots, rel, left, UNDO)
    os.close(os.open(session, os.O_WRONLY | os.O_NONBLOCK))
    roots.forget()
    assert len(os.listdir("/proc/self/fd")) == before
