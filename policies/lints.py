"""What is allowed in a policy and probably not meant. A lint never stops a run."""

import posixpath
from collections.abc import Callable, Iterable
from typing import Any

from policies import tree
from policies.at_odds import packed_again, shadowed
from policies.binding import options_of
from policies.durations import Duration
from policies.keep import Keep
from policies.mistakes import Mistake, shown
from policies.model import ArchiveRules, Limits, StoreSpec
from policies.options import PassOptions
from policies.scope import Placed
from policies.selectors import AllOf, AnyOf, Not, Selector, Term
from policies.words import Folder


def lint(
    source: tree.Source,
    stores: Iterable[Placed[StoreSpec]],
    protect: Iterable[Placed[Selector]],
    passes: Iterable[Placed[PassOptions]],
    limits: Limits,
    archive: Placed[ArchiveRules] | None,
    exists: Callable[[str], bool] | None,
) -> tuple[Mistake, ...]:
    """All lints of a sound policy, sorted by position; without ``exists`` no path is looked at."""
    stores, passes = tuple(stores), tuple(passes)
    found = [
        *_overlapping(source, stores),
        *_packs_in_stores(source, stores, passes, archive),
        *_below_min_idle(source, passes, limits),
        *shadowed(source, passes),
        *packed_again(source, passes),
        *_odd_texts(source, protect, passes),
        *_odd_kept_tags(source, passes),
    ]
    if exists is not None:
        found += _missing(source, stores, exists)
    return tuple(sorted(found))


def _missing(
    source: tree.Source, stores: tuple[Placed[StoreSpec], ...], exists: Callable[[str], bool]
) -> Iterable[Mistake]:
    for store in stores:
        for key, path in store.value.paths.items():
            if not exists(path):
                yield source.mistake(
                    _under(store, key), f"{shown(path)} does not exist", "is it spelled right?"
                )


def _overlapping(source: tree.Source, stores: tuple[Placed[StoreSpec], ...]) -> Iterable[Mistake]:
    defaults: dict[str, str] = {}
    # What earlier stores named, and all folders above that: overlaps are then looked up, not searched.
    named: dict[str, tuple[str, str]] = {}
    above: dict[str, tuple[str, str]] = {}
    kinds = {store.value.name: store.value.kind for store in stores}
    for store in stores:
        name, kind, paths = store.value.name, store.value.kind, store.value.paths
        if not paths and kind in defaults:
            yield source.mistake(
                store.owner,
                f"the stores `{defaults[kind]}` and `{name}` are both the default roots of `{kind}`",
                "give one of them a `path`, or remove it",
            )
        if not paths:
            defaults.setdefault(kind, name)
        plain = {key: posixpath.normpath(path) for key, path in paths.items()}
        for key, path in plain.items():
            higher = next((each for each in _ancestors(path) if each in named), None)
            if path in named:
                relation, (other, text) = "the same as", named[path]
            elif higher is not None:
                relation, (other, text) = "inside", named[higher]
            elif path in above:
                relation, (other, text) = "around", above[path]
            else:
                continue
            if path not in named and kinds[other] != kind:
                continue  # one program may keep two kinds of store, one within the other
            yield source.mistake(
                _under(store, key),
                f"{shown(paths[key])} is {relation} {shown(text)} of the store `{other}`",
                "every session should belong to one store",
            )
        for key, path in plain.items():
            named.setdefault(path, (name, paths[key]))
            for each in _ancestors(path):
                above.setdefault(each, (name, paths[key]))


def _packs_in_stores(
    source: tree.Source,
    stores: tuple[Placed[StoreSpec], ...],
    passes: tuple[Placed[PassOptions], ...],
    archive: Placed[ArchiveRules] | None,
) -> Iterable[Mistake]:
    named = {
        posixpath.normpath(path): (store.value.name, path)
        for store in stores
        for path in store.value.paths.values()
    }
    folders = [(_under(archive, "dir"), archive.value.dir)] if archive is not None else []
    for each in passes:
        names = [option.name for option in options_of(type(each.value)) if option.type == Folder]
        folders += [(_under(each, name), getattr(each.value, name)) for name in names]
    for node, folder in folders:
        plain = posixpath.normpath(folder) if folder is not None else ""
        found = next((each for each in (plain, *_ancestors(plain)) if each in named), None)
        if folder is not None and found is not None:
            name, text = named[found]
            yield source.mistake(
                node,
                f"{shown(folder)} lies in {shown(text)} of the store `{name}`",
                "packs are no sessions: write another folder",
            )


def _ancestors(path: str) -> Iterable[str]:
    while (parent := posixpath.dirname(path)) not in {path, ""}:
        yield parent
        path = parent


def _below_min_idle(
    source: tree.Source, passes: tuple[Placed[PassOptions], ...], limits: Limits
) -> Iterable[Mistake]:
    for each in passes:
        if each.value.of_archived:
            continue  # what lies in a pack does not change, so that nothing waits for it to fall silent
        for name, value in each.value.own.items():
            below = isinstance(value, Duration) and not limits.min_idle.surely_within(value)
            if isinstance(value, Duration) and below and value.surely_within(limits.min_idle):
                yield source.mistake(
                    _under(each, name),
                    f"`{name}: {value}` is below `limits.min_idle`, which is {limits.min_idle}",
                    f"nothing that changed within {limits.min_idle} is touched, whatever a pass says",
                )


def _odd_texts(
    source: tree.Source, protect: Iterable[Placed[Selector]], passes: tuple[Placed[PassOptions], ...]
) -> Iterable[Mistake]:
    """Texts that compare as nobody would expect: wildcards in tags, projects that are no whole path."""
    selections = [(each.node, each.value) for each in protect]
    selections += [
        (_under(each, "where"), each.value.where) for each in passes if each.value.where is not None
    ]
    for node, selector in selections:
        for term in _terms(selector):
            for text in term.value if isinstance(term.value, tuple) else ():
                if term.key == "tags" and _has_wildcard(text):
                    yield _odd_tag(source, _where_is(node, text), text)
                elif term.key == "project" and (
                    not text.startswith(("/", "*", "?", "[")) or text.endswith("/")
                ):
                    message = f"no project matches {shown(text)}: a project is a whole path without a `/` at its end"
                    yield source.mistake(_where_is(node, text), message, f"write `*/{text.strip('/')}`")


def _odd_kept_tags(source: tree.Source, passes: tuple[Placed[PassOptions], ...]) -> Iterable[Mistake]:
    for each in passes:
        for name, value in each.value.own.items():
            for tag in value.tags if isinstance(value, Keep) else ():
                if _has_wildcard(tag):
                    yield _odd_tag(source, _where_is(_under(each, name), tag), tag)


def _has_wildcard(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _odd_tag(source: tree.Source, place: tree.Node, tag: str) -> Mistake:
    return source.mistake(
        place, f"the tag {shown(tag)} is compared as it is written", "tags take no wildcards"
    )


def _terms(selector: Selector) -> Iterable[Term]:
    match selector:
        case Term():
            yield selector
        case Not(part):
            yield from _terms(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _terms(part)
        case _:
            pass


def _where_is(node: tree.Node, text: str) -> tree.Node:
    """The scalar below the node that has the text."""
    match node:
        case tree.Scalar():
            return node
        case tree.Sequence(items=below):
            pass
        case tree.Mapping(entries=entries):
            below = tuple(value for _, value in entries)
    found = (_where_is(each, text) for each in below)
    return next((each for each in found if isinstance(each, tree.Scalar) and each.text == text), node)


def _under(placed: Placed[Any], key: str) -> tree.Node:
    """The node of an option, or of its owner where the option was not written."""
    found = placed.node.get(key) if isinstance(placed.node, tree.Mapping) else None
    return found if found is not None else placed.owner
