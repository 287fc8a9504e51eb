"""What all tests may ask for; and how much was tried: those that try many points say so, and a run ends with a table.

`--report FILE` writes that table to a file, too, as it stands in tests/REPORT.md.
"""

import platform
import time
from pathlib import Path

import pytest
from maint_world import World
from tried import Tally, Tried, table

_ALL = pytest.StashKey[list[Tried]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--report", metavar="FILE", help="write what was tried to this file, as a table")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ALL] = []


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A store of rec in a home of its own, with the default passes and a moment that is the present."""
    return World(tmp_path)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    return Tally(request.config.stash[_ALL])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    every = config.stash[_ALL]
    if not every:
        return
    terminalreporter.section("tried")
    for line in table(every):
        terminalreporter.write_line(line)
    if file := config.getoption("--report"):
        said = f"Linux {platform.release()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}."
        Path(file).write_text("\n".join((f"# Tried\n\n{said}\n", *table(every))) + "\n")
