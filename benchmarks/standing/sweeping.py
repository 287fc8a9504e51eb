"""Rows about what changes a store: pruning, sweeping again, recovering."""

import os
import shutil
import time
from pathlib import Path

from benchmarks import promises, whole
from benchmarks.corpora import Corpus
from benchmarks.promises import Figure
from benchmarks.recordings import DAY
from benchmarks.standing.ground import Ground, compared, each, say
from benchmarks.stands import CannotTell, copied
from benchmarks.whole import Spent, command, spent
from store import memory

MOST_PRUNING, MOST_AGAIN, MOST_AGAIN_COLD, MOST_RECOVERING = 2.0, 0.5, 0.25, 0.5
"""Pruning beside find, sweeping again beside the first time, and recovering beside a bare durable rewrite."""

PRUNED, CRASHED = 0.9, 0.1
"""The share of the sessions that is pruned, and that many of them have crashed where recovering is measured."""

_CACHES = Path("/proc/sys/vm/drop_caches")
_NEARLY = 0.01  # find goes by when a file was changed, we by when the session says that it ended


def prune(ground: Ground) -> list[Figure]:
    """Nine tenths of a store to the trash, with a journal, beside deleting as many for ever."""
    corpus = ground.realistic(ground.sessions)
    days = _days(corpus, PRUNED)
    ways = ["maint", "find"]
    if shutil.which("systemd-tmpfiles") is not None:
        ways.append("systemd-tmpfiles")
    else:
        say("  there is no systemd-tmpfiles here")
    taken: dict[str, list[Spent]] = {way: [] for way in (*ways, "find, settled")}

    def one(way: str) -> int:
        """How many sessions are gone after it."""
        stand = copied(corpus, ground.scratch, "pruned", (f"prune: {{older_than: {days}d}}",))
        before = len(stand.files())
        arguments = {
            "maint": stand.verb("sweep"),
            "find": find(stand.sessions, days),
            "systemd-tmpfiles": tmpfiles(stand.sessions, days, stand.policy.with_suffix(".conf")),
        }[way]
        taken[way].append(spent(command(*arguments)))
        if way == "find":
            settled = spent(command("sync", "-f", str(stand.sessions)))
            last = taken[way][-1]
            taken["find, settled"].append(
                Spent(last.clock + settled.clock, last.processors + settled.processors)
            )
        gone = before - len(stand.files())
        stand.policy.with_suffix(".conf").unlink(missing_ok=True)
        stand.gone()
        return gone

    gone: dict[str, int] = {}
    for turn in range(ground.pairs):
        say(f"  pruning, {turn + 1} of {ground.pairs}")
        for way in ways[::-1] if turn % 2 else ways:
            gone[way] = one(way)
    for way, count in gone.items():
        if abs(count - gone["maint"]) > _NEARLY * ground.sessions:
            raise CannotTell(f"{way} removed {count} sessions, and maint {gone['maint']}")
    pruned = {way: each(some, gone.get(way, gone["find"])) for way, some in taken.items()}
    figures = compared(
        f"prune of {gone['maint']:,} to the trash, a session | find -delete",
        pruned["maint"],
        pruned["find"],
        most=MOST_PRUNING,
    )
    for way in ("find, settled", *ways[2:]):
        figures += compared(f"  | {way.replace('settled', 'sync')}", pruned["maint"], pruned[way])[:1]
    return figures


def find(folder: Path, days: int) -> tuple[str, ...]:
    """Delete what is that many days old; ``-mtime +N`` means more than N whole ones."""
    return ("find", str(folder), "-name", "*.ndjson", "-mtime", f"+{days - 1}", "-delete")


def tmpfiles(folder: Path, days: int, conf: Path) -> tuple[str, ...]:
    """The same by when files were changed alone, since the other times of a copy are of today."""
    conf.write_text(f"e {folder} - - - m:{days}d\n")
    return ("systemd-tmpfiles", "--clean", f"--prefix={folder}", str(conf))


def _days(corpus: Corpus, share: float) -> int:
    """The age in days that this share of the sessions exceeds."""
    with os.scandir(corpus.paths["path"]) as entries:
        ages = sorted(time.time() - entry.stat().st_mtime for entry in entries)
    return max(2, int(ages[int(len(ages) * (1 - share))] / DAY))


def again(ground: Ground) -> list[Figure]:
    """A second sweep beside the first: where the first had work to do, where it had none, and from a cold disk."""
    corpus = ground.realistic(ground.sessions)
    cold = os.access(_CACHES, os.W_OK)
    kinds = ("worked", "idle", "cold") if cold else ("worked", "idle")
    taken: dict[str, tuple[list[Spent], list[Spent]]] = {kind: ([], []) for kind in kinds}
    for turn in range(ground.pairs):
        say(f"  sweeping again, {turn + 1} of {ground.pairs}")
        stand = copied(corpus, ground.scratch, "swept")
        time.sleep(memory.SETTLING + 1)  # what changed shortly before it was read is not remembered
        for kind in kinds:
            if kind != "worked":
                stand = stand.forgotten()
                if any(line["type"] == "action" for line in stand.plan()):
                    raise CannotTell("there is still something to do after a sweep")
                stand = stand.forgotten()
            for sweeps in taken[kind]:
                if kind == "cold":
                    _forget_caches()
                sweeps.append(spent(command(*stand.verb("sweep"))))
        stand.gone()
    store = f"a store of {ground.sessions:,}"
    figures = []
    for kind, what, most in (
        ("idle", f"second sweep of {store} in which nothing is to be done | first", MOST_AGAIN),
        ("worked", "  second sweep | a first that had work to do", None),
        ("cold", "  second sweep | first, both with a cold cache", MOST_AGAIN_COLD),
    ):
        if kind in taken:
            first, second = taken[kind]
            figures += compared(what, second, first, most=most)
        else:
            figures.append(promises.unknown(what, "dropping caches takes root", f"<= {most}"))
    return figures


def _forget_caches() -> None:
    """Make the next process read from the disk."""
    os.sync()
    _CACHES.write_text("3\n")


def recover(ground: Ground) -> list[Figure]:
    """Crashed sessions made whole, beside one bare durable rewrite of each of the same files."""
    corpus = ground.alike(max(10, int(ground.sessions * CRASHED)), "crashed")
    ours: list[Spent] = []
    theirs: list[Spent] = []

    def we() -> None:
        stand = copied(corpus, ground.scratch, "crashed", ("recover: {idle_for: 24h}",))
        wanted = stand.planned("recover")
        ours.extend(each([spent(command(*stand.verb("sweep")))], wanted))
        if stand.planned("recover"):
            raise CannotTell("not every crashed session was recovered")
        stand.gone()

    def they() -> None:
        stand = copied(corpus, ground.scratch, "crashed")
        files = len(stand.files())
        theirs.extend(each([spent(command(ground.floor.program, "renew", str(stand.sessions)))], files))
        stand.gone()

    for turn in range(ground.pairs):
        say(f"  recovering, {turn + 1} of {ground.pairs}")
        for one in whole.in_turn(turn, we, they):
            one()
    count = int(ground.sessions * CRASHED)
    return compared(
        f"recover of {count:,}, a session | temp, write, fsync, rename, fsync, in C",
        ours,
        theirs,
        most=MOST_RECOVERING,
    )
