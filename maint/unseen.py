"""Packs that cannot be looked into: what is in them is found by nobody, and whoever asks for sessions is told so."""

from collections.abc import Iterator

from store import archives
from store.catalogue import Catalogue
from store.facts import Place, Problem
from store.names import printable
from store.roots import RootFds


def problems(place: Place, roots: RootFds, catalogue: Catalogue) -> list[Problem]:
    """All that cannot be looked into."""
    return [*away(place, roots), *damaged(place, catalogue)]


def away(place: Place, roots: RootFds) -> Iterator[Problem]:
    """The folders of packs that cannot be opened."""
    for path in archives.unreachable(place, roots):
        text = "this folder of packs cannot be opened: is it mounted?"
        yield Problem(place.name, printable(path), text, grave=True)


def damaged(place: Place, catalogue: Catalogue) -> Iterator[Problem]:
    """The packs of which nobody can tell what is in them."""
    for label, name, why in catalogue.damaged():
        text = f"this pack is damaged: {why}; `maint verify` tells more, `maint salvage` saves"
        yield Problem(place.name, printable(f"{place.roots[label]}/{name}"), text, grave=True)
