import string
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import names

RUN = names.new_run_id(1770628443.9, b"\x01\xab\xff")
hostile = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(
    ["", ".", "..", "/", "a/../b", "a//b", "/a", "a/", "a\0b", ".maint", "x" * 300, "\udcff\n"]
)


def test_run_id_is_its_time_to_the_millisecond_and_three_random_digits() -> None:
    assert RUN == "20260209T091403-384bff"
    assert names.run_time(RUN) == 1770628443.0


def test_runs_of_one_second_sort_as_they_began() -> None:
    ids = [names.new_run_id(1770628443 + moment / 1000, b"\xff\xff\xff") for moment in (0, 1, 99, 100, 999)]
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20260209T091403",
        "20260209T091403-01abf",
        "20260209T091403-01ABFF",
        "20261309T091403-01abff",
        "20260209T251403-01abff",
        "20260209T091403-01abff\n",
        "\u0662\u0660260209T091403-01abff",
        "20260209T091403-01abff.ndjson",
    ],
)
def test_what_is_no_run_id_is_not_taken_for_one(text: str) -> None:
    assert not names.is_run_id(text)
    with pytest.raises(ValueError, match="not a run id"):
        names.journal_path(text)


def test_every_path_is_read_back() -> None:
    assert names.parse_journal_path(names.journal_path(RUN)) == RUN
    assert names.parse_tmp_path(names.tmp_path(RUN, 12)) == (RUN, 12)
    assert names.parse_tmp_path(names.tmp_path(RUN, 12, 7)) == (RUN, 12)
    assert names.tmp_path(RUN, 12) == names.tmp_path(RUN, 12, 0) != names.tmp_path(RUN, 12, 1)
    kept = names.Kept(RUN, "state", "a/b.ndjson")
    assert names.parse_trash_path(names.trash_path(*kept)) == kept
    assert names.parse_backup_path(names.backup_path(*kept)) == kept
    assert names.parse_backup_path(names.trash_path(*kept)) is None


@pytest.mark.parametrize(
    "path",
    [
        f".maint/tmp/{RUN}",
        f".maint/tmp/{RUN}.",
        f".maint/tmp/{RUN}.01",
        f".maint/tmp/{RUN}.-1",
        f".maint/tmp/{RUN}.1x",
        f".maint/tmp/{RUN}.²",
        f".maint/tmp/{RUN}.{'9' * 5000}",
        f".maint/tmp/{RUN}.1.",
        f".maint/tmp/{RUN}.1.0",
        f".maint/tmp/{RUN}.1.01",
        f".maint/tmp/{RUN}.1.²",
        f".maint/tmp/{RUN}.1.2.3",
        f".maint/tmp/{RUN}..2",
        f".maint/tmp/{RUN}.1.{'9' * 5000}",
        f"tmp/{RUN}.1",
        f"{RUN}.1",
        f".maint/journal/{RUN}.ndjson.bak",
        f"x/.maint/journal/{RUN}.ndjson",
        f"{RUN}.ndjson",
        f".maint/journal/{RUN}",
        f".maint/trash/{RUN}",
        f".maint/trash/{RUN}/sessions",
        f".maint/trash/{RUN}/sessions/",
        f".maint/trash/{RUN}/sessions/../x",
        f".maint/trash/{RUN}//x",
        ".maint/trash/mine/sessions/x",
    ],
)
def test_what_we_would_not_have_written_is_not_ours(path: str) -> None:
    assert names.parse_tmp_path(path) is None
    assert names.parse_journal_path(path) is None
    assert names.parse_trash_path(path) is None
    assert names.parse_backup_path(path) is None


def test_names_of_packs_are_read_back_and_sort_as_they_were_made() -> None:
    made = [names.pack_name(RUN, number) for number in (0, 1, 9, 10, 9999)]
    assert made == sorted(made)
    for number in (0, 7, 9999, 10_000, 999_999):
        pack = names.pack_name(RUN, number)
        assert names.parse_pack_name(pack) == (RUN, number)
        assert names.parse_marks_name(names.marks_name(pack)) == (RUN, number)
        assert names.parse_unsealed_name(names.unsealed_name(pack)) == (RUN, number)
        for name in (pack, names.marks_name(pack), names.unsealed_name(pack)):
            parsers = (names.parse_pack_name, names.parse_marks_name, names.parse_unsealed_name)
            assert sum(parse(name) is not None for parse in parsers) == 1
    for number in (-1, 1_000_000):
        with pytest.raises(ValueError, match="packs are counted"):
            names.pack_name(RUN, number)
    with pytest.raises(ValueError, match="not a run id"):
        names.pack_name("x", 0)


@pytest.mark.parametrize(
    "name",
    [
        "",
        f"{RUN}.tar.zst",
        f"{RUN}-0.tar.zst",
        f"{RUN}-000.tar.zst",
        f"{RUN}-00000.tar.zst",
        f"{RUN}-00001.tar.zst",
        f"{RUN}-1000000.tar.zst",
        f"{RUN}-0000.tar.zst\n",
        f"{RUN}-0000.tar.zst.new",
        f"{RUN}-0000.tar",
        f"{RUN}-0000",
        f"{RUN}-000\u0660.tar.zst",
        f"x{RUN}-0000.tar.zst",
        f"./{RUN}-0000.tar.zst",
        "20261309T091403-384bff-0000.tar.zst",
    ],
)
def test_what_is_no_name_of_a_pack_is_not_taken_for_one(name: str) -> None:
    for parse in (names.parse_pack_name, names.parse_marks_name, names.parse_unsealed_name):
        assert parse(name) is None
        assert parse(name.replace(".tar.zst", ".marks")) is None
        assert parse(name.replace(".tar.zst", ".new")) is None
    for beside in (names.marks_name, names.unsealed_name):
        with pytest.raises(ValueError, match="not the name of a pack"):
            beside(name)


@settings(deadline=None, database=None)
@given(name=hostile, number=st.integers(0, 999_999))
def test_whatever_is_taken_for_a_pack_is_named_the_same_way(name: str, number: int) -> None:
    for text in (name, f"{RUN}-{name}.tar.zst", f"{RUN}-{number}.tar.zst"):
        found = names.parse_pack_name(text)
        assert found is None or names.pack_name(*found) == text


def test_labels_of_roots_that_hold_packs_are_few() -> None:
    assert names.is_archive_root(names.ARCHIVE_ROOT)
    assert names.is_archive_root("archive-0a1b2c")
    for label in (
        "",
        "archive-",
        "archive-0A1B2C",
        "archive-0a1b2",
        "archive-0a1b2c\n",
        "archive\n",
        "archives",
    ):
        assert not names.is_archive_root(label)


@settings(deadline=None, database=None)
@given(path=hostile, root=hostile)
def test_any_place_is_either_refused_or_read_back(path: str, root: str) -> None:
    try:
        trash = names.trash_path(RUN, root, path)
    except ValueError:
        return
    assert names.parse_trash_path(trash) == (RUN, root, path)


@settings(deadline=None, database=None)
@given(path=hostile)
def test_whatever_a_parser_takes_is_built_the_same_way(path: str) -> None:
    run = names.parse_journal_path(path)
    assert run is None or names.journal_path(run) == path
    tmp = names.parse_tmp_path(f".maint/tmp/{RUN}.{path}")
    _, _, part = path.partition(".")
    assert tmp is None or names.tmp_path(*tmp, int(part or 0)) == f".maint/tmp/{RUN}.{path}"


@settings(max_examples=500, deadline=None, database=None)
@given(text=st.text(st.characters(codec=None, exclude_categories=())))
def test_printable_is_one_line_that_hides_nothing(text: str) -> None:
    shown = names.printable(text)
    shown.encode()
    assert shown.isprintable()
    assert not any(
        unicodedata.bidirectional(char) in {"RLO", "LRO", "RLI", "LRI", "PDF", "PDI"} for char in shown
    )


@settings(max_examples=500, deadline=None, database=None)
@given(one=hostile, other=hostile)
def test_two_names_never_look_the_same(one: str, other: str) -> None:
    assert (names.printable(one) == names.printable(other)) == (one == other)


def test_printable_escapes_read_like_source() -> None:
    assert names.printable("a\nb\x1b[31m") == r"a\nb\x1b[31m"
    assert names.printable("\udcff") == r"\xff"
    assert names.printable("\xff\x85") == "\xff\\u0085"
    assert names.printable("a\u202eb\U000e0001") == r"a\u202eb\U000e0001"
    assert names.printable("\\") == r"\\"
    assert names.printable(string.ascii_letters + " äß漢") == string.ascii_letters + " äß漢"


def test_text_with_names_that_are_printable_already_is_one_line_and_no_more_escaped() -> None:
    assert names.one_line("a\\x1b is gone") == "a\\x1b is gone"
    assert names.one_line("a\nmaint: \x1b[31m\u202e\udcff\\") == "a\\nmaint: \\x1b[31m\\u202e\\xff\\"
