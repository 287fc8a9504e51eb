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
    assert tmp is None or names.tmp_path(*tmp) == f".maint/tmp/{RUN}.{path}"


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
