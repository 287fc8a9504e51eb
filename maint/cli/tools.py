"""The policy language's own tools, and the demo."""

import sys

from maint import ndjson, selection, whereabouts
from maint.cli.arguments import Group, argument, command
from maint.cli.ending import UNREADABLE, fail, out
from maint.cli.options import POLICY
from maint.cli.rules import complain_of, policy_in_force
from maint.reaching import describe
from policies import PolicyInvalid
from store.names import printable


@command(argument("file", metavar="FILE"))
def check_(file: str) -> None:
    """Whether a policy is valid; everything that is wrong with it, and what is odd."""
    try:
        checked = selection.check(file)
    except OSError as error:
        fail(UNREADABLE, f"cannot read the policy: {describe(error)}")
    for lint in checked.lints:
        print(f"{lint}\n  (this is no error)", file=sys.stderr)
    if checked.errors:
        complain_of(PolicyInvalid(checked.errors))
    print(
        f"{printable(file)}: valid, with {len(checked.lints)} remarks" if checked.lints else f"{file}: valid"
    )


@command(POLICY)
def show_(policy: str | None) -> None:
    """The policy that is in force, and the stores it is for."""
    rules = policy_in_force(policy)
    text, source = selection.read_policy(policy)
    print(f"# {source}")
    for place in whereabouts.places(rules):
        print(f"# store {place.name}: {place.kind}, {printable(place.path)}")
    out(text)


@command()
def schema_() -> None:
    """The JSON Schema of policies, for editors."""
    out(ndjson.pretty(selection.schema()))


policy_ = Group(
    "Check, show and describe policies.",
    {
        "check": "Whether a policy is valid, and what is odd about it.",
        "show": "The policy that is in force, and the stores it is for.",
        "schema": "The JSON Schema of policies, for editors.",
    },
    {"check": check_, "show": show_, "schema": schema_}.__getitem__,
)


@command(argument("--keep", action="store_true", help="leave the folder of the demo for a look around"))
def demo_(keep: bool) -> None:
    """Build a small store with every ailment, sweep it, and show before, after and why."""
    from maint.demo import show_demo  # noqa: PLC0415  nobody else needs it

    show_demo(keep=keep)
