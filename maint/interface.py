"""The Python interface, and what the command line stands on: a handful of functions over whole stores.

    from maint import load, places, plan, sweep

    policy = load("policy.yaml")
    run = sweep(policy, places(policy))
    print(run.summary.done)

Times are seconds since the epoch; ``None`` for ``now`` or ``at`` is the present.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from maint import journal, undoing
from maint.contract import known_passes
from maint.engine import (
    Listener,
    Run,
    carry_out_actions,
    default_jobs,
    only_plan,
)
from maint.engine import sweep as engine_sweep
from maint.execute import open_roots
from maint.judge import Judge, Protected
from maint.planning import grace_of
from maint.saved import SavedPlan
from maint.survey import key_of
from maint.verdicts import Act, Compare, Kept, Verdict, Wait
from policies import (
    Checked,
    KindSpec,
    Policy,
    check_policy,
    default_policy_text,
    json_schema,
    load_policy,
)
from store import change, durable, edges, names, opening
from store.facts import Place, Session
from store.layout import Moment, known_layouts
from store.trash import Trashed

REPORTED_LIMIT = 16 << 20
"""Bytes of spoken problems that are remembered; beyond that some are told again."""

DEFAULT_SOURCE = "<default policy>"


class NotFound(LookupError):
    """No session, or no run, goes by this name; the text says where was looked."""


class Ambiguous(LookupError):
    """More than one session goes by this name; the text lists them."""


# Policies and places.


def user_policy_path(env: Mapping[str, str] | None = None) -> str:
    """Where the user's own policy is, if there is one."""
    env = os.environ if env is None else env
    base = env.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "maint", "policy.yaml")


def load(path: str | None = None) -> Policy:
    """The policy in a file; without one, the user's own, or else the shipped default.

    Raises `policies.PolicyInvalid` with every mistake, and OSError when the file cannot be read.
    """
    text, source = read_policy(path)
    return load_policy(text, source=source, passes=pass_options(), kinds=kinds(), zone=machine_zone())


def check(path: str) -> Checked:
    """The policy in a file with its mistakes and lints; OSError when the file cannot be read."""
    text, source = read_policy(path)
    return check_policy(
        text,
        source=source,
        passes=pass_options(),
        kinds=kinds(),
        zone=machine_zone(),
        exists=lambda store: os.path.isdir(os.path.expanduser(store)),
    )


def read_policy(path: str | None = None) -> tuple[bytes, str]:
    """The text of the policy that is in force, and what it is called."""
    if path is None:
        path = user_policy_path()
        if not os.path.exists(path):
            return default_policy_text().encode(), DEFAULT_SOURCE
    with open(path, "rb") as file:
        return file.read(), path


def pass_options() -> Mapping[str, type]:
    """What each known pass declares as its options."""
    return {name: each.options_type for name, each in known_passes().items()}


def kinds() -> Mapping[str, KindSpec]:
    """What a policy may say of each known kind of store."""
    return {kind: KindSpec(layout.paths) for kind, layout in known_layouts().items()}


def machine_zone() -> ZoneInfo:
    """The time zone of this machine, by name where it has one."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        link = os.path.realpath("/etc/localtime")
        name = link.partition("zoneinfo/")[2]
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError):
        return ZoneInfo("UTC")


def places(policy: Policy, env: Mapping[str, str] | None = None) -> list[Place]:
    """The stores that a policy names, or, if it names none, those that exist at their default roots.

    A store named without a path is left out when its default root does not exist; one named with a path is not,
    because a path that leads nowhere needs a person.
    """
    env = os.environ if env is None else env
    home = os.path.expanduser("~")
    found: list[Place] = []
    layouts = known_layouts()
    if not policy.stores:
        for kind, layout in layouts.items():
            place = Place(kind, kind, layout.default_roots(env, home, sys.platform))
            if os.path.isdir(place.path):
                found.append(place)
        return found
    for spec in policy.stores:
        layout = layouts[spec.kind]
        if spec.paths:
            paths = {key: os.path.expanduser(path) for key, path in spec.paths.items()}
            found.append(Place(spec.name, spec.kind, layout.roots(paths, env, home)))
        else:
            place = Place(spec.name, spec.kind, layout.default_roots(env, home, sys.platform))
            if os.path.isdir(place.path):
                found.append(place)
    return found


def only(policy: Policy, passes: tuple[str, ...]) -> Policy:
    """The same policy with only these passes; all of them must be in it."""
    return replace(policy, passes=tuple(each for each in policy.passes if each.pass_name in passes))


# Runs.


def plan(
    policy: Policy,
    stores: list[Place],
    *,
    at: float | None = None,
    jobs: int | None = None,
    expire: bool = True,
    listener: Listener | None = None,
) -> Run:
    """What a sweep would do at that moment; changes nothing. Its ``plan`` has the actions with their reasons."""
    return only_plan(
        policy,
        stores,
        at=time.time() if at is None else at,
        jobs=jobs or default_jobs(),
        expire=expire,
        listener=listener or Listener(),
    )


def sweep(
    policy: Policy,
    stores: list[Place],
    *,
    jobs: int | None = None,
    expire: bool = True,
    wait: float = 0.0,
    listener: Listener | None = None,
) -> Run:
    """One whole run: survey, plan, apply. ``wait`` is how many seconds to wait for a busy store."""
    return engine_sweep(
        policy,
        stores,
        now=time.time(),
        jobs=jobs or default_jobs(),
        expire=expire,
        wait=wait,
        listener=listener or Listener(),
    )


def apply(
    saved: SavedPlan, *, jobs: int | None = None, wait: float = 0.0, listener: Listener | None = None
) -> Run:
    """Carry out a saved plan, as far as its files still are what they were."""
    work = [(place, saved.actions(name)) for name, place in saved.places.items()]
    return carry_out_actions(
        "apply",
        saved.head.run,
        None,
        work,
        jobs=jobs or default_jobs(),
        wait=wait,
        listener=listener or Listener(),
    )


def undo(
    run: str, stores: list[Place], *, wait: float = 0.0, listener: Listener | None = None
) -> tuple[Run, list[str]]:
    """Take a run back in all stores that know it; what cannot be taken back is named.

    Raises `NotFound` when none of them knows the run, OSError when a store cannot be read.
    """
    work = []
    impossible: list[str] = []
    for place in stores:
        with open_roots(place) as roots:
            undone = undoing.undo_of(roots, place, run)
        if undone is not None:
            work.append((place, undone.actions))
            impossible += undone.impossible
    if not work:
        raise NotFound(f"no store has a run {run!r}; `maint log` lists them")
    done = carry_out_actions("undo", run, None, work, jobs=1, wait=wait, listener=listener or Listener())
    return done, impossible


def restore(
    sessions: list[str], stores: list[Place], *, wait: float = 0.0, listener: Listener | None = None
) -> Run:
    """Bring sessions back from the trash to their places, never over anything.

    Raises `NotFound` and `Ambiguous`.
    """
    work: dict[str, tuple[Place, list]] = {}  # type: ignore[type-arg]
    for session in sessions:
        place, kept = find_trashed(session, stores)
        if kept.backup:
            raise NotFound(
                f"{session}: what waits is the old self of a recovered session: take its run back with "
                f"`maint undo {kept.run}`, or copy it out with --to"
            )
        action = undoing.restoring(place, kept, _id_of(place, kept), "brought back by hand")
        work.setdefault(place.name, (place, []))[1].append(action)
    return carry_out_actions(
        "restore", None, None, list(work.values()), jobs=1, wait=wait, listener=listener or Listener()
    )


def copy_out(session: str, stores: list[Place], folder: str) -> str:
    """Copy a session from the trash or the backups to a folder, byte for byte; the path it has there."""
    place, kept = find_trashed(session, stores)
    name = os.path.basename(kept.path)
    with open_roots(place) as roots:
        change.copy_out(roots, kept.kept, folder, name, root=kept.home)
    return os.path.join(folder, name)


# Looking.


def sessions(policy: Policy, stores: list[Place], *, at: float | None = None) -> Iterator[Session]:
    """The facts of all sessions, store by store, in the order of their ids; problems are left out."""
    now = time.time() if at is None else at
    for place in stores:
        layout = known_layouts()[place.kind]
        listing = layout.discover(place, Moment(now, grace_of(policy, now)))
        for found in layout.read(place, listing.context, listing.entries):
            if isinstance(found, Session):
                yield found


def find(name: str, policy: Policy, stores: list[Place], *, at: float | None = None) -> tuple[Place, Session]:
    """The session of this id, unique prefix of an id, or unique name; raises `NotFound` and `Ambiguous`."""
    by_prefix: list[Session] = []
    by_name: list[Session] = []
    for session in sessions(policy, stores, at=at):
        if session.id == name:
            by_prefix = [session]
            break
        if session.id.startswith(name):
            by_prefix.append(session)
        if session.name == name:
            by_name.append(session)
    found = by_prefix or by_name
    if not found:
        raise NotFound(f"no session {names.printable(name)!r} in {_called(stores)}; `maint list` shows them")
    if len(found) > 1:
        raise Ambiguous(
            _candidates(name, [f"{each.id}  {names.printable(each.name or '')}" for each in found])
        )
    place = next(place for place in stores if place.name == found[0].store)
    return place, found[0]


def trashed(stores: list[Place]) -> Iterator[tuple[Place, Trashed]]:
    """All that waits in trash and backups."""
    from store import trash  # noqa: PLC0415  only this verb needs it

    for place in stores:
        with open_roots(place) as roots:
            for kept in trash.list_trash(roots):
                yield place, kept


def find_trashed(session: str, stores: list[Place]) -> tuple[Place, Trashed]:
    """What waits under this id or unique prefix: the newest, and from the trash rather than the backups."""
    found: dict[str, list[tuple[Place, Trashed]]] = {}
    with ExitStack() as stack:
        for place in stores:
            roots = stack.enter_context(open_roots(place))
            for kept in undoing.find_trashed(roots, place, session):
                found.setdefault(_id_of(place, kept), []).append((place, kept))
    if session in found:
        found = {session: found[session]}
    if not found:
        raise NotFound(f"no session {names.printable(session)!r} waits in the trash of {_called(stores)}")
    if len(found) > 1:
        raise Ambiguous(_candidates(session, sorted(found)))
    (waiting,) = found.values()
    return max(waiting, key=lambda each: (not each[1].backup, each[1].run))


@dataclass(frozen=True)
class Explanation:
    """Every pass's verdict on one session, the facts it rests on, and when something may change by itself."""

    session: Session
    protected: Protected | None
    verdicts: list[tuple[str, Verdict]]
    claimed_by: str | None
    next_due: float | None


def explain(
    name: str, policy: Policy, stores: list[Place], *, at: float | None = None, jobs: int | None = None
) -> Explanation:
    """Why a session stays, or goes, or when it will; raises `NotFound` and `Ambiguous`."""
    now = time.time() if at is None else at
    place, session = find(name, policy, stores, at=now)
    judge = Judge(policy, known_passes(), place.name, now)
    compared: Mapping[int, Mapping[str, Act | Kept]] = {}
    if judge.compares:
        whole = plan(policy, stores, at=now, jobs=jobs)
        compared = whole.plan.compared if whole.plan is not None else {}
    verdicts: list[tuple[str, Verdict]] = []
    protected = judge.protection(session)
    claimed_by: str | None = None
    dues = [] if protected is None or protected.until is None else [protected.until]
    for step in judge.sessions:
        verdict = judge.ask(step, session)
        if isinstance(verdict, Compare) and verdict.old:
            verdict = compared.get(step.position, {}).get(key_of(session), verdict)
        if isinstance(verdict, Wait) or (isinstance(verdict, Compare) and not verdict.old):
            dues.append(verdict.due)
        elif claimed_by is None and isinstance(verdict, Act | Kept):
            claimed_by = step.options.pass_name
        verdicts.append((step.options.pass_name, verdict))
    future = [due for due in dues if due > now]
    return Explanation(session, protected, verdicts, claimed_by, min(future, default=None))


def content(place: Place, session: Session, *, raw: bool) -> Iterator[bytes]:
    """The session's records for a person, a line each, or its bytes as they are; OSError if it cannot be read."""
    layout = known_layouts()[place.kind]
    with open_roots(place) as roots:
        for member in session.members:
            fd = opening.open_below(roots[member.root], member.path)
            try:
                if raw:
                    while data := os.read(fd, 1 << 20):
                        yield data
                    continue
                for line in edges.iter_lines(fd):
                    text = (
                        layout.describe(line.data) if line.data is not None else "a line too long to be shown"
                    )
                    if text is not None:
                        yield text.encode() + b"\n"
            finally:
                os.close(fd)


def log(run: str | None, stores: list[Place]) -> Iterator[journal.Line]:
    """The first and last lines of all runs, oldest first, or every line of one run."""
    for place in stores:
        with open_roots(place) as roots:
            for each in journal.runs(roots) if run is None else [run]:
                if run is None:
                    yield from journal.frame(roots, each)
                elif each in journal.runs(roots):
                    yield from journal.read(roots, each)


def schema() -> dict[str, object]:
    """The JSON Schema of the policy language, with all known passes and kinds of stores."""
    return json_schema(pass_options(), kinds())


def news(lines: list[str], run: Run, stores: list[Place]) -> list[str]:
    """Those problems that no earlier run has spoken of; remembers all of them.

    A problem that nobody mends is told once and not every night; one that was mended and comes back is told anew.
    """
    fresh = set(lines)
    busy = {each.place.name for each in run.busy}
    for place in stores:
        if place.name in busy:
            continue
        mine = "\n".join(line for line in lines if line.startswith(f"{place.name}: "))
        try:
            with open_roots(place) as roots:
                before = _reported(roots[roots.first])
                fresh.difference_update(before.split("\n"))
                if before != mine:
                    durable.replace_file(
                        roots[roots.first], names.REPORTED, mine.encode(), names.REPORTED_NEW
                    )
        except OSError:
            continue
    return [line for line in lines if line in fresh]


def _reported(root: int) -> str:
    try:
        fd = opening.open_below(root, names.REPORTED)
    except FileNotFoundError:
        return ""
    with open(fd, "rb") as file:
        return file.read(REPORTED_LIMIT).decode(errors="replace")


def _id_of(place: Place, kept: Trashed) -> str:
    return known_layouts()[place.kind].session_of(kept.root, kept.path) or kept.path


def _called(stores: list[Place]) -> str:
    return ", ".join(place.name for place in stores) or "any store: there is none"


def _candidates(name: str, found: list[str]) -> str:
    shown = "\n".join(f"  {each}" for each in found[:20])
    more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
    return f"{names.printable(name)!r} may be any of {len(found)}:\n{shown}{more}"
