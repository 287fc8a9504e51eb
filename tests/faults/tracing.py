"""The program under `strace`, and what it says meanwhile.

As in the kill tests it is forked, not started, and `strace` attaches to it while it is stopped; but what it says on
stderr is kept.
"""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import IO, NoReturn

from stories import World, set_clock
from strace_world import followed

from maint.cli import main


def run_traced(
    world: World,
    arguments: list[str],
    strace: list[str],
    stopped: Callable[[], None] | None = None,
    longest: int = 0,
) -> tuple[int, str]:
    """Run the program under strace: the code it ends with, and what it says on stderr.

    Where it is stopped on its way, ``stopped`` is done, and it goes on.
    After ``longest`` seconds, if any, it is ended by a signal of its own.
    """
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            signal.alarm(longest)
            _become(world, arguments, said)
        status = followed(child, strace, stopped)
        return os.waitstatus_to_exitcode(status), os.pread(said.fileno(), 1 << 20, 0).decode(errors="replace")


def _become(world: World, arguments: list[str], said: IO[bytes]) -> NoReturn:
    """Turn this process, which was forked for it, into the program, and wait for `strace`."""
    code = 99
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number, target in enumerate((null, null, said.fileno())):
            os.dup2(target, number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
        os.environ.clear()
        os.environ.update(world.env)
        set_clock(world.ahead)
        sys.argv = ["maint", *arguments]
        os.kill(os.getpid(), signal.SIGSTOP)
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  whatever it was, it is shown
        traceback.print_exc()
    finally:
        with suppress(OSError):  # it may be that no write succeeds any more
            sys.stderr.flush()
        os._exit(code)
