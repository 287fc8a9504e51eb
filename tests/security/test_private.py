"""Nothing of a session can be read by more people than the session itself, at no moment, whatever umask root has."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from robbed_world import Robbed
from thief import folder, needs_root, needs_strace, needs_zstd
from tracing import run_traced
from tried import LONG, Tally

__all__ = ["folder"]

KINDS = ("rec", "opendev", "outrig", "opendev-snapshots", "codex") if LONG else ("rec",)
TRACED = "trace=openat,open,creat"
_MADE = re.compile(
    r'openat\((?:\d+|AT_FDCWD)<([^>]*)>, "([^"]*)", [A-Z_|]*O_(?:CREAT|TMPFILE)[A-Z_|]*, 0([0-7]*)\)'
)
_PUBLIC = frozenset({"README.txt"})

pytestmark = [needs_root, needs_zstd]


@pytest.fixture
def world(request: pytest.FixtureRequest, folder: Path) -> Iterator[Robbed]:
    """A store whose owner lets everybody look at our folder, and root without a umask."""
    world = Robbed(folder / "his", request.param, shared=False)
    world.ours.chmod(0o755)
    (world.ours / "catalogue.sqlite").unlink()
    before = os.umask(0)
    try:
        yield world
    finally:
        os.umask(before)


def wide(world: Robbed) -> Iterator[str]:
    """What others than the owner can do something with: files, but for the word for strangers, and folders of ours."""
    for path in world.thief.rglob("*"):
        mode = path.lstat().st_mode
        is_ours = world.ours in path.parents
        if (
            mode & 0o077
            and ((stat.S_ISDIR(mode) and is_ours) or stat.S_ISREG(mode))
            and path.name not in _PUBLIC
        ):
            yield f"{stat.S_IMODE(mode):o} {path}"


def made(log: Path, below: Path) -> Iterator[tuple[str, int]]:
    """The files that a run made in a folder, by strace's word, with the modes that they had at first."""
    for top, name, mode in _MADE.findall(log.read_text(errors="replace")):
        path = os.path.join(top, name)
        if path.startswith(str(below)):
            yield path, int(mode, 8)


@needs_strace
@pytest.mark.parametrize("world", KINDS, indirect=True)
def test_private_sessions_are_private_wherever_they_go_and_from_the_first_moment(
    world: Robbed, tally: Tally
) -> None:
    for path in (world.thief / "store").rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755 if path == world.ours else 0o700)
    log = world.top / "calls"
    tried = 0
    found = list(wide(world))
    for verb in world.verbs():
        code, said = run_traced(world, verb, ["-f", "-y", "-o", str(log), "-e", TRACED])
        assert code in {0, 1, 2}, said
        called = " ".join(verb[:2])
        for name, mode in made(log, world.thief):
            tried += 1
            if mode & 0o077 and os.path.basename(name) not in _PUBLIC:
                found.append(f"{called}: made with {mode:o}: {name}")
        found += [f"{called}: {each}" for each in wide(world)]
    tally("private without a umask", f"{world.kind}, files made", tried, wrong=len(found))
    assert not found, "\n".join(found)
    assert tried > 50


@pytest.mark.parametrize("world", ["rec"], indirect=True)
def test_bits_that_run_a_file_as_its_owner_are_not_brought_back(world: Robbed) -> None:
    assert world.as_root("restore", "*").code == 0
    for path in world.sessions.glob("*.ndjson"):
        path.chmod(0o6600)
    for verb in (["sweep"], ["restore", "*", "--to", str(world.out)], ["restore", "*"]):
        assert world.as_root(*verb).code in {0, 1}
    copied = [path for path in world.out.rglob("*") if path.is_file()]
    assert copied
    assert [path for path in copied if path.stat().st_mode & 0o6000] == []
