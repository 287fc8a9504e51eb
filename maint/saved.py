"""Plans as files: what ``maint plan -o`` and a refused sweep write, and ``maint apply`` reads.

The lines are those of ``--json``: the plan, its actions, the summary.
A plan file is input like any other: whatever it says is checked before anything is believed, and every action is
checked once more against the file it names before it is carried out.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import msgspec

from maint.actions import LONGEST_LINE, Action, Packing, Verb
from maint.reaching import describe
from store import names, targets
from store.facts import Member, Place
from store.layout import known_kinds, layout_of
from store.marks import Why

MOST_LEVEL = 19

KEPT_PLANS = 20
"""Refused plans that are kept for review."""

_PLAN = ".ndjson"


class StoreLine(msgspec.Struct, frozen=True):
    """A store as the plan line has it."""

    kind: str
    path: str
    sessions: int
    bytes: int
    roots: dict[str, str] = {}


class PlanLine(msgspec.Struct, frozen=True, tag_field="type", tag="plan", kw_only=True):
    """The first line of a plan."""

    run: str
    at: str
    policy: str
    policy_sha256: str
    stores: dict[str, StoreLine]


class SummaryLine(msgspec.Struct, frozen=True, tag_field="type", tag="summary", kw_only=True):
    """The last line of a plan; a file without it was cut short."""

    sessions: int
    planned: dict[str, int] = {}


class PlanUnusable(Exception):
    """A plan file that cannot be carried out; the text says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class SavedPlan:
    """A plan file that was checked: its head, its stores, and its actions by store."""

    head: PlanLine
    places: Mapping[str, Place]
    path: str

    def lines(self) -> Iterator[bytes]:
        """The plan line and the action lines, as they stand in the file."""
        for number, line in _lines(self.path):
            if not isinstance(_decode_line(self.path, number, line), SummaryLine):
                yield line

    def actions(self, store: str) -> Iterator[Action]:
        """The actions on one store, in order, read again from the file."""
        for number, line in _lines(self.path):
            record = _decode_line(self.path, number, line)
            if isinstance(record, Action) and record.store == store:
                _check_action(self.path, number, record, self.head)  # the file may be another one by now
                yield record


_decode: Callable[[bytes], PlanLine | Action | SummaryLine] = msgspec.json.Decoder(
    PlanLine | Action | SummaryLine
).decode


def read_plan(path: str) -> SavedPlan:
    """The plan in a file, all of it checked; raises `PlanUnusable`."""
    head: PlanLine | None = None
    complete = False
    for number, line in _lines(path):
        record = _decode_line(path, number, line)
        if head is None:
            if not isinstance(record, PlanLine):
                raise PlanUnusable(f"{path}:{number}: expected a plan, as `maint plan -o FILE` writes it")
            head = record
            _check_moment(path, head)
            _check_stores(path, head)
        elif isinstance(record, Action):
            _check_action(path, number, record, head)
        elif isinstance(record, SummaryLine):
            complete = True
    if head is None:
        raise PlanUnusable(f"{path}: holds no plan; `maint plan -o FILE` writes one")
    if not complete:
        raise PlanUnusable(f"{path}: was cut short: its summary line is missing; make the plan again")
    places = {name: Place(name, store.kind, store.roots) for name, store in head.stores.items()}
    return SavedPlan(head, places, path)


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    try:
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if not line.endswith(b"\n"):
                    raise PlanUnusable(f"{path}:{number}: the line does not end; make the plan again")
                yield number, line
    except OSError as error:
        raise PlanUnusable(f"cannot read the plan: {describe(error)}") from None


def _decode_line(path: str, number: int, line: bytes) -> PlanLine | Action | SummaryLine:
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PlanUnusable(f"{path}:{number}: no line of a plan: {error}") from None


def _check_moment(path: str, head: PlanLine) -> None:
    """Refuse a plan for a moment that has not come: what it takes for old may be young, and in use, until then."""
    try:
        at = datetime.fromisoformat(head.at)
        comes = at.timestamp() > time.time()
    except (ValueError, OverflowError):
        raise PlanUnusable(f"{path}: it does not say for when it was made; make the plan again") from None
    if comes:
        raise PlanUnusable(
            f"{path}: it is a plan for {head.at}, which has not come yet; make one without --at, or wait"
        )


def _check_stores(path: str, head: PlanLine) -> None:
    kinds = known_kinds()
    for name, store in head.stores.items():
        if store.kind not in kinds:
            raise PlanUnusable(
                f"{path}: store {name!r} is of kind {store.kind!r}; known are {', '.join(kinds)}"
            )
        if not store.roots or any(not root.startswith("/") for root in store.roots.values()):
            raise PlanUnusable(f"{path}: store {name!r} has no roots, or relative ones; make the plan again")
        for label, root in store.roots.items():
            if targets.is_target(label) and label != targets.label_of(root):
                raise PlanUnusable(
                    f"{path}: store {name!r} calls {names.printable(root)} by another folder's label"
                )


def _check_action(path: str, number: int, action: Action, head: PlanLine) -> None:
    """Refuse what no plan of ours says: the executor walks paths safely, but it should not have to."""
    store = head.stores.get(action.store)
    if store is None:
        raise PlanUnusable(
            f"{path}:{number}: the action is on store {action.store!r}, which the plan does not name"
        )
    reason = _wrong(action) or _misplaced(action, store)
    if reason is not None:
        raise PlanUnusable(f"{path}:{number}: {reason}")


def _wrong(action: Action) -> str | None:
    """What no plan of ours asks for, whichever files it is about."""
    if action.pack is not None and names.parse_pack_name(action.pack) is None:
        return f"{names.printable(action.pack)!r} is not the name of a pack"
    if _is_marking(action):
        return None
    if action.index is not None:
        return _wrong_index(action)
    if action.verb is Verb.RESTORE or not action.members:
        return f"no plan has {action.verb} actions, or actions without files"
    if (action.pack is not None) is not (action.verb is Verb.COMPACT) or action.mark is not None:
        return f"{action.verb} has nothing to do with a pack"
    if len({(member.root, member.path) for member in action.members}) != len(action.members):
        return "it names a file twice"
    if action.verb is not Verb.ARCHIVE:
        return f"nothing is packed by {action.verb}" if action.packing is not None else None
    if action.packing is None or action.account is None:
        return "it does not say what is to be packed, and how"
    return _wrong_packing(action.packing, action.members)


def _wrong_index(action: Action) -> str | None:
    """What no plan asks for of a file that lists sessions: it is recovered, alone, and is the one that is named."""
    files = [(member.root, member.path) for member in action.members]
    if action.verb is not Verb.RECOVER or action.pack is not None or action.mark is not None:
        return f"{action.verb} has nothing to do with a file that lists sessions"
    return "it is not about the file that it names" if files not in ([], [action.index]) else None


def _is_marking(action: Action) -> bool:
    """Whether it is about a session that is to expire in its pack."""
    return (
        action.verb is Verb.PRUNE
        and action.pack is not None
        and action.mark == Why.EXPIRED
        and not action.members
        and action.packing is None
    )


def _wrong_packing(packing: Packing, members: tuple[Member, ...]) -> str | None:
    if packing.into is not None and not packing.into.startswith(("/", "~/")):
        return f"{names.printable(packing.into)!r} is no folder for packs: write it from / or ~/ on"
    if not 1 <= packing.level <= MOST_LEVEL or packing.pack_size < 1:
        return "no pack is made like this"
    if packing.form == "file" and (packing.into is not None or len(members) != 1 or "/" in members[0].path):
        return "a session that becomes a file has one, and stays in its place"
    return None


def _misplaced(action: Action, store: StoreLine) -> str | None:
    """A file that is not the store's, or not for this verb."""
    if action.verb is Verb.COMPACT and action.pack is not None:
        parts = (action.pack, names.marks_name(action.pack))[: len(action.members)]
        if tuple(member.path for member in action.members) != parts:
            return "it is not about the pack that it names"
    if action.index is not None and not _may_list(store, *action.index):
        return f"{names.printable(action.index[1])!r} lists no sessions"
    for member in action.members if action.guard is None else (*action.members, action.guard):
        if member.root not in store.roots or not names.is_clean(member.path):
            return f"{names.printable(member.path)!r} lies outside of the store"
        if not _is_for(action.verb, member, store.kind):
            return f"{names.printable(member.path)!r} is not for {action.verb}"
    return None


def _may_list(store: StoreLine, root: str, path: str) -> bool:
    """Whether a file may be one that lists sessions: what is one of a session's own is written over by nobody."""
    layout = layout_of(store.kind)
    return root in store.roots and names.is_clean(path) and layout.is_index(root, path)


def _is_for(verb: Verb, member: Member, kind: str) -> bool:
    if verb is Verb.EXPIRE_TRASH:
        return bool(names.parse_trash_path(member.path) or names.parse_backup_path(member.path))
    if verb is Verb.COMPACT:
        return names.is_archive_root(member.root)
    knows = layout_of(kind).knows
    packed = names.parse_zst_path(member.path) if verb is Verb.PRUNE else None
    return knows(member.root, member.path) or (packed is not None and knows(member.root, packed))


def forget_old_plans(folder: str) -> None:
    """Remove all but the newest of the refused plans in a folder: each night may add one as long as nobody looks."""
    kept = sorted(name for name in os.listdir(folder) if names.is_run_id(name.removesuffix(_PLAN)))
    for name in kept[:-KEPT_PLANS]:
        with suppress(OSError):
            os.unlink(os.path.join(folder, name))


def plans_folder(env: Mapping[str, str], home: str) -> str:
    """Where refused plans are kept: in the user's own state folder."""
    state = env.get("XDG_STATE_HOME", "")
    base = state if state.startswith("/") else os.path.join(home, ".local", "state")
    return os.path.join(base, "maint", "plans")
