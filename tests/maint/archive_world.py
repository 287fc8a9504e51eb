"""Stores with packs: what is in them is asked of `zstd` and of Python's tar, and never of us."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maint_world import DAY, World

from store import names, opening
from store.layouts.rec.specimens import session_id
from store.packs import PackWriter, open_pack

OLD = 40.0
"""Days since the end of sessions that the policies here archive."""


def archive_pass(*more: str, older_than: str = "30d") -> str:
    """The pass that archives, with some other options."""
    return f"  - archive: {{{', '.join((f'older_than: {older_than}', *more))}}}\n"


def archiving(folder: Path, *more: str) -> World:
    """A store whose policy archives, and does nothing else."""
    world = World(folder)
    world.rules(archive_pass(*more))
    return world


def add_large(world: World, number: int, size: int) -> Path:
    """A session of so many bytes and more, in which records of two mebibytes say the same again and again."""
    path = world.add("complete", number, OLD)
    head, first, *rest = path.read_bytes().splitlines(keepends=True)
    record = json.loads(first) | {"command": os.urandom(min(size, 2 << 20) // 2).hex()}
    line = json.dumps(record).encode() + b"\n"
    return world.put(path.name, b"".join([head, *[line] * -(-size // len(line)), first, *rest]), OLD)


def packs(world: World, folder: Path | None = None) -> list[Path]:
    """The sealed packs in the store's own folder, or in another, the oldest first."""
    where = folder or world.ours / "archive"
    return sorted(where.glob("*.tar.zst")) if where.is_dir() else []


def unfinished(world: World) -> list[str]:
    """What a run must not leave behind: files that are being written."""
    return sorted(path.name for path in world.folder.rglob("*.new")) + world.waiting("tmp")


def contents(pack: Path) -> dict[str, bytes]:
    """The files in a pack as anybody reads them: `zstd` checks each frame, and Python takes the tar apart."""
    done = subprocess.run(["zstd", "-dcq", pack], capture_output=True, check=True, timeout=60)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        found = {member.name: _content(tar, member) for member in tar if member.isreg()}
    assert found.pop(names.MANIFEST).startswith(b'{"')
    return found


def forge_last_line(pack: Path, forge: Callable[[bytes], bytes]) -> None:
    """Make a pack anew with another last line in its manifest, and everything else as it was."""
    folder = opening.open_folder(str(pack.parent))
    try:
        with open_pack(folder, pack.name) as sound:
            raw = [sound.raw(number) for number in range(len(sound.spans))]
            head, (*lines, last) = sound.head, sound.lines
        pack.unlink()
        writer = PackWriter(folder, pack.name)
        writer.append(raw)
        writer.finish(head, [line + b"\n" for line in (*lines, forge(last))])
        writer.seal()
    finally:
        os.close(folder)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def archived(world: World, folder: Path | None = None) -> dict[str, bytes]:
    """All files in packs by the name that they had in the store; of several copies the newest."""
    return {
        os.path.basename(name): data for pack in packs(world, folder) for name, data in contents(pack).items()
    }


def listed(world: World, *more: str) -> list[str]:
    """The ids of the sessions that count in packs, as the program lists them."""
    answer = world.maint("list", "--archived", "--json", *more)
    assert (answer.code, answer.err) == (0, "")
    return [line["session"] for line in answer.lines]


def marks_of(world: World) -> dict[str, str]:
    """What the sessions of all packs are marked with, of those in the trash, too."""
    found: dict[str, str] = {}
    for path in sorted(world.ours.rglob("*.marks")):
        found |= marks(path.with_name(path.name.replace(".marks", ".tar.zst")))
    return found


def marks(pack: Path) -> dict[str, str]:
    """What the sessions of a pack are marked with."""
    path = pack.with_name(pack.name.replace(".tar.zst", ".marks"))
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["session"]: line["why"] for line in lines}


def in_store(world: World) -> dict[str, bytes]:
    """The sessions in their places."""
    return {path.name: path.read_bytes() for path in world.sessions.glob("*.ndjson")}


def in_trash(world: World) -> dict[str, bytes]:
    top = world.ours / "trash"
    return {path.name: path.read_bytes() for path in top.rglob("*.ndjson")}


def append(path: Path) -> bytes:
    """Let somebody write to a session, and let that be long ago; its bytes from then on."""
    stat = path.stat()
    with path.open("ab") as file:
        file.write(b'{"type":"command","index":9,"command":"late","cwd":"/","exit_code":0}\n')
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    return path.read_bytes()


def done(world: World, **more: Any) -> dict[str, int]:
    """What a sweep did, by verb."""
    return {str(verb): count for verb, count in world.sweep(**more).summary.done.items()}


def later(world: World, days: float) -> float:
    """So many days from now."""
    return world.now + days * DAY


def file_name(number: int) -> str:
    return f"{session_id(number)}.ndjson"
