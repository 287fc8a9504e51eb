"""The archive, whole processes, beside tar and zstd."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks import corpora, tarball
from benchmarks.beside import Beside
from benchmarks.stands import Anew, Stand
from benchmarks.whole import command

SESSIONS = 2_000

pytestmark = pytest.mark.skipif(bool(tarball.missing()), reason=f"without {', '.join(tarball.missing())}")

PYTHON = "python -c pass"


class Archived(NamedTuple):
    """A store in packs, not to be changed, and the same sessions as one stream."""

    stand: Stand
    stream: Path
    packed: int
    """How many sessions are in packs."""


@pytest.fixture(scope="module")
def archived(corpora_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Archived:
    folder = tmp_path_factory.mktemp("archived")
    anew = Anew(corpora.realistic(corpora_folder, SESSIONS), folder)
    anew.fresh()
    stream = folder / "solid.tar.zst"
    tarball.pack(anew.stand.sessions, stream)
    command(*anew.stand.archive())()
    return Archived(anew.stand, stream, len(anew.stand.ids()))


def test_archiving(beside: Beside, corpora_folder: Path, tmp_path: Path) -> None:
    anew = Anew(corpora.realistic(corpora_folder, SESSIONS), tmp_path)
    beside(
        "maint archive, a session",
        command(*anew.stand.archive()),
        {"tar, zstd, sync, rm": tarball.archiving(anew.stand.sessions, tmp_path / "solid.tar.zst")},
        per=SESSIONS,
        fresh=anew.fresh,
        rounds=3,
    )


def test_verifying(beside: Beside, archived: Archived) -> None:
    beside(
        "maint verify, a session",
        command(*archived.stand.verb("verify")),
        {"zstd -t of the packs": command("zstd", "-t", "-q", *map(str, archived.stand.packs()))},
        per=archived.packed,
        rounds=5,
    )


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_listing(beside: Beside, archived: Archived, form: tuple[str, ...]) -> None:
    beside(
        " ".join(("maint list --archived", *form, "a session")),
        command(*archived.stand.verb("list", "--archived", *form)),
        {"tar -t of a stream": command("tar", "--zstd", "-tf", str(archived.stream))},
        per=archived.packed,
        rounds=5,
    )


def test_restoring_one_elsewhere(beside: Beside, archived: Archived, tmp_path: Path) -> None:
    id_ = archived.stand.ids()[archived.packed // 2]
    beside(
        "maint restore --to, one session",
        command(*archived.stand.verb("restore", id_, "--to", str(tmp_path / "elsewhere"))),
        {PYTHON: command(sys.executable, "-c", "pass")},
        fresh=emptied(tmp_path / "elsewhere"),
    )


def test_restoring_one_in_place(beside: Beside, archived: Archived, tmp_path: Path) -> None:
    anew = Anew(archived.stand.corpus, tmp_path)
    id_ = archived.stand.ids()[archived.packed // 2]
    beside(
        "maint restore, one session",
        command(*anew.stand.verb("restore", id_)),
        {PYTHON: command(sys.executable, "-c", "pass")},
        fresh=anew.fresh,
    )


def test_restoring_all(beside: Beside, archived: Archived, tmp_path: Path) -> None:
    anew, folder = Anew(archived.stand.corpus, tmp_path), tmp_path / "unpacked"

    def fresh() -> None:
        anew.fresh()
        emptied(folder)()

    beside(
        "maint restore of all, a session",
        command(*anew.stand.restore_all()),
        {"tar -x": command("tar", "--zstd", "-xf", str(archived.stream), "-C", str(folder))},
        per=archived.packed,
        fresh=fresh,
        rounds=3,
    )


def emptied(folder: Path) -> Callable[[], None]:
    def empty() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    return empty
