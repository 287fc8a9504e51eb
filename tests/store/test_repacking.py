from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pack_world import NEXT, PACK, forged, head, lines_of, numbered, open_fds, pack, session, write
from test_packs import prose

from store import manifest, names, packing, repacking
from store.frames import Damaged
from store.packing import RawFrame
from store.packs import PackReader, open_pack, verify
from store.roots import RootFds

NEW = names.pack_name(NEXT, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "store/archive").mkdir(parents=True)
    return tmp_path / "store"


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    before = open_fds()
    with RootFds({"sessions": str(path), "archive": str(path / "archive")}) as roots:
        yield roots
    assert open_fds() == before


def repack(roots: RootFds, dead: set[str], name: str = PACK) -> list[RawFrame]:
    """Seal a pack without the dead ones; its frames."""
    raw: list[RawFrame] = []
    lines: list[bytes] = []
    with open_pack(roots["archive"], name) as old:
        for some, told in repacking.repacked(old, old.entries(), frozenset(dead), 3):
            first = len(raw)
            raw += some
            for line in told:
                one = manifest.checked_entry(line[:-1])
                lines.append(manifest.encode_entry(msgspec.structs.replace(one, frame=first + one.frame)))
    write(roots["archive"], raw, lines, NEW, replaces=name).seal()
    return raw


def contents(roots: RootFds, name: str) -> dict[str, dict[str, bytes]]:
    with open_pack(roots["archive"], name) as opened:
        return {
            one.id: {member.path: b"".join(blocks) for member, blocks in opened.members(one)}
            for one in opened.entries()
        }


def frames_in(roots: RootFds, name: str) -> list[RawFrame]:
    with open_pack(roots["archive"], name) as opened:
        return [opened.raw(number) for number in range(len(opened.spans))]


TENTH = packing.FRAME // 10
SIZES = {"a": 5 * TENTH, "b": 6 * TENTH, "c": 9 << 20, "d": 8 * TENTH, "e": 4 * TENTH, "f": 100, "g": 100}
"""a and b share a frame, c has three, d and e share one, f and g the last."""


@pytest.fixture
def packed(roots: RootFds, path: Path) -> dict[str, dict[str, bytes]]:
    files = {id_: {f"{id_}/1": b"first", f"{id_}/2": prose(size)} for id_, size in SIZES.items()}
    pack(roots, numbered(*(session(path, id_, each) for id_, each in files.items())), name=PACK)
    return files


@pytest.mark.parametrize("dead", ["", "a", "ab", "c", "ag", "bcdf", "abcdef", "acefg"])
def test_those_that_count_come_out_as_they_were(
    roots: RootFds, packed: dict[str, dict[str, bytes]], dead: str
) -> None:
    before = frames_in(roots, PACK)
    after = repack(roots, set(dead))
    assert contents(roots, NEW) == {id_: files for id_, files in packed.items() if id_ not in dead}
    shared = {"ab": before[:1], "c": before[1:4], "de": before[4:5], "fg": before[5:]}
    whole = [frame for ids, some in shared.items() if not set(ids) & set(dead) for frame in some]
    assert [frame for frame in after if frame in before] == whole
    with open_pack(roots["archive"], NEW) as opened:
        assert verify(opened, opened.lines).damaged == ()
        assert opened.head.replaces == PACK


@pytest.mark.parametrize("dead", ["a", "ag"])
def test_lines_are_the_same_but_for_their_place(
    roots: RootFds, packed: dict[str, dict[str, bytes]], dead: str
) -> None:
    repack(roots, set(dead))
    found = []
    for name in (PACK, NEW):
        with open_pack(roots["archive"], name) as opened:
            found.append(
                [
                    msgspec.structs.replace(one, frame=0, at=0, packed=0)
                    for one in opened.entries()
                    if one.id not in dead
                ]
            )
            whole = sum(span.packed for span in opened.spans)
            assert abs(sum(one.packed for one in opened.entries()) - whole) < 10
    assert found[0] == found[1]


@pytest.mark.parametrize("dead", ["", "b"])
def test_repacking_what_was_repacked_changes_nothing(
    roots: RootFds, packed: dict[str, dict[str, bytes]], path: Path, dead: str
) -> None:
    first = repack(roots, set(dead))
    assert [frame for some, _ in _repacked(roots, NEW, frozenset()) for frame in some] == first


def _repacked(roots: RootFds, name: str, dead: frozenset[str]) -> list[tuple[list[RawFrame], list[bytes]]]:
    with open_pack(roots["archive"], name) as old:
        return [(list(some), told) for some, told in repacking.repacked(old, old.entries(), dead, 3)]


def test_nothing_is_left_of_a_pack_that_counts_no_more(
    roots: RootFds, packed: dict[str, dict[str, bytes]]
) -> None:
    assert _repacked(roots, PACK, frozenset(SIZES)) == []


@settings(
    max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    told=st.lists(st.tuples(st.integers(0, packing.FRAME + 9999), st.booleans()), min_size=1, max_size=9),
)
def test_any_pack_can_be_repacked(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("store")
    (path / "archive").mkdir()
    with RootFds({"sessions": str(path), "archive": str(path / "archive")}) as roots:
        files = {f"s{n}": {f"s{n}": prose(size)} for n, (size, _) in enumerate(told)}
        pack(roots, numbered(*(session(path, id_, each) for id_, each in files.items())), name=PACK)
        dead = {f"s{n}" for n, (_, gone) in enumerate(told) if gone}
        repack(roots, dead)
        assert contents(roots, NEW) == {id_: each for id_, each in files.items() if id_ not in dead}


def spoil(path: Path, roots: RootFds, frame: int) -> None:
    with open_pack(roots["archive"], PACK) as opened:
        at = opened.spans[frame].offset + 20
    with (path / "archive" / PACK).open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("dead", ["", "b", "a", "g"])
def test_damage_to_one_that_counts_is_told(
    roots: RootFds, path: Path, packed: dict[str, dict[str, bytes]], dead: str
) -> None:
    spoil(path, roots, 0)
    with pytest.raises(Damaged, match="frame 0 is not what was written"):
        repack(roots, set(dead))
    assert not (path / "archive" / NEW).exists()


def test_damage_to_those_that_count_no_more_does_not_matter(
    roots: RootFds, path: Path, packed: dict[str, dict[str, bytes]]
) -> None:
    spoil(path, roots, 0)
    repack(roots, {"a", "b"})
    assert contents(roots, NEW) == {id_: files for id_, files in packed.items() if id_ not in "ab"}


def test_large_session_is_not_held_in_memory(
    roots: RootFds, packed: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    raw = PackReader.raw

    def reading(self: PackReader, number: int) -> RawFrame:
        read.append(number)
        return raw(self, number)

    with open_pack(roots["archive"], PACK) as old:
        monkeypatch.setattr(PackReader, "raw", reading)
        groups = repacking.repacked(old, old.entries(), frozenset(), 3)
        next(groups)
        some, _ = next(groups)
        read.clear()
        for number, _ in enumerate(some, start=1):
            assert read == list(range(1, number + 1))
        assert len(read) == 3


def test_sessions_that_share_more_than_a_frame_are_damage(roots: RootFds, path: Path) -> None:
    data = prose(5 * packing.FRAME)
    batch = packing.pack(roots, [session(path, "a", {"a": data})], 3)
    (line,) = lines_of(batch)
    twice = msgspec.structs.replace(manifest.checked_entry(line[:-1]), id="b")
    told = manifest.frames_of([(len(frame), size, digest) for frame, size, digest in batch.frames])
    text = manifest.encode_head(head(PACK, sessions=2, frames=told)) + line + manifest.encode_entry(twice)
    (path / "archive" / PACK).write_bytes(forged(text, batch.frames))
    with pytest.raises(Damaged, match="larger than any of ours"):
        repack(roots, {"a"})


def test_level_of_another_make_is_used_for_what_is_made_anew(roots: RootFds, path: Path) -> None:
    pack(roots, numbered(*(session(path, id_, {id_: prose(50_000)}) for id_ in "ab")), name=PACK)
    with open_pack(roots["archive"], PACK) as old:
        sizes = [
            len(next(iter(some))[0])
            for level in (1, 19)
            for some, _ in repacking.repacked(old, old.entries(), frozenset("a"), level)
        ]
    assert sizes[1] != sizes[0]
