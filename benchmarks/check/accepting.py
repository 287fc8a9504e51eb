"""What is accepted: a file in the repository with one subject a line, so that a diff says what changed.

What is as it was keeps its line, to the digit, when everything is accepted anew.
So a diff shows only what a reviewer must look at, and what gets slower by a per cent a month is not accepted bit by
bit: it stays compared with what it was at first.
Beside it, every acceptance adds a line to the history, with the ratios as they were measured.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.check.asking import ROOT, Form
from benchmarks.check.judging import START, Accepted, Counted, Judged, Word

FILE, HISTORY = ROOT / "benchmarks" / "accepted.json", ROOT / "benchmarks" / "history.ndjson"

Sections = dict[str, dict[str, Any]]
"""``counts`` of everything, and for each form and machine its ratios; every section names its ``machine``."""


def machine(*, in_memory: bool) -> dict[str, Any]:
    """What is measured on, as far as it moves ratios."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith(("model name", "Model"))
    ]
    return {
        "processors": os.cpu_count(),
        "model": models[0] if models else os.uname().machine,
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
        "scratch": "memory" if in_memory else "disk",
    }


def differs(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is so different between two machines that their ratios are, too; not the kernel nor Python's last digit."""

    def told(key: str, each: Any) -> Any:
        return str(each).rpartition(".")[0] if key == "python" else each

    compared = ("processors", "model", "python", "scratch")
    return [
        f"{key} {was[key]} -> {now[key]}" for key in compared if told(key, was[key]) != told(key, now[key])
    ]


def title(form: Form, of: Mapping[str, Any]) -> str:
    """What the ratios of a form are accepted under that were measured on this machine."""
    python = str(of["python"]).rpartition(".")[0]
    return f"{form.title}, {of['processors']} x {of['model']}, Python {python}, {of['scratch']}"


def elsewhere(sections: Sections, form: Form) -> dict[str, Any]:
    """What is accepted of a form on some machine, if it is on any."""
    return next((sections[each] for each in sorted(sections) if each.startswith(f"{form.title}, ")), {})


def load(path: Path) -> Sections:
    """What is accepted; nothing, if nobody ever accepted anything."""
    try:
        sections: Sections = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return sections


def ratios(section: Mapping[str, Any]) -> dict[str, Accepted]:
    return {subject: Accepted(**fields) for subject, fields in section.get("ratios", {}).items()}


def accept_ratios(
    section: Mapping[str, Any], judged: Iterable[Judged], now: Mapping[str, Any]
) -> dict[str, Any]:
    """A form's section for this machine with what was measured."""
    kept = dict(section.get("ratios", {}))
    for each in judged:
        if each.word is Word.GONE:
            kept.pop(each.subject, None)
        elif each.now is not None and not (each.word is Word.SAME and each.subject in kept):
            beside, ratio, noise = each.now
            kept[each.subject] = {
                "beside": beside,
                "ratio": float(f"{ratio:.3g}"),
                "noise": round(noise, 3),
            }
    return {"machine": dict(now), "ratios": kept}


def accept_counts(
    section: Mapping[str, Any], counted: Iterable[Counted], now: Mapping[str, Any]
) -> dict[str, Any]:
    """The section of counts with what was counted."""
    elsewhere = bool(differs(section.get("machine", now), now))
    kept = dict(section.get("counts", {}))
    for each in counted:
        if each.word is Word.GONE:
            kept.pop(each.subject, None)
        elif each.word is not Word.SAME or (elsewhere and each.subject.startswith(START)):
            kept[each.subject] = {name: round(number, 3) for name, number in each.now.items()}
    return {"machine": dict(now), "counts": kept}


def written(sections: Sections) -> str:
    """The file: JSON with a line for each machine and each subject, sorted."""
    parts = []
    for title in sorted(sections):
        section = dict(sections[title])
        lines = [f'  "machine": {json.dumps(section.pop("machine"))}']
        for name, subjects in section.items():
            inner = ",\n".join(
                f"   {json.dumps(key, ensure_ascii=False)}: {json.dumps(subjects[key], ensure_ascii=False)}"
                for key in sorted(subjects)
            )
            lines.append(f"  {json.dumps(name)}: {{\n{inner}\n  }}")
        parts.append(f" {json.dumps(title)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def remembered(form: Form, judged: Iterable[Judged], now: Mapping[str, Any]) -> str:
    """The line of history: what was measured, of which commit, and when."""
    git = ("git", "describe", "--always", "--dirty")
    said = subprocess.run(git, cwd=ROOT, check=False, capture_output=True, text=True)
    measured = {each.subject: float(f"{each.now.ratio:.3g}") for each in judged if each.now}
    line = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": said.stdout.strip() or None,
        "form": form.title,
        "machine": now,
        "ratios": dict(sorted(measured.items())),
    }
    return json.dumps(line, ensure_ascii=False) + "\n"
