import errno
import hashlib
import os
import resource
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pack_world import (
    PACK,
    RUN,
    entry,
    forged,
    head,
    lines_of,
    needs,
    numbered,
    open_fds,
    pack,
    run,
    session,
    wanted,
    write,
)
from swaps import given_away, linked, made_fifo, made_folder, made_link, replaced

from store import frames, manifest, names, packing, packs
from store.durable import Poisoned
from store.frames import Damaged
from store.looking import Skip
from store.manifest import Entry
from store.packing import Wanted
from store.packs import OpenPack, PackReader, PackWriter, open_pack
from store.roots import RootFds

MEBI = 1 << 20
EMPTY = hashlib.sha256().hexdigest()


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress, the same each time."""
    return b"".join(frames.digest(b"%d %d" % (seed, n)) for n in range(size // 16 + 1))[:size]


def prose(size: int) -> bytes:
    lines = []
    length = 0
    for number in range(size):
        lines.append(b'{"n":%d,"command":"make %d","exit_code":0}\n' % (number, number * 7919 % 1000))
        length += len(lines[-1])
        if length >= size:
            break
    return b"".join(lines)[:size]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for name in ("sessions/.maint/archive", "state"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path / "sessions"


@pytest.fixture
def archive(path: Path) -> Path:
    return path / names.ARCHIVE


@pytest.fixture
def roots(path: Path) -> Iterator[RootFds]:
    before = open_fds()
    all_roots = {"sessions": path, "state": path.parent / "state", "archive": path / names.ARCHIVE}
    with RootFds({label: str(each) for label, each in all_roots.items()}) as roots:
        yield roots
    assert open_fds() == before


def contents(reader: PackReader, one: Entry) -> dict[str, bytes]:
    return {member.path: b"".join(blocks) for member, blocks in reader.members(one)}


def reread(roots: RootFds, name: str = PACK) -> dict[str, dict[str, bytes]]:
    with open_pack(roots["archive"], name) as opened:
        return {one.id: contents(opened, one) for one in opened.entries()}


# What is in a pack.


@settings(
    max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    told=st.lists(
        st.lists(
            st.binary(max_size=1500) | st.builds(prose, st.integers(0, 400_000)), min_size=1, max_size=4
        ),
        min_size=1,
        max_size=8,
    ),
    level=st.sampled_from([1, 3, 9]),
)
def test_any_sessions_come_out_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, told: list[list[bytes]], level: int
) -> None:
    path = tmp_path_factory.mktemp("store")
    (path / "archive").mkdir()
    files = {
        f"s{n}": {f"s{n}/{part}": data for part, data in enumerate(parts)} for n, parts in enumerate(told)
    }
    with RootFds({"sessions": str(path), "archive": str(path / "archive")}) as roots:
        pack(
            roots, [session(path, id_, each, n=n) for n, (id_, each) in enumerate(files.items())], level=level
        )
        assert reread(roots) == files
        with open_pack(roots["archive"], PACK) as opened:
            assert packs.verify(opened, opened.lines) == packs.Verdict(
                len(files), sum(len(data) for each in files.values() for data in each.values()), ()
            )


LONG = "d" * 90 + "/" + "e" * 120 + ".ndjson"
LIMITS = [MEBI, packing.OWN_FRAME, packing.LARGE]


def odd_files() -> dict[str, bytes]:
    return {
        "plain.ndjson": b"one\n",
        "empty.ndjson": b"",
        LONG: b"long\n",
        "ünïcödé/漢字 \u202e.ndjson": b"uni\n",
        "new\nline.ndjson": b"x",
        "blocks.ndjson": bytes(1024),
    }


def at_the_limits() -> dict[str, bytes]:
    data = prose(packing.LARGE + 2)
    return {f"{limit}{step:+}": data[: limit + step] for limit in LIMITS for step in (-1, 0, 1)}


@needs("tar", "zstd")
@pytest.mark.parametrize("files", [odd_files, at_the_limits])
def test_tar_and_zstd_give_back_every_byte_mode_and_moment(
    roots: RootFds, path: Path, archive: Path, tmp_path: Path, files: Callable[[], dict[str, bytes]]
) -> None:
    told = files()
    for name, data in told.items():
        session(path, name, {name: data})
    (path / next(iter(told))).chmod(0o444)
    (path / "link").symlink_to(LONG)
    os.utime(path / "link", ns=(5, 7_000_000_001), follow_symlinks=False)
    pack(roots, numbered(*(wanted(path, name, name) for name in told), wanted(path, "link", "link")))
    out = tmp_path / "out"
    out.mkdir()
    run("zstd", "-t", archive / PACK)
    listed = run("zstd", "-lv", archive / PACK).decode()
    assert "# Skippable Frames: 2" in listed
    listing = run("tar", "--zstd", "-tvf", archive / PACK).decode()
    assert listing.count("\n") == len(told) + 2
    run("tar", "--zstd", "--no-same-owner", "-xpf", archive / PACK, cwd=out)
    for name, data in told.items():
        was, now = (path / name).stat(), (out / name).stat()
        assert (out / name).read_bytes() == data
        assert (now.st_mode, now.st_mtime_ns) == (was.st_mode, was.st_mtime_ns)
    assert os.readlink(out / "link") == LONG
    assert (out / "link").lstat().st_mtime_ns == 7_000_000_001
    text = (out / names.MANIFEST).read_bytes()
    assert manifest.parse(text)[0].sessions == len(told) + 1
    assert {one: parts[one] for one, parts in reread(roots).items() if one != "link"} == told


def test_tarfile_reads_a_pack(roots: RootFds, path: Path, archive: Path, tmp_path: Path) -> None:
    pack(roots, numbered(*(session(path, name, {name: data}) for name, data in odd_files().items())))
    with (archive / PACK).open("rb") as raw:
        tar = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True).read()
    (tmp_path / "x.tar").write_bytes(tar)
    with tarfile.open(tmp_path / "x.tar") as file:
        *members, last = file.getmembers()
        assert {one.name: getattr(file.extractfile(one), "read", bytes)() for one in members} == odd_files()
        assert {one.mtime for one in members} == {1_770_000_000.1234567}
    assert last.name == names.MANIFEST


@needs("zstd")
def test_seek_table_tells_where_the_frames_are(
    roots: RootFds, path: Path, archive: Path, tmp_path: Path
) -> None:
    pack(
        roots,
        numbered(*(session(path, f"{n}", {f"{n}": prose(packing.FRAME * 6 // 10 + n)}) for n in range(5))),
    )
    data = (archive / PACK).read_bytes()
    spans = frames.parse_seek_table(data[-frames.table_size(data[-frames.FOOTER_SIZE :]) :])
    assert len(spans) == 5  # three of sessions, the manifest's, and the note
    whole = b""
    for span in spans:
        (tmp_path / "x.zst").write_bytes(data[span.offset : span.end])
        part = run("zstd", "-dc", tmp_path / "x.zst")
        assert len(part) == span.size
        whole += part
    assert whole == run("zstd", "-dc", archive / PACK)


# How it is cut into frames.


def frames_of(roots: RootFds, told: list[Wanted], level: int = 3) -> tuple[list[int], list[tuple[int, int]]]:
    """The lengths of the frames' content, and where each session begins."""
    batch = packing.pack(roots, told, level)
    assert batch.left_out == []
    entries = [manifest.checked_entry(line[:-1]) for line in lines_of(batch)]
    return [size for _, size, _ in batch.frames], [(one.frame, one.at) for one in entries]


def test_small_sessions_share_frames_that_end_where_a_session_ends(roots: RootFds, path: Path) -> None:
    told = numbered(*(session(path, f"{n}", {f"{n}": prose(packing.FRAME * 3 // 10)}) for n in range(10)))
    sizes, places = frames_of(roots, told)
    each = sum(sizes) // 10
    assert sizes == [4 * each, 4 * each, 2 * each]
    assert all(packing.FRAME <= size < packing.FRAME + each for size in sizes[:-1])
    assert places == [(n // 4, n % 4 * each) for n in range(10)]


def test_large_session_has_frames_of_its_own(roots: RootFds, path: Path) -> None:
    told = [("a", 1000), ("b", 9 * MEBI), ("c", 1000), ("d", 1000)]
    sizes, places = frames_of(
        roots, numbered(*(session(path, name, {name: prose(size)}) for name, size in told))
    )
    assert places == [(0, 0), (1, 0), (4, 0), (4, sizes[0])]
    assert sizes[1:3] == [packing.OWN_FRAME] * 2
    assert max(sizes) == packing.OWN_FRAME


def test_members_of_a_session_stand_side_by_side(
    roots: RootFds, path: Path, archive: Path, tmp_path: Path
) -> None:
    parts = {f"dir/{n:03}": prose(n * 50) for n in range(200)}
    told = numbered(
        session(path, "a", {"a": b"a"}), session(path, "many", parts), session(path, "z", {"z": b"z"})
    )
    entries = pack(roots, told)
    assert reread(roots) == {"a": {"a": b"a"}, "many": parts, "z": {"z": b"z"}}
    assert [member.path for member in entries[1].members] == sorted(parts)
    with open_pack(roots["archive"], PACK) as opened:
        tar = b"".join(opened.frame(number) for number in range(len(opened.spans)))
    (tmp_path / "x.tar").write_bytes(tar)
    with tarfile.open(tmp_path / "x.tar") as file:
        assert file.getnames() == ["a", *sorted(parts), "z"]


def test_what_sessions_take_adds_up_to_the_frames(roots: RootFds, path: Path) -> None:
    told = numbered(*(session(path, f"{n}", {f"{n}": prose(n * 20_000)}) for n in range(30)))
    entries = pack(roots, told)
    with open_pack(roots["archive"], PACK) as opened:
        whole = sum(span.packed for span in opened.spans)
    assert abs(sum(one.packed for one in entries) - whole) <= len(entries)
    assert min(one.packed for one in entries) > 0


@needs("zstd", "tar")
def test_session_that_repeats_itself_far_apart_is_packed_for_that(
    roots: RootFds, path: Path, archive: Path, tmp_path: Path
) -> None:
    picture = noise(5 * MEBI)
    repeats, plain = picture * 4 + b"end", prose(20 * MEBI)
    told = numbered(session(path, "repeats", {"repeats": repeats}), session(path, "plain", {"plain": plain}))
    sizes, places = frames_of(roots, told)
    assert places == [(0, 0), (1, 0)]
    assert (sizes[0] > len(repeats), max(sizes[1:])) == (True, packing.OWN_FRAME)
    entries = pack(roots, told)
    assert entries[0].packed < len(picture) * 1.1
    assert reread(roots)["repeats"] == {"repeats": repeats}
    (tmp_path / "out").mkdir()
    run("tar", "--zstd", "-xf", archive / PACK, cwd=tmp_path / "out")
    assert (tmp_path / "out/repeats").read_bytes() == repeats
    with open_pack(roots["archive"], PACK) as opened:
        for span in opened.spans:
            window = zstandard.get_frame_parameters(opened.raw(0)[0]).window_size
            assert (span.size <= frames.LONG_FRAME, window <= 1 << 27) == (True, True)


# What is left out.


def grown(file: Path) -> None:
    with file.open("a") as handle:
        handle.write("more")


def rewritten(file: Path) -> None:
    found = file.stat()
    file.write_bytes(bytes(found.st_size))
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))


CHANGES: list[tuple[Callable[[Path], object], str]] = [
    (grown, "grew since it was planned"),
    (rewritten, "changed since it was planned"),
    (replaced, "is another file than the planned one"),
    (Path.unlink, "is gone"),
    (linked, "has more than one hard link"),
    (lambda file: file.chmod(0o640), "changed since it was planned"),
    (given_away, "belongs to another user"),
    (lambda file: file.parent.rename(file.parent.parent / "away"), "is gone"),
    (made_fifo, "is a FIFO"),
    (made_folder, "is a folder"),
    (made_link, "changed since it was planned"),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_session_that_is_not_as_planned_is_left_out_whole(
    roots: RootFds, path: Path, change: Callable[[Path], object], reason: str
) -> None:
    told = numbered(
        session(path, "a", {"a": b"a"}),
        session(path, "b", {"b/1": b"one", "b/2": b"two"}),
        session(path, "c", {"c": b"c"}),
    )
    change(path / "b/2")
    batch = packing.pack(roots, told, 3)
    assert [n for n, _, _ in batch.packed] == [0, 2]
    ((n, why),) = batch.left_out
    assert (n, reason in why) == (1, True), why
    write(roots["archive"], batch.frames, lines_of(batch)).seal()
    assert reread(roots) == {"a": {"a": b"a"}, "c": {"c": b"c"}}


@pytest.mark.parametrize("change", [grown, rewritten, linked, lambda file: os.truncate(file, 1)])
def test_session_that_changes_while_it_is_read_is_left_out(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    told = numbered(session(path, "a", {"a": b"first"}), session(path, "b", {"b": b"second"}))
    pread = os.pread

    def reading(fd: int, size: int, offset: int) -> bytes:
        if os.fstat(fd).st_ino == told[0].members[0].fingerprint.inode and size:
            monkeypatch.setattr(os, "pread", pread)
            change(path / "a")
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", reading)
    batch = packing.pack(roots, told, 3)
    assert [n for n, _, _ in batch.packed] == [1]
    assert batch.left_out[0][1] in {"changed while it was read", "became shorter while it was read"}


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/etc/passwd", "leads out of the store"),
        ("../outside", "leads out of the store"),
        (os.fsdecode(b"\xff"), "no UTF-8"),
    ],
)
def test_link_that_could_not_come_back_keeps_its_session_where_it_is(
    roots: RootFds, path: Path, target: str, reason: str
) -> None:
    os.symlink(target, path / "link")
    batch = packing.pack(roots, numbered(session(path, "a", {"a": b"a"}), wanted(path, "b", "link")), 3)
    assert ([n for n, _, _ in batch.packed], batch.left_out[0][0]) == ([0], 1)
    assert reason in batch.left_out[0][1]


def test_link_that_was_replaced_is_left_out(roots: RootFds, path: Path) -> None:
    os.symlink("a", path / "link")
    told = [wanted(path, "b", "link")]
    os.symlink("b", path / "new")
    (path / "new").rename(path / "link")
    assert packing.pack(roots, told, 3).left_out == [(0, "changed since it was planned")]


def test_range_is_read_only_of_the_planned_file(roots: RootFds, path: Path) -> None:
    (one,) = session(path, "a", {"a": b"0123456789"}).members
    assert packing.read_range(roots, one, 2, 5) == b"234"
    with (path / "a").open("rb") as file:
        assert b"".join(packing.blocks(file.fileno(), 2, 10)) == b"23456789"
        with pytest.raises(Skip, match="became shorter"):
            list(packing.blocks(file.fileno(), 2, 11))
    grown(path / "a")
    with pytest.raises(Skip, match="grew"):
        packing.read_range(roots, one, 2, 5)


# Writing one.


def listed(archive: Path) -> list[str]:
    return sorted(entry.name for entry in archive.iterdir())


def test_pack_has_no_name_before_it_is_sealed(roots: RootFds, path: Path, archive: Path) -> None:
    batch = packing.pack(roots, [session(path, "a", {"a": b"a"})], 3)
    writer = write(roots["archive"], batch.frames, lines_of(batch))
    assert listed(archive) == [names.unsealed_name(PACK)]
    with open_pack(roots["archive"], PACK, sealed=False) as opened:
        packs.require_sound(opened, writer, lines_of(batch))
    writer.seal()
    writer.drop()
    assert listed(archive) == [PACK]
    assert (archive / PACK).stat().st_mode & 0o777 == 0o600


def test_pack_never_takes_the_name_of_another(roots: RootFds, path: Path, archive: Path) -> None:
    batch = packing.pack(roots, [session(path, "a", {"a": b"a"})], 3)
    (archive / PACK).write_text("another")
    writer = write(roots["archive"], batch.frames, lines_of(batch))
    with pytest.raises(FileExistsError):
        writer.seal()
    writer.drop()
    assert listed(archive) == [PACK]
    assert (archive / PACK).read_text() == "another"


def test_dropped_pack_leaves_nothing_and_another_file_of_its_name_alone(
    roots: RootFds, archive: Path
) -> None:
    PackWriter(roots["archive"], PACK).drop()
    assert listed(archive) == []
    writer = PackWriter(roots["archive"], PACK)
    (archive / names.unsealed_name(PACK)).unlink()
    (archive / names.unsealed_name(PACK)).write_text("another")
    writer.drop()
    writer.drop()
    assert (archive / names.unsealed_name(PACK)).read_text() == "another"
    with pytest.raises(FileExistsError):
        PackWriter(roots["archive"], PACK)


def test_frames_that_were_cut_back_leave_no_trace(roots: RootFds, path: Path, archive: Path) -> None:
    batch = packing.pack(roots, [session(path, "a", {"a": b"a"})], 3)
    writer = PackWriter(roots["archive"], PACK)
    writer.append([packing.raw_frame(noise(5000), 3)])
    writer.cut(0)
    assert writer.append(batch.frames) == 0
    writer.append([packing.raw_frame(noise(9000), 3)])
    writer.cut(1)
    told = [(s.packed, s.size, d) for s, d in zip(writer.spans, writer.digests, strict=True)]
    writer.finish(head(sessions=1, frames=manifest.frames_of(told)), lines_of(batch))
    writer.seal()
    assert reread(roots) == {"a": {"a": b"a"}}
    assert (archive / PACK).stat().st_size < 2000


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """What a full disk does: a write takes some bytes, and the next one none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 1, 900, 1500, 1540])
def test_disk_that_is_full_in_the_middle_leaves_nothing(
    roots: RootFds, path: Path, archive: Path, size: int
) -> None:
    batch = packing.pack(roots, [session(path, "a", {"a": noise(1000)})], 3)
    writer = PackWriter(roots["archive"], PACK)
    before = open_fds()
    told = [(len(frame), size, digest) for frame, size, digest in batch.frames]

    def work() -> None:
        writer.append(batch.frames)
        writer.finish(head(sessions=1, frames=manifest.frames_of(told)), lines_of(batch))

    with files_end_at(size), pytest.raises(OSError, match="too large") as failed:
        work()
    assert failed.value.errno == errno.EFBIG
    writer.drop()
    assert (listed(archive), open_fds()) == ([], before - 1)


def test_manifest_that_nobody_would_read_is_not_written(roots: RootFds) -> None:
    writer = PackWriter(roots["archive"], PACK)
    with pytest.raises(OSError, match="its manifest would be"):
        writer.finish(head(sessions=1), [bytes(65 << 20)])
    writer.drop()


def test_pack_that_could_not_be_made_durable_is_not_sealed(
    roots: RootFds, path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(fd: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    writer = PackWriter(roots["archive"], PACK)
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Poisoned):
        writer.finish(head(), [])
    writer.drop()
    assert listed(archive) == []


def test_other_bytes_than_were_written_are_no_sound_pack(roots: RootFds, path: Path) -> None:
    batch = packing.pack(roots, numbered(session(path, "a", {"a": b"a"}), session(path, "b", {"b": b"b"})), 3)
    writer = write(roots["archive"], batch.frames, lines_of(batch))
    with open_pack(roots["archive"], PACK, sealed=False) as opened:
        with pytest.raises(Poisoned):
            packs.require_sound(opened, writer, lines_of(batch)[::-1])
        writer.digests[0] = b"x" * 16
        with pytest.raises(Poisoned):
            packs.require_sound(opened, writer, lines_of(batch))
    writer.drop()


# Hostile ones.


def hostile(archive: Path, data: bytes) -> None:
    (archive / PACK).write_bytes(data)


@contextmanager
def peak_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def text(*entries: Entry, **changes: Any) -> bytes:
    lines = [manifest.encode_entry(each) for each in entries]
    return manifest.encode_head(head(**{"sessions": len(lines)} | changes)) + b"".join(lines)


def test_forged_pack_is_opened_if_its_ends_fit(roots: RootFds, archive: Path) -> None:
    hostile(archive, forged(text()))
    assert reread(roots) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        bytes(5000),
        frames.seek_table([]),
        frames.note(bytes(16)) + frames.seek_table([]),
        frames.seek_table([frames.Span(0, 10, 10)]),
        forged(b""),
        forged(b"{}\n"),
        forged(b'{"' + b"[" * 100_000 + b"\n"),
        forged(b"\n" * (1 << 20)),
        forged(text())[:-1],
        forged(text()) + b"\0",
        b"\0" + forged(text()),
        forged(text(pack=names.pack_name(RUN, 1))),
        forged(text(frames=((10, 10, "00" * 16),))),
        forged(text(), [packing.raw_frame(b"x", 3)]),
        forged(text(frames=((10, 10, "zz"),)), [(b"x" * 10, 10, b"")]),
        forged(text(level=22)),
    ],
)
def test_what_is_no_pack_is_damaged(roots: RootFds, archive: Path, data: bytes) -> None:
    hostile(archive, data)
    before = open_fds()
    with pytest.raises(Damaged):
        open_pack(roots["archive"], PACK)
    assert open_fds() == before


def sparse(archive: Path, *parts: tuple[int, bytes]) -> None:
    """A file that is huge and takes no room: some bytes at some places."""
    with (archive / PACK).open("wb") as file:
        for at, data in parts:
            file.seek(at)
            file.write(data)


@pytest.mark.parametrize("count", [1 << 19, 0x7FFFFF0])
def test_seek_table_that_would_fill_the_memory_is_refused(roots: RootFds, archive: Path, count: int) -> None:
    footer = frames._FOOTER.pack(count, 0, frames._SEEKABLE_MAGIC)
    sparse(archive, (2 << 30, footer))
    with peak_below(4 << 20), pytest.raises(Damaged, match="not one of ours"):
        open_pack(roots["archive"], PACK)


@pytest.mark.parametrize("size", [0, 1000, (1 << 32) - 1])
def test_manifest_that_would_fill_the_memory_is_refused(roots: RootFds, archive: Path, size: int) -> None:
    packed = 3 << 30
    note = frames.note(bytes(16))
    tail = note + frames.seek_table([frames.Span(0, packed, size), frames.Span(packed, len(note), 0)])
    sparse(archive, (packed, tail))
    with peak_below(4 << 20), pytest.raises(Damaged, match="larger than any of ours"):
        open_pack(roots["archive"], PACK)


def test_frame_that_would_fill_the_memory_is_refused(roots: RootFds, archive: Path) -> None:
    bomb = packing.raw_frame(bytes(100 << 20), 3)
    hostile(archive, forged(text(entry(), frames=((len(bomb[0]), bomb[1], bomb[2].hex()),)), [bomb]))
    with peak_below(4 << 20), pytest.raises(Damaged, match="frame that cannot be"):
        open_pack(roots["archive"], PACK)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"frame": 1}, "no frame 1"),
        ({"frame": 1 << 60}, "no frame"),
        ({"at": 1 << 60}, "where its frame has ended"),
        ({"at": 512}, "another header"),
        ({"at": 1024}, "where its frame has ended"),
        ({"at": 7}, "another header"),
        ({"members": entry("b").members}, "another header"),
        ({"members": entry(size=1 << 30).members}, "another header"),
        ({"members": entry(size=1 << 60).members}, "no frame 1"),
        ({"members": entry(sha256="f" * 64).members}, "is not what was packed"),
        ({"members": entry(sha256="").members}, "is not what was packed"),
        ({"members": entry(link="a").members}, "another header"),
        ({"members": entry(sha256=EMPTY).members * 2}, "another header"),
        ({"members": entry(sha256=EMPTY).members * 3}, "another header"),
    ],
)
def test_line_that_is_not_true_is_found_when_its_session_is_read(
    roots: RootFds, archive: Path, changes: dict[str, Any], reason: str
) -> None:
    plain, other = entry(sha256=EMPTY), entry("other")
    raw = packing.raw_frame(b"".join(each.members[0].header("sessions") for each in (plain, other)), 3)
    wrong = msgspec.structs.replace(plain, **changes)
    hostile(archive, forged(text(plain, wrong, frames=manifest.frames_of([(len(raw[0]), *raw[1:])])), [raw]))
    with open_pack(roots["archive"], PACK) as opened:
        first, second = opened.entries()
        opened.check(first)
        with pytest.raises(Damaged, match=reason):
            opened.check(second)
        assert packs.verify(opened, opened.lines).sound == 1


def test_line_that_is_none_is_one_damaged_session(roots: RootFds, path: Path) -> None:
    pack(roots, [session(path, "a", {"a": b"a"})])
    with open_pack(roots["archive"], PACK) as opened:
        verdict = packs.verify(opened, [b"{}", *opened.lines, manifest.encode_entry(entry("../x"))])
    assert (verdict.sound, [id_ for id_, _ in verdict.damaged]) == (1, ["", ""])


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda name: os.symlink("/etc/passwd", name)])
def test_what_is_no_file_is_no_pack(roots: RootFds, archive: Path, make: Callable[[Path], None]) -> None:
    make(archive / PACK)
    before = open_fds()
    with pytest.raises((Damaged, OSError)):
        open_pack(roots["archive"], PACK)
    assert open_fds() == before


def test_disk_that_cannot_be_read_is_damage(
    roots: RootFds, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = pack(roots, [session(path, "a", {"a": b"a"})])
    with open_pack(roots["archive"], PACK) as opened:

        def failing(fd: int, size: int, offset: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "pread", failing)
        verdict = packs.verify(opened, opened.lines)
    assert verdict.damaged == ((one.id, "it cannot be read: input/output error"),)


def test_few_frames_are_kept(roots: RootFds, path: Path) -> None:
    pack(roots, numbered(*(session(path, f"{n}", {f"{n}": prose(packing.FRAME)}) for n in range(9))))
    with open_pack(roots["archive"], PACK) as opened:
        assert isinstance(opened, OpenPack)
        for one in opened.entries():
            opened.check(one)
        assert len(opened._kept) == 2
        for number in (-1, 9, 1 << 60):
            with pytest.raises(Damaged, match="no frame"):
                opened.frame(number)
            with suppress(Damaged):
                opened.raw(number)
