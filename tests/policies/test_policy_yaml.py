import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_world import check, complaint, complaints, load, with_passes

from policies import Duration
from policies.reading import MAX_BYTES, read_tree


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "the policy is empty -> start it with `version: 1`"),
        (b"# nothing\n\n", "the policy is empty -> start it with `version: 1`"),
        (b"\xff\xfev\x00", "the policy is UTF-16 -> save it as UTF-8"),
        (
            b"\xef\xbb\xbfversion: 1",
            "the policy starts with a byte order mark -> save it as UTF-8 without one",
        ),
        (b"version: \xe9", "byte 0xe9 is no UTF-8 -> save the policy as UTF-8"),
        (b"version: 1\x00", "the control character U+0000 stands here -> remove it"),
        (b"version: 1 # \x1b[31m", "the control character U+001B stands here -> remove it"),
        ("version: 1\u2028", "the control character U+2028 stands here -> remove it"),
        (b"version: 1\rpasses: []", "the control character U+000D stands here -> remove it"),
        ("version: \ud800", "byte 0xed is no UTF-8 -> save the policy as UTF-8"),
        (
            b" " * (MAX_BYTES + 1),
            "the policy has 262,145 bytes -> a policy has at most 262,144: is this one?",
        ),
        (b"[" * 100_000, "this is nested more than 32 deep -> no policy needs that"),
        (b"- " * 100_000, "this is nested more than 32 deep -> no policy needs that"),
        (b"{a: " * 60_000, "this is nested more than 32 deep -> no policy needs that"),
        (b"[" + b"a," * 30_000 + b"]", "more than 20,000 entries -> no policy needs that"),
        (b"no policy", "`no policy` stands where a mapping belongs -> start the policy with `version: 1`"),
        (b"- a", "a list stands where a mapping belongs -> start the policy with `version: 1`"),
    ],
)
def test_what_cannot_be_a_policy_is_refused_before_it_is_understood(text: bytes | str, expected: str) -> None:
    assert complaint(text) == expected


SOUND = "version: 1\npasses:\n  - litter: {older_than: 2d}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{SOUND}---\nversion: 1\n",
            "a second document starts here -> a policy is one document: remove the `---`",
        ),
        (f"%YAML 1.1\n---\n{SOUND}", "a directive stands here -> remove the line that starts with `%`"),
        (
            f"{SOUND}version: 1\n",
            "`version` stands here twice -> the first one is in line 1: keep one of them",
        ),
        (
            with_passes("  - litter: {older_than: 2d, older_than: 9d}"),
            "`older_than` stands here twice -> the first one is in line 3: keep one of them",
        ),
        (with_passes("  - litter: &x {older_than: 2d}"), "the anchor `&x` stands here -> write the text out"),
        (
            with_passes("  - litter: {older_than: !!str 2d}"),
            "the tag `tag:yaml.org,2002:str` stands here -> quote text that starts with `!`",
        ),
        (
            with_passes("  - litter: {<<: {older_than: 2d}}"),
            "a merge key stands here -> write the options out",
        ),
        (
            with_passes("  - litter: {older_than: 2d, where: {name: *rel}}"),
            "an alias stands here -> quote text that starts with `*`; repeat what is meant",
        ),
        (
            with_passes('  - litter: {older_than: 2d, where: {name: "a\\u200bb"}}'),
            "this text contains zero width space (U+200B) -> in a glob, `?` stands for any character",
        ),
        (
            with_passes('  - litter: {older_than: 2d, where: {name: "a\\eb"}}'),
            "this text contains a control character (U+001B) -> in a glob, `?` stands for any character",
        ),
        (
            with_passes("  - litter:\n      older_than: |\n        2d\n"),
            "this text has a line break -> write it on one line",
        ),
        (f"{SOUND}? [a]\n: b\n", "a key must be a word -> write `key: value`"),
    ],
)
def test_what_yaml_allows_and_readers_misread_is_refused(text: str, expected: str) -> None:
    assert complaint(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\npasses:\n\t- litter: {older_than: 2d}", "3:1 indent with spaces: YAML takes no tabs"),
        ("a: b: c", "1:5 is the line indented as the one above, and is text with `: ` quoted?"),
        ("a: {b: *}", "1:9 quote text that starts with `*` or `&`"),
        ("a: %20", "1:4 quote text that starts with `%`; a share is written `20%`"),
        ("a: {b: c\nd: e", "2:2 is a comma or a bracket missing?"),
        ('a: "b', "1:6 is a quotation mark or a bracket left open?"),
        ('a: "\\UFFFFFFFF"', "1:7 is there a number or an escape too large?"),
        ("%YAML 1." + "9" * 5000, "1:9 is there a number or an escape too large?"),
    ],
)
def test_broken_yaml_is_pointed_at(text: str, expected: str) -> None:
    (found,) = check(text).errors
    assert f"{found.line}:{found.column} {found.hint}" == expected


def test_what_stands_before_broken_yaml_is_not_judged() -> None:
    assert [each.partition(" -> ")[0] for each in complaints("version:1\npasses: []")] == [
        "2:7 this is no YAML: mapping values are not allowed here"
    ]


def test_one_broken_value_causes_no_second_mistake() -> None:
    text = with_passes("  - litter: {older_than: *age}\n  - prune: {<<: *rules}")
    assert [each.partition(" -> ")[0] for each in complaints(text)] == [
        "3:26 an alias stands here",
        "4:13 a merge key stands here",
        "4:17 an alias stands here",
    ]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("no", "no"),
        ("017", "017"),
        ("1:30", "1:30"),
        ("1e3", "1e3"),
        ("2024-01-01", "2024-01-01"),
        ("0x1F", "0x1F"),
    ],
)
def test_a_scalar_is_the_text_that_was_written(tag: str, expected: str) -> None:
    policy = load(f"version: 1\nprotect:\n  - tags: {tag}\npasses: []\n")
    assert policy.protect[0].text.strip("{}").replace('"', "") == f"tags: {expected}"


def test_windows_line_ends_are_line_ends() -> None:
    policy = load(SOUND.replace("\n", "\r\n"))
    assert getattr(policy.passes[0], "older_than", None) == Duration.parse("2d")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_exception(text: bytes) -> None:
    reading = read_tree(text, "f")
    assert reading.root is not None or reading.errors


@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`#?,~ \n\t<0\\U", max_size=60))
def test_any_yaml_like_text_is_checked_without_an_exception(text: str) -> None:
    assert check(text).errors


WORDS = "version 1 passes litter prune older_than 2d where stores a kind rec keep last limits max_removed any all not"
pieces = st.sampled_from([*WORDS.split(), "- ", ": ", "\n", "  ", "{", "}", "[", "]", ", "])


@given(st.lists(pieces, max_size=40).map("".join))
def test_any_jumble_of_policy_words_is_checked_without_an_exception(text: str) -> None:
    checked = check(text)
    assert (checked.policy is None) == bool(checked.errors)


@given(st.integers(0, 400), pieces | st.characters(exclude_categories=["Cs"]))
def test_any_slip_in_a_sound_policy_is_checked_without_an_exception(where: int, slip: str) -> None:
    sound = (
        "version: 1\nstores:\n  a: {kind: rec, path: /a}\nprotect:\n  - {tags: [keep]}\npasses:\n"
        "  - prune:\n      older_than: 1y\n      keep: {last: 3, within: 2d}\n      where: {not: {state: crashed}}\n"
        "limits: {min_idle: 2h, max_removed: {fraction: 20%, at_least: 5}}\ntrash: {keep_for: 3d}\n"
    )
    checked = check(sound[:where] + slip + sound[where:])
    assert (checked.policy is None) == bool(checked.errors)
