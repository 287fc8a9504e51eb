"""What the benchmarks share: corpora, floors, whole processes, and the table at the end."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import corpora
from benchmarks.beside import Beside, Row, table
from benchmarks.corpora import Corpus
from benchmarks.floor import Floor, compiled

SESSIONS = 10_000

_ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("corpora")
    group.addoption(
        "--sessions",
        type=int,
        default=int(os.environ.get("MAINT_BENCH_SESSIONS", SESSIONS)),
        help=f"how many sessions whole stores hold: {SESSIONS} by default, or $MAINT_BENCH_SESSIONS",
    )
    group.addoption(
        "--corpora", type=Path, default=corpora.cache_folder(), help="where corpora are kept between runs"
    )
    group.addoption(
        "--patience", type=int, default=1, help="how many times as many rounds as usual are measured"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = []
    config.option.benchmark_quiet = True  # our table is about ratios; --benchmark-verbose brings theirs back


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [f"corpora: {config.getoption('corpora')}, {config.getoption('sessions')} sessions a store"]
    if compiled(config.getoption("corpora")) is None:
        lines.append(
            "floors: NONE, for want of a C compiler or of Linux; only the other references are measured"
        )
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[_ROWS]
    if rows:
        terminalreporter.section("ours beside the references (medians; ratio of neighbours)")
        for line in table(rows):
            terminalreporter.write_line(line)


@pytest.fixture
def beside(benchmark: Any, request: pytest.FixtureRequest) -> Beside:
    """Measures something beside its references."""
    return Beside(benchmark, request.config.stash[_ROWS], request.config.getoption("patience"))


@pytest.fixture(scope="session")
def corpora_folder(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.config.getoption("corpora")
    return folder


@pytest.fixture(scope="session")
def sessions(request: pytest.FixtureRequest) -> int:
    count: int = request.config.getoption("sessions")
    return count


@pytest.fixture(scope="session")
def floor(corpora_folder: Path) -> Floor | None:
    return compiled(corpora_folder)


@pytest.fixture(scope="session")
def store(corpora_folder: Path, sessions: int) -> Corpus:
    """A realistic store of rec; not to be changed."""
    return corpora.realistic(corpora_folder, sessions)


@pytest.fixture
def folder_fd(tmp_path: Path) -> Iterator[int]:
    """A descriptor of the test's own folder."""
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)
