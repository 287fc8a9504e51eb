"""Processes that are gone when we are: a command, with everything that it started, ends with its caller's patience."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

MEMORY, ENOUGH = Path("/dev/shm"), 2 << 30
"""A file system in memory, and how many bytes must be free in it."""


_GRACE = 5.0  # seconds to end in, for what has something to clean up

_WAITING = 'read -r go && exec "$@" </dev/null'
"""A command that begins when it is told to, and not at all if we ended before we knew about it."""

_RUNNING: set[int] = (
    set()
)  # the groups of the commands that are not waited for yet, whichever thread started them


def end_all(number: signal.Signals = signal.SIGTERM) -> None:
    """Tell what still runs to end, with all that it started."""
    for group in tuple(_RUNNING):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)


def end_when_told() -> None:
    """Let SIGTERM end us as an interruption does: with what we started, and without our scratch folders."""

    def end(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
) -> tuple[int, str]:
    """The exit code of a command, and all that it said; if we are interrupted, its whole group ends."""
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            ("sh", "-c", _WAITING, "sh", *arguments),
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            _RUNNING.add(process.pid)
            process.communicate(b"go\n")
        except BaseException:
            end_all()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            end_all(signal.SIGKILL)
            raise
        finally:
            _RUNNING.discard(process.pid)
        said.seek(0)
        return process.returncode, said.read().decode(errors="replace")


@contextlib.contextmanager
def scratch(otherwise: Path) -> Iterator[Path]:
    """A folder to write to that is gone afterwards: in memory if there is room, since what a disk takes depends on
    what was removed from it minutes ago; otherwise below the folder that is given.
    """  # fmt: skip
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH
    otherwise.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=MEMORY if roomy else otherwise, prefix="maint-check-", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def in_memory(folder: Path) -> bool:
    """Whether a scratch folder is one in memory."""
    return folder.is_relative_to(MEMORY)
