"""The fuzzers can fail: what is planted is found."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzzing
import our_parsers
import pack_parsers
import policy_parsers
import pytest
from damaging import Store
from fuzzing import Parser, fuzz
from mutating import Inputs

from maint import finding, interface, journal
from store import frames, manifest
from store.layouts.outrig import whereabouts

MANY, LONG_ENOUGH = 400, 60.0


@pytest.fixture(autouse=True)
def _the_first_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "MOST_FOUND", 1)
    monkeypatch.setattr(fuzzing, "SHRINKING", 1.0)


def found(parser: Parser, folder: Path) -> str:
    tried = fuzz(parser, folder, 1, MANY, LONG_ENOUGH)
    return "; ".join(wrong.why for wrong in tried.wrong)


# What a parser may do wrong.


def test_same_number_is_the_same_input() -> None:
    one, other = Inputs([b'{"a":1}', b"x\ny\n"], 7), Inputs([b'{"a":1}', b"x\ny\n"], 7)
    assert [one[number] for number in range(200)] == [other[number] for number in range(200)]
    assert len({one[number] for number in range(200)}) > 100


def test_exception_is_found_and_its_input_made_small(tmp_path: Path) -> None:
    def parse(data: bytes) -> object:
        if b"\0" in data:
            raise KeyError("zero")
        return None

    tried = fuzz(Parser([b'{"a": [1, 2, 3]}' * 9], parse), tmp_path, 1, MANY, LONG_ENOUGH)
    assert [(wrong.why, wrong.data) for wrong in tried.wrong] == [("KeyError: 'zero'", b"\0")]


def test_input_without_an_answer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "LONGEST", 1)

    def parse(data: bytes) -> object:
        while data == b"seed":
            time.sleep(60)
        return None

    assert "no answer within" in found(Parser([b"first", b"seed"], parse), tmp_path)


@pytest.mark.parametrize(
    ("parse", "why"),
    [
        (lambda _: len(bytearray(2 * fuzzing.MEMORY)), "MemoryError"),
        (lambda _: time.monotonic_ns(), "another answer"),
        (lambda _: open("/dev/null", "w").close(), "opened for writing: /dev/null"),
        (lambda _: os._exit(3), "ended with 3"),
    ],
    ids=["memory", "answer", "writing", "end"],
)
def test_what_no_parser_may_do_is_found(parse: Callable[[bytes], object], why: str, tmp_path: Path) -> None:
    assert why in found(Parser([b"seed"], parse), tmp_path)


# Bugs of parsers.


def test_parser_of_journals_that_forgets_an_error_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = our_parsers.parsers(tmp_path)["journal"]
    monkeypatch.setattr(journal, "_NO_LINE", journal._NO_LINE[:-1])
    assert "RecursionError" in found(parser, tmp_path)


def test_manifest_whose_places_nobody_looks_at_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = pack_parsers.parsers(tmp_path)["pack with forged manifest"]
    monkeypatch.setattr(manifest, "checked_entry", manifest.decode_entry)
    assert found(parser, tmp_path)


def test_frame_that_is_decoded_unseen_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = pack_parsers.parsers(tmp_path)["frame"]

    def hasty(frame: bytes, size: int) -> bytes:
        data: bytes = frames._zstd().ZstdDecompressor().decompress(frame, max_output_size=size)
        return data

    monkeypatch.setattr(frames, "decompress", hasty)
    assert "ZstdError" in found(parser, tmp_path)


def test_configuration_of_very_many_digits_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = policy_parsers.parsers(tmp_path)["outrig's configuration"]

    def plain(config: str, home: str) -> str | None:
        import tomllib  # noqa: PLC0415

        try:
            return str(tomllib.loads(whereabouts._read(config) or ""))
        except tomllib.TOMLDecodeError:
            return None

    monkeypatch.setattr(whereabouts, "_configured", plain)
    assert "ValueError" in found(parser, tmp_path)


# Bugs of verbs.


@pytest.fixture
def store(tmp_path: Path) -> Store:
    if any(shutil.which(each) is None for each in ("zstd", "tar")):
        pytest.skip("there is no zstd or tar to look into packs with")
    return Store(our_parsers.a_store(tmp_path / "store"))


def test_verb_that_does_nothing_wrong_is_not_reported(store: Store) -> None:
    assert store.wrong(["sweep"]) is None


def test_verb_that_unlinks_blindly_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = next(store.world.sessions.glob("*.ndjson"))
    _before(monkeypatch, victim.unlink)
    assert store.wrong(["sweep"]) == f"lost: sessions/{victim.name}: 2 of its records are nowhere"


def test_verb_that_empties_the_trash_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _before(monkeypatch, lambda: shutil.rmtree(store.world.ours / "trash"))
    assert "lost: " in str(store.wrong(["sweep"]))


def test_verb_that_writes_outside_of_the_store_is_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _before(monkeypatch, lambda: (store.outside / "mine").write_bytes(b""))
    assert "outside" in str(store.wrong(["sweep"]))


def test_verb_that_ends_with_a_defect_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("x")

    monkeypatch.setattr(finding, "log", broken)
    assert "it ended with 70" in str(store.wrong(["log"]))


def _before(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something done before each sweep."""
    real = interface.sweep

    def careless(*given: Any, **named: Any) -> Any:
        act()
        return real(*given, **named)

    monkeypatch.setattr(interface, "sweep", careless)
