"""The code whose ratios were accepted, to be measured here and now.

C and Python are not always as fast beside each other on one machine, either: what others do on its processors slows
down what needs their caches, by a fifth and more for an hour.
So what looks slower than it was is compared with what was accepted, measured within the same minutes.
"""

import subprocess
from pathlib import Path

from benchmarks.check.asking import ROOT


def unpacked(accepted: Path, folder: Path) -> Path | None:
    """The tree as it was when this file was last changed, in a folder that is made; ``None`` where no git knows."""
    try:
        commit = _git("log", "-1", "--format=%H", "--", str(accepted)).decode().strip()
        if not commit:
            return None
        folder.mkdir()
        tree = _git("archive", "--format=tar", commit)
        subprocess.run(("tar", "-x", "-C", str(folder)), input=tree, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return folder


def _git(*arguments: str) -> bytes:
    return subprocess.run(("git", *arguments), cwd=ROOT, check=True, capture_output=True).stdout
