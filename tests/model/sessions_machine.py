"""A store of rec, its owner, his recorder, the clock, and the program, in any order: and what must be true all along.

The owner makes sessions of every kind, goes on recording, tags, removes and copies back; the clock goes forward, and
back a little; policies change; caches are lost or damaged; and runs are carried out, killed, and taken back.
"""

import os
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar

import hypothesis.strategies as st
from archive_world import archive_pass
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kill_points import CALLS, traced
from maint_world import DAY, EVERYTHING, Answer, World, content
from owed import Owed, is_sound

from store.layouts.rec.specimens import command, session_id

KEEP_FOR, ENDS_AFTER = 14.0, 200.0
"""Days that the trash is kept for, and after which archived sessions end where the policy says so."""

_PRUNE = "  - prune: {older_than: 60d, keep: {last: 2}}\n"
_ENDS = f"  - prune: {{of: archived, older_than: {ENDS_AFTER:.0f}d}}\n"
POLICIES = {
    "tidy": EVERYTHING,
    "archive": EVERYTHING + archive_pass(),
    "prune": EVERYTHING + _PRUNE,
    "all": EVERYTHING + archive_pass() + _ENDS,
    "files": EVERYTHING + archive_pass("form: file"),
}
REST = "limits: {max_removed: unlimited, max_expired: unlimited, max_archived: unlimited}\n"
KINDS = ("complete", "complete", "torn", "crashed", "empty", "bare", "recovered", "corrupt")
CACHES = ("catalogue.sqlite", "facts", "reported", "verified")
KILLING = [call for call in CALLS if call != "openat"]
CODES = frozenset({0, 1, 2, 3, 74, 75})
"""Codes that a run may end with here, where no policy is invalid."""

numbers = st.integers(0, 99)
ages = st.sampled_from((0.01, 3.0, 40.0, 70.0, 250.0))


class Sessions(RuleBasedStateMachine):
    """The machine; `wrong` is what it raises."""

    kills = shutil.which("strace") is not None
    runs: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        memory = "/dev/shm"
        self.top = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None)
        self.world = World(Path(self.top, "world"))
        self.owed = Owed(self.world.sessions, self.world.state)
        self.born = self.written = 0
        self.known: dict[str, set[bytes]] = {}
        self.ends = False

    def teardown(self) -> None:
        shutil.rmtree(self.top)

    # What the owner does.

    @initialize()
    def begin(self) -> None:
        self.change_policy("archive")
        for kind, days in (("complete", 40.0), ("torn", 3.0), ("empty", 3.0), ("complete", 70.0)):
            self.record(kind, days)

    @rule(kind=st.sampled_from(KINDS), days=ages)
    def record(self, kind: str, days: float) -> None:
        self.born += 1
        self._write(session_id(self.born), kind, days)

    @rule(number=numbers, kind=st.sampled_from(("complete", "torn", "empty")), days=ages)
    def record_under_an_id_that_was(self, number: int, kind: str, days: float) -> None:
        """As whoever copies files back by hand does."""
        gone = [id_ for id_ in map(session_id, range(1, self.born + 1)) if not self._path(id_).exists()]
        if gone:
            self._write(gone[number % len(gone)], kind, days, name=f"again-{number}")

    @rule(number=numbers, days=st.sampled_from((0.0, 3.0)))
    def go_on_recording(self, number: int, days: float) -> None:
        if (path := self._some(number)) is not None:
            line = command(number, f"late {number}", self.now - days * DAY)
            with path.open("ab") as file:
                file.write(line)
            self._settle(path, days)

    @rule(number=numbers)
    def lock(self, number: int) -> None:
        if self.born:
            self.world.lock(1 + number % self.born)

    @rule(number=numbers)
    def remove(self, number: int) -> None:
        if (path := self._some(number)) is not None:
            path.unlink()
            self.owed.removed(path.name)

    @rule(number=numbers)
    def tag(self, number: int) -> None:
        """Write a session anew beside itself, as rec does."""
        if (path := self._some(number)) is not None:
            beside = path.with_name(path.name + ".tmp")
            beside.write_bytes(path.read_bytes().replace(b'"tags":[]', b'"tags":["kept"]', 1))
            beside.chmod(0o600)
            beside.rename(path)
            self._settle(path, 2.5)

    # What happens.

    @rule(days=st.sampled_from((0.5, 3.0, 15.0, 45.0, 100.0)))
    def time_goes_by(self, days: float) -> None:
        self.world.ahead += days * DAY

    @rule()
    def clock_is_set_back(self) -> None:
        self.world.ahead = max(0.0, self.world.ahead - 1800.0)

    @rule(name=st.sampled_from(sorted(POLICIES)))
    def change_policy(self, name: str) -> None:
        self.world.rules(POLICIES[name], REST + f"trash: {{keep_for: {KEEP_FOR:.0f}d}}\n")
        self.ends = _ENDS in POLICIES[name]

    @rule(cache=st.sampled_from(CACHES), how=st.sampled_from(("gone", "empty", "torn", "noise")))
    def cache_is_lost(self, cache: str, how: str) -> None:
        path = self.world.ours / cache
        if not path.exists():
            return
        data = path.read_bytes()
        changed = {
            "gone": b"",
            "empty": b"",
            "torn": data[: len(data) // 2],
            "noise": random.Random(1).randbytes(5000),
        }
        path.unlink() if how == "gone" else path.write_bytes(changed[how])

    # What the program does.

    @rule()
    def sweep(self) -> None:
        if self._run("sweep").code == 0:
            self._agree()

    @rule()
    def archive(self) -> None:
        self._run("archive", "--older-than", "30d")

    @rule(number=numbers)
    def restore(self, number: int) -> None:
        waiting = sorted(
            {name.removesuffix(".ndjson") for name in self.world.waiting() if name.endswith(".ndjson")}
        )
        every = [*waiting, *sorted(self.owed.archived())]
        if every:
            self._run("restore", every[number % len(every)])

    @rule()
    def restore_all(self) -> None:
        self._run("restore", "*")

    @rule(number=numbers)
    def undo(self, number: int) -> None:
        if not (runs := self.world.journals()):
            return
        run = runs[-1 - number % len(runs)]
        if self._run("undo", run).code == 0:
            left = [path for path in (self.world.ours / f"trash/{run}/sessions").glob("*") if path.is_file()]
            assert not left, f"undo {run} ended with 0, and has left {left}"

    @rule()
    def plan(self) -> None:
        self._run("plan", "-o", "saved")

    @precondition(lambda self: (self.world.folder / "saved").exists())
    @rule()
    def apply(self) -> None:
        self._run("apply", "saved")

    @rule()
    def verify(self) -> None:
        assert self._run("verify").code == 0

    @precondition(lambda self: self.kills)
    @rule(call=st.sampled_from(KILLING), number=st.integers(1, 12), undoes=st.booleans())
    def be_killed(self, call: str, number: int, undoes: bool) -> None:
        runs = self.world.journals()
        verb = ["undo", runs[-1]] if undoes and runs else ["sweep", "--jobs", "1"]
        owed = self._owed()
        inject = f"inject={call}:signal=KILL:when={number}"
        traced(self.world, verb, ["-o", os.devnull, "-e", f"trace={call}", "-e", inject])
        self._look(owed, ("killed", *verb))

    # What must be true.

    @invariant()
    def whatever_was_recorded_is_somewhere(self) -> None:
        assert not (lost := self.owed.unrecorded()), f"records are lost of {lost}"

    @property
    def now(self) -> float:
        return self.world.now + self.world.ahead

    def _owed(self) -> dict[tuple[str, str], set[bytes]]:
        return self.owed.now(self.now - KEEP_FOR * DAY, self.now - ENDS_AFTER * DAY if self.ends else None)

    def _run(self, *arguments: str) -> Answer:
        owed = self._owed()
        answer = self.world.maint(*arguments)
        assert answer.code in CODES, (arguments, answer)
        assert "Traceback" not in answer.err, (arguments, answer)
        self._look(owed, arguments)
        self.runs[arguments[0]] += 1
        return answer

    def _look(self, owed: dict[tuple[str, str], set[bytes]], arguments: tuple[str, ...]) -> None:
        """Nothing is lost, and every session is as it was, or as it is when it was made whole."""
        missing = self.owed.missing(owed)
        assert not missing, f"lost by {arguments}: {missing}"
        self.owed.forgive()
        for path in self.world.sessions.glob("*.ndjson"):
            data = path.read_bytes()
            assert data in self.known[path.name] or is_sound(data), (
                f"{path.name} is a mixture after {arguments}: {data!r}"
            )
            self.known[path.name].add(data)

    def _agree(self) -> None:
        """What is told is what is there; the same plan is made twice; and nothing is left to be done.

        But for packs of which this very sweep has superseded sessions: the next one rewrites them.
        """
        told = self.world.maint("list", "--archived", "--json")
        assert {line["session"] for line in told.lines} == self.owed.archived(), told
        status = self.world.maint("status", "--json").lines[0]
        assert status["sessions"] == len(list(self.world.sessions.glob("*.ndjson"))), status
        one, other = (self.world.maint("plan", "--json") for _ in range(2))
        assert one.lines[1:-1] == other.lines[1:-1], (one, other)
        left = [line for line in one.lines[1:-1] if line["verb"] != "compact"]
        assert not left, f"there is more to do right after a sweep: {one.out}"

    # Files.

    def _path(self, id_: str) -> Path:
        return self.world.sessions / f"{id_}.ndjson"

    def _some(self, number: int) -> Path | None:
        found = sorted(self.world.sessions.glob("*.ndjson"))
        return found[number % len(found)] if found else None

    def _write(self, id_: str, kind: str, days: float, **head: str) -> None:
        self.written += (
            1  # no two of one id have begun at the same moment, or they would be the same recording
        )
        days += self.written / 10_000
        path = self._path(id_)
        path.write_bytes(content(kind, id_, self.now - days * DAY, **head))
        path.chmod(0o600)
        self._settle(path, days)

    def _settle(self, path: Path, days: float) -> None:
        """Let a session be that old, and know what it holds."""
        os.utime(path, (self.now - days * DAY, self.now - days * DAY))
        data = path.read_bytes()
        self.known.setdefault(path.name, set()).add(data)
        self.owed.recorded(path.name, data)
