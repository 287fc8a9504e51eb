"""What counts as plugged in."""

from pathlib import Path
from types import ModuleType

from store.plugs import plugged_into


def test_modules_and_packages_are_found_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "_private.py", "__init__.py", "README.md", "2nd.py", "c.pyi", "d.py.orig"):
        (tmp_path / name).touch()
    for name in ("whole", "_hidden", "left_over", "old.bak"):
        (tmp_path / name / "__pycache__").mkdir(parents=True)
    for name in ("whole", "_hidden", "old.bak"):
        (tmp_path / name / "__init__.py").touch()
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "e.py").touch()
    package = ModuleType("package")
    package.__path__ = [str(tmp_path), str(beside)]
    assert plugged_into(package) == ["a", "b", "e", "whole"]
