"""The parsers of packs and of what lies beside them: as somebody damages them, and as somebody forges them.

What is forged has digests that are right, so that the mutations reach what is behind them.
"""

import os
from collections.abc import Callable
from pathlib import Path

from archive_world import OLD, archive_pass, archiving, packs
from fuzzing import Parser
from maint_world import World

from store import frames, manifest, marks, names, single, tarring, untarring, verified
from store.frames import Damaged, Span
from store.manifest import Entry
from store.packs import OpenPack, open_pack
from store.salvaging import Salvage

_RUN = "20260209T091403-0ab123"
_PACK = names.pack_name(_RUN, 0)


def parsers(folder: Path) -> dict[str, Parser]:
    world = archiving(folder / "world")
    world.add_many("complete", range(1, 6), OLD)
    assert world.maint("sweep").code == 0
    (sealed,) = packs(world)
    data = sealed.read_bytes()
    where = folder / "packs"
    where.mkdir()
    fd = os.open(where, os.O_RDONLY)
    with open_pack(os.open(sealed.parent, os.O_RDONLY), sealed.name) as opened:
        spans = opened.spans
        lines = b"".join(line + b"\n" for line in opened.lines)
        text = manifest.encode_head(opened.head) + lines
    sessions = data[: spans[-1].end]
    tar = b"".join(frames.decompress(data[each.offset : each.end], each.size) for each in spans)
    marked = b'{"session":"%b","why":"%b","run":"%b","at":1.5}\n'

    def read(content: bytes) -> object:
        (where / sealed.name).write_bytes(content)
        try:
            with open_pack(fd, sealed.name) as pack:
                return pack.head, [_checked(pack, each) for each in pack.entries()]
        except Damaged as why:
            return str(why)

    def salvage(content: bytes) -> object:
        (where / sealed.name).write_bytes(content)
        return _salvaged(where / sealed.name, where / "saved")

    def read_marks(content: bytes) -> object:
        (where / names.marks_name(_PACK)).write_bytes(content)
        return sorted(marks.read(fd, _PACK)), verified.marks_problem(fd, _PACK)

    alone = _singles(folder / "alone")
    return {
        "pack": Parser([data], read),
        "pack with forged manifest": Parser([text], lambda told: read(_forged(sessions, spans, told))),
        "manifest": Parser([text], _manifest),
        "salvage": Parser([data], salvage),
        "salvage of forged tar": Parser([tar], lambda told: salvage(frames.compress(told, 3))),
        "salvage by forged manifest": Parser([text], lambda told: salvage(_forged(sessions, spans, told))),
        "frame": Parser([frames.compress(b"", 3), frames.compress(b"x" * 5000, 3), sessions], _frame),
        "seek table": Parser([frames.seek_table(spans), frames.seek_table([])], _table),
        "note": Parser([frames.note(b""), frames.note(b"x" * 16)], _catch(frames.parse_note)),
        "tar header": Parser([tar[:1024], tar[:2048], tar[:512]], _header),
        "marks": Parser(
            [marked % (b"a", b"expired", _RUN.encode()), marked % (b"b", b"held", b"")], read_marks
        ),
        "session as a file": Parser([alone], lambda told: _single(fd, where, told)),
        "session as a file with forged note": Parser(
            [_note_of(alone)], lambda told: _single(fd, where, _with_note(alone, told))
        ),
    }


def _catch(parse: Callable[[bytes], object]) -> Callable[[bytes], object]:
    def parsed(data: bytes) -> object:
        try:
            return parse(data)
        except Damaged as why:
            return str(why)

    return parsed


def _checked(pack: OpenPack, entry: Entry) -> str:
    try:
        pack.check(entry)
    except Damaged as why:
        return str(why)
    return "sound"


@_catch
def _manifest(data: bytes) -> object:
    head, lines = manifest.parse(data)
    found = list(manifest.entries(lines))
    return (
        manifest.spans_of(head),
        manifest.digests_of(head),
        [each.members[0].header("sessions") for each in found],
    )


@_catch
def _frame(data: bytes) -> object:
    length, size = frames.frame_length(data), frames.content_size(data)
    return length, len(frames.decompress(data[:length], size or 0))


@_catch
def _table(data: bytes) -> object:
    return frames.table_size(data[-frames.FOOTER_SIZE :]), frames.parse_seek_table(data)


def _header(data: bytes) -> object:
    length = untarring.header_length(data.ljust(tarring.BLOCK, b"\0")[: tarring.BLOCK])
    member = untarring.parse_header(data[:length]) if length and length <= len(data) else None
    return length, member, member is not None and untarring.is_harmless(member)


def _salvaged(pack: Path, folder: Path) -> object:
    """What is told of the salvage, and what it has saved, which is removed again."""
    folder.mkdir(exist_ok=True)
    fds = os.open(pack, os.O_RDONLY), os.open(folder, os.O_RDONLY)
    try:
        found = Salvage(*fds)
        told = [(each.fate, each.bytes, each.detail) for each in found.run()]
    except (Damaged, OSError) as why:
        return str(why)
    finally:
        for each in fds:
            os.close(each)
        left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    return told, left


def _forged(sessions: bytes, spans: list[Span], text: bytes) -> bytes:
    """A pack with any manifest, whose ends fit together."""
    tar = tarring.header(names.MANIFEST, len(text), 0o600, 0, 0, 0) + text + tarring.padding(len(text))
    frame = frames.compress(tar + tarring.END, 3)
    listed = Span(len(sessions), len(frame), len(tar) + len(tarring.END))
    note = frames.note(frames.digest(frame))
    table = frames.seek_table([*spans, listed, Span(listed.end, len(note), 0)])
    return sessions + frame + note + table


def _singles(folder: Path) -> bytes:
    """A session that is archived as a file by itself."""
    world = World(folder)
    world.rules(archive_pass("form: file"))
    path = world.add("complete", 1, OLD)
    assert world.maint("sweep").code == 0
    return path.with_name(path.name + names.ZST).read_bytes()


def _parts(data: bytes) -> tuple[bytes, list[Span]]:
    length = frames.table_size(data[-frames.FOOTER_SIZE :])
    spans = frames.parse_seek_table(data[-length:])
    return data[: spans[-3].end], spans[:-2]


def _note_of(data: bytes) -> bytes:
    content, _ = _parts(data)
    rest = data[len(content) :]
    return rest[8 : 8 + int.from_bytes(rest[4:8], "little")]


def _with_note(data: bytes, text: bytes) -> bytes:
    """The same content with another note, whose digest is right."""
    content, spans = _parts(data)
    first = frames.note(text)
    second = frames.note(frames.digest(first))
    one = Span(len(content), len(first), 0)
    return content + first + second + frames.seek_table([*spans, one, Span(one.end, len(second), 0)])


def _single(fd: int, where: Path, data: bytes) -> object:
    name = "x.ndjson.zst"
    (where / name).write_bytes(data)
    try:
        with single.open_at(fd, name) as reader:
            return reader.entry, [sum(map(len, blocks)) for _, blocks in reader.members(reader.entry)]
    except Damaged as why:
        return str(why)
