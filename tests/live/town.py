"""Three stores with owners who are at work, and one policy for all of them, swept again and again."""

import random
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from lives import PACKED, TRASH, TRASHED_AFTER, Owner
from maint_world import Answer, World
from oracle import Key, Oracle
from owners import KINDS
from reachable import lost

POLICY = f"""\
  - stale-locks: {{idle_for: 12h}}
  - recover: {{idle_for: 12h}}
  - delete-empty: {{idle_for: 1d}}
  - litter: {{older_than: 1d}}
  - prune: {{older_than: {TRASHED_AFTER:.0f}d, where: {{name: short}}}}
  - archive: {{older_than: 5d}}
  - prune: {{of: archived, older_than: {PACKED:.0f}d}}
"""
LIMITS = f"""\
protect: [{{tags: [keep]}}]
limits: {{max_removed: unlimited, max_expired: unlimited}}
trash: {{keep_for: {TRASH:.0f}d}}
"""


_OURS = frozenset(
    {"README.txt", "lock", "journal", "catalogue.sqlite", "facts", "targets", "reported", "skips"}
)


class Town(World):
    """The stores by kind, their owners, and a clock that goes on by hours while no time passes."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder)
        self.dice = random.Random(seed)
        self.tops = {
            "rec": self.sessions,
            "opendev": folder / "opendev",
            "opendev-snapshots": folder / "recovery",
        }
        self.owners: dict[str, Owner] = {
            kind: make(self.tops[kind], self.dice) for kind, make in KINDS.items()
        }
        remote = folder / "remote"
        remote.mkdir()
        stores = [
            f"  rec: {{kind: rec, path: {self.sessions}, state: {self.state}}}",
            f"  opendev: {{kind: opendev, path: {self.tops['opendev']}, remote: {remote}}}",
            f"  snapshots: {{kind: opendev-snapshots, path: {self.tops['opendev-snapshots']}}}",
        ]
        self.rules(POLICY, "stores:\n" + "\n".join(stores) + "\n" + LIMITS)
        self.oracles = {kind: Oracle({self.owners[kind].label: top}) for kind, top in self.tops.items()}
        self.latest = self.clock
        self.codes: Counter[int] = Counter()

    @property
    def clock(self) -> float:
        return time.time() + self.ahead

    @property
    def born(self) -> int:
        return sum(owner.born for owner in self.owners.values())

    def pass_time(self, seconds: float) -> None:
        self.ahead += seconds

    def live(self, births: int, acts: int) -> None:
        """Let the owners begin so many sessions, and do so much to those that there are."""
        for _ in range(births):
            self.dice.choice(list(self.owners.values())).be_born(self.clock)
        for _ in range(acts):
            self.dice.choice(list(self.owners.values())).act(self.clock)

    def heard(self, answer: Answer, may: Collection[int]) -> str | None:
        """Take in how a run ended, and with which codes it may; what is wrong with that."""
        self.codes[answer.code] += 1
        if answer.code not in may or "Traceback" in answer.err:
            return f"it ended with {answer.code}: {answer.err[-2000:]}"
        return None

    def journals_of_all(self) -> list[Path]:
        """The journals of all stores."""
        return [path for top in self.tops.values() for path in (top / ".maint/journal").glob("*.ndjson")]

    def missing(self) -> list[Key]:
        """The files of sessions that must be there, of whose lines some are nowhere, or which are not where they must be."""
        found: list[Key] = []
        self.latest = max(self.latest, self.clock)
        for kind, owner in self.owners.items():
            owner.forget(self.latest)
            lives = owner.lives.values()
            found += lost(
                self.oracles[kind], {key: lines for life in lives for key, lines in life.lines.items()}
            )
            found += [
                key
                for life in lives
                if life.tagged
                for key in life.lines
                if not (owner.top / key[1]).exists()
            ]
        return found

    def left_over(self, a_session: int, a_run: int) -> list[str]:
        """What is left when all is at its end but what is tagged: of sessions, of our own, and how many bytes that is."""
        found: list[str] = []
        kept = {
            path for owner in self.owners.values() for life in owner.lives.values() for _, path in life.lines
        }
        size = 0
        for top in self.tops.values():
            for path in (each for each in top.rglob("*") if each.is_file()):
                inside = path.relative_to(top)
                if inside.parts[0] != ".maint":
                    if str(inside) not in kept and inside.name != "sessions-index.json":
                        found.append(f"{inside} is still there")
                elif inside.parts[1] not in _OURS:
                    found.append(f"{inside} is left")
                else:
                    size += path.stat().st_size
        for path in self.journals_of_all():
            last = path.read_bytes().splitlines()[-1]
            if not last.startswith(b'{"type":"end"'):
                found.append(f"{path.name} has no end")
        if size > (most := a_session * self.born + a_run * (self.codes.total() + 20)):
            found.append(f"{size} bytes are left of our own, which is more than {most}")
        return found
