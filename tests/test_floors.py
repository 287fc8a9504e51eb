"""The floors of the house: who may import whom, read from the source, so that nothing need be run."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
PACKAGES = ("store", "policies", "maint")
GUARDED = ("argparse", "yaml", "filelock", "psutil", "multiprocess", "rich", "zstandard", "dill", "numpy")

DOORS = {
    "argparse": {"maint.cli.arguments"},
    "yaml": {"policies.reading"},
    "filelock": {"store.locks"},
    "psutil": {"store.processes"},
    "multiprocess": {"maint.worker"},
    "rich": {"maint.terminal"},
    "zstandard": {"store.frames"},
}
"""The one module that may import each package. `msgspec` is the language of all."""

FORBIDDEN = {
    "store": ("policies", "maint"),
    "policies": ("maint", "store"),
    "maint": (),
}
ALLOWED = {"policies": ("store.facts",)}

WORLD = {
    "os", "io", "time", "sys", "pathlib", "shutil", "subprocess", "socket", "tempfile", "signal", "fcntl", "random",
    "glob", "multiprocess", "multiprocessing", "threading", "urllib", "requests", "logging",
}  # fmt: skip
"""What leads out of a process, or makes two runs of the same thing differ."""

REACHING = {"open", "print", "input", "exec", "eval", "__import__"}
PURE = (
    "maint.judge",
    "maint.refusing",
    "maint.actions",
    "maint.verdicts",
    "maint.contract",
    "maint.tally",
    "maint.passes",
)
DISCOVERS = {"maint.contract": {"importlib"}}


def modules(house: Path) -> Iterator[tuple[str, ast.Module]]:
    """All modules of the house by their dotted names."""
    for package in PACKAGES:
        for path in sorted((house / package).rglob("*.py")):
            parts = path.relative_to(house).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.Module) -> set[str]:
    """Every module that is imported anywhere in a module, functions and type checking included."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            found.update(f"{module}.{alias.name}" for alias in node.names)
            found.add(module)
    return found


def named(tree: ast.Module) -> set[str]:
    """Every bare name that is used."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def violations(house: Path) -> list[str]:
    """What breaks the floors or the doors, a line each."""
    found: list[str] = []
    homes: dict[str, set[str]] = {}
    for name, tree in modules(house):
        uses = imported(tree)
        package = name.partition(".")[0]
        for other in FORBIDDEN[package]:
            allowed = ALLOWED.get(package, ())
            wrong = [
                each
                for each in uses
                if is_in(each, other) and each != other and not any(is_in(each, ok) for ok in allowed)
            ] or [each for each in uses if each == other and not allowed]
            found += [f"{name} imports {each}" for each in sorted(wrong)]
        for each in uses:
            top = each.partition(".")[0]
            if top in GUARDED:
                homes.setdefault(top, set()).add(name)
        if any(is_in(name, pure) for pure in PURE):
            tops = {each.partition(".")[0] for each in uses}
            found += [f"{name} is pure and imports {each}" for each in sorted(tops & WORLD)]
            found += [f"{name} is pure and calls {each}" for each in sorted(named(tree) & REACHING)]
            late = {"importlib", "pkgutil"} & tops - DISCOVERS.get(name, set())
            found += [f"{name} is pure and imports {each}" for each in sorted(late)]
    for package, where in sorted(homes.items()):
        if where != DOORS.get(package):
            found.append(f"{package} is imported by {', '.join(sorted(where))}")
    return found


def test_imports_hold_to_the_floors_and_the_doors() -> None:
    assert violations(HOUSE) == []


def test_every_door_is_in_use() -> None:
    used = {each.partition(".")[0] for _, tree in modules(HOUSE) for each in imported(tree)}
    assert set(DOORS) - used == set()


def test_passes_see_facts_and_rules_and_nothing_else() -> None:
    ours = {
        each
        for name, tree in modules(HOUSE)
        if is_in(name, "maint.passes")
        for each in imported(tree)
        if each.partition(".")[0] in PACKAGES
    }
    tops = {".".join(each.split(".")[:2]) for each in ours}
    policies = {each for each in tops if is_in(each, "policies")}
    assert tops - policies <= {"maint.actions", "maint.contract", "maint.verdicts", "store.facts"}


@pytest.mark.parametrize(
    ("where", "line", "told"),
    [
        ("store/planted.py", "from policies import Policy", "store.planted imports policies"),
        ("store/planted.py", "def f():\n    import maint.engine", "store.planted imports maint.engine"),
        ("store/layouts/planted.py", "import maint", "store.layouts.planted imports maint"),
        ("policies/planted.py", "from store import names", "policies.planted imports store.names"),
        ("policies/planted.py", "from maint.engine import Run", "policies.planted imports maint.engine"),
        ("maint/passes/planted.py", "import os", "maint.passes.planted is pure and imports os"),
        ("maint/passes/planted.py", "open('x')", "maint.passes.planted is pure and calls open"),
        ("maint/passes/planted.py", "from time import time", "maint.passes.planted is pure and imports time"),
        ("maint/passes/planted.py", "import importlib", "maint.passes.planted is pure and imports importlib"),
        ("maint/engine.py", "import yaml", "yaml is imported by maint.engine"),
        (
            "maint/engine.py",
            "def f():\n    from rich.console import Console",
            "rich is imported by maint.engine",
        ),
        ("maint/engine.py", "import argparse", "argparse is imported by maint.engine"),
        ("maint/engine.py", "import numpy", "numpy is imported by maint.engine"),
    ],
)
def test_planted_violation_is_found(tmp_path: Path, where: str, line: str, told: str) -> None:
    path = tmp_path / where
    path.parent.mkdir(parents=True)
    path.write_text(f"{line}\n")
    assert [each for each in violations(tmp_path) if each.startswith(told)] != []


def test_planted_pure_module_without_violation_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "maint/passes").mkdir(parents=True)
    (tmp_path / "maint/passes/fine.py").write_text(
        "from store.facts import Session\nfrom policies import option\n"
    )
    assert violations(tmp_path) == []
