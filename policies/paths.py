"""Paths as a policy writes them: absolute, or below the home of whoever runs the program.

They stay as they are written: expanding ``~/`` takes a home, and nothing here has one.
"""

from typing import Final

from policies.mistakes import Misread, shown

_LONGEST: Final = 4096

PATTERN: Final = "^(/|~/)"
PATTERN_OR_DEFAULT: Final = "^(default$|/|~/)"


def store_path(text: str) -> str:
    """The text, if a store may lie there; raises `Misread`, a ValueError, for any other."""
    if _is_root(_path(text)):
        raise Misread("the root of everything is no store", "write the folder of the sessions")
    return text


def folder(text: str) -> str:
    """The text, if packs may lie there; raises `Misread`, a ValueError, for any other."""
    if _is_root(_path(text)):
        raise Misread("the root of everything is no archive", "write a folder for the packs")
    return text


def folder_or_default(text: str) -> str | None:
    """The same, or None for the word ``default``."""
    return None if text == "default" else folder(text)


def _path(text: str) -> str:
    if text.startswith("$"):
        raise Misread(f"variables are not expanded in {shown(text)}", "write the path, or start it with `~/`")
    if text.startswith("~") and not text.startswith("~/"):
        raise Misread(f"{shown(text)} is no path", "only `~/` is expanded: write the path from `/`")
    if not text.startswith(("/", "~/")):
        raise Misread(f"the path {shown(text)} is relative", "start it with `/` or `~/`")
    if len(text) > _LONGEST:
        raise Misread(f"a path of {len(text):,} characters", f"write at most {_LONGEST:,}")
    if {".", ".."} & set(text.split("/")):
        raise Misread(f"the path {shown(text)} goes through `.` or `..`", "write it without")
    return text


def _is_root(text: str) -> bool:
    return not text.strip("/")
