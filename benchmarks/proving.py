"""That the regression check can be trusted, both ways: `python -m benchmarks.proving`

- A pass is made slower by some per cent, in a copy of the tree: the check must name its verdicts, and nothing else.
- The check is run again and again over an unchanged copy, while other processes want all processors: all must be
  green.

What is proven is that of the accepted ratios which the copy itself gave at first, on this machine.
Arguments after ``--`` are the check's own; without any it is the short form that is proven.
"""

import argparse
import ast
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import contained, corpora
from benchmarks.check import judging
from benchmarks.check.asking import ROOT

SLOWER, RUNS = 0.15, 10
_FIRST = 24  # statements to begin with, of which it is seen how much slower they make a pass

_WISH = "import os\nabove = os.getppid()\nwhile os.getppid() == above: pass"
"""A process that wants a processor, and ends with whoever started it."""


class Checked(NamedTuple):
    code: int
    said: str
    told: dict[str, Any]

    @property
    def named(self) -> list[str]:
        return [
            each["subject"] for each in self.told.get("subjects", ()) if each["word"] in ("slower", "more")
        ]


class Copy(NamedTuple):
    """A copy of the tree with a Python of its own, whose program is the copy's, so that nobody's edits reach it."""

    folder: Path

    def make(self) -> None:
        for name in ("maint", "store", "policies", "benchmarks"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", self.folder)
        own, prefix = self.folder / ".venv", Path(sys.prefix)
        (own / "bin").mkdir(parents=True)
        shutil.copy(prefix / "pyvenv.cfg", own)
        (own / "lib").symlink_to(prefix / "lib")
        (own / "bin" / "python").symlink_to(Path(sys.executable).resolve())
        program = own / "bin" / "maint"
        program.write_text(
            f"#!{own}/bin/python\nimport sys\nsys.path.insert(0, {str(self.folder)!r})\n"
            "from maint.cli import main\nmain()\n"
        )
        program.chmod(0o755)

    def check(self, *arguments: str) -> Checked:
        report = self.folder / "answer.json"
        report.unlink(missing_ok=True)
        command = [
            str(self.folder / ".venv/bin/python"),
            "-m",
            "benchmarks.check",
            f"--json={report}",
            *arguments,
        ]
        code, said = contained.run(command, os.environ, self.folder)
        return Checked(code, said, json.loads(report.read_text()) if report.exists() else {})

    def slow_down(self, name: str, statements: int) -> None:
        """Let each verdict of this pass begin with so many statements that do nothing."""
        module = f"maint/passes/{name.replace('-', '_')}.py"
        tree = ast.parse((ROOT / module).read_text())
        for bind in (
            each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == "bind"
        ):
            for judge in (each for each in bind.body if isinstance(each, ast.FunctionDef)):
                nothing = ast.Expr(ast.Name(judge.args.args[0].arg, ast.Load()))
                judge.body[:0] = [nothing] * statements
        (self.folder / module).write_text(ast.unparse(ast.fix_missing_locations(tree)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove both; 1 if either fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proving", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pass", dest="name", default="prune", help="the pass that is made slower")
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of unchanged code under load")
    parser.add_argument("check", nargs="*", metavar="-- CHECK'S", help="arguments of the check")
    given = parser.parse_args(arguments)
    form = given.check or ["--short"]
    contained.end_when_told()
    with contained.scratch(corpora.cache_folder()) as scratch:
        copy = Copy(scratch / "copy")
        copy.make()
        accepted = copy.check("--accept", *form)
        print(f"accepted: exit code {accepted.code}", flush=True)
        if accepted.code:
            print(accepted.said)
            return judging.UNTOLD
        with _load():
            runs = [_run(copy, number, form) for number in range(given.runs)]
        green = sum(code == judging.FINE for code in runs)
        named = _planted(copy, given.name, form)
    print(
        f"{green} of {given.runs} runs of unchanged code under load were green; the slower pass was ", end=""
    )
    print("named, and nothing else" if named else "NOT named, or something else was, too")
    return int(green < given.runs or not named)


def _run(copy: Copy, number: int, form: Sequence[str]) -> int:
    checked = copy.check(*form)
    print(f"run {number + 1}: {checked.code}; {checked.said.splitlines()[-1]}", flush=True)
    if checked.code:
        print(checked.said, flush=True)
    return checked.code


def _planted(copy: Copy, name: str, form: Sequence[str]) -> bool:
    """Whether the check names the pass that is made slower, and nothing else."""
    only = (*form, "--no-counts", "-k", f"test_pass and {name}")
    copy.slow_down(name, _FIRST)
    statements = max(1, round(_FIRST * SLOWER / _slowdown(copy.check(*only))))
    copy.slow_down(name, statements)
    checked = copy.check(*form)
    print(checked.said)
    print(f"{name} was made slower by {statements} statements a verdict; named: {checked.named}", flush=True)
    return (
        checked.code == judging.REGRESSION
        and [each for each in checked.named if name in each] == checked.named
    )


def _slowdown(checked: Checked) -> float:
    """By how much the one subject that was asked is slower than it was."""
    subject = checked.told["subjects"][0]
    return float(subject["now"]["ratio"] / subject["was"]["ratio"] - 1)


@contextlib.contextmanager
def _load() -> Iterator[None]:
    """As many processes as there are processors, which all want one, if less than we do."""
    wishes = [
        subprocess.Popen(("nice", "-n", "10", sys.executable, "-c", _WISH))
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for each in wishes:
            each.kill()
            each.wait()


if __name__ == "__main__":
    sys.exit(main())
