"""Packs that can be damaged: sessions of files in a folder, packed as they are, and what became of them."""

import os
import random
from collections.abc import Mapping
from pathlib import Path

from store import frames, manifest, names, opening, packing
from store.facts import Account, Member
from store.frames import Span
from store.manifest import Head
from store.packing import Wanted
from store.packs import PackWriter
from store.roots import RootFds
from store.salvaged import Salvaged
from store.salvaging import Salvage

RUN = "20260101T000000-abc123"
PACK = names.pack_name(RUN, 0)
TIME_NS = 1_700_000_000_123_456_789
Files = Mapping[str, bytes]


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


class SalvageWorld:
    """A store, a folder of packs, and a folder to save into."""

    def __init__(self, folder: Path) -> None:
        self.store, self.packs, self.saved = (folder / name for name in ("store", "packs", "saved"))
        for each in (self.store, self.packs, self.saved):
            each.mkdir()
        self.pack = self.packs / PACK
        self.spans: list[Span] = []  # of the sound pack, that of the manifest last

    def make(self, *batches: Mapping[str, Files]) -> Path:
        """A sealed pack of sessions by id, each with its files by path; those of a batch share frames."""
        folder = opening.open_folder(str(self.packs))
        with RootFds({"sessions": str(self.store)}) as roots:
            writer = PackWriter(folder, PACK)
            lines: list[bytes] = []
            for batch in batches:
                wanted = [self._wanted(n, id_, files) for n, (id_, files) in enumerate(batch.items())]
                done = packing.pack(roots, wanted, 3)
                assert done.left_out == []
                first = writer.append(done.frames)
                for _, frame, line in done.packed:
                    lines.append(line[:-2] + b',"frame":%d}\n' % (first + frame) if first + frame else line)
            writer.finish(self.head(writer, len(lines)), lines)
            writer.seal()
        os.close(folder)
        self.spans = self._spans()
        return self.pack

    def head(self, writer: PackWriter, sessions: int) -> Head:
        told = [
            (span.packed, span.size, digest)
            for span, digest in zip(writer.spans, writer.digests, strict=True)
        ]
        return Head(
            format=manifest.FORMAT,
            pack=writer.name,
            run=RUN,
            at="2026-01-01T00:00:00+00:00",
            store="mine",
            kind="rec",
            roots=("sessions",),
            path=str(self.store),
            policy_sha256="",
            level=3,
            maint="0",
            sessions=sessions,
            frames=manifest.frames_of(told),
        )

    def flip(self, at: int, bit: int = 0) -> None:
        """Flip a bit of the pack; counted from its end where ``at`` is negative."""
        with self.pack.open("r+b", buffering=0) as file:
            start = file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
            (byte,) = file.read(1)
            os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), start)

    def spoil(self, span: Span) -> None:
        """Flip a bit in the middle of a frame."""
        self.flip(span.offset + span.packed // 2)

    def cut(self, size: int) -> None:
        with self.pack.open("r+b") as file:
            file.truncate(size)

    def salvage(self, *, lasting: bool = True) -> dict[str | None, Salvaged]:
        """What became of everything, by session, else by path; stretches of the pack are one, the last.

        Whoever salvages very often, and cuts no power, need not wait for the disk each time.
        """
        before = self.pack.read_bytes()
        pack, folder = os.open(self.pack, os.O_RDONLY), opening.open_folder(str(self.saved))
        try:
            salvage = Salvage(pack, folder)
            found = {each.session or each.path: each for each in salvage.run()}
            if lasting:
                salvage.finish()
        finally:
            os.close(pack)
            os.close(folder)
        assert self.pack.read_bytes() == before
        return found

    def fates(self) -> dict[str | None, str]:
        return {key: str(each.fate) for key, each in self.salvage().items()}

    def files(self) -> dict[str, bytes]:
        """Everything that was written."""
        return {
            str(path.relative_to(self.saved)): path.read_bytes()
            for path in sorted(self.saved.rglob("*"))
            if path.is_file()
        }

    def _spans(self) -> list[Span]:
        data = self.pack.read_bytes()
        return frames.parse_seek_table(data[-frames.table_size(data[-frames.FOOTER_SIZE :]) :])[
            :-1
        ]  # the note

    def _wanted(self, n: int, id_: str, files: Files) -> Wanted:
        members = []
        for path, content in files.items():
            where = self.store / path
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(content)
            where.chmod(0o640)
            os.utime(where, ns=(TIME_NS, TIME_NS))
            members.append(Member("sessions", path, opening.fingerprint(where.lstat())))
        return Wanted(n, id_, tuple(members), Account(name=f"name-of-{id_}"), "archive")
