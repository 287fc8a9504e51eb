"""Making files: a name stands for a whole file or for none, and nothing that has it is touched."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import leases, names, opening
from store.change import RootFds, Skip, make, make_new, rewrite
from store.facts import Fingerprint, Member

RUN = names.new_run_id(1770628443, b"abc")
OLD = b"one\ntorn"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "sessions/project").mkdir(parents=True)
    return tmp_path / "sessions"


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    with RootFds({"sessions": str(path)}) as roots:
        yield roots


@pytest.fixture
def source(path: Path) -> Member:
    file = path / "project/a.events"
    file.write_bytes(OLD)
    file.chmod(0o640)
    os.utime(file, (1000, 1000))
    return planned(path)


def planned(path: Path) -> Member:
    found = (path / "project/a.events").stat()
    return Member("sessions", "project/a.events", opening.fingerprint(found))


def build(fd: int) -> Iterator[bytes]:
    yield b"made of "
    yield os.read(fd, 3)


def made(
    roots: RootFds, source: Member, how: Callable[[int], Iterator[bytes]] = build, part: int = 1
) -> Fingerprint:
    return make(roots, source, "project/a.json", RUN, 0, part, how)


def left(path: Path) -> list[str]:
    """What lies anywhere but the source."""
    files = (str(each.relative_to(path)) for each in path.rglob("*") if each.is_file())
    return sorted(each for each in files if not each.endswith(".events"))


def test_file_that_is_made_has_the_mode_and_the_time_of_its_source(
    path: Path, roots: RootFds, source: Member
) -> None:
    print_of = made(roots, source)
    found = (path / "project/a.json").stat()
    assert (path / "project/a.json").read_bytes() == b"made of one"
    assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o640, 1000)
    assert opening.fingerprint(found).same_content(print_of)
    assert (path / "project/a.events").read_bytes() == OLD


def test_file_that_has_the_name_is_not_touched(path: Path, roots: RootFds, source: Member) -> None:
    (path / "project/a.json").write_bytes(b"mine")
    with pytest.raises(Skip, match="another file has the name"):
        made(roots, source)
    assert ((path / "project/a.json").read_bytes(), left(path)) == (b"mine", ["project/a.json"])


def test_link_that_has_the_name_is_not_followed(path: Path, roots: RootFds, source: Member) -> None:
    (path / "elsewhere").write_bytes(b"made of one")
    (path / "project/a.json").symlink_to(path / "elsewhere")
    with pytest.raises(Skip, match="symbolic link"):
        made(roots, source)
    assert (path / "project/a.json").is_symlink()


def test_asked_again_it_ends_in_the_same_state(path: Path, roots: RootFds, source: Member) -> None:
    assert made(roots, source) == made(roots, source)
    assert left(path) == ["project/a.json"]


def test_asked_again_after_its_source_was_rewritten_it_is_made_of_the_backup(
    path: Path, roots: RootFds, source: Member
) -> None:
    before = made(roots, source)
    rewrite(roots, source, RUN, 0, lambda _: iter([b"two\n"]))
    assert made(roots, source) == before


def test_source_that_grew_is_left_alone(path: Path, roots: RootFds, source: Member) -> None:
    with (path / "project/a.events").open("ab") as file:
        file.write(b"more")
    with pytest.raises(Skip, match="grew since"):
        made(roots, source)
    assert left(path) == []


def test_source_that_grows_meanwhile_makes_nothing(path: Path, roots: RootFds, source: Member) -> None:
    def and_append(fd: int) -> Iterator[bytes]:
        yield from build(fd)
        leases.drop_lease(fd)  # as the kernel takes it away, when a writer has waited for long enough
        with (path / "project/a.events").open("ab") as file:
            file.write(b"more")

    with pytest.raises(Skip, match="changed while something was made of it"):
        made(roots, source, and_append)
    assert left(path) == []


def test_source_that_somebody_wants_to_write_meanwhile_makes_nothing(
    path: Path, roots: RootFds, source: Member
) -> None:
    def and_try(fd: int) -> Iterator[bytes]:
        yield from build(fd)
        with pytest.raises(BlockingIOError):
            os.open(path / "project/a.events", os.O_WRONLY | os.O_NONBLOCK)

    with pytest.raises(Skip, match="was opened for writing while something was made of it"):
        made(roots, source, and_try)
    assert left(path) == []


def test_source_that_is_open_for_writing_makes_nothing(path: Path, roots: RootFds, source: Member) -> None:
    with (path / "project/a.events").open("ab"), pytest.raises(Skip, match="open for writing"):
        made(roots, source)
    assert left(path) == []


def test_what_building_raises_is_passed_on_and_leaves_nothing(
    path: Path, roots: RootFds, source: Member
) -> None:
    def broken(_: int) -> Iterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        made(roots, source, broken)
    assert left(path) == []


def test_what_a_killed_attempt_was_writing_is_written_anew(
    path: Path, roots: RootFds, source: Member
) -> None:
    tmp = path / names.tmp_path(RUN, 0, 1)
    tmp.parent.mkdir(parents=True)
    tmp.write_bytes(b"half")
    made(roots, source)
    assert left(path) == ["project/a.json"]


def test_new_file_is_for_its_owner_alone(path: Path, roots: RootFds) -> None:
    make_new(roots, "sessions", "project/index.json", b"{}", RUN, 7)
    found = path / "project/index.json"
    assert (found.read_bytes(), stat.S_IMODE(found.stat().st_mode)) == (b"{}", 0o600)
    assert left(path) == ["project/index.json"]
