"""A parser is given very many inputs, in a process that may end: what it does wrong, with the input that shows it.

Wrong is an exception, another answer to the same input, a minute without an answer, more memory than is given, and
whatever is written outside of the folder that the parser has for itself.
"""

import json
import mmap
import os
import re
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from mutating import Inputs

MEMORY = 256 << 20
LONGEST = 60
"""Seconds for one input."""

_NUMBER = re.compile(r"\d+")
_COUNTER = struct.Struct("q")
MOST_FOUND = 5
SHRINKING = 10.0
"""Seconds for making an input small."""

_SHOWN = 1500
_OURS = tuple(f"{Path(__file__).parents[2]}/{package}/" for package in ("maint", "store", "policies"))


@dataclass(frozen=True)
class Parser:
    """What is tried: ``parse`` takes bytes and gives an answer; an error that it documents is one, too.

    What it says is told by its ``repr``.
    """

    seeds: Sequence[bytes]
    parse: Callable[[bytes], object]


class Wrong(NamedTuple):
    """What is wrong with the answer to the input of this number, and the smallest input that is known to show it."""

    number: int
    why: str
    data: bytes

    def __str__(self) -> str:
        shown = repr(self.data[:_SHOWN])
        return f"input {self.number}: {self.why}\n    {shown}{' …' if len(self.data) > _SHOWN else ''}"


class Tried(NamedTuple):
    inputs: int
    wrong: list[Wrong]


def fuzz(parser: Parser, folder: Path, seed: int, inputs: int, seconds: float) -> Tried:
    """Give a parser so many inputs, or as many as there is time for; ``folder`` is where it may write."""
    counter = mmap.mmap(-1, _COUNTER.size)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _try_all(parser, folder, Inputs(parser.seeds, seed), counter, writing, inputs, seconds)
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            told = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child, 0)
    (at,) = _COUNTER.unpack(counter[:])
    if status == 0:
        return Tried(at, [Wrong(number, why, bytes.fromhex(data)) for number, why, data in json.loads(told)])
    code = os.waitstatus_to_exitcode(status)
    why = (
        f"no answer within {LONGEST} seconds" if code == -signal.SIGALRM else f"the process ended with {code}"
    )
    return Tried(at, [Wrong(at, why, Inputs(parser.seeds, seed)[at])])


def _try_all(
    parser: Parser,
    folder: Path,
    inputs: Inputs,
    counter: mmap.mmap,
    pipe: int,
    most: int,
    seconds: float,
) -> NoReturn:
    """In a process of its own: try inputs until there are enough, or enough is wrong."""
    code = 1
    try:
        _bound_memory(MEMORY)
        written = _watch(str(folder))
        end = time.monotonic() + seconds
        found: dict[str, Wrong] = {}
        number = 0
        while number < most and len(found) < MOST_FOUND and (time.monotonic() < end or number < 1):
            counter[:] = _COUNTER.pack(number)
            data = inputs[number]
            if (why := _wrong(parser.parse, data, written)) is not None and why not in found:
                found[why] = Wrong(number, why, _smallest(parser.parse, data, why, written))
            number += 1
        counter[:] = _COUNTER.pack(number)
        with open(pipe, "wb") as file:
            file.write(
                json.dumps([(each.number, each.why, each.data.hex()) for each in found.values()]).encode()
            )
        code = 0
    except BaseException:  # noqa: BLE001  whatever it was, it is shown
        traceback.print_exc()
    finally:
        os._exit(code)


def _wrong(parse: Callable[[bytes], object], data: bytes, written: list[str]) -> str | None:
    """What is wrong with the answer; ``None`` if nothing is."""
    written.clear()
    signal.alarm(LONGEST)
    try:
        one = repr(parse(data))
        other = repr(parse(data))
    except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
        places = [
            each for each in traceback.extract_tb(error.__traceback__) if each.filename.startswith(_OURS)
        ]
        where = f" at {places[-1].filename.rpartition('/')[2]}:{places[-1].lineno}" if places else ""
        return f"{type(error).__name__}{where}: {_NUMBER.sub('N', str(error))[:200]}"
    finally:
        signal.alarm(0)
    if one != other:
        return "another answer to the same input"
    return f"it has opened for writing: {written[0]}" if written else None


def _smallest(parse: Callable[[bytes], object], data: bytes, why: str, written: list[str]) -> bytes:
    """A part of an input that shows the same, of which nothing more can be left out by halves, quarters and so on."""
    step = len(data) // 2
    end = time.monotonic() + SHRINKING
    while step:
        at = 0
        while at < len(data) and time.monotonic() < end:
            less = data[:at] + data[at + step :]
            if _wrong(parse, less, written) == why:
                data = less
            else:
                at += step
        step //= 2
    return data


def _bound_memory(size: int) -> None:
    """So much more memory than this process has now, and no more."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + size, has + size))


def _watch(folder: str) -> list[str]:
    """What is opened to be written to outside of this folder, from here on; a hook can never be taken away again."""
    written: list[str] = []

    def look(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if writes and isinstance(path, str) and _leads_out(path, folder):
                written.append(path)

    sys.addaudithook(look)
    return written


def _leads_out(path: str, folder: str) -> bool:
    """Whether this is no path below the folder; one that is relative is below a descriptor, or leads up."""
    if path.startswith("/"):
        return not os.path.normpath(path).startswith(f"{folder}/")
    return ".." in path.split("/")
