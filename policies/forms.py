"""The plain values of the language: how each is read from its text, and what an editor may be told of it.

One row a type; the type of an option finds its row.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from policies import durations, names, paths, sizes, tree
from policies.durations import Duration
from policies.mistakes import Misread, shown
from policies.names import NameTemplate
from policies.scope import Scope
from policies.sizes import Size
from policies.words import FileSystem, Folder, FolderOrDefault, Glob, Kind, Level, PackSize, Place

_MOST: Final = 10**12
_HIGHEST_LEVEL: Final = 19
_SMALLEST_PACK: Final = Size.parse("1MiB")
_LARGEST_PACK: Final = Size.parse("4GiB")
_FILE_SYSTEM: Final = r"[a-z0-9][a-z0-9._-]{0,63}"
_ENDLESS: Final = frozenset({"unlimited", "all", "none", "infinite", "inf"})


@dataclass(frozen=True)
class Form:
    """How a type is written: what to call it, how its text becomes a value, and its JSON schema."""

    called: str
    read: Callable[[Scope, tree.Scalar, str], Any]
    schema: dict[str, Any]


def _parsed(parse: Callable[[str], Any]) -> Callable[[Scope, tree.Scalar, str], Any]:
    def read(scope: Scope, node: tree.Scalar, text: str) -> Any:
        with scope.blaming(node):
            return parse(text)

    return read


def _count(text: str) -> int:
    """A whole number of at least 1, written in plain digits."""
    if re.fullmatch(r"[1-9][0-9]{0,17}", text):
        count = int(text)
        if count > _MOST:
            raise Misread(f"{shown(text)} is more than a store can hold", "write a smaller count")
        return count
    known = "a count is a whole number in plain digits, such as `10`"
    if re.fullmatch(r"0+", text):
        raise Misread(
            "a count of zero", "zero is neither nothing nor unlimited: write a count, or remove the key"
        )
    if text.lower() in _ENDLESS:
        raise Misread(f"{shown(text)} is no count", "to set no bound, remove the key")
    digits = re.sub(r"[_,' ]", "", text)
    if re.fullmatch(r"[0-9]{1,18}", digits):
        raise Misread(f"{shown(text)} is no plain number", f"write `{digits.lstrip('0') or '1'}`")
    number = re.match(r"[1-9][0-9]{0,17}(?=[ a-zA-Z%])", text)
    if number is not None:
        raise Misread(f"{shown(text)} is no count", f"a count has no unit: write `{number[0]}`")
    raise Misread(f"{shown(text)} is no count", known)


def _level(text: str) -> int:
    """A level of compression, from 1 to 19; beyond that, zstd wants a lot of memory to read back, too."""
    if re.fullmatch(r"[1-9][0-9]?", text) and int(text) <= _HIGHEST_LEVEL:
        return int(text)
    raise Misread(
        f"{shown(text)} is no level of compression",
        f"write a number from 1, which is fast, to {_HIGHEST_LEVEL}, which is small",
    )


def _file_system(text: str) -> str:
    if re.fullmatch(_FILE_SYSTEM, text):
        return text
    raise Misread(f"{shown(text)} is no file system", "write what `findmnt` calls it, such as `nfs4`")


def _pack_size(text: str) -> Size:
    size = Size.parse(text)
    if not _SMALLEST_PACK.bytes <= size.bytes <= _LARGEST_PACK.bytes:
        raise Misread(
            f"{shown(text)} is no size for a pack",
            f"write a size from `{_SMALLEST_PACK}` to `{_LARGEST_PACK}`",
        )
    return size


def _share(text: str) -> "Share":
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%", text)
    if match is not None:
        share = float(match[1]) / 100
        if not share:
            raise Misread(
                "a share of zero", "a cap of nothing would stop every run: write a share, such as `20%`"
            )
        if share >= 1:
            raise Misread(
                f"{shown(text)} is no cap", "to set no bound, write `unlimited` in place of the braces"
            )
        return Share(share)
    loose = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*(?:%|percent|pct|)", text)
    if loose is None:
        raise Misread(f"{shown(text)} is no share", "a share is a number and a percent sign, such as `20%`")
    if re.fullmatch(r"0?\.[0-9]+", text):
        meant = f"{float(text) * 100:g}%"
    elif re.fullmatch(r"1\.0*", text):
        meant = "100%"
    else:
        meant = f"{loose[1]}%"
    raise Misread(f"{shown(text)} is no share", f"write `{meant}`")


class Share(float):
    """A part of a whole, above 0 and below 1, written as ``20%``."""

    __slots__ = ()


def _place(scope: Scope, node: tree.Scalar, text: str) -> str:
    if scope.stores is None or text in scope.stores:
        return text
    if not scope.stores:
        hint = "name it under `stores:`, or select by `kind`"
        raise scope.refuse(node, f"no store is called {shown(text)}: this policy names none", hint)
    raise scope.unknown(node, f"no store of this policy is called {shown(text)}", scope.stores)


def _kind(scope: Scope, node: tree.Scalar, text: str) -> str:
    if text in scope.kinds:
        return text
    raise scope.unknown(node, f"there is no kind of store {shown(text)}", scope.kinds)


def _text(_scope: Scope, _node: tree.Scalar, text: str) -> str:
    return text


FORMS: Final[dict[Any, Form]] = {
    Duration: Form(
        "a time such as `30d`",
        _parsed(Duration.parse),
        {"type": "string", "pattern": durations.PATTERN, "examples": ["30d", "1d12h", "6mo"]},
    ),
    Size: Form(
        "a size such as `256MiB`",
        _parsed(Size.parse),
        {"type": "string", "pattern": sizes.PATTERN, "examples": ["256MiB", "20GB"]},
    ),
    NameTemplate: Form(
        "a name such as `recovered-%Y-%m-%d-%H%M%S`",
        _parsed(NameTemplate.parse),
        {"type": "string", "pattern": names.PATTERN},
    ),
    int: Form("a count such as `10`", _parsed(_count), {"type": "integer", "minimum": 1}),
    Share: Form(
        "a share such as `20%`", _parsed(_share), {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"}
    ),
    str: Form("a text", _text, {"type": "string", "minLength": 1}),
    Glob: Form("a glob such as `release-*`", _text, {"type": "string", "minLength": 1}),
    Place: Form("the name of a store", _place, {"type": "string", "minLength": 1}),
    Kind: Form("a kind of store", _kind, {"type": "string", "minLength": 1}),
    Folder: Form(
        "a folder such as `/srv/archive` or `~/archive`",
        _parsed(paths.folder),
        {"type": "string", "pattern": paths.PATTERN},
    ),
    FolderOrDefault: Form(
        "a folder such as `/srv/archive`, or `default`",
        _parsed(paths.folder_or_default),
        {"type": "string", "pattern": paths.PATTERN_OR_DEFAULT},
    ),
    FileSystem: Form(
        "a file system such as `nfs4`",
        _parsed(_file_system),
        {"type": "string", "pattern": f"^{_FILE_SYSTEM}$", "examples": ["nfs4", "cifs", "fuse.sshfs"]},
    ),
    Level: Form(
        "a level such as `3`",
        _parsed(_level),
        {"type": "integer", "minimum": 1, "maximum": _HIGHEST_LEVEL},
    ),
    PackSize: Form(
        "a size such as `256MiB`",
        _parsed(_pack_size),
        {"type": "string", "pattern": sizes.PATTERN, "examples": ["256MiB", "1GiB"]},
    ),
}


def choice(scope: Scope, node: tree.Node, words: tuple[str, ...], called: str) -> str:
    """The text of the node as one of the words."""
    text = scope.text(node, called)
    if text in words:
        return text
    assert isinstance(node, tree.Scalar)
    if re.fullmatch(r"[\w -]+(\s*,\s*[\w -]+)+", text):
        raise scope.refuse(node, f"{shown(text)} is several words", f"write a list: {shown(f'[{text}]')}")
    raise scope.unknown(node, f"{shown(text)} is none of the words that can stand here", words)
