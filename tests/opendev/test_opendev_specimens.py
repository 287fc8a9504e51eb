"""The zoo of ailments: each is what it claims to be, and what is mended of it and reindexed leaves nothing to be said."""

import time
from pathlib import Path

import pytest

from maint.demo import build_store
from store import opening
from store.facts import Owner, Place, Session, State
from store.layout import Moment, Specimen
from store.layouts.opendev import LAYOUT

NOW = float(int(time.time()))
DAY = 86_400.0


@pytest.fixture
def world(tmp_path: Path) -> tuple[Place, tuple[Specimen, ...]]:
    return build_store(LAYOUT, str(tmp_path), NOW)


def sessions(place: Place, now: float = NOW) -> dict[str, Session]:
    listing = LAYOUT.discover(place, Moment(now, DAY))
    found = LAYOUT.read(place, listing.context, listing.entries)
    return {each.id: each for each in found if isinstance(each, Session)}


def test_every_specimen_is_in_the_state_that_it_claims(world: tuple[Place, tuple[Specimen, ...]]) -> None:
    place, specimens = world
    claimed = {each.id: (each.state, each.empty) for each in specimens if each.id is not None}
    found = sessions(place)
    assert {id_: found[id_].state for id_ in found} == {id_: state for id_, (state, _) in claimed.items()}
    for id_, (_, empty) in claimed.items():
        assert empty is None or found[str(id_)].empty is empty, id_


def test_every_file_of_a_specimen_that_is_to_be_touched_is_known(
    world: tuple[Place, tuple[Specimen, ...]],
) -> None:
    place, specimens = world
    for specimen in specimens:
        if specimen.fate is not None:
            assert [path for root, path in specimen.files if not LAYOUT.knows(root, path)] == [], (
                specimen.title
            )
    for session in sessions(place).values():
        for member in session.members:
            assert LAYOUT.knows(member.root, member.path)
            assert LAYOUT.session_of(member.root, member.path) == session.id.partition("@")[0]


def test_every_leftover_lock_and_index_that_is_found_was_put_there(
    world: tuple[Place, tuple[Specimen, ...]],
) -> None:
    place, specimens = world
    by_fate = {
        fate: {path for each in specimens if each.fate == fate and each.id is None for _, path in each.files}
        for fate in ("remove-litter", "unlock", "recover")
    }
    listing = LAYOUT.discover(place, Moment(NOW, DAY))
    assert {member.path for each in listing.leftovers for member in each.members} == by_fate["remove-litter"]
    assert {each.id for each in listing.locks} == by_fate["unlock"]
    assert {each.owner for each in listing.locks} == {Owner.GONE}
    missing = {each.path for each in listing.indexes if not each.members}
    assert {each.path for each in listing.indexes} == by_fate["recover"] | missing
    assert missing == {"projects/-srv-build/sessions-index.json", "sessions/sessions-index.json"}
    members = [member for each in listing.leftovers for member in each.members]
    members += [member for each in listing.locks for member in each.members]
    assert all(LAYOUT.knows(member.root, member.path) for member in members)


def test_whatever_is_to_be_recovered_is_recovered_by_its_mend(
    world: tuple[Place, tuple[Specimen, ...]],
) -> None:
    place, specimens = world
    data = Path(place.path)
    crashed = {each.id for each in specimens if each.fate == "recover" and each.id is not None}
    assert len(crashed) == 6
    for id_, session in sessions(place).items():
        if id_ not in crashed:
            continue
        mend = LAYOUT.mend(id_, session.members, None if session.has_footer else "recovered-x", 0.0)
        with (data / mend.source.path).open("rb") as file:
            written = {path: b"".join(mend.build(file.fileno(), path)) for path in mend.paths}
        made = [path for path in mend.paths if path != mend.source.path]
        assert [path for path in made if (data / path).exists()] == []
        assert mend.source.path not in mend.paths[:-1]
        assert all(LAYOUT.knows("data", path) for path in mend.paths)
        for path, content in written.items():
            (data / path).write_bytes(content)
    later = sessions(place, NOW + 2 * DAY)
    assert {later[str(id_)].state for id_ in crashed} == {State.RECOVERED, State.COMPLETE}


def test_damaged_indexes_are_true_once_they_are_made_anew(world: tuple[Place, tuple[Specimen, ...]]) -> None:
    place, _ = world
    root = opening.open_folder(place.path)
    for each in LAYOUT.discover(place, Moment(NOW, DAY)).indexes:
        above, _, name = each.path.rpartition("/")
        folder = opening.open_below(root, above, opening.FOLDER_FLAGS)
        fd = opening.open_session(folder, name) if each.members else None
        content = LAYOUT.reindex(folder, fd, None)
        assert content is not None
        (Path(place.path) / each.path).write_bytes(content)
    assert LAYOUT.discover(place, Moment(NOW, DAY)).indexes == []


def test_every_line_can_be_shown(world: tuple[Place, tuple[Specimen, ...]]) -> None:
    place, _ = world
    shown = 0
    for session in sessions(place).values():
        for member in session.members:
            for line in Path(place.absolute(member)).read_bytes().split(b"\n"):
                text = LAYOUT.describe(member.root, member.path, line)
                assert text is None or text.isprintable()
                shown += text is not None
    assert shown > 50
