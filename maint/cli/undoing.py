"""The verb that takes a run back."""

from collections.abc import Sequence

from maint import interface, report, terminal
from maint.cli.arguments import argument, command
from maint.cli.ending import fail
from maint.cli.options import JSON, POLICY, STORE, WAIT
from maint.cli.speaker import Speaker
from maint.cli.stores import only_stores_of
from maint.finding import NotFound
from maint.talk import say
from store.names import printable


@command(argument("run", metavar="RUN"), POLICY, STORE, WAIT, JSON)
def undo_(run: str, policy: str | None, stores: Sequence[str], wait: float, as_json: bool) -> None:
    """Put back what a run removed, renamed or rewrote, as far as the grace period allows."""
    where = only_stores_of(policy, stores)
    speaker = Speaker(as_json)
    with terminal.stoppable() as stop:
        try:
            done, impossible = interface.undo(
                run, where, wait=wait, listener=speaker.listener(stop, talkative=True)
            )
        except NotFound as error:
            fail(2, str(error))
    for text in report.shortened(impossible):
        say(f"cannot be taken back: {printable(text)}")
    speaker.finish(
        done, where, stop.signal, always=True, incomplete=bool(impossible) or done.summary.skipped > 0
    )
