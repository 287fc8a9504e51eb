"""Asking the suite, in several fresh processes: each has another seed of hashes, and its own layout of memory."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import contained
from benchmarks.check.judging import Asked

ROOT = Path(__file__).resolve().parents[2]
_LAST = 40  # lines of a suite that failed
_NOTHING = 5  # what pytest ends with when nothing was selected


class CannotTell(Exception):
    """What was to be measured could not be."""


class Form(NamedTuple):
    """What of the suite is asked, over how large stores, and how often."""

    name: str
    files: tuple[str, ...]
    sessions: int
    processes: int

    @property
    def title(self) -> str:
        """What its ratios are accepted under: those of stores of another size are other ratios."""
        return f"{self.name}, {self.sessions} sessions"


def ask(
    form: Form,
    corpora: Path,
    scratch: Path,
    *,
    matching: str = "",
    nodes: Sequence[str] = (),
    patience: int = 1,
    root: Path = ROOT,
    say: Callable[[str], None],
) -> dict[str, Asked]:
    """What all processes of a form say, by subject: of everything, or of these nodes only.

    It is the code of the tree at ``root`` that they measure.
    """
    answers: list[dict[str, dict[str, Any]]] = []
    nodes_of: dict[str, str] = {}
    for number in range(form.processes):
        began = time.monotonic()
        report = scratch / "report.json"
        arguments = [
            sys.executable,
            "-m",
            "pytest",
            "-rfE",
            *(nodes or form.files),
            f"--sessions={form.sessions}",
        ]
        arguments += [f"--corpora={corpora}", f"--basetemp={scratch / 'suite'}", f"--benchmark-json={report}"]
        arguments += [f"--patience={patience}", *(("-k", matching) if matching else ())]
        seed = 100 * patience + number  # who is asked again, is asked with other seeds
        environment = {key: text for key, text in os.environ.items() if key != "PYTEST_ADDOPTS"}
        environment |= {"PYTHONHASHSEED": str(seed), "PYTHONPATH": str(root)}
        code, said = contained.run(arguments, environment, root)
        if code:
            last = "\n".join(said.splitlines()[-_LAST:])
            why = "nothing is selected" if code == _NOTHING else f"the suite failed with {code}"
            raise CannotTell(f"{last}\n{why}")
        answer = {}
        for each in json.loads(report.read_text())["benchmarks"]:
            subject = each["extra_info"]["work"]
            if nodes_of.setdefault(subject, each["fullname"]) != each["fullname"]:
                raise CannotTell(f"two benchmarks are called {subject!r}")
            answer[subject] = each["extra_info"]
        answers.append(answer)
        say(
            f"process {number + 1} of {form.processes}: {len(answer)} subjects in {time.monotonic() - began:.0f} s"
        )
    return {subject: pooled(nodes_of[subject], [each[subject] for each in answers]) for subject in answers[0]}


def pooled(node: str, answers: Sequence[dict[str, Any]]) -> Asked:
    """The answers of all processes about one subject as one."""
    medians = {
        reference: [statistics.median(each["by processors"][reference]) for each in answers]
        for reference in answers[0]["by processors"]
    }
    clock = {
        reference: statistics.median(each["ratios"][reference] for each in answers)
        for reference in answers[0]["ratios"]
    }
    return Asked(node, medians, clock)
