"""The manifest of a pack: what it holds, where, and how it was when it was packed.

It is the last member of the tar, in a frame of its own: NDJSON, the pack's own line first, then a line a session.
What all sessions of a pack share stands in the first line only.
Everything that is restored is checked against it, and everything it says is checked before it is believed: a
manifest is data that somebody may have made.
"""

import posixpath
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from store import frames, names, tarring
from store.facts import FIRST_TIME, LAST_TIME, Account
from store.frames import Damaged

FORMAT = 1
MOST_SESSIONS = 1 << 20
"""Sessions beyond which a manifest is refused before its lines are counted out."""

_MOST_FRAME = 2 * frames.LONG_FRAME  # of content; a reader keeps two of them
_MOST_NUMBER = (1 << 63) - 1
# What a system call takes: a line that says more is none, whoever decodes it.
_Size = Annotated[int, Meta(ge=0, le=_MOST_NUMBER)]
_Moment = Annotated[int, Meta(ge=-_MOST_NUMBER, le=_MOST_NUMBER)]
_Mode = Annotated[int, Meta(ge=0, le=0o7777)]
_Owner = Annotated[int, Meta(ge=0, le=(1 << 32) - 2)]  # the one above it would mean nobody


class PackedMember(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One file of a session in a pack: where it came from, and how it was there.

    ``sha256`` is of its content, in hex; ``link`` is where a symbolic link leads, and then there is no content.
    """

    root: str
    path: str
    size: _Size
    mtime_ns: _Moment
    mode: _Mode
    sha256: str
    uid: _Owner = 0
    gid: _Owner = 0
    link: str | None = None

    def header(self, first: str) -> bytes:
        """The header that this member has in the tar; ``first`` is the label of the store's first root."""
        return tarring.header(
            member_name(self.root, self.path, first),
            self.size,
            self.mode,
            self.mtime_ns,
            self.uid,
            self.gid,
            link=self.link,
        )

    def tar_size(self, first: str) -> int:
        """How many bytes of the tar it takes."""
        return len(self.header(first)) + tarring.padded(self.size)


class PackedFolder(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A folder that was made for a session alone, and its mode: whoever brings the session back may make it again."""

    root: str
    path: str
    mode: _Mode


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One session in a pack.

    Its members stand side by side in the tar from ``at`` on, which counts from the beginning of the frame
    ``frame``; ``packed`` is what it takes of the pack, its share of the frames it shares with others.
    ``why`` is the pass that archived it.
    ``folders`` are those that were made for the session alone, each behind the one that it lies in.
    """

    id: str
    members: tuple[PackedMember, ...]
    account: Account = Account()
    why: str = "archive"
    packed: _Size = 0
    at: _Size = 0
    frame: _Size = 0
    folders: tuple[PackedFolder, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all members."""
        members = self.members
        # Most sessions are one file, and this is asked for every row of a long list.
        return members[0].size if len(members) == 1 else sum(member.size for member in members)

    @property
    def last_changed(self) -> float:
        """When one of its files was last changed, in seconds."""
        members = self.members
        latest = members[0].mtime_ns if len(members) == 1 else max(member.mtime_ns for member in members)
        return latest / 1e9


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A pack's own line: what is true of all its sessions, and its frames but that of the manifest.

    ``roots`` are the labels of the store's roots in order, ``frames`` the length, the content's length and the
    digest (`store.frames.digest`, in hex) of each; ``replaces`` is the pack that this one was made from, if any.
    """

    format: int
    pack: str
    run: str
    at: str
    store: str
    kind: str
    roots: tuple[str, ...]
    path: str
    policy_sha256: str
    level: int
    maint: str
    sessions: int
    frames: tuple[tuple[int, int, str], ...]
    replaces: str | None = None

    @property
    def first(self) -> str:
        """The label of the root whose files go by their plain path in the tar."""
        return self.roots[0]


_decode_head: Callable[[bytes], Head] = msgspec.json.Decoder(Head).decode
decode_entry: Callable[[bytes], Entry] = msgspec.json.Decoder(Entry).decode
_encode = msgspec.json.Encoder().encode


def encode_head(head: Head) -> bytes:
    """The first line, with its end."""
    return _encode(head) + b"\n"


def encode_entry(entry: Entry) -> bytes:
    """A session's line, with its end."""
    return _encode(entry) + b"\n"


def parse(text: bytes) -> tuple[Head, list[bytes]]:
    """The pack's own line and the sessions' lines, which are decoded one by one; `Damaged` for what is neither."""
    if not text:
        raise Damaged("its manifest is empty")
    if not text.endswith(b"\n"):
        raise Damaged("its manifest is cut off")
    stop = text.index(b"\n") + 1
    try:
        head = _decode_head(text[:stop])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"its manifest cannot be read: {error}") from None
    if head.format != FORMAT:
        raise Damaged(f"its manifest is of format {head.format}; this maint knows {FORMAT}")
    found = names.parse_pack_name(head.pack)
    if (
        found is None
        or not head.roots
        or head.level not in frames.LEVELS
        or not 0 <= head.sessions <= MOST_SESSIONS
        or text.count(b"\n", stop) != head.sessions
    ):
        raise Damaged("its manifest contradicts itself")
    return head, text[stop:-1].split(b"\n") if head.sessions else []


def entries(lines: list[bytes]) -> Iterator[Entry]:
    """The sessions of these lines; `Damaged` for a line that is none."""
    for line in lines:
        yield checked_entry(line)


def checked_entry(line: bytes) -> Entry:
    """The session of one line, none of whose members could lie outside of its store; else `Damaged`.

    Its numbers are such as a system call or a database takes.
    """
    try:
        entry = decode_entry(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"a line of its manifest cannot be read: {error}") from None
    told = entry.account
    if (
        not entry.members
        or not 0 <= (told.records or 0) <= _MOST_NUMBER
        or not FIRST_TIME <= (told.started_at or 0.0) <= LAST_TIME
        or not FIRST_TIME <= (told.ended_at or 0.0) <= LAST_TIME
        or not FIRST_TIME <= (told.last_record_at or 0.0) <= LAST_TIME
    ):
        raise Damaged("a line of its manifest contradicts itself")
    for member in entry.members:
        if not _could_be(member):
            raise Damaged(f"its manifest names a file that no store has: {names.printable(member.path)}")
    if entry.size > _MOST_NUMBER:
        raise Damaged("a line of its manifest contradicts itself")
    if entry.folders:
        _check_folders(entry)
    return entry


def _check_folders(entry: Entry) -> None:
    """Raise `Damaged` for a folder that none of the session's files lies in, nor another one that is told before it."""
    files = {(member.root, member.path) for member in entry.members}
    known: set[tuple[str, str]] = set()
    for root, path in files:
        above = posixpath.dirname(path)
        while above and (root, above) not in known:
            known.add((root, above))
            above = posixpath.dirname(above)
    for folder in entry.folders:
        place = folder.root, folder.path
        if not names.is_clean(folder.path) or place in files:
            raise Damaged(f"its manifest names a folder that no store has: {names.printable(folder.path)}")
        if place not in known and (folder.root, posixpath.dirname(folder.path)) not in known:
            text = (
                f"its manifest names a folder that is none of the session's: {names.printable(folder.path)}"
            )
            raise Damaged(text)
        known.add(place)


def leads_out(path: str, link: str) -> bool:
    """Whether a symbolic link at this path leads nowhere, or out of the root that the path is below."""
    if not link or "\0" in link or link.startswith("/"):
        return True
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link)).split("/")[0] == ".."


def member_name(root: str, path: str, first: str) -> str:
    """What a member is called in the tar: its path below its store, behind ``@root`` where that is not the first."""
    return path if root == first else f"@{root}/{path}"


def frames_of(spans: list[tuple[int, int, bytes]]) -> tuple[tuple[int, int, str], ...]:
    """The frames as the first line has them, from their lengths, contents' lengths and digests."""
    return tuple((packed, size, digest.hex()) for packed, size, digest in spans)


def spans_of(head: Head) -> list[frames.Span]:
    """Where the frames lie that the first line tells of; `Damaged` for one that could not be."""
    return spans(head.frames)


def digests_of(head: Head) -> list[bytes]:
    """The digests of the frames that the first line tells of; `Damaged` for one that is none."""
    return digests(head.frames)


def spans(told: Iterable[tuple[int, int, str]]) -> list[frames.Span]:
    """As `spans_of`, from the frames alone."""
    found: list[frames.Span] = []
    offset = 0
    for packed, size, _ in told:
        if not 0 <= size <= _MOST_FRAME or not 0 < packed <= frames.most_packed(size):
            raise Damaged("its manifest tells of a frame that cannot be")
        found.append(frames.Span(offset, packed, size))
        offset += packed
    return found


def digests(told: Iterable[tuple[int, int, str]]) -> list[bytes]:
    """As `digests_of`, from the frames alone."""
    try:
        return [bytes.fromhex(digest) for _, _, digest in told]
    except ValueError:
        raise Damaged("its manifest has a digest that is none") from None


def _could_be(member: PackedMember) -> bool:
    """Whether a store could have this file."""
    return (
        names.is_clean(member.path)
        and names.is_clean(member.root)
        and "/" not in member.root
        and not names.is_ours(member.path)
        and (member.link is None or not (member.size or leads_out(member.path, member.link)))
    )
