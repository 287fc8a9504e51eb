"""Salvaging a damaged pack into a folder: the pack is found, opened and left as it is."""

import errno
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from maint.finding import NotFound
from maint.owner import as_owner
from store import names, opening
from store.facts import Place
from store.salvaged import Fate, Salvaged
from store.salvaging import Salvage

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Report(msgspec.Struct):
    """What a salvage came to: the pack and the folder, whether there was a manifest, and how many had which fate."""

    pack: str
    folder: str
    manifest: bool = False
    fates: Counter[Fate] = msgspec.field(default_factory=Counter)
    bytes: int = 0
    stopped: bool = False
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether everything that was in the pack is known to be saved."""
        others = self.fates.total() - self.fates[Fate.SAVED]
        return self.manifest and not others and not self.stopped


def pack_called(name: str, stores: Sequence[Place]) -> str:
    """The path of the pack of this name in one of the stores; raises `maint.finding.NotFound`."""
    for place in stores:
        for label, path in place.roots.items():
            if names.is_archive_root(label) and os.path.lexists(f"{path}/{name}"):
                return f"{path}/{name}"
    where = ", ".join(place.name for place in stores) or "any store: there is none"
    raise NotFound(f"there is no pack {names.printable(name)!r} in {where}")


def salvage(
    pack: str,
    folder: str,
    *,
    told: Callable[[Salvaged], None] = lambda _salvaged: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Save what can be saved of the pack at a path into a folder, which is made if it is missing.

    ``told`` hears of everything that was in it. Nothing is overwritten; durable on return.
    OSError if the pack cannot be read at all, or the folder cannot be written.
    """
    began = time.monotonic()
    report = Report(pack, folder)
    with as_owner(os.path.dirname(os.path.abspath(pack))):
        source = os.open(pack, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", pack)
        with as_owner(_there(folder)):
            os.makedirs(folder, exist_ok=True)
            top = opening.open_folder(folder)
            try:
                _save(Salvage(source, top), report, told, stop)
            finally:
                os.close(top)
    finally:
        os.close(source)
    report.seconds = time.monotonic() - began
    return report


def _there(folder: str) -> str:
    """The folder itself, or the one above it in which it would be made: its owner has a say in what is put there."""
    path = os.path.abspath(folder)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def _save(
    salvaging: Salvage, report: Report, told: Callable[[Salvaged], None], stop: Callable[[], bool]
) -> None:
    report.manifest = salvaging.head is not None
    for each in salvaging.run():
        report.fates[each.fate] += 1
        report.bytes += each.bytes
        told(each)
        if stop():
            report.stopped = True
            break
    salvaging.finish()
