"""Owners of sessions of each kind, who begin, go on with, end, tag and delete them as its program does."""

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lives import Life, Owner

from store.layouts.opendev import specimens as opendev
from store.layouts.opendev_snapshots import specimens as snapshots
from store.layouts.rec import specimens as rec


class RecOwner(Owner):
    """Records as rec does, and tags by a save."""

    label = "sessions"

    def new_id(self) -> str:
        digits = f"{self.dice.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def begin(self, life: Life) -> None:
        head = rec.header(life.id, "short" if life.short else "long", life.ended)
        first = rec.command(0, "make", life.ended, 0.0) if self.dice.random() < 0.8 else b""
        self.write(life, f"{life.id}.ndjson", head + first, headed=True)

    def go_on(self, life: Life) -> None:
        path = f"{life.id}.ndjson"
        at = len(life.lines[self.label, path])
        ends = self.dice.random()
        some = [rec.command(at + n, f"make {n}", life.ended, 0.0) for n in range(self.dice.randint(1, 3))]
        if ends < 0.3:
            some.append(rec.footer(life.ended, at + len(some)))
        if ends < 0.5:
            life.going = False
        self.write(life, path, b"".join(some), append=True)
        if 0.3 <= ends < 0.4:
            self.write(life, path, b'{"type":"command","ind', append=True)

    def tag(self, life: Life) -> None:
        path = self.top / f"{life.id}.ndjson"
        with suppress(FileNotFoundError):
            head, rest = path.read_bytes().split(b"\n", 1)
            new = path.with_name(f"{path.name}.tmp")
            changed = json.dumps(json.loads(head) | {"tags": ["keep"]}, separators=(",", ":"))
            new.write_bytes(changed.encode() + b"\n" + rest)
            before = path.stat()
            os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
            new.rename(path)
            life.tagged = True


class OpendevOwner(Owner):
    """Saves a record and a transcript, or crashes before the first save and leaves a log of events."""

    label = "data"

    def new_id(self) -> str:
        return f"{self.dice.getrandbits(48):012x}"

    def begin(self, life: Life) -> None:
        life.short = False  # this kind has no name to go by
        if self.dice.random() < 0.3:
            log = opendev.created(life.id, life.ended)
            log += opendev.added(life.id, 2, "user", f"{life.id}?", life.ended)
            self.write(life, f"{opendev.PROJECT}/{life.id}.events.jsonl", log)
            life.going = False
        else:
            self._save(life, new=True)

    def go_on(self, life: Life) -> None:
        if not (self.top / f"{opendev.PROJECT}/{life.id}.json").exists():
            raise FileNotFoundError
        self._save(life, new=False)
        life.going = self.dice.random() < 0.6

    def _save(self, life: Life, *, new: bool) -> None:
        said = opendev.line(opendev.message("user", f"{self.dice.random()}?", life.ended))
        self.write(life, f"{opendev.PROJECT}/{life.id}.jsonl", said, append=not new)
        record = opendev.record(life.id, life.ended, life.ended, playbook={"n": self.dice.random()})
        self.write(life, f"{opendev.PROJECT}/{life.id}.json", record)


class SnapshotOwner(Owner):
    """Leaves a snapshot of work that was done, or was cut short."""

    label = "snapshots"

    def new_id(self) -> str:
        digits = f"{self.dice.getrandbits(44):011x}"
        return f"{digits[:8]}-{digits[8:]}"

    def begin(self, life: Life) -> None:
        life.short = False
        life.going = False
        data = snapshots.snapshot(life.id, life.ended, completed=self.dice.random() < 0.7)
        self.write(life, f"{life.id}{snapshots.SUFFIX}", data)

    def go_on(self, life: Life) -> None:
        raise FileNotFoundError


KINDS: dict[str, Callable[[Path, random.Random], Owner]] = {
    "rec": RecOwner,
    "opendev": OpendevOwner,
    "opendev-snapshots": SnapshotOwner,
}
