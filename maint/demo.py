"""A store with every ailment, swept before your eyes, in a folder of its own that is gone afterwards.

The ailments are the specimens that the layouts give; the sweep is the real one, with the shipped default policy.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping

from maint import finding, interface, report
from maint.actions import Action
from maint.selection import DEFAULT_SOURCE, kinds, machine_zone, pass_options
from policies import Policy, default_policy_text, load_policy
from store.facts import Place
from store.layout import Layout, Specimen, known_layouts
from store.targets import with_targets


def show_demo(*, keep: bool) -> None:
    """Build, sweep and show; ``keep`` leaves the folder."""
    folder = tempfile.mkdtemp(prefix="maint-demo-")
    try:
        for layout in known_layouts().values():
            for line in _show_one(layout, os.path.join(folder, layout.kind)):
                print(line)
    finally:
        if keep:
            print(f"the demo's stores are left in {folder}")
        else:
            shutil.rmtree(folder)


def build_store(layout: Layout, folder: str, now: float) -> tuple[Place, tuple[Specimen, ...]]:
    """Write a layout's specimens into a new folder, with their ages; the store that they make."""
    specimens = layout.specimens(now)
    roots = layout.roots({"path": f"{folder}/store/sessions"} | _other_paths(layout, folder), {}, folder)
    write_specimens(roots, specimens)
    place = Place(layout.kind, layout.kind, roots)
    return with_targets(place, layout.targets(place)), specimens


def write_specimens(roots: Mapping[str, str], specimens: Iterable[Specimen]) -> None:
    """Write specimens into the folders of a store, with their ages."""
    specimens = tuple(specimens)
    for label in {root for each in specimens for root, _ in (*each.files, *each.links, *each.folders)}:
        os.makedirs(roots[label], exist_ok=True)
    for specimen in specimens:
        for (root, path), content in specimen.files.items():
            full = os.path.join(roots[root], path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "xb") as file:
                file.write(content)
            os.chmod(full, 0o600)
        for root, path in specimen.folders:
            os.makedirs(os.path.join(roots[root], path))
        for (root, path), target in specimen.links.items():
            os.symlink(target.format_map(roots), os.path.join(roots[root], path))
        for root, path in (*specimen.files, *specimen.folders, *specimen.links):
            full = os.path.join(roots[root], path)
            os.utime(full, (specimen.changed, specimen.changed), follow_symlinks=False)


def _other_paths(layout: Layout, folder: str) -> dict[str, str]:
    return {key: f"{folder}/store/{key}" for key in layout.paths if key != "path"}


def _show_one(layout: Layout, folder: str) -> Iterator[str]:
    now = time.time()
    place, specimens = build_store(layout, folder, now)
    policy = load_policy(
        default_policy_text(),
        source=DEFAULT_SOURCE,
        passes=pass_options(),
        kinds=kinds(),
        zone=machine_zone(),
    )
    titles = {specimen.id: specimen.title for specimen in specimens if specimen.id is not None}
    yield f"a store of kind {layout.kind}, with every ailment that we know of, in {place.path}"
    yield ""
    yield "before"
    yield from _sessions(policy, place, titles, now)
    planned = interface.plan(policy, [place], at=now)
    assert planned.plan is not None
    yield ""
    yield "what the default policy makes of it, and why"
    actions: list[Action] = [action for store in planned.plan.stores for action in store.actions()]
    for action in actions:
        yield f"  {action.verb:<13}  {titles.get(action.session, os.path.basename(action.path))}"
        yield f"                 {action.reason}"
    for line in report.problem_lines(planned.summary.problems):
        yield f"  left alone     {line}"
    yield ""
    yield "the sweep"
    run = interface.sweep(policy, [place])
    yield from report.summary_text(run)
    yield ""
    yield "after"
    yield from _sessions(policy, place, titles, now)
    again = interface.sweep(policy, [place])
    yield ""
    yield "a second sweep at once"
    yield from report.summary_text(again)
    undone, impossible = interface.undo(run.id, [place])
    yield ""
    yield f"and maint undo {run.id}"
    yield from report.summary_text(undone)
    yield from (f"  cannot be taken back: {text}" for text in impossible)
    yield ""
    yield "your own stores, without changing anything: maint status, maint plan"


def _sessions(policy: Policy, place: Place, titles: dict[str, str], now: float) -> Iterator[str]:
    for _, session in finding.sessions(policy, [place], at=now):
        title = titles.get(session.id, "")
        yield f"  {session.id[:8]}  {session.state:<9}  {session.name or '-':<28.28}  {title}"
