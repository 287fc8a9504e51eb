"""A store in which files are damaged by somebody else, one after the other, and the program that is run on it then."""

import os
import random
import resource
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

import maint_world
from maint_world import Answer, World
from mutating import Inputs
from oracle import Key, Oracle, Treasure
from stories import alone

CODES = frozenset({0, 1, 2, 3, 74, 75, 78})
LONGEST = 120
"""Seconds for one run."""

_MEMORY = 512 << 20
_NEVER = frozenset({"lock"})


class Store:
    """A world, what is outside of it, and the oracle that knows where everything is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.roots: Mapping[str, Path] = {
            label: Path(path) for label, path in world.place.roots.items() if not label.startswith("archive")
        }
        self.oracle = Oracle(self.roots)
        self.outside = world.folder / "outside"
        self.outside.mkdir()
        (self.outside / "mine").write_bytes(b"mine\n")
        self.plan = world.folder / "plan"

    def files(self) -> list[Path]:
        """All that somebody may damage; what is ours as often as what is not."""
        tops = {*self.roots.values()}
        found = {path for top in tops for path in top.rglob("*") if path.is_file() and not path.is_symlink()}
        ours = sorted(path for path in found if ".maint" in path.parts and path.name not in _NEVER)
        others = sorted(path for path in found if ".maint" not in path.parts)
        mine = [self.world.policy_file, *([self.plan] if self.plan.exists() else [])]
        few = mine * max(1, (len(ours) + len(others)) // 40)
        return [*ours * max(1, len(others) // max(1, len(ours))), *others, *few]

    def damage(self, rng: random.Random) -> list[str]:
        """Damage some files, each of which keeps its age; which."""
        told: list[str] = []
        for _ in range(rng.choice((1, 1, 2, 4))):
            path = rng.choice(self.files())
            found = path.stat()
            data = path.read_bytes()
            if path.suffix == ".ndjson" and rng.random() < 0.3:  # as a kill leaves it
                lines = data.splitlines(keepends=True)
                data = b"".join(lines[: rng.randrange(len(lines) + 1)])
            else:
                data = Inputs([data], rng.getrandbits(30))[1]
            path.write_bytes(data)
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
            told.append(str(path.relative_to(self.world.folder)))
        return told

    def wrong(self, run_with: list[str]) -> str | None:
        """What is wrong with a run, or after it; ``None`` if nothing is."""
        treasure, lay = self.oracle.treasure(), self.oracle.in_store()
        answer = run(self.world, run_with)
        if answer.code == -signal.SIGALRM:
            return f"no end within {LONGEST} seconds"
        if answer.code not in CODES or "Traceback" in answer.err or "defect" in answer.err:
            return f"it ended with {answer.code}: {answer.err[-1500:]}"
        if strange := [char for char in answer.err if not char.isprintable() and char != "\n"]:
            return f"it says {strange}"
        if missing := [
            each
            for each in self.oracle.missing(treasure)
            if not self._went_on(treasure, each.key) and not self._succeeded(treasure, each.key, lay)
        ]:
            return f"lost: {'; '.join(map(str, missing[:5]))}"
        if sorted(os.listdir(self.outside)) != ["mine"] or (self.outside / "mine").read_bytes() != b"mine\n":
            return f"something was done outside: {os.listdir(self.outside)}"
        return None

    def _went_on(self, treasure: Treasure, key: Key) -> bool:
        """Whether a file has all that it had, and more behind it: what was carried over to it after its last, torn line."""
        there = [copy for copy in self.oracle.copies().get(key, ()) if copy.counts]
        return all(
            any(copy.data.startswith(data) for copy in there) for data in treasure.counting.get(key, ())
        )

    def _succeeded(self, treasure: Treasure, key: Key, lay: Mapping[Key, bytes]) -> bool:
        """Whether what was in the store is in a pack now, and what was in a pack need not count any more, but is there.

        A mark that was damaged may let a session's older self count that its owner had gone on from.
        """
        copies = self.oracle.copies().get(key, ())
        archived = any(copy.counts and copy.where == "pack" and copy.data == lay.get(key) for copy in copies)
        return archived and treasure.all[key] <= {copy.data for copy in copies}

    def gone(self) -> None:
        shutil.rmtree(self.world.folder)


def run(world: World, arguments: list[str], memory: int = _MEMORY) -> Answer:
    """The program in a process of its own, whose time and memory are bounded."""
    with alone(), tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            signal.alarm(LONGEST)
            has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (has + memory, has + memory))
            maint_world.set_clock(world.ahead)
            maint_world._become(arguments, world.env, world.folder, (out.fileno(), err.fileno()), -1)
        _, status = os.waitpid(child, 0)
        texts = [os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace") for file in (out, err)]
        return Answer(os.waitstatus_to_exitcode(status), *texts)


def arguments(rng: random.Random, store: Store) -> list[str]:
    """What is run next."""
    verb = rng.choice(VERBS)
    more = rng.choice(([], ["--json"]))
    names = sorted({path.name.partition(".")[0] for path in store.files()} - {""})
    session = rng.choice([name for name in names if not name.startswith("-")] or ["nothing"])
    run = rng.choice(store.world.journals() or ["nothing"])
    pack = rng.choice([str(path) for path in sorted(store.world.ours.rglob("*.tar.zst"))] or ["nothing"])
    rest = {
        "plan": ["-o", str(store.plan), *more],
        "apply": [str(store.plan)],
        "undo": [run],
        "restore": [rng.choice((session, "*"))],
        "archive": ["--older-than", "30d"],
        "salvage": [pack, "--to", "saved"],
        "list": [rng.choice(("--archived", "--trashed", "--json"))],
        "show": [session],
        "explain": [session],
        "log": rng.choice(([], [run])) + more,
        "policy": ["check", str(store.world.policy_file)],
    }
    return [verb, *rest.get(verb, more)]


VERBS = (
    *("sweep", "sweep", "plan", "apply", "undo", "restore", "archive", "verify", "salvage", "status", "list"),
    *("show", "explain", "log", "policy"),
)
