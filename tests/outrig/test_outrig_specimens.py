"""The zoo of ailments, as the layout alone sees it; what the engine does with it is tested with every layout."""

import time
from pathlib import Path

import pytest

from maint.demo import build_store
from store.facts import Listing, Place, Problem, Session, State
from store.layout import Moment, Specimen
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.mend import with_end


class Zoo:
    """All specimens in one store, surveyed with no podman to ask."""

    def __init__(self, folder: Path) -> None:
        now = float(int(time.time()))
        place, self.specimens = build_store(LAYOUT, str(folder), now)
        self.place = Place("zoo", "outrig", {**place.roots, **LAYOUT.targets(place)})
        self.listing: Listing = LAYOUT.discover(self.place, Moment(now, 86_400.0))
        read = list(LAYOUT.read(self.place, self.listing.context, self.listing.entries))
        self.sessions = {each.id: each for each in read if isinstance(each, Session)}
        self.problems = [each for each in read if isinstance(each, Problem)]


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Zoo:
    monkeypatch.setenv("PATH", str(tmp_path))
    return Zoo(tmp_path)


def test_specimen_has_the_state_and_the_emptiness_that_it_claims(zoo: Zoo) -> None:
    for specimen in zoo.specimens:
        if specimen.state is not None:
            found = zoo.sessions[str(specimen.id)]
            assert (found.state, found.empty) == (specimen.state, specimen.empty), specimen.title


def test_specimens_are_all_there_is(zoo: Zoo) -> None:
    assert {each.id for each in zoo.specimens if each.state} == set(zoo.sessions)
    assert {each.state for each in zoo.sessions.values()} == set(State)
    assert zoo.problems == []


def test_litter_among_the_specimens_is_found(zoo: Zoo) -> None:
    def places_of(specimen: Specimen) -> set[str]:
        return {path for _, path in (*specimen.files, *specimen.folders, *specimen.links)}

    claimed = [places_of(each) for each in zoo.specimens if each.fate == "remove-litter"]
    found = [{member.path for member in each.members} for each in zoo.listing.leftovers]
    assert sorted(map(sorted, claimed)) == sorted(map(sorted, found))


def test_every_member_is_known_and_says_whose_it_is(zoo: Zoo) -> None:
    for session in zoo.sessions.values():
        for member in (*session.members, *session.pointers):
            assert LAYOUT.knows(member.root, member.path)
        for member in session.members:
            owner = LAYOUT.session_of(member.root, member.path)
            assert owner == (session.id if member.root == "sessions" else None)
    for leftover in zoo.listing.leftovers:
        for member in leftover.members:
            assert LAYOUT.knows(member.root, member.path)
            assert LAYOUT.session_of(member.root, member.path) in {None, leftover.id}


def test_what_a_default_sweep_recovers_can_be_mended(zoo: Zoo) -> None:
    mended = [each for each in zoo.specimens if each.fate == "recover"]
    assert len(mended) == 2
    for specimen in mended:
        session = zoo.sessions[str(specimen.id)]
        with_end(Path(zoo.place.absolute(session.members[0])).read_bytes(), session.last_changed)


def test_every_line_can_be_shown(zoo: Zoo) -> None:
    for session in zoo.sessions.values():
        for member in session.members:
            for line in Path(zoo.place.absolute(member)).read_bytes().split(b"\n"):
                shown = LAYOUT.describe(member.root, member.path, line)
                assert shown is None or shown.isprintable()
