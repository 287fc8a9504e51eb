"""The table of weaknesses is whole, and every test that it names is there."""

import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
TABLE = (HOUSE / "store/layouts/README.md").read_text()
ROWS = re.findall(r"^\| ([WOGCP][0-9]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", TABLE, re.MULTILINE)
TESTS = [
    name
    for path in (HOUSE / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
]


def test_every_weakness_has_one_row() -> None:
    numbers = [
        f"{kind}{n}"
        for kind, last in (("W", 19), ("O", 19), ("G", 16), ("C", 9), ("P", 6))
        for n in range(1, last + 1)
    ]
    assert [row[0] for row in ROWS] == numbers


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_a_row_names_is_there(row: tuple[str, str, str, str]) -> None:
    named = re.findall(r"`(test_\w+)`", row[3])
    assert named or row[3].startswith("no test"), "a row names a test, or says why there is none"
    assert [name for name in named if not any(test.startswith(name) for test in TESTS)] == []
