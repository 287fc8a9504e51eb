"""Entries of the root that are links: sessions that somebody put into a folder of his own choice.

What is guarded: a link leads us to a folder only where outrig itself could have made it lead.
Its text must be the plain absolute path of a real folder, with no other link on the way, on the file system of the
store, outside of it, and of the same user as the link, so that nobody can have another one's folder looked after.
Two links to one folder are one session with two names, of which one is wrong: neither is touched.

A folder that is gone, and a disk that is not mounted, look the same; a link counts as dangling only where the folder
that would hold its target is there, and holds something else.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from store import opening
from store.facts import Fingerprint, Place
from store.layouts.outrig.grammar import SESSIONS, is_entry
from store.names import FOLDER, printable
from store.targets import MOST, label_of


class Lead(Enum):
    """What is to be done about a link."""

    FOLLOWED = "followed"
    DANGLING = "dangling"
    LEFT = "left"


class Link(msgspec.Struct, frozen=True):
    """A link and where it leads: ``target`` and ``label`` if it is followed, else ``why`` not, as a clause."""

    lead: Lead
    found: Fingerprint
    target: str = ""
    label: str = ""
    why: str = ""


def targets(place: Place) -> Mapping[str, str]:
    """The folders that the links of a store lead to, by label."""
    try:
        root = opening.open_folder(place.path)
    except OSError:  # whoever lists the store says so
        return {}
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in entries if entry.is_symlink() and is_entry(entry.name))
        links = follow(root, place, names)
    finally:
        os.close(root)
    return {link.label: link.target for link in links.values() if link.lead is Lead.FOLLOWED}


def follow(root: int, place: Place, names: Iterable[str]) -> dict[str, Link]:
    """What each of these links in the root is, in order; those that are gone are left out."""
    links: dict[str, Link] = {}
    around = os.fstat(root)
    inside = {place.roots[SESSIONS], os.path.realpath(place.roots[SESSIONS])}
    for name in names:
        link = _look(root, name, around, inside)
        if link is not None:
            links[name] = link
    return _without_too_many(_without_doubles(links))


def target_of(root: int, name: str) -> str | None:
    """Where a link in the root leads now, or ``None`` if it is none any more."""
    try:
        return os.readlink(name, dir_fd=root)
    except OSError:
        return None


def _look(root: int, name: str, around: os.stat_result, inside: set[str]) -> Link | None:
    target = target_of(root, name)
    try:
        own = os.stat(name, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return None
    found = opening.fingerprint(own)
    if target is None or not stat.S_ISLNK(own.st_mode):
        return None
    shown = printable(target)
    if not target.startswith("/"):
        return Link(Lead.LEFT, found, why=f"leads to {shown}, which is no absolute path")
    if target != os.path.normpath(target) or not target.isprintable():
        return Link(Lead.LEFT, found, why=f"leads to {shown}, which is no path as outrig writes it")
    if any(_holds(each, target) or _holds(target, each) for each in inside):
        return Link(Lead.LEFT, found, why=f"leads to {shown}, which is part of this store, or holds it")
    try:
        there = os.stat(target, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return _missing(found, target)
    except OSError as error:
        return Link(Lead.LEFT, found, why=f"leads to {shown}, which cannot be reached ({error.strerror})")
    if not stat.S_ISDIR(there.st_mode) or os.path.realpath(target) != target:
        return Link(
            Lead.LEFT, found, why=f"leads to {shown}, which is no folder, or lies behind another link"
        )
    if there.st_dev != around.st_dev:
        return Link(Lead.LEFT, found, why=f"leads to {shown}, which lies on another file system")
    if there.st_uid != own.st_uid:
        return Link(Lead.LEFT, found, why=f"leads to {shown}, which belongs to another user than the link")
    return Link(Lead.FOLLOWED, found, target=target, label=label_of(target))


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder if folder.endswith("/") else f"{folder}/")


def _missing(found: Fingerprint, target: str) -> Link:
    """A link to nothing: dangling, unless what it leads to may only be out of reach."""
    shown = printable(target)
    try:
        beside = os.listdir(os.path.dirname(target))
    except OSError:
        beside = []
    if not [name for name in beside if name != FOLDER]:
        why = f"leads to {shown}, and nothing lies where that should be: its disk may not be mounted"
        return Link(Lead.LEFT, found, why=why)
    return Link(Lead.DANGLING, found, target=target)


def _without_doubles(links: dict[str, Link]) -> dict[str, Link]:
    by_label: dict[str, list[str]] = {}
    for name, link in links.items():
        if link.lead is Lead.FOLLOWED:
            by_label.setdefault(link.label, []).append(name)
    for names in by_label.values():
        if len(names) > 1:
            for name in names:
                others = ", ".join(each for each in names if each != name)
                why = f"leads to {printable(links[name].target)}, to which {others:.160} leads, too"
                links[name] = Link(Lead.LEFT, links[name].found, why=why)
    return links


def _without_too_many(links: dict[str, Link]) -> dict[str, Link]:
    followed = [name for name, link in links.items() if link.lead is Lead.FOLLOWED]
    for name in followed[MOST:]:
        why = f"leads to {printable(links[name].target)}, and there are more than {MOST} such links"
        links[name] = Link(Lead.LEFT, links[name].found, why=why)
    return links
