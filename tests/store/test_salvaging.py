"""What can be saved of a pack that is damaged, and that nothing else is written."""

import hashlib
import io
import os
import resource
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest
from salvage_world import PACK, TIME_NS, SalvageWorld, noise

from store import frames, manifest, opening, packing, tarring, untarring, wreckage
from store.frames import Span
from store.manifest import Entry, PackedMember
from store.packs import PackWriter
from store.salvaged import Fate

MIB = 1 << 20
SMALL = {f"s{n}": {f"s{n}.ndjson": b"%d " % n * 50} for n in range(3)}
MORE = {f"m{n}": {f"m{n}.ndjson": noise(300, n)} for n in range(3)}
BIG = {"big": {"deep/big.ndjson": noise(10_000_000)}}


@pytest.fixture
def world(tmp_path: Path) -> SalvageWorld:
    """Three sessions in a frame, three in the next one, and one with three frames of its own."""
    world = SalvageWorld(tmp_path)
    world.make(SMALL, MORE, BIG)
    return world


def content(*batches: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    """The files of all sessions."""
    return {path: data for batch in batches for files in batch.values() for path, data in files.items()}


def fates(fate: str, *batches: dict[str, dict[str, bytes]]) -> dict[str, str]:
    return dict.fromkeys((id_ for batch in batches for id_ in batch), fate)


def unproven(*batches: dict[str, dict[str, bytes]]) -> dict[str, str]:
    return dict.fromkeys(content(*batches), "unproven")


# With the manifest.


def test_sound_pack_is_saved_byte_for_byte_with_mode_and_time(world: SalvageWorld) -> None:
    assert world.fates() == fates("saved", SMALL, MORE, BIG)
    assert world.files() == content(SMALL, MORE, BIG)
    found = (world.saved / "s0.ndjson").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, TIME_NS)


def test_sessions_of_other_frames_survive_a_damaged_one(world: SalvageWorld) -> None:
    world.spoil(world.spans[0])
    assert world.fates() == fates("lost", SMALL) | fates("saved", MORE, BIG)
    assert world.files() == content(MORE, BIG)


def test_lost_session_is_told_with_its_name_and_why(world: SalvageWorld) -> None:
    world.spoil(world.spans[0])
    lost = world.salvage()["s0"]
    assert (lost.name, lost.path) == ("name-of-s0", "s0.ndjson")
    assert (lost.detail or "").startswith("frame 0: a frame cannot be decoded")


def test_readable_stretches_of_a_large_session_are_saved_beside_its_place(world: SalvageWorld) -> None:
    middle = world.spans[3]
    world.spoil(middle)
    found = world.salvage()["big"]
    whole = BIG["big"]["deep/big.ndjson"]
    header = 1536  # with a time in nanoseconds
    first, second = 4 * MIB - header, 8 * MIB - header
    assert found.fate is Fate.PARTLY
    assert [(part.start, part.bytes, part.whole) for part in found.parts] == [
        (0, first, False),
        (second, len(whole) - second, False),
    ]
    assert {path: data for path, data in world.files().items() if "big" in path} == {
        "deep/big.ndjson.from-0": whole[:first],
        f"deep/big.ndjson.from-{second}": whole[second:],
    }


def test_large_session_without_its_first_frame_is_saved_from_where_it_can_be_read(
    world: SalvageWorld,
) -> None:
    world.spoil(world.spans[2])
    (part,) = world.salvage()["big"].parts
    assert part.path == f"deep/big.ndjson.from-{4 * MIB - 1536}"
    assert (world.saved / part.path).read_bytes() == BIG["big"]["deep/big.ndjson"][part.start :]


def test_whole_files_of_a_damaged_session_are_saved_under_their_names(tmp_path: Path) -> None:
    world = SalvageWorld(tmp_path)
    files = {"one/session.json": b"{}", "one/log": noise(9_000_000), "one/end": b"the end"}
    world.make({"one": files})
    world.spoil(world.spans[1])
    found = world.salvage()["one"]
    assert found.fate is Fate.PARTLY
    assert [(part.path, part.whole) for part in found.parts if part.whole] == [
        ("one/session.json", True),
        ("one/end", True),
    ]
    assert "one/log" not in world.files()


@pytest.mark.parametrize("at", [-1, -9, -10, -17, -40, -70])
def test_damaged_seek_table_costs_nothing(world: SalvageWorld, at: int) -> None:
    world.flip(at)
    assert world.fates() == fates("saved", SMALL, MORE, BIG)


def test_damaged_note_costs_nothing(world: SalvageWorld) -> None:
    for at in (0, 5, 12):
        world.flip(world.spans[-1].end + at)
    assert world.fates() == fates("saved", SMALL, MORE, BIG)


def test_pack_without_its_seek_table_is_saved_by_its_manifest(world: SalvageWorld) -> None:
    world.cut(world.spans[-1].end)
    assert world.fates() == fates("saved", SMALL, MORE, BIG)


def test_damaged_frame_and_damaged_seek_table_cost_the_sessions_of_that_frame(world: SalvageWorld) -> None:
    world.spoil(world.spans[1])
    world.flip(-1)
    assert world.fates() == fates("saved", SMALL, BIG) | fates("lost", MORE)


def test_pack_with_something_put_into_it_is_saved(world: SalvageWorld) -> None:
    data = world.pack.read_bytes()
    at = world.spans[1].offset
    world.pack.write_bytes(data[:at] + noise(777) + data[at:])
    assert world.fates() == fates("saved", SMALL, MORE, BIG)


def test_pack_with_something_appended_is_saved(world: SalvageWorld) -> None:
    with world.pack.open("ab") as file:
        file.write(b"\0" * 5000)
    assert world.fates() == fates("saved", SMALL, MORE, BIG)


# Without it.


def test_files_are_found_by_their_headers_where_the_manifest_is_damaged(world: SalvageWorld) -> None:
    world.spoil(world.spans[-1])
    assert world.fates() == unproven(SMALL, MORE, BIG)
    assert world.files() == content(SMALL, MORE, BIG)
    found = (world.saved / "s0.ndjson").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, TIME_NS)


def test_damaged_manifest_and_seek_table_are_made_up_for_by_headers(world: SalvageWorld) -> None:
    world.spoil(world.spans[-1])
    world.flip(-1)
    found = world.fates()
    found.pop(None)  # the stretch in which the manifest was
    assert found == unproven(SMALL, MORE, BIG)


@pytest.mark.parametrize("table", [True, False])
def test_without_a_manifest_the_next_frame_is_where_it_goes_on(world: SalvageWorld, table: bool) -> None:
    world.spoil(world.spans[0])
    world.spoil(world.spans[-1])
    if not table:
        world.flip(-1)
    found = world.salvage()
    assert {key: str(each.fate) for key, each in found.items() if key} == unproven(MORE, BIG)
    assert found[None].fate is Fate.LOST
    assert world.files() == content(MORE, BIG)


@pytest.mark.parametrize("table", [True, False])
def test_without_a_manifest_stretches_of_a_large_session_have_their_places(
    world: SalvageWorld, table: bool
) -> None:
    world.spoil(world.spans[3])
    world.spoil(world.spans[-1])
    if not table:
        world.flip(-1)
    found = world.salvage()["deep/big.ndjson"]
    assert found.fate is Fate.PARTLY
    whole = BIG["big"]["deep/big.ndjson"]
    assert [part.start for part in found.parts] == [0, 8 * MIB - 1536]
    for part in found.parts:
        assert (world.saved / part.path).read_bytes() == whole[part.start : part.start + part.bytes]


def test_stretch_of_which_nobody_knows_the_name_is_saved_all_the_same(world: SalvageWorld) -> None:
    lost, kept = world.spans[2:4]
    world.spoil(lost)
    world.spoil(world.spans[-1])
    found = world.salvage()["unnamed"]
    assert (found.fate, found.detail) == (Fate.PARTLY, "nobody knows what it is of")
    saved = world.files()[f"unnamed.from-{kept.offset}"]
    assert saved.startswith(BIG["big"]["deep/big.ndjson"][4 * MIB - 1536 :])


@pytest.mark.parametrize("at", range(9))
def test_frame_with_a_damaged_header_costs_only_itself(tmp_path: Path, at: int) -> None:
    world = SalvageWorld(tmp_path)
    world.make(SMALL, MORE, {"last": {"last.ndjson": b"last"}})
    spans = world.spans
    world.spoil(spans[-1])
    world.flip(-1)
    world.flip(spans[1].offset + at)
    saved = world.files() if world.fates() else {}
    assert content(SMALL, {"last": {"last.ndjson": b"last"}}).items() <= saved.items()
    assert saved.keys() <= content(SMALL, MORE, {"last": {"last.ndjson": b""}}).keys()


# Cut off.


def test_truncated_pack_gives_what_comes_before(world: SalvageWorld) -> None:
    world.cut(world.spans[3].offset + 1000)
    found = world.salvage()
    assert {key: str(each.fate) for key, each in found.items() if key} == unproven(SMALL, MORE) | {
        "deep/big.ndjson": "partly"
    }
    (part,) = found["deep/big.ndjson"].parts
    assert (part.start, part.bytes) == (0, 4 * MIB - 1536)


def test_pack_cut_off_in_its_header_of_a_session_gives_what_comes_before(tmp_path: Path) -> None:
    world = SalvageWorld(tmp_path)
    world.make(SMALL, MORE)
    world.cut(world.spans[1].offset + 3)
    found = world.fates()
    found.pop(None)
    assert found == unproven(SMALL)


@pytest.mark.parametrize("data", [b"", b"no pack at all", bytes(100_000), b"\x28\xb5\x2f\xfd" * 1000])
def test_what_never_was_a_pack_gives_nothing(tmp_path: Path, data: bytes) -> None:
    world = SalvageWorld(tmp_path)
    world.pack.write_bytes(data)
    assert {each.fate for each in world.salvage().values()} <= {Fate.LOST}
    assert world.files() == {}


def test_every_truncation_of_a_small_pack_is_survived(tmp_path: Path) -> None:
    world = SalvageWorld(tmp_path)
    world.make(SMALL)
    data = world.pack.read_bytes()
    whole = content(SMALL)
    for size in range(0, len(data), 7):
        world.pack.write_bytes(data[:size])
        world.salvage()
        assert world.files().items() <= whole.items()
    assert world.files() == whole


def test_every_flipped_bit_of_a_small_pack_is_survived_and_no_wrong_byte_saved(tmp_path: Path) -> None:
    world = SalvageWorld(tmp_path)
    world.make({"s": {"s.ndjson": b"all that there is"}}, {"t": {"t.ndjson": b"and the rest of it"}})
    for at in range(world.pack.stat().st_size):
        world.flip(at, at % 8)
        world.salvage(lasting=False)
        world.flip(at, at % 8)
        saved = {path: text for path, text in world.files().items() if ".from-" not in path}
        assert saved.items() <= {"s.ndjson": b"all that there is", "t.ndjson": b"and the rest of it"}.items()
        assert saved
        for path in saved:
            (world.saved / path).unlink()


def test_sectors_that_the_disk_cannot_read_are_zeros() -> None:
    with Path("/proc/self/mem").open("rb", buffering=0) as file:
        with pytest.raises(OSError, match="Input/output"):
            os.pread(file.fileno(), 10_000, 0)
        assert wreckage.pread(file.fileno(), 10_000, 0) == bytes(10_000)


# Where it goes.


def test_nothing_is_overwritten(world: SalvageWorld) -> None:
    (world.saved / "s1.ndjson").write_bytes(b"mine")
    found = world.salvage()["s1"]
    assert (found.fate, found.detail) == (
        Fate.REFUSED,
        "something else has its place, and nothing is overwritten",
    )
    assert world.files() == content(SMALL, MORE, BIG) | {"s1.ndjson": b"mine"}


def test_second_salvage_finds_all_saved(world: SalvageWorld) -> None:
    world.spoil(world.spans[3])
    first = world.fates()
    assert (world.fates(), first["s0"], first["big"]) == (first, "saved", "partly")


def test_nothing_is_left_beside_what_was_saved(world: SalvageWorld) -> None:
    (world.saved / "s1.ndjson").write_bytes(b"mine")
    world.spoil(world.spans[3])
    world.salvage()
    assert [path for path in world.files() if "maint-salvage" in path] == []


def test_folder_that_is_a_link_is_not_followed(world: SalvageWorld, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (world.saved / "deep").symlink_to(outside)
    assert world.fates()["big"] == "refused"
    assert list(outside.iterdir()) == []


def test_folder_that_takes_no_more_ends_it(world: SalvageWorld) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limit[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            world.salvage()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert world.files() == content(SMALL, MORE)


# Headers, where they are all there is.


@pytest.mark.parametrize(
    "told",
    [
        PackedMember(root="", path="a", size=0, mtime_ns=0, mode=0, sha256=""),
        PackedMember(root="", path="x" * 300 + "/é", size=9 << 33, mtime_ns=-1, mode=0o7777, sha256=""),
        PackedMember(root="", path="a b=c", size=1, mtime_ns=10**9 * 2**34 + 5, mode=0o600, sha256=""),
        PackedMember(root="", path="l", size=0, mtime_ns=-(10**10), mode=0o777, sha256="", link="é" * 200),
        PackedMember(root="", path="l", size=0, mtime_ns=5, mode=0, sha256="", link="", uid=2**40, gid=2**31),
    ],
)
def test_header_is_read_back_as_it_was_written(told: PackedMember) -> None:
    data = told.header("")
    assert untarring.header_length(data[:512]) == len(data)
    assert untarring.parse_header(data) == told


def test_what_we_would_have_written_otherwise_is_no_header() -> None:
    data = member("a", b"x", mtime_ns=10**18).header("sessions")
    strange = [data[:at] + b"7" + data[at + 1 :] for at in range(len(data)) if data[at : at + 1] != b"7"]
    assert [each for each in strange if untarring.parse_header(each) is not None] == []
    foreign = io.BytesIO()
    with tarfile.open(fileobj=foreign, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert untarring.header_length(foreign.getvalue()[:512]) is None
    assert untarring.parse_header(b"") is None


# Packs that somebody has made.


def member(path: str, data: bytes, **more: object) -> PackedMember:
    """What a manifest says of a file."""
    told = {"root": "sessions", "path": path, "size": len(data), "mtime_ns": TIME_NS, "mode": 0o600}
    told |= {"sha256": hashlib.sha256(data).hexdigest()} | more
    return PackedMember(**told)  # type: ignore[arg-type]


def forge(world: SalvageWorld, entries: list[Entry], *tars: bytes, lines: bytes | None = None) -> None:
    """A pack of these frames, whose manifest says this."""
    folder = opening.open_folder(str(world.packs))
    writer = PackWriter(folder, PACK)
    writer.append(packing.raw_frame(tar, 3) for tar in tars)
    told = [manifest.encode_entry(entry) for entry in entries] if lines is None else [lines]
    writer.finish(world.head(writer, len(told)), told)
    writer.seal()
    os.close(folder)
    world.spans = world._spans()


def tar(*members: tuple[PackedMember, bytes]) -> bytes:
    return b"".join(each.header("sessions") + data + tarring.padding(len(data)) for each, data in members)


@pytest.mark.parametrize(
    "path", ["../evil", "/tmp/evil", "a/../../evil", "", ".maint/trash/x", "a//b", ".", "a\0b"]
)
@pytest.mark.parametrize("listed", [True, False])
def test_name_that_leads_elsewhere_is_refused(tmp_path: Path, path: str, listed: bool) -> None:
    world = SalvageWorld(tmp_path)
    evil, good = member(path, b"evil"), member("good", b"good")
    entries = [Entry(id="evil", members=(evil,)), Entry(id="good", members=(good,), at=1)]
    before = sorted(tmp_path.iterdir())
    if "\0" in path:
        evil = member("a", b"evil")
    data = tar((evil, b"evil"), (good, b"good"))
    entries[1] = msgspec.structs.replace(entries[1], at=len(tar((evil, b"evil"))))
    forge(world, entries, data)
    if not listed:
        world.spoil(world.spans[-1])
    world.salvage()
    assert world.files().get("good") == b"good"
    assert set(world.files()) <= {"good", "a"}
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("listed", [True, False])
def test_links_are_saved_as_links_and_nothing_goes_through_them(tmp_path: Path, listed: bool) -> None:
    world = SalvageWorld(tmp_path)
    inside, target = world.saved / "inside", "inside"
    inside.mkdir()
    link = member("way", b"", link=target, sha256=hashlib.sha256(target.encode()).hexdigest())
    through = member("way/evil", b"evil")
    data = tar((link, b""), (through, b"evil"))
    at = len(tar((link, b"")))
    entries = [Entry(id="way", members=(link,)), Entry(id="way/evil", members=(through,), at=at)]
    forge(world, entries, data)
    if not listed:
        world.spoil(world.spans[-1])
    assert world.fates() == {"way": "saved" if listed else "unproven", "way/evil": "refused"}
    assert (os.readlink(world.saved / "way"), list(inside.iterdir())) == (target, [])


@pytest.mark.parametrize("target", ["/etc", "..", "a/../../b", ""])
@pytest.mark.parametrize("listed", [True, False])
def test_link_that_leads_out_is_refused(tmp_path: Path, target: str, listed: bool) -> None:
    world = SalvageWorld(tmp_path)
    link = member("way", b"", link=target, sha256=hashlib.sha256(target.encode()).hexdigest())
    forge(world, [Entry(id="way", members=(link,))], tar((link, b"")))
    if not listed:
        world.spoil(world.spans[-1])
    assert set(world.fates().values()) == {"refused"}
    assert list(world.saved.iterdir()) == []


def test_same_bytes_are_not_saved_under_many_names(tmp_path: Path) -> None:
    world = SalvageWorld(tmp_path)
    files = [member(f"copy-{n}", b"x" * 1000) for n in range(5)]
    forge(world, [Entry(id=each.path, members=(each,)) for each in files], tar((files[0], b"x" * 1000)))
    assert world.fates() == {"copy-0": "saved"} | {f"copy-{n}": "refused" for n in range(1, 5)}


def test_places_and_sizes_beyond_the_pack_are_refused(tmp_path: Path) -> None:
    world = SalvageWorld(tmp_path)
    good = member("good", b"good")
    most = (1 << 63) - 1
    entries = [
        Entry(id="good", members=(good,)),
        Entry(id="size", members=(member("size", b"x", size=most),), at=1024),
        Entry(id="again", members=(good,)),
        Entry(id="at", members=(good,), at=most),
        Entry(id="frame", members=(good,), frame=most),
    ]
    forge(world, entries, tar((good, b"good"), (good, b"good")))
    assert world.fates() == {"good": "saved"} | dict.fromkeys(("size", "again", "at", "frame"), "refused")


@pytest.mark.parametrize("time", [10**18 - 1, -(10**18), 10**28, -(10**28)])
def test_times_and_owners_that_no_system_takes_cost_nothing_else(tmp_path: Path, time: int) -> None:
    world = SalvageWorld(tmp_path)
    strange = member("strange", b"y", mtime_ns=time, uid=10**12, gid=10**12, mode=0o7755)
    forge(world, [Entry(id="strange", members=(strange,))], tar((strange, b"y")))
    world.spoil(world.spans[-1])
    assert world.fates() == {"strange": "unproven"}
    assert stat.S_IMODE((world.saved / "strange").stat().st_mode) == 0o755


def test_line_that_is_none_is_told_and_the_others_are_saved(tmp_path: Path) -> None:
    world = SalvageWorld(tmp_path)
    good = member("good", b"good")
    lines = manifest.encode_entry(Entry(id="good", members=(good,)))
    forge(world, [], tar((good, b"good")), lines=lines)
    assert world.fates() == {"good": "saved"}
    world.pack.unlink()
    forge(world, [], tar((good, b"good")), lines=b'{"id":1}\n')
    assert world.fates() == {None: "refused"}


def rle_frame(size: int, claimed: int | None = None) -> bytes:
    """A frame of some kilobytes that holds very many zeros, and has a wrong checksum."""
    blocks = [((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"] * (size // (128 << 10))
    last = (1).to_bytes(3, "little")
    header = frames.FRAME_MAGIC + b"\xe4" + (size if claimed is None else claimed).to_bytes(8, "little")
    return header + b"".join(blocks) + last + b"\0\0\0\0"


def chain(count: int) -> bytes:
    """Beginnings of frames within each other, none of which ends."""
    header = frames.FRAME_MAGIC + b"\xe4" + (128 * MIB).to_bytes(8, "little")
    return (header + (len(header) << 3).to_bytes(3, "little")) * count


@pytest.mark.parametrize(
    "data",
    [
        rle_frame(128 * MIB) * 3,
        rle_frame(1 << 30),
        rle_frame(1 << 30, 1 << 20),
        b"\x50\x2a\x4d\x18" + b"\xff" * 4,
        (b"\x50\x2a\x4d\x18" + bytes(4)) * 10_000,
        chain(30_000),
        bytes(1 << 20) + frames.seek_table([Span(0, 1 << 20, 1 << 31)]),
        b"".join(rle_frame(16 * MIB)[:-40] for _ in range(300)),
    ],
    ids=["bomb", "large", "liar", "far", "empty", "chain", "table", "torn"],
)
def test_bombs_cost_neither_memory_nor_much_time(tmp_path: Path, data: bytes) -> None:
    world = SalvageWorld(tmp_path)
    world.pack.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(world.pack), str(world.saved)],
        timeout=60,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert world.files() == {}


LIMITED = """\
import os, resource, sys
from store.salvaging import Salvage
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
salvage = Salvage(os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_RDONLY))
for each in salvage.run():
    pass
"""
