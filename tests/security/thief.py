"""Another user, what he does in his own name, and what it takes to have one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

THIEF = 64_001
"""A user without an account, who is nobody else on this machine."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can work in the store of another user")
needs_zstd = pytest.mark.skipif(
    shutil.which("zstd") is None, reason="there is no zstd to look into packs with"
)
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="there is no strace to follow the calls with"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that all may enter, as pytest's own are not: in memory if there is one, for no disk need be waited for."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as top:
        os.chmod(top, 0o755)
        yield Path(top)


@contextmanager
def as_thief() -> Iterator[None]:
    """Whatever is made in the context is the thief's, as if he had made it."""
    os.setegid(THIEF)
    os.seteuid(THIEF)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
