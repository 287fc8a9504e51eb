"""What must hold after a run that somebody came in between, at once and after one more sweep, and one more.

- Every record that counted before counts still, in one piece, but for what the actor himself destroyed; a file that
  the actor moved or linked beside the store is where he put it, and what is in there counts.
- What the actor wrote into a file, as a record or as a new file, is in the store, in the place where he wrote it.
  It may wait in the trash or among the backups only if a person was told, because another file has its place.
- What the actor changed in place, without making it any longer, counts wherever that file is now.
- Whatever else the actor put anywhere is there, byte for byte; nothing beside the store was touched.
- Runs end by the contract of their exit codes and show no traceback, the sweeps after them fail at nothing, and the
  last one finds nothing left to do.
"""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deeds import Deed
from errors import ENDS
from halting import Run
from maint_world import Answer
from oracle import Key, Oracle, records_of
from scene import Scene

Outside = Mapping[str, tuple[int, int, bytes]]


def outside(folder: Path) -> Outside:
    """The files of others, with modes and times."""
    return {
        str(path): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


@dataclass
class Verdict:
    """What is asked for: contents by their places, and what belongs to nobody here."""

    scene: Scene
    oracle: Oracle
    counting: dict[Key, set[bytes]]
    outside: Outside
    deed: Deed

    def __post_init__(self) -> None:
        for key, data in self.deed.took.items():
            self.counting.get(key, set()).discard(data)

    def wrong(self, run: Run) -> str | None:
        """What is wrong; ``None`` if nothing is."""
        if self.deed.wrong:
            return self.deed.wrong
        if "Traceback" in run.said or run.code not in ENDS:
            return f"it ended with {run.code}: {run.said[-600:]}"
        if why := self._lost():
            return f"at once: {why}"
        first = self.scene.world.maint("sweep", "--json")
        if why := _failed(first) or self._lost() or self._astray(run.said, first):
            return f"after the next sweep: {why}"
        second = self.scene.world.maint("sweep", "--json")
        if why := _failed(second) or self._lost() or self._astray(run.said, first):
            return f"after one more sweep: {why}"
        if second.summary["planned"]:
            return f"there is still something to do: {second.lines[:-1]}"
        if left := self.scene.world.waiting("tmp"):
            return f"left over: {left}"
        return None

    def _lost(self) -> str | None:
        """What is nowhere."""
        return next(self._missing(), None) or next(self._touched(), None)

    def _missing(self) -> Iterator[str]:
        copies = self.oracle.copies()
        there = {key: [copy.data for copy in found if copy.counts] for key, found in copies.items()}
        for path, (key, number) in self.deed.apart.items():
            if not Path(path).exists() or Path(path).stat().st_ino != number:
                yield f"what he moved or linked is not there: {path}"
                return
            there.setdefault(key, []).append(Path(path).read_bytes())
        for key, contents in self.counting.items():
            for data in contents:
                if not is_in(data, there.get(key, [])):
                    yield f"lost: {'/'.join(key)}: {data!r}"
        for key, data in self.deed.changed.items():
            if not is_in(data, there.get(key, [])):
                yield f"lost what he changed: {'/'.join(key)}: {data!r}"
        for key, data in self.deed.fresh.items():
            if not any(data in found for found in there.get(key, [])):
                yield f"lost what he wrote: {'/'.join(key)}: {data!r}"
        files = [path.read_bytes() for top in self._tops() for path in top.rglob("*") if path.is_file()]
        for data in self.deed.anywhere:
            if data not in files:
                yield f"lost what he put there: {data!r}"

    def _touched(self) -> Iterator[str]:
        if outside(self.scene.outside) != self.outside:
            found = sorted(str(path) for path in self.scene.outside.rglob("*"))
            yield f"what is outside of the store was touched: {found}"
        for path, kind in self.deed.odd.items():
            if not Path(path).exists() or stat.S_IFMT(Path(path).lstat().st_mode) != kind:
                yield f"not as he left it: {path}"

    def _astray(self, said: str, swept: Answer) -> str | None:
        """What he wrote that is not in the store, and of which nobody has told a person."""
        in_store = self.oracle.in_store()
        told = f"{said} {swept.summary['problems']}"
        for key, data in self.deed.fresh.items():
            if data not in in_store.get(key, b"") and key[1] not in told:
                where = [copy.where for copy in self.oracle.copies().get(key, []) if data in copy.data]
                return f"in {where}, and not in the store: {'/'.join(key)}: {data!r}"
        return None

    def _tops(self) -> list[Path]:
        return [self.scene.world.ours, self.scene.top]


def is_in(data: bytes, there: list[bytes]) -> bool:
    """Whether all whole records of a content are in one of these, and its torn end in any of them."""
    lines = {line for line in records_of(data) if line.endswith(b"\n")}
    torn = data.rpartition(b"\n")[2]
    return any(lines <= records_of(found) for found in there) and any(torn in found for found in there)


def _failed(answer: Answer) -> str | None:
    if answer.code not in {0, 1} or "Traceback" in answer.err:
        return f"it ended with {answer.code}: {answer.err[-600:]}"
    if answer.summary["failed"] or answer.summary["lost"]:
        return f"something failed: {answer.lines}"
    return None
