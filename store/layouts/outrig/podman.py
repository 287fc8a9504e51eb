"""Asking podman which containers run: the only evidence of a living outrig that there is.

outrig takes no lock and writes no process id; what it does have is a container, whose name its record holds.
So this is the one place where a layout runs another program.

What is guarded: that no answer counts as an answer.
No podman, one that fails, is slow, talks too much or says what cannot be understood: then nothing was learned, and
a session without an end is not known to have crashed.
A container that is neither known to have ended nor known not to have begun counts as running; outrig's own question
is narrower.
podman shows the containers of the user who asks, so that it is asked only about a store of that very user.

What it is given holds nothing of the store: the arguments are constants, there is no shell, and no input.
Not guarded: containers on another machine, and those of another podman than the one on the ``PATH``.
"""

import contextlib
import os
import select
import signal
import time

import msgspec

from store.names import printable

TIMEOUT = 10.0
"""Seconds; podman takes a tenth of one, and longer only when its storage is locked or broken."""

LIMIT = 64 << 20
"""Bytes of an answer; one container takes two thousand."""

_ARGUMENTS = ("ps", "-a", "--format", "json")
_BLOCK = 1 << 16

GONE = frozenset({"exited", "stopped", "dead", "created", "configured", "initialized", "removing"})
"""The states in which no process of a container runs.

``created``, ``configured`` and ``initialized`` have not begun, and ``removing`` comes after the end.
``running``, ``paused``, ``stopping``, ``restarting``, ``unknown``, and whatever a later podman may say: it runs.
"""


class Containers(msgspec.Struct, frozen=True):
    """The names of all containers that run; ``None``, and why, if podman could not be asked."""

    running: frozenset[str] | None
    why: str = ""


class _Row(msgspec.Struct, gc=False):
    """One container, as podman lists it."""

    Names: tuple[str, ...]
    State: str = ""


_rows = msgspec.json.Decoder(list[_Row])


def ask(owner: int) -> Containers:
    """Which containers run, for a store whose root belongs to the user ``owner``."""
    if os.getuid() != owner:
        return Containers(None, "the store belongs to another user, whose containers are not shown")
    import shutil  # noqa: PLC0415  a verb that only looks at a store of another kind needs none of these

    program = shutil.which("podman")
    if program is None or not program.startswith("/"):
        return Containers(None, "there is no podman")
    try:
        answer = _run(program)
    except (OSError, ValueError) as error:
        return Containers(None, f"podman cannot be run: {printable(str(error))}")
    return read(answer) if isinstance(answer, bytes) else Containers(None, answer)


def read(answer: bytes) -> Containers:
    """What podman's list says."""
    try:
        rows = _rows.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Containers(None, "what podman says cannot be understood")
    if not all(row.Names for row in rows):
        return Containers(None, "podman lists a container without a name")
    return Containers(frozenset(name for row in rows if row.State.lower() not in GONE for name in row.Names))


def _run(program: str) -> bytes | str:
    """What the program answers, or why it did not."""
    import subprocess  # noqa: PLC0415  see ask

    deadline = time.monotonic() + TIMEOUT
    process = subprocess.Popen(
        (program, *_ARGUMENTS),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # so that whatever it has started ends with it
    )
    assert process.stdout is not None
    done = False
    try:
        answer = _receive(process.stdout.fileno(), deadline)
        if isinstance(answer, str):
            return answer
        code = process.wait(max(0.0, deadline - time.monotonic()))
        done = True
    except subprocess.TimeoutExpired:
        return _too_slow()
    else:
        return answer if code == 0 else f"podman fails with {code}"
    finally:
        if not done:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # unwaited for, it still has its number
            process.wait()
        process.stdout.close()


def _receive(pipe: int, deadline: float) -> bytes | str:
    """All that comes until the other end is closed, or why that was too much."""
    parts: list[bytes] = []
    left = LIMIT
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        data = os.read(pipe, _BLOCK)
        if not data:
            return b"".join(parts)
        left -= len(data)
        if left < 0:
            return "podman says more than can be read"
        parts.append(data)
    return _too_slow()


def _too_slow() -> str:
    return f"podman did not answer within {TIMEOUT:.0f} seconds"
