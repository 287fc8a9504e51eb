"""Packs for tests: made as a sweep makes them, or forged by somebody who knows how."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from store import frames, manifest, names, opening, packing, tarring
from store.facts import Account, Member
from store.frames import Span
from store.manifest import Entry, Head, PackedMember
from store.packing import Batch, RawFrame, Wanted
from store.packs import PackWriter
from store.roots import RootFds

RUN = names.new_run_id(1770628443, b"abc")
NEXT = names.new_run_id(1770714843, b"abd")
PACK = names.pack_name(RUN, 0)
SHA = "0" * 64


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [each for each in programs if shutil.which(each) is None]
    return pytest.mark.skipif(bool(missing), reason=f"there is no {', '.join(missing)} here")


def run(*command: str | Path, cwd: Path | None = None) -> bytes:
    """What a program says; it must succeed."""
    done = subprocess.run(command, check=False, cwd=cwd, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def member(path: Path, name: str, root: str = "sessions") -> Member:
    """A file as a plan has it; ``path`` is the root that it is below."""
    return Member(root, name, opening.fingerprint(os.stat(path / name, follow_symlinks=False)))


def session(
    path: Path, id_: str, files: Mapping[str, bytes], *, n: int = 0, started: float | None = None
) -> Wanted:
    """Write the files of a session, and plan to pack it."""
    for number, (name, data) in enumerate(files.items()):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
        os.utime(path / name, ns=(0, 1_770_000_000_123_456_789 + number))
    return wanted(path, id_, *files, n=n, started=started)


def wanted(path: Path, id_: str, *files: str, n: int = 0, started: float | None = None) -> Wanted:
    account = Account(name=f"name of {id_}", started_at=started, records=2)
    return Wanted(n, id_, tuple(member(path, name) for name in files), account, "archive")


def numbered(*sessions: Wanted) -> list[Wanted]:
    return [each._replace(n=n) for n, each in enumerate(sessions)]


def head(name: str = PACK, **changes: Any) -> Head:
    plain = Head(
        format=manifest.FORMAT,
        pack=name,
        run=name[:22],
        at="2026-02-09T09:14:03+00:00",
        store="mine",
        kind="rec",
        roots=("sessions", "state"),
        path="/somewhere",
        policy_sha256=SHA,
        level=3,
        maint="0.1",
        sessions=0,
        frames=(),
    )
    return msgspec.structs.replace(plain, **changes)


def lines_of(batch: Batch, first: int = 0) -> list[bytes]:
    """The lines of a batch, with the numbers that their frames have in the pack."""
    return [
        manifest.encode_entry(msgspec.structs.replace(manifest.checked_entry(line[:-1]), frame=first + frame))
        for _, frame, line in batch.packed
    ]


def write(
    folder: int, raw: Sequence[RawFrame], lines: Sequence[bytes], name: str = PACK, **changes: Any
) -> PackWriter:
    """A finished pack without its name."""
    writer = PackWriter(folder, name)
    writer.append(raw)
    told = [(s.packed, s.size, d) for s, d in zip(writer.spans, writer.digests, strict=True)]
    writer.finish(head(name, **{"sessions": len(lines), "frames": manifest.frames_of(told)} | changes), lines)
    return writer


def pack(
    roots: RootFds,
    sessions: Sequence[Wanted],
    *,
    label: str = "archive",
    name: str = PACK,
    level: int = 3,
    edit: Callable[[Entry], Entry] = lambda entry: entry,
) -> list[Entry]:
    """Seal a pack of these sessions in the root ``label``; what is in it."""
    batch = packing.pack(roots, list(sessions), level)
    assert batch.left_out == []
    entries = [edit(manifest.checked_entry(line[:-1])) for line in lines_of(batch)]
    write(roots[label], batch.frames, [manifest.encode_entry(each) for each in entries], name).seal()
    return entries


def forged(text: bytes, raw: Sequence[RawFrame] = ()) -> bytes:
    """A pack with any manifest, whose ends fit together."""
    tar = tarring.header(names.MANIFEST, len(text), 0o600, 0, 0, 0)
    content = tar + text + tarring.padding(len(text)) + tarring.END
    frame = frames.compress(content, 3)
    spans: list[Span] = []
    at = 0
    for packed, size, _ in raw:
        spans.append(Span(at, len(packed), size))
        at += len(packed)
    spans.append(Span(at, len(frame), len(content)))
    note = frames.note(frames.digest(frame))
    spans.append(Span(spans[-1].end, len(note), 0))
    return b"".join((*(each for each, _, _ in raw), frame, note, frames.seek_table(spans)))


def entry(path: str = "a", id_: str = "a", **changes: Any) -> Entry:
    """The line of a session of one empty file, with changes to that file."""
    plain = PackedMember(root="sessions", path=path, size=0, mtime_ns=0, mode=0o600, sha256=SHA)
    return Entry(id=id_, members=(msgspec.structs.replace(plain, **changes),))


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))
