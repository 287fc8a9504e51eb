"""The verbs that look after packs: whether they are sound, and what can be saved of those that are not."""

import os
import sys
import time
from collections.abc import Sequence

from maint import archive_texts, salvaging, terminal, verifying
from maint.cli.arguments import argument, command
from maint.cli.ending import UNREADABLE, end_by, fail, out
from maint.cli.options import JOBS, JSON, POLICY, STORE, span
from maint.cli.stores import only_stores_of
from maint.finding import NotFound
from maint.run import Listener
from maint.talk import say
from maint.verification import Soundness, Verification, Verified
from store.salvaged import Salvaged


@command(
    argument("pack", metavar="PACK", nargs="*"),
    argument("--max-duration", type=span, metavar="D", help="begin no pack after so long"),
    POLICY,
    STORE,
    JOBS,
    JSON,
)
def verify_(
    pack: Sequence[str],
    max_duration: float | None,
    policy: str | None,
    stores: Sequence[str],
    jobs: int | None,
    as_json: bool,
) -> None:
    """Read every pack, or the named ones, and compare every digest; change nothing.

    The pack that was verified longest ago comes first.
    """
    where = only_stores_of(policy, stores)
    progress = terminal.Progress()

    def tell(found: Verified) -> None:
        if as_json:
            out(archive_texts.verified_line(found))
            return
        for text in archive_texts.bad_pack_text(found):
            progress.clear()
            say(text)

    with terminal.stoppable() as stop:
        try:
            result = verifying.verify(
                where,
                pack,
                max_duration=max_duration,
                jobs=jobs,
                listener=Listener(read=progress.read, stop=stop),
                told=tell,
            )
        except NotFound as error:
            fail(2, str(error))
    progress.clear()
    for text in archive_texts.unread_text(result):
        say(text)
    if as_json:
        out(archive_texts.verification_line(result))
    elif terminal.is_interactive():
        for text in archive_texts.verification_text(result, time.time()):
            print(text)
    if stop.signal is not None:
        end_by(stop.signal)
    sys.exit(_code(result))


def _code(result: Verification) -> int:
    if result.unread or result.count(Soundness.UNREADABLE):
        return UNREADABLE
    return 1 if result.count(Soundness.DAMAGED) or result.marks else 0


@command(
    argument("pack", metavar="PACK"),
    argument("--to", dest="folder", required=True, metavar="DIR", help="where to; made if it is missing"),
    POLICY,
    JSON,
)
def salvage_(pack: str, folder: str, policy: str | None, as_json: bool) -> None:
    """Save every session of a damaged pack that can still be proven whole, and what can be read of the others.

    PACK is a path, or the name of a pack of a store. It is left as it is, and nothing is overwritten.
    """

    def tell(found: Salvaged) -> None:
        if as_json:
            out(archive_texts.salvaged_line(found))
        else:
            print(archive_texts.salvaged_text(found))

    with terminal.stoppable() as stop:
        try:
            path = pack if "/" in pack or os.path.lexists(pack) else _path_of(pack, policy)
            result = salvaging.salvage(path, folder, told=tell, stop=stop)
        except NotFound as error:
            fail(2, str(error))
    if as_json:
        out(archive_texts.salvage_line(result))
    else:
        for text in archive_texts.salvage_text(result):
            print(text)
    if stop.signal is not None:
        end_by(stop.signal)
    sys.exit(0 if result.is_complete else 1)


def _path_of(pack: str, policy: str | None) -> str:
    where = only_stores_of(policy, ())
    return salvaging.pack_called(pack, where)
