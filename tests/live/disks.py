"""A disk in memory for one test: small and its own where root runs the tests, so that it can be full; else a folder."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = "/dev/shm"


class Disk:
    """Where a test works; ``size`` is 0 where nothing bounds it but the memory of everybody."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size

    @contextmanager
    def full(self, but: int) -> Iterator[None]:
        """Have no more than so many bytes free, where this disk is its own."""
        ballast = self.folder / "ballast"
        if self.size:
            free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, free - but))
        try:
            yield
        finally:
            ballast.unlink(missing_ok=True)


@contextmanager
def in_memory(size: int) -> Iterator[Disk]:
    """A disk of so many bytes, which is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        mounted = (
            os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        )
        try:
            yield Disk(Path(folder), size if mounted else 0)
        finally:
            if mounted:
                subprocess.run(["umount", "-l", folder], check=True)
