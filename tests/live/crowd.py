"""Recorders at work side by side, each in a process of its own, until they are told to stop."""

import json
import mmap
import os
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from numbered import Written
from recorders import PAUSE, Recorder


class Crowd:
    """Recorders at work: how many lines they have written so far, and, when they have ended, to which sessions."""

    def __init__(self, kinds: Sequence[type[Recorder]], folder: Path, reports: Path, seed: int) -> None:
        self._reports = reports
        self._kinds = kinds
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._said_stop, self._stop = os.pipe()
        self._children = [
            self._forked(number, kind(folder, seed + number)) for number, kind in enumerate(kinds)
        ]

    @property
    def lines(self) -> int:
        slots = range(0, 8 * len(self._kinds), 8)
        return sum(int.from_bytes(self._shared[at : at + 8], "little") for at in slots)

    def ended(self) -> dict[str, Written]:
        """Tell them to stop; what they have written."""
        os.close(self._stop)
        self._stop = -1
        while self._children:
            _, status = os.waitpid(self._children.pop(), 0)
            assert status == 0, self._complaints()
        found: dict[str, Written] = {}
        for number, kind in enumerate(self._kinds):
            report: dict[str, int] = json.loads((self._reports / f"{number}.json").read_text())
            found |= {id_: Written(kind.__name__, lines, kind.in_order) for id_, lines in report.items()}
        return found

    def close(self) -> None:
        """Kill those that still work."""
        while self._children:
            child = self._children.pop()
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for fd in (self._said_stop, self._stop):
            if fd >= 0:
                os.close(fd)
        self._shared.close()

    def _forked(self, number: int, recorder: Recorder) -> int:
        child = os.fork()
        if child == 0:
            self._record(number, recorder)
        return child

    def _record(self, number: int, recorder: Recorder) -> NoReturn:
        try:
            os.close(self._stop)
            os.set_blocking(self._said_stop, False)
            lines = 0
            while self._goes_on():
                lines += recorder.burst()
                self._shared[8 * number : 8 * number + 8] = lines.to_bytes(8, "little")
                time.sleep(recorder.dice.uniform(0, PAUSE))
            recorder.close()
            (self._reports / f"{number}.json").write_text(json.dumps(recorder.written))
        except BaseException:  # noqa: BLE001  whatever it was, it is shown
            (self._reports / f"{number}.failed").write_text(traceback.format_exc())
            os._exit(1)
        os._exit(0)

    def _goes_on(self) -> bool:
        try:
            return bool(os.read(self._said_stop, 1))
        except BlockingIOError:
            return True

    def _complaints(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self._reports.glob("*.failed")))


@contextmanager
def recording(kinds: Sequence[type[Recorder]], folder: Path, reports: Path, seed: int) -> Iterator[Crowd]:
    """Recorders of these kinds at work in one folder; those that were not told to stop are killed at the end."""
    reports.mkdir()
    crowd = Crowd(kinds, folder, reports, seed)
    try:
        yield crowd
    finally:
        crowd.close()
