"""What all tests may ask for; and how much was tried: those that try many points say so, and a run ends with a table.

`--report FILE` writes that table to a file, too, as it stands in tests/REPORT.md.
"""

import platform
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from maint_world import World
from tried import PROPERTY, Tally, Tried, table


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--report", metavar="FILE", help="write what was tried to this file, as a table")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A store of rec in a home of its own, with the default passes and a moment that is the present."""
    return World(tmp_path)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    return Tally(request.node.user_properties)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    every = _tried(terminalreporter)
    if not every:
        return
    terminalreporter.section("tried")
    for line in table(every):
        terminalreporter.write_line(line)
    if file := config.getoption("--report"):
        said = f"Linux {platform.release()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}."
        Path(file).write_text("\n".join((f"# Tried\n\n{said}\n", *table(every))) + "\n")


def _tried(terminalreporter: pytest.TerminalReporter) -> list[Tried]:
    """What all tests say that they tried, in the order of their files, whichever of them ended first."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    reports.sort(key=lambda report: report.location[:2])
    return [
        Tried._make(said)
        for report in reports
        for name, said in report.user_properties
        if name == PROPERTY and isinstance(said, Sequence)
    ]
