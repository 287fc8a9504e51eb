"""What lies in the folder of Codex, and what the layout says of names."""

import os
from pathlib import Path

import pytest
from codex_world import DAY, ID, NOW, OTHER, THIRD, Codex, place_at

from store import frames
from store.facts import Place
from store.layout import Moment
from store.layouts.codex import LAYOUT
from store.layouts.codex.specimens import header, path_of, thread, turn

BEGAN = NOW - 2 * DAY
PATH = path_of(ID, BEGAN)
NAME = PATH.rpartition("/")[2]
FOREIGN = (
    "history.jsonl",
    "session_index.jsonl",
    "state_5.sqlite",
    NAME,
    f"sessions/{NAME}",
    f"sessions/2026/{NAME}",
    f"sessions/2026/11/28/x/{NAME}",
    f"sessions/26/11/28/{NAME}",
    f"archived_sessions/2026/{NAME}",
    f"sessions/2026/11/28/{NAME}.tmp",
    f"sessions/2026/11/28/{NAME.upper()}",
    f"sessions/2026/11/28/rollout-{ID}.jsonl",
    f"sessions/2026/11/28/{NAME[:-6]}.json",
    f"thread-writer-locks/{ID}.lock",
    f".maint/trash/run/home/{PATH}",
)


@pytest.fixture
def store(tmp_path: Path) -> Codex:
    return Codex(tmp_path)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_place_is_told_by_the_environment_or_below_home(platform: str) -> None:
    def place(env: dict[str, str]) -> str:
        return LAYOUT.default_roots(env, "/home/ana", platform)[""]["home"]

    assert place({}) == place({"CODEX_HOME": ""}) == place({"CODEX_HOME": "x"}) == "/home/ana/.codex"
    assert place({"CODEX_HOME": "/srv/codex/"}) == "/srv/codex"


def test_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    place = Place("s", LAYOUT.kind, LAYOUT.default_roots({}, str(tmp_path), "linux")[""])
    with pytest.raises(FileNotFoundError):
        LAYOUT.discover(place, Moment(0, 0))
    assert list(tmp_path.iterdir()) == []


def test_folder_without_sessions_is_a_store_without_any(store: Codex) -> None:
    store.put("config.toml", b"")
    assert (store.survey(), store.problems()) == ([], [])


def test_threads_of_all_days_and_those_that_were_put_away_are_listed_in_order(store: Codex) -> None:
    for age in (1, 40, 400):
        store.save(id_=ID[:-3] + f"{age:03}", age=age * DAY)
    store.save(id_=OTHER, archived=True)
    entries = list(store.listing().entries)
    assert len(entries) == 4
    assert entries == sorted(entries)
    assert len(store.sessions()) == 4


@pytest.mark.parametrize("path", FOREIGN)
def test_foreign_file_is_left_alone(store: Codex, path: str) -> None:
    store.put(path, thread(ID, BEGAN))
    assert (store.survey(), store.listing().leftovers, store.problems()) == ([], [], [])
    assert not LAYOUT.knows("home", path)
    assert LAYOUT.session_of("home", path) is None


def test_name_of_a_thread_tells_its_id(store: Codex) -> None:
    for path in (PATH, path_of(ID, BEGAN, archived=True)):
        assert LAYOUT.knows("home", path)
        assert LAYOUT.session_of("home", path) == ID
        assert LAYOUT.session_of("elsewhere", path) is None


def test_two_files_of_one_id_are_two_sessions(store: Codex) -> None:
    first = store.save()
    second = store.save(archived=True)
    store.save(header(OTHER, BEGAN, history_base={"thread_id": ID}) + turn(BEGAN), OTHER)
    found = store.sessions()
    assert len(found) == 3
    told = {id_: each.path for id_, each in found.items() if id_.startswith(f"{ID}@")}
    assert set(told.values()) == {str(path.relative_to(store.folder)) for path in (first, second)}
    assert (found[OTHER].rests_on, store.problems()) == (ID, [])


def test_what_the_program_has_compressed_is_counted_and_what_it_rests_on_is_known(store: Codex) -> None:
    content = header(ID, BEGAN, history_base={"thread_id": OTHER}) + turn(BEGAN)
    store.put(f"{PATH}.zst", frames.compress(content, 3))
    store.put(f"{path_of(THIRD, BEGAN)}.zst", frames.compress(thread(THIRD, BEGAN), 3))
    assert store.survey() == []
    assert store.problems() == [": 2 sessions that Codex has compressed itself (*.jsonl.zst) are left alone"]
    assert store.listing().bases == {OTHER: ID}


@pytest.mark.parametrize(
    "content", [b"", b"x", frames.compress(b"hello", 3)], ids=["nothing", "text", "no header"]
)
def test_compressed_file_that_cannot_be_looked_into_hides_something(store: Codex, content: bytes) -> None:
    store.put(f"{PATH}.zst", content)
    assert [each.path for each in store.listing().problems if each.hides] == [f"{PATH}.zst"]


def test_link_in_the_place_of_a_folder_is_not_followed_and_told(store: Codex, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere/2026/11/28"
    elsewhere.mkdir(parents=True)
    (elsewhere / NAME).write_bytes(thread(ID, BEGAN))
    (store.folder / "sessions").symlink_to(tmp_path / "elsewhere")
    assert store.survey() == []
    (problem,) = store.problems()
    assert problem.startswith("sessions: expected a folder of Codex's, but it cannot be read (")


@pytest.mark.parametrize("kind", ["link", "second name", "fifo"])
def test_what_is_no_plain_file_of_its_owner_is_told(store: Codex, tmp_path: Path, kind: str) -> None:
    path = store.save()
    if kind == "second name":
        os.link(path, tmp_path / "second")
    else:
        path.rename(tmp_path / "first")
        if kind == "link":
            path.symlink_to(tmp_path / "first")
        else:
            os.mkfifo(path)
    assert store.sessions() == {}
    (problem,) = store.problems()
    assert problem.startswith(f"{PATH}: expected a session file of Codex")


def test_root_may_be_reached_by_a_link(store: Codex, tmp_path: Path) -> None:
    store.save()
    (tmp_path / "link").symlink_to(store.folder)
    place = place_at(tmp_path / "link")
    listing = LAYOUT.discover(place, Moment(NOW, DAY))
    assert list(listing.entries) == [PATH]
