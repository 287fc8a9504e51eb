"""The weaknesses of outrig that its notes number G1 to G16, as far as a layout can do anything about them.

G10 (no fsync of folders), G12 (a clean that stops at its first error) and G13 (no undo) are the business of the
engine and have their tests there.
At the end stands what outrig's own tests say of it, where we do the same, or do it otherwise on purpose.
"""

from pathlib import Path

import pytest
from outrig_world import (
    BEGAN,
    DAY,
    ENDED,
    FROZEN,
    GOING,
    HOUR,
    ID,
    NOW,
    OTHER,
    STDERR,
    OutrigStore,
    mended,
    paths,
    rows,
)

from store.facts import State
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.specimens import finished, record, written


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutrigStore:
    return OutrigStore(tmp_path, monkeypatch)


def test_g1_dangling_link_is_found(store: OutrigStore) -> None:
    store.session(within=store.folder / "runs/nightly")
    store.link(store.folder / "runs/gone")
    assert list(store.leftovers()) == [ID]


def test_g2_record_that_cannot_be_read_is_a_session_that_a_policy_can_name(store: OutrigStore) -> None:
    store.session(ENDED[:70], fs=STDERR)
    found = store.facts()
    assert (found.state, found.ended) == (State.CORRUPT, NOW - 2 * DAY)
    assert paths(found.members) == [f"{ID}/session.json", f"{ID}/logs/fs.stderr"]


def test_g3_folder_without_a_record_is_found(store: OutrigStore) -> None:
    store.put(f"{ID}/logs/fs.stderr", STDERR)
    assert list(store.leftovers()) == [ID]


def test_g4_temp_file_is_found_so_that_it_does_not_keep_the_folder(store: OutrigStore) -> None:
    store.put(".tmpQ3xZ9k", b"{", within=store.session())
    assert list(store.leftovers()) == [f"{ID}/.tmpQ3xZ9k"]
    assert store.problems() == []


@pytest.mark.parametrize("id_", ["../../x", "/srv/app", OTHER])
def test_g5_id_that_a_record_claims_is_never_where_anything_is_done(store: OutrigStore, id_: str) -> None:
    store.session(finished(id_, BEGAN), fs=STDERR)
    found = store.facts()
    assert (found.id, found.state) == (ID, State.UNKNOWN)
    assert all(LAYOUT.session_of(member.root, member.path) == ID for member in found.members)


def test_g6_files_of_the_user_are_no_part_of_a_session_nor_is_the_folder_he_chose(store: OutrigStore) -> None:
    folder = store.elsewhere(fs=STDERR)
    store.put("thesis.tex", b"mine", within=folder)
    found = store.facts()
    (root,) = {member.root for member in found.members}
    assert paths(found.members) == ["session.json", "logs/fs.stderr"]
    assert not LAYOUT.knows(root, "thesis.tex")
    assert not LAYOUT.owns_folder(root, "")


def test_g7_session_that_builds_its_image_lives_without_any_container(store: OutrigStore) -> None:
    store.containers()
    store.session(GOING, age=HOUR)
    assert store.facts().state is State.LIVE


def test_g7_session_that_ended_needs_no_podman(store: OutrigStore) -> None:
    store.session()
    assert store.facts().state is State.COMPLETE


def test_g8_sidecars_are_asked_after(store: OutrigStore) -> None:
    store.runs("side")
    store.session(written(record(ID, BEGAN, sidecar_container_names=["side"])))
    assert store.facts().state is State.LIVE


def test_g9_sessions_of_one_second_are_told_apart_by_their_entry(store: OutrigStore) -> None:
    store.session()
    store.session(finished("20260918T131320-0a1c", BEGAN), id_="20260918T131320-0a1c")
    assert sorted(store.ids()) == [ID, "20260918T131320-0a1c"]


def test_g11_end_is_put_into_the_bytes_that_are_there_so_that_no_update_is_lost_to_it(tmp_path: Path) -> None:
    added = written(record(ID, BEGAN, sidecar_container_names=["side"]))
    assert rows(mended(tmp_path / "x", added))["sidecar_container_names"] == ["side"]


def test_g14_logs_are_the_part_that_can_be_archived_without_the_record(store: OutrigStore) -> None:
    store.session(fs=STDERR)
    found = store.facts()
    assert paths(found.payload) == [f"{ID}/logs/fs.stderr"]
    assert found.members[0] not in found.payload


def test_g15_session_of_a_store_that_was_moved_is_where_it_is_and_not_where_its_record_says(
    store: OutrigStore,
) -> None:
    store.session(finished(ID, BEGAN, session_dir="/gone/long/ago"), fs=STDERR)
    assert (store.facts().state, paths(store.facts().members)[0]) == (State.COMPLETE, f"{ID}/session.json")


def test_g16_field_that_outrig_would_drop_is_kept_and_none_is_added_that_it_does_not_know(
    tmp_path: Path,
) -> None:
    made = rows(mended(tmp_path / "x", written(record(ID, BEGAN) | {"note": "mine"})))
    assert set(made) - set(record(ID, BEGAN)) == {"note", "ended_at"}
    assert list(made)[:3] == ["id", "started_at", "ended_at"]


# What outrig's own tests say of it.


def test_sessions_in_folders_and_behind_links_are_both_listed(store: OutrigStore) -> None:
    store.session()
    store.link(store.session(finished(OTHER, BEGAN), within=store.folder / "runs/nightly"), OTHER)
    assert sorted(store.ids()) == [ID, OTHER]


def test_folder_without_a_record_is_not_counted_as_a_session_that_cannot_be_read(store: OutrigStore) -> None:
    (store.sessions / "foreign").mkdir()
    store.session()
    assert (store.ids(), store.problems()) == ([ID], [])


def test_one_bad_record_costs_no_other_session(store: OutrigStore) -> None:
    store.session(finished(ID, BEGAN, image_tag=None))
    store.session(finished(OTHER, BEGAN), id_=OTHER)
    assert store.facts(OTHER).state is State.COMPLETE
    assert "`image_tag`" in store.facts().evidence


def test_records_of_old_eras_that_lie_on_disks_still_load(store: OutrigStore) -> None:
    for file in FROZEN.glob("era-*.json"):
        content = file.read_bytes()
        id_ = str(rows(content)["id"])
        store.session(content, id_=id_)
        assert store.facts(id_).state is State.COMPLETE


def test_old_name_of_a_field_is_not_upgraded_by_mending(tmp_path: Path) -> None:
    old = written(record(ID, BEGAN, image_config_name=None, container_config_name="planning"))
    made = rows(mended(tmp_path / "x", old))
    assert made["container_config_name"] == "planning"
    assert "image_config_name" not in made


def test_what_outrig_did_not_write_is_left_and_named(store: OutrigStore) -> None:
    folder = store.session()
    store.put("KEEP_ME.txt", b"mine", within=folder)
    store.put("photos/cat.jpg", b"mine", within=folder)
    assert paths(store.facts().members) == [f"{ID}/session.json"]
    assert store.problems()[0].endswith("KEEP_ME.txt, photos")


def test_logs_that_are_a_link_and_a_launcher_that_is_a_folder_are_kept(store: OutrigStore) -> None:
    folder = store.session()
    (folder / "logs").rmdir()
    kept = store.put("kept/a.stderr", b"mine", within=store.folder)
    (folder / "logs").symlink_to(kept.parent)
    (folder / "outrig-enter").mkdir()
    assert paths(store.facts().members) == [f"{ID}/session.json"]


def test_root_that_is_empty_is_no_error(store: OutrigStore) -> None:
    assert store.survey() == []


def test_entry_that_cannot_be_looked_at_is_told_and_stops_nothing(store: OutrigStore) -> None:
    store.session()
    (store.sessions / OTHER).symlink_to("/proc/1/root/nowhere" if Path("/proc/1").exists() else "/dev/null/x")
    assert store.ids() == [ID]


def test_age_counts_from_the_end_and_without_one_from_the_last_change(store: OutrigStore) -> None:
    # outrig counts from the beginning where there is no end; a long session would be removed while it is young.
    store.containers()
    store.session()
    assert store.facts().ended == BEGAN + 242.5
    store.session(GOING, age=2 * DAY)
    assert store.facts().ended == NOW - 2 * DAY


def test_crashed_sessions_are_found_whatever_their_age(store: OutrigStore) -> None:
    store.containers()
    store.session(GOING, age=2 * DAY)
    store.session(written(record(OTHER, BEGAN)), id_=OTHER, age=400 * DAY)
    assert {store.facts(ID).state, store.facts(OTHER).state} == {State.CRASHED}


def test_odd_things_among_the_logs_do_not_stop_the_rest(store: OutrigStore) -> None:
    folder = store.session(fs=STDERR)
    (folder / "logs/odd").symlink_to("/nowhere")
    assert paths(store.facts().payload) == [f"{ID}/logs/fs.stderr"]


def test_running_is_looked_up_among_all_containers_those_without_outrigs_label_too(
    store: OutrigStore,
) -> None:
    store.containers(
        every=[
            {"Names": ["borrowed"], "State": "running", "Labels": {}},
            {"Names": [f"outrig-{OTHER}"], "State": "exited", "Labels": {"org.outrig.session": OTHER}},
        ]
    )
    store.session(finished(ID, BEGAN, container_name="borrowed"))
    store.session(written(record(OTHER, BEGAN)), id_=OTHER)
    assert (store.facts(ID).state, store.facts(OTHER).state) == (State.LIVE, State.CRASHED)


def test_start_of_a_session_that_another_clock_dated_ahead_is_told_as_it_is(store: OutrigStore) -> None:
    store.session(finished(ID, NOW + DAY))
    assert store.facts().started_at == NOW + DAY
