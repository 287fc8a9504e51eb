"""From the bytes of a YAML file to a tree; the only module that imports yaml.

Every scalar of the tree is the text that stands in the file: nothing here turns ``no`` into false or ``017``
into 15.
What could mislead a reader is refused: anchors, aliases, tags, directives, several documents, merge keys,
duplicate keys, invisible characters.
What could exhaust the machine is bounded: the size before anything is read, depth and number of nodes while
reading events.
The C loader crashes on deep nesting, so the pure one is used.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

import yaml

from policies.mistakes import Mistake, shown
from policies.tree import Mapping, Node, Scalar, Sequence, Source

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
MAX_NODES: Final = 20_000

# The line breaks that YAML knows; a file that passed `_screened` has no others.
_BREAK = re.compile(r"\r\n|\n")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\r(?!\n)")


@dataclass(frozen=True)
class Reading:
    """What was read: the tree, unless there is none to work on, and what is wrong with the YAML itself."""

    source: Source
    root: Node | None
    errors: tuple[Mistake, ...]


def read_tree(text: bytes, name: str) -> Reading:
    """Read one YAML document; ``name`` is what its mistakes call the file. Never raises for any bytes."""
    decoded = _screened(text, name)
    if isinstance(decoded, Reading):
        return decoded
    source = Source(name, tuple(_BREAK.split(decoded)))
    builder = _Builder(source)
    loader = yaml.SafeLoader(decoded)
    try:
        while not builder.stopped and (event := _next_event(loader)) is not None:
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        builder.errors.append(_syntax_mistake(source, error))
        builder.stopped = True
    except (yaml.YAMLError, ValueError, OverflowError):
        # Numbers and escapes beyond what the scanner can hold fail in it without a place of their own.
        place = _position(loader.get_mark())
        builder.errors.append(
            source.mistake(place, "this is no YAML", "is there a number or an escape too large?")
        )
        builder.stopped = True
    finally:
        loader.dispose()
    if builder.root is None and not builder.errors:
        builder.errors.append(source.mistake((1, 1), "the policy is empty", "start it with `version: 1`"))
    return Reading(source, None if builder.stopped else builder.root, tuple(builder.errors))


def _screened(text: bytes, name: str) -> str | Reading:
    """The text decoded, or why it must not even be parsed."""

    def refused(message: str, hint: str, line: int = 1, column: int = 1, source_line: str = "") -> Reading:
        mistake = Mistake(name, line, column, message, source_line, hint)
        return Reading(Source(name, ()), None, (mistake,))

    if len(text) > MAX_BYTES:
        return refused(
            f"the policy has {len(text):,} bytes", f"a policy has at most {MAX_BYTES:,}: is this one?"
        )
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return refused("the policy is UTF-16", "save it as UTF-8")
    if text.startswith(b"\xef\xbb\xbf"):
        return refused("the policy starts with a byte order mark", "save it as UTF-8 without one")
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, error.start - text.rfind(b"\n", 0, error.start)
        return refused(
            f"byte 0x{text[error.start]:02x} is no UTF-8", "save the policy as UTF-8", line, column
        )
    found = _CONTROL.search(decoded)
    if found is not None:
        before = decoded[: found.start()]
        line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
        return refused(
            f"the control character U+{ord(found[0]):04X} stands here",
            "remove it",
            line,
            column,
            decoded.split("\n")[line - 1],
        )
    return decoded


@dataclass
class _Open:
    """A collection whose end was not read yet."""

    line: int
    column: int
    is_mapping: bool
    items: list[Node]


class _Builder:
    """Makes nodes of events, with a stack instead of recursion."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.errors: list[Mistake] = []
        self.root: Node | None = None
        # Set where what follows can only be misread.
        self.stopped = False
        self._open: list[_Open] = []
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._start_document(event)
            case yaml.AliasEvent():
                self._refuse(
                    event, "an alias stands here", "quote text that starts with `*`; repeat what is meant"
                )
                self._add(Scalar(*_place(event), "", broken=True))
            case yaml.ScalarEvent():
                self._check_marks(event)
                broken = event.tag is not None or not self._is_visible(event)
                self._add(Scalar(*_place(event), event.value, plain=event.style is None, broken=broken))
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._check_marks(event)
                if len(self._open) >= MAX_DEPTH:
                    self._refuse(event, f"this is nested more than {MAX_DEPTH} deep", "no policy needs that")
                    self.stopped = True
                self._open.append(_Open(*_place(event), isinstance(event, yaml.MappingStartEvent), []))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._close()
            case _:
                pass

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        if event.version is not None or event.tags:
            self._refuse(event, "a directive stands here", "remove the line that starts with `%`")
        if self.root is not None:
            self._refuse(event, "a second document starts here", "a policy is one document: remove the `---`")
            self.stopped = True

    def _check_marks(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, f"the anchor {shown('&' + event.anchor)} stands here", "write the text out")
        if event.tag is not None:
            self._refuse(event, f"the tag {shown(event.tag)} stands here", "quote text that starts with `!`")

    def _is_visible(self, event: yaml.ScalarEvent) -> bool:
        char = next((char for char in event.value if not char.isprintable()), None)
        if char is None:
            return True
        if char == "\n":
            self._refuse(event, "this text has a line break", "write it on one line")
        else:
            name = unicodedata.name(char, "a control character").lower()
            hint = "in a glob, `?` stands for any character"
            self._refuse(event, f"this text contains {name} (U+{ord(char):04X})", hint)
        return False

    def _close(self) -> None:
        done = self._open.pop()
        if done.is_mapping:
            entries = self._paired(done.items)
            self._add(Mapping(done.line, done.column, entries, partial=len(entries) * 2 < len(done.items)))
        else:
            self._add(Sequence(done.line, done.column, tuple(done.items)))

    def _paired(self, items: list[Node]) -> tuple[tuple[Scalar, Node], ...]:
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, Scalar) and key.broken:
                continue
            if not isinstance(key, Scalar):
                self.errors.append(self.source.mistake(key, "a key must be a word", "write `key: value`"))
            elif key.text == "<<" and key.plain:
                self.errors.append(
                    self.source.mistake(key, "a merge key stands here", "write the options out")
                )
            elif key.text in entries:
                first = entries[key.text][0]
                self.errors.append(
                    self.source.mistake(
                        key,
                        f"{shown(key.text)} stands here twice",
                        f"the first one is in line {first.line}: keep one of them",
                    )
                )
            else:
                entries[key.text] = (key, value)
        return tuple(entries.values())

    def _add(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            place = (node.line, node.column)
            self.errors.append(
                self.source.mistake(place, f"more than {MAX_NODES:,} entries", "no policy needs that")
            )
            self.stopped = True
        if self._open:
            self._open[-1].items.append(node)
        else:
            self.root = node

    def _refuse(self, event: yaml.Event, message: str, hint: str) -> None:
        self.errors.append(self.source.mistake(_place(event), message, hint))


def _next_event(loader: yaml.SafeLoader) -> yaml.Event | None:
    # Fetched one at a time, so that the bounds hold before the rest is scanned.
    event: yaml.Event | None = loader.get_event() if loader.check_event() else None  # type: ignore[no-untyped-call]
    return event


def _place(event: yaml.Event) -> tuple[int, int]:
    return _position(event.start_mark)


def _position(mark: Any) -> tuple[int, int]:
    """Line and column from 1; the start of the file for what has no place."""
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


# What the scanner says of the usual slips, and what they were.
_SLIPS: Final = (
    (r"character '\\t'", "indent with spaces: YAML takes no tabs"),
    (
        r"mapping values are not allowed",
        "is the line indented as the one above, and is text with `: ` quoted?",
    ),
    (r"expected alphabetic or numeric character, but found", "quote text that starts with `*` or `&`"),
    (r"found character '%'", "quote text that starts with `%`; a share is written `20%`"),
    (r"found character", "quote text that starts with a sign"),
    (r"expected ',' or '[]}]'", "is a comma or a bracket missing?"),
    (r"could not find expected ':'", "is a `:` missing after the key?"),
    (r"expected <block end>", "does the line start in the same column as its neighbours?"),
    (r"unexpected end of stream|found unexpected document", "is a quotation mark or a bracket left open?"),
)


def _syntax_mistake(source: Source, error: yaml.MarkedYAMLError) -> Mistake:
    place = _position(error.problem_mark or error.context_mark)
    problem = str(error.problem or error.context or "this is no YAML")
    hint = next((hint for pattern, hint in _SLIPS if re.search(pattern, problem)), "")
    return source.mistake(place, f"this is no YAML: {problem if problem.isprintable() else 'bad text'}", hint)
