import ast
import time
from pathlib import Path

import pytest
from policy_world import BERLIN, load, selector, session

import policies
from policies import default_policy_text, example_names, example_text

HOME = Path(policies.__file__).parent
MODULES = sorted(HOME.glob("*.py"))


def imported(module: Path) -> set[str]:
    """The top-level names that a module imports, `store` with its module."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name if name.startswith("store") else name.partition(".")[0] for name in found}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_the_rules_stand_on_nothing_but_the_facts(module: Path) -> None:
    forbidden = {
        "os",
        "pathlib",
        "io",
        "subprocess",
        "threading",
        "time",
        "socket",
        "shutil",
        "tempfile",
        "maint",
    }
    assert {
        name
        for name in imported(module)
        if name in forbidden or (name.startswith("store") and name != "store.facts")
    } == set()


def test_one_module_imports_yaml() -> None:
    assert [module.stem for module in MODULES if "yaml" in imported(module)] == ["reading"]


def test_modules_are_small() -> None:
    assert [module.stem for module in MODULES if len(module.read_text().splitlines()) >= 300] == []


def test_there_are_worked_examples() -> None:
    assert example_names() == (
        "agents",
        "audit",
        "disk-cap",
        "laptop",
        "opendev",
        "outrig",
        "rec",
        "shared-box",
    )


def test_an_unknown_example_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        example_text("../default")


def test_the_default_policy_prunes_nothing() -> None:
    policy = load(default_policy_text())
    assert [each.pass_name for each in policy.passes] == ["stale-locks", "recover", "delete-empty", "litter"]


def test_the_default_policy_looks_at_the_default_roots() -> None:
    assert load(default_policy_text()).stores == ()


def test_the_default_policy_has_the_default_limits() -> None:
    plain = load("version: 1\npasses: []")
    policy = load(default_policy_text())
    assert (policy.limits, policy.trash) == (plain.limits, plain.trash)


@pytest.mark.slow
def test_a_selector_costs_about_a_microsecond() -> None:
    test = selector("{state: complete, older_than: 30d, not: {tags: keep}}").compile(1.75e9, BERLIN)
    about = session(ended_at=1.0, tags=("x",))
    began = time.process_time()
    for _ in range(100_000):
        test(about)
    # Three parts and a negation; generous, because the machine may be busy.
    assert time.process_time() - began < 0.5
