"""How verbs are called: what each takes stands beside the function that does it, and argparse reads the words.

Options and names come in any order, `--` ends the options, and every option has one spelling: what is the beginning
of one today may be that of two tomorrow, and people script against this.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from maint.cli.ending import fail

Argument: TypeAlias = tuple[tuple[str, ...], Mapping[str, Any]]
"""What ``add_argument`` of argparse is to be called with."""

_WIDTH, _LEAST = 78, 20  # columns, as long as no help is asked for, and then
_BEHIND = "\0"  # marks what stands behind a `--`; no argument can have it


class Mistaken(argparse.ArgumentTypeError):
    """A value is none of its type; the text says what was found, and what to write instead."""


def argument(*names: str, **settings: Any) -> Argument:
    """A name or an option that a verb takes, with the settings of argparse."""
    return names, settings


def number(least: int, most: int) -> Callable[[str], int]:
    """The type of an option that is a whole number from one to another."""

    def parse(text: str) -> int:
        if len(text) <= len(str(most)) and text.isdecimal() and least <= int(text) <= most:
            return int(text)
        raise Mistaken(f"{text[:40]!r} is no whole number from {least} to {most}")

    return parse


class Command:
    """A verb: the function that does it gets every argument by name, and its docstring is the help."""

    def __init__(self, verb: Callable[..., None], takes: Sequence[Argument]) -> None:
        self._verb = verb
        self._takes = takes

    def call(self, name: str, words: Sequence[str]) -> None:
        """Do it as the words say; ``name`` is how it was called. SystemExit where they cannot be understood."""
        parser = _Parser(name, self._verb.__doc__ or "")
        for names, settings in self._takes:
            parser.add_argument(*names, **settings)
        given = vars(parser.parse_intermixed_args(_marked(words)))
        self._verb(**{name: _unmarked(value) for name, value in given.items()})


class Group:
    """Verbs by name, each with its line of help; one is looked up when it is called, lest all be imported."""

    def __init__(
        self,
        about: str,
        verbs: Mapping[str, str],
        find: Callable[[str], "Command | Group"],
        version: str = "",
    ) -> None:
        self._about = about
        self._verbs = verbs
        self._find = find
        self._version = version

    def call(self, name: str, words: Sequence[str]) -> None:
        """Do what the first word names, with the others; SystemExit where there is no such verb, or for help."""
        if words and words[0] in self._verbs:
            self._find(words[0]).call(f"{name} {words[0]}", words[1:])
            return
        parser = _Parser(name, self._about, usage=f"{name} VERB ...", epilog=self._listed())
        if self._version:
            parser.add_argument("--version", action="version", version=f"{name}, version {self._version}")
        if not words:
            parser.print_help(sys.stderr)
            sys.exit(2)
        parser.parse_args([each for each in words[:1] if each.startswith("-")])
        parser.error(f"there is no verb {words[0]!r}")

    def _listed(self) -> str:
        wide = max(map(len, self._verbs))
        return "\n".join(["verbs:", *(f"  {name:{wide}}  {text}" for name, text in self._verbs.items())])


def _marked(words: Sequence[str]) -> list[str]:
    """The words without the first `--`, and what stands behind it as names: in no order does argparse know these."""
    if "--" not in words:
        return list(words)
    end = words.index("--")
    return [*words[:end], *(_BEHIND + each for each in words[end + 1 :])]


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(each) for each in value]
    return value.removeprefix(_BEHIND) if isinstance(value, str) else value


def command(*takes: Argument) -> Callable[[Callable[..., None]], Command]:
    """Make a verb of a function."""
    return lambda verb: Command(verb, takes)


def _in_columns(width: int) -> "argparse._FormatterClass":
    """What lays out help; argparse makes one for each argument, and to ask how wide a terminal is takes an import."""
    return functools.partial(argparse.RawDescriptionHelpFormatter, width=width)


class _Parser(argparse.ArgumentParser):
    """Mistakes are told as everything else is, and paragraphs of help stay paragraphs."""

    def __init__(self, name: str, about: str, **settings: Any) -> None:
        super().__init__(name, allow_abbrev=False, formatter_class=_in_columns(_WIDTH), **settings)
        self._about = about

    def format_help(self) -> str:
        import shutil  # noqa: PLC0415  only for help
        import textwrap  # noqa: PLC0415

        width = max(_LEAST, min(shutil.get_terminal_size().columns, 120) - 2)
        self.formatter_class = _in_columns(width)
        paragraphs = (" ".join(each.split()) for each in self._about.split("\n\n"))
        self.description = "\n\n".join(textwrap.fill(each, width) for each in paragraphs)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        fail(2, f"{message.replace(_BEHIND, '')}; see `{self.prog} --help`")
