"""The program: its verbs by name, and how it ends whatever happens."""

import importlib
import io
import os
import signal
import sys
from typing import NoReturn

from maint.cli.arguments import Command, Group
from maint.cli.ending import DEFECT, UNREADABLE, end_by, fail
from maint.talk import Stopped, say
from maint.version import VERSION

VERBS = {
    "sweep": ("runs", "The main job: survey, plan, apply, report."),
    "plan": ("runs", "What a sweep would do, and why; changes nothing."),
    "apply": ("runs", "Carry out a saved plan, each action checked against its file."),
    "archive": ("packing", "Old sessions into packs, without a policy that says so."),
    "status": ("outlook", "What there is, and what the next sweep would do."),
    "explain": ("outlook", "Every pass's verdict on one session, and when it changes."),
    "list": ("looking", "The sessions, or what waits in the trash."),
    "show": ("looking", "One session: its facts and its records."),
    "restore": ("returning", "Bring sessions back from archive, trash or backup."),
    "undo": ("undoing", "Put back what a run removed, renamed or rewrote."),
    "verify": ("archive_checks", "Read every pack, and compare every digest."),
    "salvage": ("archive_checks", "Save what is whole in a damaged pack."),
    "log": ("looking", "The runs that were, and what each of them did."),
    "policy": ("tools", "Check, show and describe policies."),
    "demo": ("tools", "A small store with every ailment, before and after a sweep."),
}
"""Each verb with the module that has it and its line of help: `--help` need import none of them."""


def _verb(name: str) -> Command | Group:
    verb = getattr(importlib.import_module(f"maint.cli.{VERBS[name][0]}"), f"{name}_")
    assert isinstance(verb, Command | Group)
    return verb


PROGRAM = Group(
    "Keep stores of recorded sessions healthy, and never lose one.",
    {name: line for name, (_, line) in VERBS.items()},
    _verb,
    VERSION,
)


def run() -> NoReturn:
    """Do what the arguments say: no user's mistake ends in a traceback, and a defect of ours says that it is one."""
    _have_streams()
    try:
        try:
            PROGRAM.call("maint", sys.argv[1:])
            sys.exit(0)
        finally:
            sys.stdout.flush()
    except Stopped as stopped:
        end_by(stopped.signal)
    except KeyboardInterrupt:
        end_by(signal.SIGINT)
    except BrokenPipeError:
        _let_go_of_stdout()  # whoever read our output had enough of it, which is no error
        end_by(signal.SIGPIPE)
    except OSError as error:
        if os.environ.get("MAINT_DEBUG"):
            raise
        from maint.reaching import describe  # noqa: PLC0415  only now

        _let_go_of_stdout()
        fail(UNREADABLE, describe(error))
    except Exception as error:
        if os.environ.get("MAINT_DEBUG"):
            raise
        say(f"defect: {type(error).__name__}: {error}")
        say("no session is lost by it; please report it, with what MAINT_DEBUG=1 prints")
        sys.exit(DEFECT)


def _have_streams() -> None:
    """Make sure that the standard streams lead somewhere, lest a file of a store get the number of a closed one.

    Names that the terminal's encoding lacks are written as escapes.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, and so this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _let_go_of_stdout() -> None:
    """Let what is still to be written go nowhere, because Python would try once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
