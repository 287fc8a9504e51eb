"""Is anything slower than what was accepted? `python -m benchmarks.check`

0: nothing is. 1: something is, and is named. 2: it cannot be told, and it is said why.

What looks slower is asked again, alone, in other processes and with more rounds, and is named only if it is slower
then, too, and slower than the code that was accepted is within the same minutes.
The answer goes to stdout, and what is going on meanwhile to stderr.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import contained, corpora, counts
from benchmarks.check import accepting, before, judging, telling
from benchmarks.check.asking import CannotTell, Form, ask
from benchmarks.check.judging import Asked, Counted, Judged, Word

SHORT = Form(
    "short",
    ("benchmarks/test_judging.py", "benchmarks/test_primitives.py", "benchmarks/test_survey.py"),
    1_000,
    3,
)
WHOLE = Form("whole", ("benchmarks/",), 10_000, 5)
PATIENCE = 3
"""How many times as many rounds those are given that are asked again, and how many processes more there are then."""

ACCEPTING = 7
"""How many processes there are at least when something is accepted, so that its noise is known, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, compare, tell, and accept if that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--short", action="store_true", help="what does not need long: for every change")
    parser.add_argument("--sessions", type=int, metavar="N", help="how many sessions the stores hold")
    parser.add_argument(
        "--processes", type=int, metavar="N", help="how many fresh processes measure everything"
    )
    parser.add_argument(
        "-k", dest="matching", default="", metavar="EXPR", help="only these benchmarks, as of pytest"
    )
    parser.add_argument("--no-counts", action="store_true", help="count no system calls")
    parser.add_argument(
        "--accept", action="store_true", help="write down what is measured as what is accepted"
    )
    parser.add_argument(
        "--accepted", type=Path, default=accepting.FILE, metavar="FILE", help="where that stands"
    )
    parser.add_argument(
        "--strict", action="store_true", help="what cannot be compared is no success: 2 instead of 0"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too, for programs")
    parser.add_argument("--corpora", type=Path, default=corpora.cache_folder(), metavar="DIR")
    given = parser.parse_args(arguments)
    form = SHORT if given.short else WHOLE
    form = form._replace(
        sessions=given.sessions or form.sessions,
        processes=max(given.processes or form.processes, ACCEPTING if given.accept else 1),
    )
    contained.end_when_told()
    try:
        with contained.scratch(given.corpora) as scratch:
            return _check(form, scratch, given)
    except (CannotTell, counts.Failed) as error:
        print(f"{error}\nIt cannot be told whether anything is slower.", file=sys.stderr)
        return judging.UNTOLD
    except KeyboardInterrupt:
        print("interrupted; nothing is left behind", file=sys.stderr)
        return 128 + signal.SIGINT


def _check(form: Form, scratch: Path, given: argparse.Namespace) -> int:
    sections = accepting.load(given.accepted)
    machine = accepting.machine(in_memory=contained.in_memory(scratch))
    section = sections.get(accepting.title(form, machine)) or accepting.elsewhere(sections, form)
    counted_on = sections.get("counts", {}).get("machine", machine)
    other = accepting.differs(section.get("machine", machine), machine)
    for line in telling.head(form, machine, other, None if section else given.accepted):
        print(line, flush=True)
    counted: list[Counted] = []
    if not given.no_counts and not given.matching:
        if counts.available():
            elsewhere = bool(accepting.differs(counted_on, machine))
            counted = _counts(sections, scratch, given.corpora, elsewhere=elsewhere)
        else:
            print("NOT COUNTED, for want of strace: system calls, bytes read, and what is made durable")
    judged = _times(form, section, scratch, given, elsewhere=bool(other))
    told: list[Judged | Counted] = [*judged, *counted]
    answer = judging.answer(told, strict=given.strict)
    for line in (*telling.table(judged), "", *telling.counts(counted), ""):
        print(line)
    if given.json:
        given.json.write_text(telling.for_programs(form, machine, told, answer))
    if given.accept:
        return _accept(sections, form, machine, judged, counted, given.accepted)
    print(answer.sentence)
    return answer.code


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _times(
    form: Form, section: dict[str, Any], scratch: Path, given: argparse.Namespace, *, elsewhere: bool
) -> list[Judged]:
    """Every subject that was measured, and those that are accepted and are no more."""
    known = accepting.ratios(section)

    def compared(asked: dict[str, Asked]) -> dict[str, Judged]:
        return {
            name: judging.judge(name, known.get(name), each, elsewhere=elsewhere)
            for name, each in asked.items()
        }

    judged = compared(ask(form, given.corpora, scratch, matching=given.matching, say=_say))
    suspects = [each for each in judged.values() if each.word is Word.SLOWER]
    if suspects:
        _say(f"asked again: {', '.join(each.subject for each in suspects)}")
        again = form._replace(processes=form.processes + PATIENCE)
        nodes = [each.node for each in suspects]
        judged |= compared(ask(again, given.corpora, scratch, nodes=nodes, patience=PATIENCE, say=_say))
        judged |= _beside_before(
            again, [each for each in judged.values() if each.word is Word.SLOWER], scratch, given
        )
    found = sorted(judged.values())
    if not given.matching:
        found += [Judged(name, Word.GONE, known[name]) for name in sorted(known.keys() - judged.keys())]
    return found


def _beside_before(
    form: Form, slower: list[Judged], scratch: Path, given: argparse.Namespace
) -> dict[str, Judged]:
    """What is slower twice, beside the code that was accepted, as far as that can be had."""
    root = before.unpacked(given.accepted, scratch / "before") if slower else None
    if root is None:
        return {}
    _say(f"and of what was accepted: {', '.join(each.subject for each in slower)}")
    nodes = [each.node for each in slower]
    try:
        asked = ask(form, given.corpora, scratch, nodes=nodes, patience=PATIENCE, root=root, say=_say)
    except CannotTell as error:
        _say(f"{error}\nwhat was accepted cannot be measured")
        return {}
    return {
        each.subject: judging.beside_before(each, asked[each.subject])
        for each in slower
        if each.subject in asked
    }


def _counts(sections: dict[str, Any], scratch: Path, folder: Path, *, elsewhere: bool) -> list[Counted]:
    known: dict[str, dict[str, float]] = sections.get("counts", {}).get("counts", {})

    def compared(found: dict[str, counts.Counts]) -> dict[str, Counted]:
        return {
            name: judging.count(name, known.get(name), each, elsewhere=elsewhere)
            for name, each in found.items()
        }

    found = compared(counts.everything(folder, scratch, _say))
    more = {name for name, each in found.items() if each.word is Word.MORE}
    if more:
        found |= compared(counts.everything(folder, scratch, _say, only=more))
    judged = [found[name] for name in sorted(found)]
    return judged + [
        Counted(name, Word.GONE, known[name], {}) for name in sorted(known.keys() - found.keys())
    ]


def _accept(
    sections: accepting.Sections,
    form: Form,
    machine: dict[str, Any],
    judged: Sequence[Judged],
    counted: Sequence[Counted],
    file: Path,
) -> int:
    title = accepting.title(form, machine)
    sections[title] = accepting.accept_ratios(sections.get(title, {}), judged, machine)
    if counted:
        sections["counts"] = accepting.accept_counts(sections.get("counts", {}), counted, machine)
    file.write_text(accepting.written(sections))
    with file.with_name(accepting.HISTORY.name).open("a") as history:
        history.write(accepting.remembered(form, judged, machine))
    changed = sum(each.word is not Word.SAME for each in judged)
    changed += sum(each.word is not Word.SAME for each in counted)
    print(
        f"Accepted: {changed} subjects changed in {file.name}, where those that are as they were keep their lines."
    )
    return judging.FINE


if __name__ == "__main__":
    sys.exit(main())
