import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_world import needs, run

from store import names, tarring

paths = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300).filter(
    names.is_clean
)
LONG = "a/" * 60 + "b" * 200 + "/ünïcödé/漢.ndjson"


def tar_of(
    name: str, content: bytes = b"", mtime_ns: int = 0, link: str | None = None, mode: int = 0o644
) -> bytes:
    head = tarring.header(name, len(content), mode, mtime_ns, 1000, 100, link=link)
    return head + content + tarring.padding(len(content)) + tarring.END


def only_member(tar: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(tar)) as file:
        (found,) = file.getmembers()
    return found


def nanoseconds(text: str) -> int:
    whole, _, fraction = text.lstrip("-").partition(".")
    found = int(whole) * 10**9 + int(fraction.ljust(9, "0"))
    return -found if text.startswith("-") else found


@settings(max_examples=300, deadline=None, database=None)
@given(
    name=paths,
    size=st.integers(0, 2**40),
    mode=st.integers(0, 0o7777),
    mtime_ns=st.integers(-(2**63) + 1, 2**63 - 1),
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
    link=st.none() | paths,
)
def test_tarfile_reads_what_we_write(
    name: str, size: int, mode: int, mtime_ns: int, uid: int, gid: int, link: str | None
) -> None:
    size = size if link is None else 0
    head = tarring.header(name, size, mode, mtime_ns, uid, gid, link=link)
    assert len(head) % tarring.BLOCK == 0
    with tarfile.open(fileobj=io.BytesIO(head + tarring.END)) as file:
        found = file.next()
        assert found is not None
    assert (found.name, found.size, found.mode) == (name, size, mode)
    assert (found.uid, found.gid, found.uname, found.gname) == (uid, gid, "", "")
    assert (found.issym(), found.linkname) == (link is not None, link or "")
    exact = found.pax_headers.get("mtime")
    assert (nanoseconds(exact) if exact else int(found.mtime) * 10**9) == mtime_ns


def test_same_values_give_the_same_bytes_and_every_value_counts() -> None:
    plain = ("a", 1, 0o644, 5, 1000, 100)
    assert tarring.header(*plain) == tarring.header(*plain)
    others = [
        ("b", 1, 0o644, 5, 1000, 100),
        ("a", 2, 0o644, 5, 1000, 100),
        ("a", 1, 0o600, 5, 1000, 100),
        ("a", 1, 0o644, 6, 1000, 100),
        ("a", 1, 0o644, 5, 1001, 100),
        ("a", 1, 0o644, 5, 1000, 101),
    ]
    assert len({tarring.header(*each) for each in (plain, *others)} | {tarring.header(*plain, link="x")}) == 8


def test_header_that_says_all_in_the_old_way_is_one_block() -> None:
    assert len(tarring.header("a" * 100, 1, 0o644, 10**9, 1000, 100)) == tarring.BLOCK
    assert len(tarring.header("a" * 101, 1, 0o644, 10**9, 1000, 100)) == 3 * tarring.BLOCK


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513])
def test_content_is_padded_to_whole_blocks(size: int) -> None:
    assert tarring.padded(size) == size + len(tarring.padding(size))
    assert tarring.padded(size) % tarring.BLOCK == 0
    assert tarring.padded(size) - size < tarring.BLOCK


@needs("tar")
@pytest.mark.parametrize(
    ("name", "mtime_ns"),
    [
        ("plain", 1_770_628_443_000_000_000),
        ("to the nanosecond", 1_770_628_443_123_456_789),
        ("before the epoch", -1_500_000_001),
        ("just before the epoch", -1),
        (LONG, 1),
        ("two\nlines=and a sign", 10**9),
    ],
)
def test_tar_gives_back_name_mode_and_time(tmp_path: Path, name: str, mtime_ns: int) -> None:
    (tmp_path / "x.tar").write_bytes(tar_of(name, b"content", mtime_ns, mode=0o640))
    run("tar", "--no-same-owner", "-xpf", "x.tar", cwd=tmp_path)
    found = (tmp_path / name).stat()
    assert (tmp_path / name).read_bytes() == b"content"
    assert (found.st_mtime_ns, found.st_mode & 0o777) == (mtime_ns, 0o640)


@needs("tar")
@pytest.mark.parametrize("link", ["a", LONG])
def test_tar_gives_back_links(tmp_path: Path, link: str) -> None:
    (tmp_path / "x.tar").write_bytes(tar_of("here", link=link))
    run("tar", "--no-same-owner", "-xpf", "x.tar", cwd=tmp_path)
    assert os.readlink(tmp_path / "here") == link


def test_name_that_is_no_text_keeps_its_bytes() -> None:
    name = os.fsdecode(b"\xff\xfe" * 60)
    assert only_member(tar_of(name)).name == name
    assert only_member(tar_of(name[:8])).name == name[:8]
