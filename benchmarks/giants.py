"""Stores with one session that is larger than everything else: what they cost in memory, and in bytes."""

import base64
import os
import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.commands import stretch
from benchmarks.corpora import Corpus
from benchmarks.recordings import DAY
from store.layouts.rec import specimens as rec

PROJECT = "/home/ana/project-0"

_PIECE = 200_000  # commands that are drawn at once
_BLOB, _BLOBS = 1 << 20, 12  # letters of one image, and how many images there are
_AGO = 400 * DAY
_ID = rec.session_id(1 << 40)


def empty_store(folder: Path, at: float) -> Corpus:
    """A store of rec without a session."""
    corpus = Corpus("rec", folder, at)
    for path in corpus.paths.values():
        Path(path).mkdir(parents=True)
    return corpus


def add_varied(corpus: Corpus, size: int, *, crashed: bool = False) -> Path:
    """One more session of about so many bytes, as varied as all others; where it lies."""

    def records() -> Iterator[bytes]:
        rng = random.Random(1)
        moment, first = corpus.at - _AGO, 0
        while True:
            piece = stretch(rng, _PIECE, PROJECT)
            yield from piece.written(moment, first)
            moment, first = moment + piece.seconds, first + _PIECE

    return _add(corpus, records(), size, crashed=crashed)


def add_hollow(corpus: Corpus, size: int, *, ends: bool) -> Path:
    """One more file of so many bytes, next to none of which are on the disk: with a header and a footer, or a hole alone."""
    path = _add(corpus, iter(()), 0)
    if not ends:
        os.truncate(path, 0)
    footer = rec.footer(corpus.at - 2 * DAY, 1) if ends else b""
    changed = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.truncate(size - len(footer))
        file.seek(0, os.SEEK_END)
        file.write(footer)
    os.utime(path, ns=(changed, changed))
    return path


def add_repetitive(corpus: Corpus, size: int) -> Path:
    """One more session of about so many bytes in which the same few images stand again and again.

    So do the transcripts of coding agents, which tell all that was said before at every turn.
    """

    def records() -> Iterator[bytes]:
        rng = random.Random(2)
        images = [base64.b64encode(rng.randbytes(_BLOB * 3 // 4)).decode() for _ in range(_BLOBS)]
        moment, index = corpus.at - _AGO, 0
        while True:
            image = images[index % _BLOBS if index < _BLOBS else rng.randrange(_BLOBS)]
            yield rec.command(index, f"base64 -d <<<{image} > shot-{index}.png", moment)
            moment, index = moment + rng.uniform(5, 60), index + 1

    return _add(corpus, records(), size)


def _add(corpus: Corpus, records: Iterator[bytes], size: int, *, crashed: bool = False) -> Path:
    path = Path(corpus.paths["path"], f"{_ID}.ndjson")
    began = corpus.at - _AGO - 1
    with path.open("xb") as file:
        file.write(rec.header(_ID, "giant", began, env=rec.ENV | {"PWD": PROJECT}))
        count = 0
        while file.tell() < size:
            block = next(records)
            count += block.count(b"\n")
            file.write(block)
        if not crashed:
            file.write(rec.footer(corpus.at - 2 * DAY, count))
    changed = int((corpus.at - 2 * DAY) * 1e9) + 123_456_789
    os.utime(path, ns=(changed, changed))
    path.chmod(0o600)
    return path
