"""Pictures for the docs: `python -m benchmarks.plots DIR`.

- ``cost``: the time of a plan against the number of sessions, beside the floor in C.
- ``history``: how the ratios of all accepted regression checks went, each beside its first one.
- ``phases``: where the time of a sweep goes, by phase and by pass.

What is measured for them is kept beside them, as ``cost.ndjson`` and ``phases.ndjson``, and drawn from there until
``--anew`` says otherwise: so a picture can be drawn again on any machine, and comes out the same, byte for byte.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import corpora, drawing, whole
from benchmarks.floor import Floor, compiled
from benchmarks.standing.ground import say
from benchmarks.stands import copied

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
SESSIONS, PAIRS = 100_000, 3
HISTORY = Path(__file__).with_name("history.ndjson")

_PASSES = (*whole.TIDYING, "prune: {older_than: 1y}")

Records = list[dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, and draw; 2 where nothing can be drawn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--format", choices=("svg", "png"), default="svg")
    parser.add_argument("--anew", action="store_true", help="measure again what was measured before")
    parser.add_argument(
        "--sizes",
        type=lambda text: [int(each) for each in text.split(",")],
        default=SIZES,
        metavar="N,N,...",
        help="of the stores that are planned for",
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="in the store that is swept")
    parser.add_argument("--history", type=Path, default=HISTORY, metavar="FILE")
    parser.add_argument("--corpora", type=Path, default=corpora.cache_folder(), metavar="DIR")
    given = parser.parse_args(arguments)
    try:
        drawing.prepare()
    except ImportError:
        print("drawing takes matplotlib: pip install -e '.[plots]'", file=sys.stderr)
        return 2
    given.folder.mkdir(parents=True, exist_ok=True)

    def draw(name: str, picture: Callable[[Records], Any], records: Records) -> None:
        path = given.folder / f"{name}.{given.format}"
        drawing.save(picture(records), path)
        print(path)

    def kept(name: str, measure: Callable[[], Records]) -> Records:
        path = given.folder / f"{name}.ndjson"
        if given.anew or not path.exists():
            path.write_text("".join(json.dumps(each) + "\n" for each in measure()))
        return read(path)

    floor = compiled(given.corpora)
    draw("cost", drawing.cost, kept("cost", lambda: cost(given.corpora, floor, given.sizes)))
    draw("phases", drawing.phases, kept("phases", lambda: phases(given.corpora, given.sessions)))
    checks = comparable(read(given.history) if given.history.exists() else [])
    if len(checks) < 2:
        say(f"{given.history.name} has {len(checks)} comparable checks; a history takes two")
    else:
        draw("history", drawing.history, checks)
    return 0


def read(path: Path) -> Records:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def cost(folder: Path, floor: Floor | None, sizes: Sequence[int]) -> Records:
    """Seconds of a plan, and of the floor, at each size: medians."""
    measured = []
    for sessions in sizes:
        say(f"planning for {sessions:,}")
        corpus = corpora.realistic(folder, sessions)
        with tempfile.TemporaryDirectory() as scratch:
            policy = whole.policy_file(Path(scratch, "policy.yaml"), corpus, whole.TIDYING)
            ours = whole.command(*whole.plan(policy, corpus.at))
            path = corpus.paths["path"]
            floors = ours if floor is None else whole.command(floor.program, "survey", path)
            we, they = whole.turns(PAIRS, ours, floors)
        record: dict[str, Any] = {"sessions": sessions, "plan": statistics.median(each.clock for each in we)}
        if floor is not None:
            record["floor"] = statistics.median(each.clock for each in they)
        measured.append(record)
    return measured


def phases(folder: Path, sessions: int) -> Records:
    """What the profile of a first sweep says; of it, the line of the profile alone."""
    say(f"sweeping {sessions:,}")
    corpus = corpora.realistic(folder, sessions)
    with tempfile.TemporaryDirectory(dir=folder, prefix="plots-") as scratch:
        stand = copied(corpus, Path(scratch), "swept", _PASSES)
        said = subprocess.run(
            stand.verb("sweep", "--profile", "--json"),
            check=True,
            capture_output=True,
            env=whole.environment(),
        )
    lines = map(json.loads, said.stdout.splitlines())
    return [line for line in lines if line["type"] == "profile"]


def comparable(checks: Records) -> Records:
    """The checks of the same form and on the same machine as the last one; no others have ratios to compare."""

    def key(check: Mapping[str, Any]) -> tuple[Any, Any]:
        return check.get("form"), check.get("machine")

    return [check for check in checks if key(check) == key(checks[-1])]


if __name__ == "__main__":
    sys.exit(main())
