"""The policies that come with the program, as text."""

from importlib.resources import files

_EXAMPLES = "examples"


def default_policy_text() -> str:
    """The policy that is used where nobody wrote one."""
    return _text("default.yaml")


def example_names() -> tuple[str, ...]:
    """The names of the worked examples, sorted."""
    folder = files("policies") / _EXAMPLES
    return tuple(
        sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml"))
    )


def example_text(name: str) -> str:
    """The text of a worked example; raises KeyError for a name that `example_names` does not have."""
    if name not in example_names():
        raise KeyError(name)
    return _text(_EXAMPLES, f"{name}.yaml")


def _text(*path: str) -> str:
    return files("policies").joinpath(*path).read_text(encoding="utf-8")
