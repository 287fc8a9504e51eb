"""The program in a forked process, as `World.maint` runs it, but for so long at most."""

import os
import select
import signal
import tempfile

from maint_world import Answer, World, _become

HUNG = -1000
"""In place of an exit code: it was waited for as long as nobody would."""

LONGEST = 90.0


def run(world: World, *arguments: str) -> Answer:
    """The program with these arguments, and no terminal; whatever it began is gone when this returns."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            _become(arguments, world.env, world.folder, (out.fileno(), err.fileno()), -1)
        handle = os.pidfd_open(child)
        try:
            ended, _, _ = select.select([handle], [], [], LONGEST)
        finally:
            os.close(handle)
            if not ended:
                os.killpg(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        texts = [os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace") for file in (out, err)]
        return Answer(os.waitstatus_to_exitcode(status) if ended else HUNG, *texts)
