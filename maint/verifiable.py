"""What can be verified: a pack, and whatever else has sessions in it and can be read by workers."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from maint.checking import checks
from maint.loading import Check, CheckFile, Job
from store import looking, manifest, marks, names, packs, single, verified
from store.roots import RootFds


class Opened(NamedTuple):
    """An archive whose ends fit together: how many sessions it has, and the tasks, each with their lines.

    The answers to the tasks are verdicts; making them may raise `store.frames.Damaged`.
    """

    sessions: int
    tasks: Iterator[tuple[Job, list[bytes]]]


class Archive(Protocol):
    """Something with sessions in it, in a ``form`` of the policy language.

    ``name`` is what it is remembered by, ``packed`` its bytes.
    """

    @property
    def form(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def packed(self) -> int: ...

    def open(self, roots: RootFds) -> Opened:
        """See that its ends fit together; raises `store.frames.Damaged`, or OSError."""

    def is_there(self, roots: RootFds) -> bool:
        """Whether it still is where it was."""

    def marked(self, roots: RootFds) -> dict[str, str]:
        """Why some of its sessions do not count."""

    def marks_problem(self, roots: RootFds) -> str | None:
        """What is wrong with that which says so, if anything is."""


class File(NamedTuple):
    """A session that is a file by itself: its name is its path below the first root."""

    name: str
    path: str
    packed: int

    @property
    def form(self) -> str:
        return "file"

    def open(self, roots: RootFds) -> Opened:
        with single.open_single(roots, roots.first, self.name) as file:
            line = manifest.encode_entry(file.entry)
        return Opened(1, iter([(CheckFile(self.name), [line])]))

    def is_there(self, roots: RootFds) -> bool:
        return looking.stat_below(roots[roots.first], self.name) is not None

    def marked(self, roots: RootFds) -> dict[str, str]:
        return {}

    def marks_problem(self, roots: RootFds) -> str | None:
        return None


class Pack(NamedTuple):
    """A pack in a folder of packs."""

    label: str
    name: str
    path: str
    packed: int

    @property
    def form(self) -> str:
        return "pack"

    def open(self, roots: RootFds) -> Opened:
        with packs.open_pack(roots[self.label], self.name) as pack:
            return Opened(len(pack.lines), self._tasks(pack))

    def is_there(self, roots: RootFds) -> bool:
        return looking.stat_at(roots[self.label], self.name) is not None

    def marked(self, roots: RootFds) -> dict[str, str]:
        if names.parse_pack_name(self.name) is None:
            return {}
        return {session: mark.why.value for session, mark in marks.read(roots[self.label], self.name).items()}

    def marks_problem(self, roots: RootFds) -> str | None:
        if names.parse_pack_name(self.name) is None:
            return None
        return verified.marks_problem(roots[self.label], self.name)

    def _tasks(self, pack: packs.OpenPack) -> Iterator[tuple[Job, list[bytes]]]:
        for (job,) in checks(self.label, self.name, pack, pack.lines):
            assert isinstance(job, Check)
            yield job, job.lines
