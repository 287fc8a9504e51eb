"""Every parser of bytes that somebody else wrote answers whatever they are, or says what it documents."""

import os
from collections.abc import Callable
from pathlib import Path

import layout_parsers
import memory_parsers
import our_parsers
import pack_parsers
import policy_parsers
import pytest
from fuzzing import Parser, fuzz
from tried import FAULTS, LONG, Tally

SEED = int(os.environ.get("MAINT_SEED", "1"))
INPUTS = int(FAULTS) if FAULTS.isdecimal() else 10**9 if LONG else 300
SECONDS = 60.0 if LONG else 0.15
SHARES = 6 if LONG else 1
"""Of the parsers of a table, each tried by a test of its own: tests may run side by side."""

TABLES: dict[str, Callable[[Path], dict[str, Parser]]] = {
    "policies": policy_parsers.parsers,
    "packs": pack_parsers.parsers,
    "layouts": layout_parsers.parsers,
    "ours": our_parsers.parsers,
    "memory": memory_parsers.parsers,
}


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("table", TABLES)
def test_no_bytes_are_answered_by_a_defect(table: str, share: int, tmp_path: Path, tally: Tally) -> None:
    found: list[str] = []
    for name, parser in [*TABLES[table](tmp_path).items()][share::SHARES]:
        tried = fuzz(parser, tmp_path, SEED, INPUTS, SECONDS)
        tally("fuzz", name, tried.inputs, wrong=len(tried.wrong))
        found += [f"{name}, seed {SEED}, {wrong}" for wrong in tried.wrong]
    assert not found, "\n".join(found)
