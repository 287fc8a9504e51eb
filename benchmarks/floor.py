"""The floors in C, compiled when they are first asked for, where there is a compiler."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).with_name("floor.c")


class Floor:
    """The floors as a program (``program``) and as functions of a library."""

    def __init__(self, program: Path, library: Path) -> None:
        self.program = str(program)
        self._library = ctypes.CDLL(str(library))

    def bind(self, function: str, *arguments: int | str | bytes) -> Callable[[], None]:
        """A call of one of the functions with these arguments; RuntimeError if it says that it failed."""
        call = getattr(self._library, function)
        call.restype = ctypes.c_long
        given = [
            ctypes.c_long(each)
            if isinstance(each, int)
            else ctypes.c_char_p(each if isinstance(each, bytes) else os.fsencode(each))
            for each in arguments
        ]

        def run() -> None:
            if call(*given) < 0:
                raise RuntimeError(f"{function} in floor.c failed")

        return run


def compiled(folder: Path) -> Floor | None:
    """The floors, built in this folder unless they were; ``None`` without a compiler, or off Linux."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or os.uname().sysname != "Linux":
        return None
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    program, library = folder / f"floor-{digest}", folder / f"floor-{digest}.so"
    folder.mkdir(parents=True, exist_ok=True)
    for target, flags in ((program, ()), (library, ("-shared", "-fPIC"))):
        if not target.exists():
            half = target.with_suffix(f".{os.getpid()}")
            subprocess.run([compiler, "-O2", "-Wall", *flags, "-o", half, SOURCE], check=True)
            half.replace(target)
    return Floor(program, library)
