"""What a hostile owner writes into his own store, and what stands in plans and policies, yields an error and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from forged_intents import RED, RUN, intents
from forgeries import FORGERIES, forge
from maint_world import Answer
from robbed_world import Robbed
from thief import folder, needs_root, needs_zstd
from tried import LONG, Tally

__all__ = ["folder"]

pytestmark = [needs_root, needs_zstd]


def raw(text: str) -> list[str]:
    """What a terminal might obey of what was said."""
    return [char for char in text if not char.isprintable() and char != "\n"]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda each: each.__name__)
def test_forgery_yields_an_error_and_nothing_else(
    forgery: Callable[[Robbed], None], folder: Path, tally: Tally
) -> None:
    world = Robbed(folder / "his", "rec", shared=False)
    forge(world, forgery)
    verbs = [["status"], ["list", "--archived"], ["restore", "*"], ["undo", RUN], ["log", RUN], ["sweep"]]
    if LONG:
        verbs += [*world.verbs(), ["undo", RUN], ["undo", world.run_id], ["show", RED], ["sweep"]]
    answers = world.all_as_root(verbs)
    found = world.wrong(answers)
    found += [
        f"{verb}: said raw: {raw(each.out + each.err)[:9]}"
        for verb, each in answers.items()
        if raw(each.out + each.err)
    ]
    tally("forged", forgery.__name__, len(verbs), wrong=len(found))
    assert not found, "\n".join(found)


def test_plan_that_names_what_is_outside_is_refused(folder: Path, tally: Tally) -> None:
    world = Robbed(folder / "his", "rec", shared=False)
    plan = world.folder / "forged.plan"
    head, *_, end = (world.folder / "saved.plan").read_text().splitlines()
    everything = intents(world, "team") + intents(world, "../team")
    actions = everything[:: 1 if LONG else 17]
    found: list[str] = []
    for action in actions:
        plan.write_text("\n".join([head, json.dumps(action), end, ""]))
        answer = world.as_root("apply", str(plan))
        if answer.code != 74 or raw(answer.out + answer.err):
            found.append(f"{action['verb']} {action['path']}: {answer}")
    tally("forged", "plan", len(actions), there_are=len(everything), wrong=len(found))
    assert found + world.wrong({}) == []


def test_policy_that_names_what_is_no_store_harms_nothing(folder: Path, tally: Tally) -> None:
    world = Robbed(folder / "his", "rec", shared=False)
    link = world.folder / "link"
    link.symlink_to(world.sessions)
    named = ["..", "/", "../..", "a\0b", "/proc/self/fd", "/dev/null", "/dev/full", "~", "", str(link)]
    named.append(str(world.ours / "trash"))
    verbs = ("status", "plan", "list", "verify", "log") if LONG else ("plan", "list")
    said: dict[str, Answer] = {}
    for path in named:
        stores = f"{{a: {{kind: rec, path: {json.dumps(path)}}}, b: {{kind: rec, path: {world.sessions}}}}}"
        world.policy_file.write_text(
            f"version: 1\nstores: {stores}\npasses: [{{litter: {{older_than: 2d}}}}]\n"
        )
        said |= {f"{verb} {path}": world.as_root(verb) for verb in verbs}
    invalid = {path for path, answer in said.items() if answer.code == 78}
    assert {f"list {path}" for path in ("..", "../..", "a\0b", "")} <= invalid
    assert [each for each in said.values() if raw(each.out + each.err)] == []
    found = world.wrong({path: answer for path, answer in said.items() if path not in invalid})
    tally("forged", "policy", len(said), wrong=len(found))
    assert not found, "\n".join(found)
