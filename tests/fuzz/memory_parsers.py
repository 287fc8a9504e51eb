"""The parser of what is remembered of sessions, raw and forged: what is forged has lengths and checksums that are right."""

import os
from pathlib import Path

import msgspec
from fuzzing import Parser
from maint_world import DAY, World

from store import frames, memory, names
from store.facts import Session
from store.layout import Moment, layout_of
from store.memory import Block, Learned, Memory

_ABOUT = "this store"


def parsers(folder: Path) -> dict[str, Parser]:
    world = World(folder / "remembered")
    world.add_many("complete", range(1, 9))
    root = os.open(world.sessions, os.O_RDONLY)
    (world.ours).mkdir()
    sessions = _remember(world, root)
    path = world.sessions / names.FACTS
    whole = path.read_bytes()
    at, packed, size, magic = memory._TRAILER.unpack(whole[-memory._TRAILER.size :])
    listed = frames.decompress(whole[at : at + packed], size)

    def with_list(content: bytes) -> bytes:
        frame = frames.compress(content, 1)
        return whole[:at] + frame + memory._TRAILER.pack(at, len(frame), len(content), magic)

    def with_sessions(content: bytes) -> bytes:
        frame = frames.compress(content, 1)
        block = Block("0", "g", 0, len(frame), len(content), 8)
        told = memory._encode(memory._List(_ABOUT, [block]))
        tail = frames.compress(told, 1)
        return frame + tail + memory._TRAILER.pack(len(frame), len(tail), len(told), magic)

    def read(data: bytes) -> object:
        path.write_bytes(data)
        return _recalled(world, root)

    return {
        "facts": Parser([whole], read),
        "facts with forged list": Parser([listed], lambda data: read(with_list(data))),
        "facts with forged sessions": Parser([sessions], lambda data: read(with_sessions(data))),
    }


def _remember(world: World, root: int) -> bytes:
    """Have all sessions remembered; their facts, as they are written."""
    layout = layout_of("rec")
    listing = layout.discover(world.place, Moment(world.now, DAY))
    found = list(layout.read(world.place, listing.context, listing.entries))
    sessions = [each for each in found if isinstance(each, Session)]
    learned = Learned(Memory(_ABOUT))
    for some in (sessions[:4], sessions[4:]):
        learned.take(memory.piece_of(some, {}, None, world.now + DAY))
    learned.write(root)
    return memory._encode(sessions)


def _recalled(world: World, root: int) -> object:
    """What is remembered, of which nothing is believed that no file bears out."""
    recalled = memory.recall(root, _ABOUT)
    try:
        entries = sorted(path.name for path in world.sessions.glob("*.ndjson"))
        parts = [list(part) for part in recalled.parts([entries], 2)]
        assert [entry for part in parts for entry in part] == entries
        known, number = recalled.known(entries)
        unknown: list[str] = []

        def read(some: list[str]) -> list[Session]:
            unknown.extend(some)
            return []

        found = list(memory.again(world.place, known, entries, lambda some: iter(read(some))))
        told = [each for each in found if isinstance(each, Session)]
        memory.piece_of(told, known, number, world.now + DAY)
        return [msgspec.msgpack.encode(each) for each in told], unknown, number
    finally:
        recalled.close()
