"""Inputs for parsers: seeds that are sound, and what mutations make of them; a number gives the same input for ever."""

import random
import re
from collections.abc import Callable, Sequence

Bytes = Callable[[random.Random, bytes], bytes]

_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.){0,200}"|-?\d+(?:\.\d+)?|true|false|null')
_KEY = re.compile(rb'"(?:[^"\\\n]|\\.){1,40}":')
_VALUES = (
    *(
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b"0",
        b"-0",
        b"-1",
        b"0.5",
        b"NaN",
        b"Infinity",
        b"1e999",
        b"-1e308",
    ),
    *(b"%d" % number for number in (2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30)),
    *(
        b"9" * 5000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 2000 + b"]" * 2000,
        b"[" * 900 + b"]" * 900,
        b'"' + b"x" * 100_000 + b'"',
    ),
    *(rb'"\ud800"', rb'"\u0000"', rb'"\u2028"', rb'"\udfff\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\0"'),
    *(
        b'"../../../../etc/passwd"',
        b'"/etc/passwd"',
        b'"."',
        b'""',
        b'".maint/lock"',
        b'"a/../../b"',
        b'"\x1b[2J"',
    ),
)
_PIECES = (
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        "\u2028".encode(),
        b"\x85",
        b"\r",
        b"\r\n",
        b"\n",
        b"\n\n",
        b"\t",
        b" ",
    ),
    *(b"\0" * 4096, b"[" * 100_000, b"{" * 5000, b"- " * 2000, b"9" * 5000, b"x" * 100_000, b"\n" * 5000),
    *(
        b"&a ",
        b"*a",
        b"<<: *a",
        b"!!python/object:os.system ",
        b"!!int ",
        b"? ",
        b"---\n",
        b"...\n",
        b"%YAML 9.9\n",
    ),
    *(
        b"&a [*a, *a]",
        b"| \n",
        b">-\n",
        b"'",
        b'"',
        b"#",
        b": ",
        b"{",
        b"}",
        b",",
        b"\\",
        b"%",
        b"{label}",
        b"~",
    ),
)


NESTED, DIGITS = b'{"x":' + b"[" * 8000, b"x = " + b"9" * 5000
"""What once found something, and is among the seeds from then on: where it may stand alone."""


class Inputs:
    """What is made of some seeds, by number; the first ones are the seeds as they are."""

    def __init__(self, seeds: Sequence[bytes], seed: int) -> None:
        self._seeds = list(dict.fromkeys(seeds))
        self._seed = seed

    def __getitem__(self, number: int) -> bytes:
        if number < len(self._seeds):
            return self._seeds[number]
        rng = random.Random(f"{self._seed}:{number}")
        data = rng.choice(self._seeds)
        for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
            mutation = rng.choice(_MUTATIONS)
            data = splice(rng, data, rng.choice(self._seeds)) if mutation is None else mutation(rng, data)
        return data


def flip(rng: random.Random, data: bytes) -> bytes:
    """One bit."""
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def overwrite(rng: random.Random, data: bytes) -> bytes:
    """A number of some width, as a format that counts may have it."""
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice(
        (0, 1, 0x7F, 0xFF, 1 << 8 * width - 1, (1 << 8 * width) - 1, rng.getrandbits(8 * width))
    )
    number = (value & (1 << 8 * width) - 1).to_bytes(width, rng.choice(("little", "big")))
    at = rng.randrange(len(data) + 1)
    return data[:at] + number + data[at + width :]


def truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def cut_out(rng: random.Random, data: bytes) -> bytes:
    low, high = _range(rng, len(data))
    return data[:low] + data[high:]


def repeat(rng: random.Random, data: bytes) -> bytes:
    low, high = _range(rng, len(data))
    return data[:high] + data[low:high] * rng.choice((1, 2, 50)) + data[high:]


def splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """The head of one and the tail of another."""
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_PIECES) + data[at:]


def rearrange(rng: random.Random, data: bytes) -> bytes:
    """A line that is lost, doubled, or in the place of another."""
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case _:
            lines[one] += lines[other]
    return b"\n".join(lines)


def revalue(rng: random.Random, data: bytes) -> bytes:
    """Another value in the place of one, as JSON has values."""
    found = list(_TOKEN.finditer(data[:1_000_000]))
    if not found:
        return insert(rng, data)
    at = rng.choice(found)
    value = rng.choice(_VALUES) if rng.random() < 0.7 else rng.choice(found)[0]
    return data[: at.start()] + value + data[at.end() :]


def rekey(rng: random.Random, data: bytes) -> bytes:
    """A key that stands there twice, or in the place of another."""
    found = list(_KEY.finditer(data[:1_000_000]))
    if not found:
        return insert(rng, data)
    at, other = rng.choice(found), rng.choice(found)
    if rng.random() < 0.5:
        return data[: at.start()] + other[0] + data[at.end() :]
    return data[: at.start()] + other[0] + rng.choice(_VALUES[:20]) + b"," + data[at.start() :]


def _range(rng: random.Random, size: int) -> tuple[int, int]:
    low = rng.randrange(size + 1)
    return low, min(size, low + rng.choice((1, 2, 8, 64, 512, size or 1)))


_MUTATIONS: tuple[Bytes | None, ...] = (
    *(flip, overwrite, truncate, cut_out, repeat, insert, rearrange, None),
    *(revalue, revalue, revalue, rekey),
)
