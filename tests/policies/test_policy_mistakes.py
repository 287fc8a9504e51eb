import pickle

import pytest
from policy_world import check, load

from policies import Mistake, PolicyInvalid

TEN = """\
version: 2
timezone: Europe/Berln
stores:
  recordings: {kind: rek}
  team: {kind: rec, path: srv/sessions}
protect:
  - {tag: keep}
passes:
  - delete-empty: {idle_for: 5m}
  - prune:
      older-than: 30d
      keep_last: 5
      where: {state: crashd}
      max_total: 20G
  - purge: {older_than: 1y}
"""

TEN_MISTAKES = """\
night.yaml:1:10: there is no version `2` of the policy language
    version: 2
             ^
  write `version: 1`
night.yaml:2:11: there is no time zone `Europe/Berln`
    timezone: Europe/Berln
              ^
  did you mean `Europe/Berlin`?
night.yaml:4:22: there is no kind of store `rek`
    recordings: {kind: rek}
                       ^
  did you mean `rec`?
night.yaml:5:27: the path `srv/sessions` is relative
    team: {kind: rec, path: srv/sessions}
                            ^
  start it with `/` or `~/`
night.yaml:7:6: a selection has no key `tag`
    - {tag: keep}
       ^
  did you mean `tags`?
night.yaml:9:30: `m` in `5m` is minutes to some tools and months to others
    - delete-empty: {idle_for: 5m}
                               ^
  write `5min` for minutes or `5mo` for months
night.yaml:11:7: `prune` has no option `older-than`
    older-than: 30d
    ^
  did you mean `older_than`?
night.yaml:12:7: `prune` has no option `keep_last`
    keep_last: 5
    ^
  write `keep: {last: 5}`
night.yaml:13:22: `crashd` is none of the words that can stand here
    where: {state: crashd}
                   ^
  did you mean `crashed`?
night.yaml:14:18: `G` in `20G` is 1,073,741,824 bytes to some tools and 1,000,000,000 to others
    max_total: 20G
               ^
  write `20GiB` or `20GB`
night.yaml:15:5: there is no pass `purge`
    - purge: {older_than: 1y}
      ^
  did you mean `prune`?"""


def test_all_mistakes_are_told_at_once_in_order_with_what_to_write() -> None:
    with pytest.raises(PolicyInvalid) as refused:
        load(TEN, source="night.yaml")
    assert str(refused.value) == TEN_MISTAKES


ARCHIVE = """\
version: 1
passes:
  - archive: {older_than: 30d, level: 22, into: cold}
  - archive:
      older_than: 30d
      form: file
      into: /cold
archive: {dir: /srv/../cold, pack_size: 8GiB}
"""

ARCHIVE_MISTAKES = """\
night.yaml:3:39: `22` is no level of compression
    - archive: {older_than: 30d, level: 22, into: cold}
                                        ^
  write a number from 1, which is fast, to 19, which is small
night.yaml:3:49: the path `cold` is relative
    - archive: {older_than: 30d, level: 22, into: cold}
                                                  ^
  start it with `/` or `~/`
night.yaml:4:5: `into` stands beside `form: file`
    - archive:
      ^
  remove one of them
night.yaml:8:16: the path `/srv/../cold` goes through `.` or `..`
    archive: {dir: /srv/../cold, pack_size: 8GiB}
                   ^
  write it without
night.yaml:8:41: `8GiB` is no size for a pack
    archive: {dir: /srv/../cold, pack_size: 8GiB}
                                            ^
  write a size from `1MiB` to `4GiB`"""


def test_mistakes_about_the_archive_are_told_at_their_values() -> None:
    with pytest.raises(PolicyInvalid) as refused:
        load(ARCHIVE, source="night.yaml")
    assert str(refused.value) == ARCHIVE_MISTAKES


def test_an_invalid_policy_travels_between_processes() -> None:
    errors = check(TEN).errors
    assert pickle.loads(pickle.dumps(PolicyInvalid(errors))).errors == errors


@pytest.mark.parametrize(
    ("line", "column", "expected"),
    [
        ("a: b", 4, ["    a: b", "       ^"]),
        ("      a: b", 10, ["    a: b", "       ^"]),
        ("\ta:\tb", 5, ["    a:    b", "          ^"]),
        ("日本: b", 5, ["    日本: b", "          ^"]),
        ("e\u0301: b", 5, ["    e\u0301: b", "       ^"]),
        ("\x1b[2J: b", 7, ["    \\x1b[2J: b", "             ^"]),
        ("a\u202eb: c", 6, ["    a\\u202eb: c", "              ^"]),
        ("a", 9, ["    a", "     ^"]),
    ],
)
def test_caret_stands_under_the_column(line: str, column: int, expected: list[str]) -> None:
    assert str(Mistake("f", 1, column, "m", line)).split("\n")[1:] == expected


def test_a_long_line_is_shown_around_the_caret() -> None:
    line = "x" * 5_000 + "y" + "z" * 5_000
    _, window, caret = str(Mistake("f", 1, 5_001, "m", line)).split("\n")
    assert (window[caret.index("^")], len(window) < 120) == ("y", True)


def test_a_mistake_without_a_line_shows_none() -> None:
    assert str(Mistake("f", 1, 1, "m", "", "do this")) == "f:1:1: m\n  do this"


def test_the_name_of_a_file_cannot_talk_to_the_terminal() -> None:
    assert str(Mistake("\x1b[31mf", 1, 1, "m")) == "\\x1b[31mf:1:1: m"


def test_no_message_about_a_hostile_policy_holds_a_control_character() -> None:
    hostile = 'version: "\\e[31m\\u202e"\n"\\x07": {}\npasses: ["\\x9b"]\n'
    assert all(char.isprintable() or char == "\n" for each in check(hostile).errors for char in str(each))


def test_mistakes_sort_by_position() -> None:
    mistakes = [Mistake("f", 10, 1, "b"), Mistake("f", 2, 9, "a"), Mistake("f", 2, 1, "c")]
    assert [each.message for each in sorted(mistakes)] == ["c", "a", "b"]
