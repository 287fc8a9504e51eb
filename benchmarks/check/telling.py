"""The answer of the regression check, for people and for programs."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.beside import aligned
from benchmarks.check.asking import Form
from benchmarks.check.judging import COUNTS, Accepted, Answer, Counted, Interval, Judged, Word


def head(form: Form, machine: Mapping[str, Any], other: Sequence[str], missing: Path | None) -> list[str]:
    """What is asked, where, and how that differs from where the accepted ratios (``missing``, if none are) were."""
    lines = [
        f"regression check: {form.title} a store, {form.processes} fresh processes",
        "machine: " + ", ".join(f"{key} {text}" for key, text in machine.items()),
    ]
    if missing:
        lines.append(
            f"NOTHING IS ACCEPTED for this form in {missing}; --accept begins with what is measured now"
        )
    if other:
        lines.append(
            f"NO MACHINE of which ratios are accepted ({'; '.join(other)}): they are told and not judged; what is"
            " counted is judged; --accept adds the ratios of this one"
        )
    return lines


def table(judged: Sequence[Judged]) -> list[str]:
    """Every ratio, where it lies for certain, what was accepted, and what it may be above that."""
    if not judged:
        return []
    cells = [("ratio by the processors' time", "beside", "was", "now", "low", "high", "change", "tolerated",
              "noise", "sure", "by the clock", "")]  # fmt: skip
    for each in judged:
        was, now, found = each.was, each.now, each.interval
        cells.append(
            (
                each.subject,
                (now or was or Accepted("", 0, 0)).beside,
                f"{was.ratio:.3g}" if was else "",
                *(
                    (f"{now.ratio:.3g}", f"{found.low:.3g}", f"{found.high:.3g}")
                    if now and found
                    else ("", "", "")
                ),
                "" if math.isnan(each.change) else f"{each.change:+.1%}",
                f"{each.tolerance:.0%}" if was and now else "",
                f"{now.noise:.1%}" if now else "",
                f"{found.confidence:.1%}" if found else "",
                "" if math.isnan(each.clock) else f"{each.clock:.3g}",
                each.word.value,
            )
        )
    return aligned(cells, "<<>>>>>>>>><")


def counts(counted: Sequence[Counted]) -> list[str]:
    """What was counted and is not as it was, with the calls of which there are more or fewer."""
    if not counted:
        return ["counts: none were asked for, or could be had"]
    same = sum(each.word is Word.SAME for each in counted)
    lines = [f"counts: {same} of {len(counted)} subjects are as they were"]
    if same == len(counted):
        return lines
    cells = [("count", "of", "was", "now", "", "")]
    for each in counted:
        if each.word is Word.SAME:
            continue
        both = each.was.keys() & each.now.keys() - COUNTS.keys()
        changed = [
            f"{n} {each.was[n]:g} -> {each.now[n]:g}" for n in sorted(both) if each.was[n] != each.now[n]
        ]
        for name in COUNTS.keys() & (each.was.keys() | each.now.keys()):
            was, now = (f"{some[name]:g}" if name in some else "" for some in (each.was, each.now))
            cells.append((each.subject, name, was, now, each.word.value, ", ".join(changed)))
    return [*lines, *aligned(cells, "<<>><<")]


def for_programs(
    form: Form, machine: Mapping[str, Any], told: Sequence[Judged | Counted], answer: Answer
) -> str:
    """All of it as JSON."""

    def plain(each: Judged | Counted) -> dict[str, Any]:
        fields = each._asdict() | {"word": each.word.name.lower()}
        return {
            key: part._asdict() if isinstance(part, Accepted | Interval) else part
            for key, part in fields.items()
            if part == part  # noqa: PLR0124  JSON has no NaN
        }

    whole = {"form": form.title, "machine": machine, **answer._asdict(), "subjects": [*map(plain, told)]}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
