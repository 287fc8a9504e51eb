"""How the words of a command line are read."""

from collections.abc import Sequence
from typing import Any

import pytest
from maint_world import World

from maint.cli.arguments import Command, Group, argument, command, number

SESSIONS = (
    argument("session", metavar="SESSION", nargs="*"),
    argument("--to", dest="folder"),
    argument("--store", dest="stores", action="append", default=[]),
    argument("--json", action="store_true"),
    argument("--jobs", type=number(1, 8)),
)
NOTHING: dict[str, Any] = {"session": [], "folder": None, "stores": [], "json": False, "jobs": None}


def read(*words: str, takes: Sequence[Any] = SESSIONS) -> dict[str, Any]:
    """What a verb gets for these words."""
    got: dict[str, Any] = {}
    Command(lambda **given: got.update(given), takes).call("maint verb", words)
    return got


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), {}),
        (("a", "b"), {"session": ["a", "b"]}),
        (("a", "--to", "d", "b"), {"session": ["a", "b"], "folder": "d"}),
        (("--to=d", "a", "--json", "b", "--jobs", "2"), {"session": ["a", "b"], "folder": "d", "json": True, "jobs": 2}),
        (("a", "--store", "x", "--store", "y"), {"session": ["a"], "stores": ["x", "y"]}),
        (("--to", "d", "--to", "e"), {"folder": "e"}),
        (("--", "-a"), {"session": ["-a"]}),
        (("--to", "d", "--json", "--", "--json", "b"), {"session": ["--json", "b"], "folder": "d", "json": True}),
        (("a", "--", "-b"), {"session": ["a", "-b"]}),
        (("a", "--json", "--", "-b", "--", "c"), {"session": ["a", "-b", "--", "c"], "json": True}),
        (("a", "--to", "d", "--"), {"session": ["a"], "folder": "d"}),
        (("-1", "a b", ""), {"session": ["-1", "a b", ""]}),
    ],
)  # fmt: skip
def test_options_and_names_come_in_any_order(words: tuple[str, ...], expected: dict[str, Any]) -> None:
    assert read(*words) == NOTHING | expected


def test_what_one_call_got_is_not_there_in_the_next() -> None:
    assert read("--store", "x")["stores"] == ["x"]
    assert read()["stores"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sto", "x"), "unrecognized arguments: --sto"),
        (("--to",), "argument --to: expected one argument"),
        (("--jobs", "9"), "argument --jobs: '9' is no whole number from 1 to 8"),
        (("--jobs", "²"), "argument --jobs: '²' is no whole number from 1 to 8"),
        (("--jobs", "-1"), "argument --jobs: '-1' is no whole number from 1 to 8"),
        (("--none", "a"), "unrecognized arguments: --none"),
        (("--jobs", "9" * 5000), f"argument --jobs: {'9' * 40!r} is no whole number from 1 to 8"),
    ],
)
def test_what_is_not_understood_is_said_in_a_line_with_where_to_look(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        read(*words)
    assert (caught.value.code, capsys.readouterr()) == (2, ("", f"maint: {said}; see `maint verb --help`\n"))


@pytest.mark.parametrize("words", [(), ("a", "b"), ("--", "a", "b"), ("a", "--json", "--", "-b")])
def test_as_many_names_as_a_verb_takes(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    takes = (argument("run", metavar="RUN"), argument("--json", action="store_true"))
    with pytest.raises(SystemExit) as caught:
        read(*words, takes=takes)
    assert (caught.value.code, "\0" in capsys.readouterr().err) == (2, False)
    assert read("--json", "--", "-a", takes=takes) == {"run": "-a", "json": True}


def test_only_the_verb_that_is_called_is_looked_up() -> None:
    called: list[str] = []

    @command(argument("name"))
    def one(name: str) -> None:
        called.append(name)

    def find(name: str) -> Command:
        called.append(name)
        return one

    Group("Two of them.", {"one": "First.", "two": "Second."}, find).call("maint", ["one", "two"])
    assert called == ["one", "two"]


def test_help_keeps_paragraphs_apart(capsys: pytest.CaptureFixture[str]) -> None:
    @command()
    def verb() -> None:
        """What it does.

        And what besides,
        in a second paragraph.
        """

    with pytest.raises(SystemExit) as caught:
        verb.call("maint verb", ["--help"])
    assert caught.value.code == 0
    assert "\n\nWhat it does.\n\nAnd what besides, in a second paragraph.\n\n" in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["0", "1", "2", "-5", "30", "99999"])
def test_help_is_told_however_wide_a_terminal_is(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as caught:
        Command(test_help_is_told_however_wide_a_terminal_is, SESSIONS).call("maint verb", ["--help"])
    assert (caught.value.code, "usage: maint verb" in capsys.readouterr().out) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("swep",), "maint: there is no verb 'swep'; see `maint --help`\n"),
        (("policy", "chek"), "maint: there is no verb 'chek'; see `maint policy --help`\n"),
        (("--sweep",), "maint: unrecognized arguments: --sweep; see `maint --help`\n"),
        (("--", "sweep"), "maint: unrecognized arguments: --; see `maint --help`\n"),
    ],
)
def test_a_verb_that_there_is_not_is_named(world: World, words: tuple[str, ...], said: str) -> None:
    answer = world.maint(*words)
    assert (answer.code, answer.out, answer.err) == (2, "", said)


@pytest.mark.parametrize("words", [(), ("policy",)])
def test_without_a_verb_there_is_help_where_talk_belongs(world: World, words: tuple[str, ...]) -> None:
    answer = world.maint(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("usage: maint ")
