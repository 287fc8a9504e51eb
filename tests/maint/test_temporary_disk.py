"""What waits in temporary files until a plan is made, where their disk is full: which folder that is, is said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LINES = """
from store.spool import Spool
with Spool() as spool:
    for _ in range(20_000):
        spool.append(b"x" * 1000)
"""

CANDIDATES = """
from maint.comparing import Candidates, entry
from maint.verdicts import Compare
from policies import Duration
compare = Compare("", 0.0, Duration.parse("1d"), ("rec",), old=True)
with Candidates() as candidates:
    for start in range(0, 100_000, 1000):
        candidates.enter([entry(0, f"rec/{n:0500}", 1, compare) for n in range(start, start + 1000)])
"""


@pytest.mark.parametrize("script", [LINES, CANDIDATES], ids=["lines", "candidates"])
def test_full_temporary_disk_is_an_error_that_names_its_folder(tmp_path: Path, script: str) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        done = subprocess.run(
            [sys.executable, "-c", script],
            check=False,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    said = f"OSError: [Errno 28] No space left on device, for temporary files: {str(tmp_path)!r}"
    assert done.stderr.splitlines()[-1] == said
