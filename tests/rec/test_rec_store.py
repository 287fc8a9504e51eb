"""Where a store of rec lies, what in its folder is a session, and what is litter."""

import os
import socket
from pathlib import Path

import pytest
from rec_world import BEGAN, DAY, FOOT, HEAD, ID, NOW, ONE, OTHER, TORN, TWO, RecStore

from store.facts import State
from store.layouts.rec import LAYOUT
from store.layouts.rec.records import rename_header
from store.layouts.rec.specimens import header

UUID = "9b0d6f3a-1c2e-4d5f-8a7b-6c5d4e3f2a1b"
DATA, STATE = "/home/ana/.local/share/rec", "/home/ana/.local/state/rec"

MARKED = rename_header(HEAD, None)


@pytest.fixture
def store(tmp_path: Path) -> RecStore:
    return RecStore(tmp_path)


def roots(env: dict[str, str], platform: str = "linux") -> list[str]:
    return list(LAYOUT.default_roots(env, "/home/ana", platform)[""].values())


def leftovers(store: RecStore) -> dict[str, str | None]:
    return {found.id: found.session for found in store.listing().leftovers}


def test_default_roots_are_those_of_rec() -> None:
    assert roots({}) == [f"{DATA}/sessions", DATA, STATE]


def test_xdg_folders_count_when_they_are_absolute() -> None:
    env = {"XDG_DATA_HOME": "/d/", "XDG_STATE_HOME": "/s"}
    assert roots(env) == ["/d/rec/sessions", "/d/rec", "/s/rec"]


@pytest.mark.parametrize("value", ["", "data", "./data", "~/data"])
def test_xdg_folders_that_are_not_absolute_are_ignored(value: str) -> None:
    assert roots({"XDG_DATA_HOME": value, "XDG_STATE_HOME": value}) == roots({})


def test_storage_path_is_ignored_because_rec_ignores_it() -> None:
    assert roots({"REC_STORAGE_PATH": "/elsewhere"}) == roots({})


def test_macos_has_one_folder_and_no_xdg() -> None:
    data = "/home/ana/Library/Application Support/rec"
    assert roots({"XDG_DATA_HOME": "/d"}, "darwin") == [f"{data}/sessions", data, f"{data}/state"]


def test_first_root_holds_the_sessions() -> None:
    assert next(iter(LAYOUT.default_roots({}, "/home/ana", "linux")[""])) == "sessions"


@pytest.mark.parametrize(
    ("sessions", "env", "state"),
    [
        (f"{DATA}/sessions", {}, STATE),
        (f"{DATA}/sessions/", {"XDG_STATE_HOME": "/s"}, "/s/rec"),
        ("/d/rec/sessions", {"XDG_DATA_HOME": "/d"}, STATE),
        ("/mnt/old/.local/share/rec/sessions", {"XDG_STATE_HOME": "/s"}, "/mnt/old/.local/state/rec"),
        (
            "/Users/a/Library/Application Support/rec/sessions",
            {},
            "/Users/a/Library/Application Support/rec/state",
        ),
        ("/somewhere/sessions", {}, None),
    ],
)
def test_state_folder_is_guessed_where_the_path_gives_it_away(
    sessions: str, env: dict[str, str], state: str | None
) -> None:
    found = LAYOUT.roots({"path": sessions}, env, "/home/ana")
    assert found.get("state") == state
    assert found["sessions"] == sessions.rstrip("/")
    assert found["data"] == os.path.dirname(found["sessions"])


def test_state_folder_that_is_named_counts() -> None:
    assert LAYOUT.roots({"path": f"{DATA}/sessions", "state": "/s"}, {}, "/home/ana")["state"] == "/s"


def test_state_folder_beside_the_sessions_is_taken(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    found = LAYOUT.roots({"path": f"{tmp_path}/sessions"}, {}, "/home/ana")
    assert found["state"] == f"{tmp_path}/state"


def test_missing_sessions_folder_is_an_error(store: RecStore) -> None:
    store.sessions.rmdir()
    with pytest.raises(FileNotFoundError):
        store.listing()


def test_empty_store_has_nothing(store: RecStore) -> None:
    found = store.listing()
    assert (found.entries, found.locks, found.leftovers, found.problems) == ([], [], [], [])


def test_sessions_are_listed_in_the_order_of_their_names(store: RecStore) -> None:
    for id_ in (OTHER, ID, UUID):
        store.session(header(id_, "x", BEGAN), id_=id_)
    assert store.listing().entries == sorted(f"{id_}.ndjson" for id_ in (OTHER, ID, UUID))


# Names that are no sessions.


@pytest.mark.parametrize(
    "name",
    [
        "séance.ndjson",
        ".hidden.ndjson",
        ".ndjson",
        "a b.ndjson",
        "-r.ndjson",
        "\x1b[2J.ndjson",
        "x" * 200 + ".ndjson",
    ],
)
def test_name_that_rec_would_not_write_is_reported_and_left_alone(store: RecStore, name: str) -> None:
    store.put(name, HEAD + ONE + FOOT)
    (problem,) = store.problems()
    assert problem.isprintable()
    assert store.survey() == []


def test_name_that_is_no_text_is_reported_and_left_alone(store: RecStore) -> None:
    with open(os.fsencode(store.sessions) + b"/\xff\xfe.ndjson", "wb") as file:
        file.write(HEAD)
    assert store.problems() == [r"\xff\xfe.ndjson: its name cannot be one of rec's session files; left alone"]


@pytest.mark.parametrize(
    "name", [".maint", "notes.txt", f"{ID}.ndjson.zst", f"{ID}.NDJSON", ".write-test", "ndjson"]
)
def test_other_files_and_folders_are_passed_over_in_silence(store: RecStore, name: str) -> None:
    store.put(name, b"x")
    assert (store.survey(), store.problems(), leftovers(store)) == ([], [], {})


@pytest.mark.parametrize("kind", ["folder", "link", "dangling link", "fifo", "socket", "hard link"])
def test_what_is_no_file_of_its_own_is_reported_and_left_alone(
    store: RecStore, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.sessions)  # a socket's address is short
    path = store.sessions / f"{ID}.ndjson"
    elsewhere = store.put("elsewhere", HEAD + ONE, within=store.data)
    match kind:
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(elsewhere)
        case "dangling link":
            path.symlink_to("nowhere")
        case "fifo":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as end:
                end.bind(path.name)
        case _:
            path.hardlink_to(elsewhere)
    (problem,) = store.problems()
    assert problem.startswith(f"{ID}.ndjson: expected a session file of rec, but it ")


def test_session_deleted_after_it_was_listed_is_no_problem(store: RecStore) -> None:
    store.session(HEAD + ONE)
    listing = store.listing()
    (store.sessions / f"{ID}.ndjson").unlink()
    assert list(LAYOUT.read(store.place, listing.context, listing.entries)) == []


def test_bad_neighbours_do_not_hide_a_session(store: RecStore) -> None:
    store.session(HEAD + ONE + FOOT)
    (store.sessions / "a.ndjson").mkdir()
    store.put("b.ndjson", os.urandom(2000))
    assert store.facts().name == "deploy"


def test_session_of_a_file_is_told_by_its_name_and_root() -> None:
    assert LAYOUT.session_of("sessions", f"{ID}.ndjson") == ID
    assert LAYOUT.session_of("state", f"{ID}.ndjson") is None
    assert LAYOUT.session_of("sessions", f"{ID}.ndjson.bak") is None
    assert LAYOUT.session_of("sessions", f"deeper/{ID}.ndjson") is None


# Leftovers.


def test_temp_file_of_a_save_is_litter_of_its_session(store: RecStore) -> None:
    store.session(HEAD + ONE + FOOT)
    path = store.put(f"{ID}.ndjson.tmp", HEAD[:30], age=5 * DAY)
    (found,) = store.listing().leftovers
    assert (found.id, found.session, found.bytes) == (path.name, ID, 30)
    assert (found.last_changed, found.members[0].root) == (NOW - 5 * DAY, "sessions")


def test_backup_of_a_whole_session_is_litter(store: RecStore) -> None:
    store.session(HEAD + ONE + FOOT)
    store.put(f"{ID}.ndjson.bak", HEAD + ONE + FOOT)
    assert leftovers(store) == {f"{ID}.ndjson.bak": ID}


@pytest.mark.parametrize(
    "content", [b"", TORN, HEAD + ONE + TORN, HEAD + ONE, bytes(999), ONE, HEAD + ONE + bytes(99)]
)
def test_backup_of_a_damaged_session_is_kept(store: RecStore, content: bytes) -> None:
    store.session(content)
    store.put(f"{ID}.ndjson.bak", HEAD + ONE + FOOT)
    assert leftovers(store) == {}
    (problem,) = [text for text in store.problems() if text.startswith(f"{ID}.ndjson.bak")]
    assert "the backup is kept" in problem


def test_backup_of_what_is_no_file_is_kept(store: RecStore) -> None:
    (store.sessions / f"{ID}.ndjson").symlink_to("/etc/hostname")
    store.put(f"{ID}.ndjson.bak", HEAD + ONE + FOOT)
    assert leftovers(store) == {}


def test_backup_of_a_deleted_session_is_litter(store: RecStore) -> None:
    # rec's own delete leaves it; it goes to the trash first, like everything.
    store.put(f"{ID}.ndjson.bak", HEAD + ONE + FOOT)
    assert leftovers(store) == {f"{ID}.ndjson.bak": ID}


# What a killed save or rename has left, and its session does not have.


@pytest.mark.parametrize(
    ("session", "leftover"),
    [
        (HEAD + ONE + TWO + FOOT, HEAD + ONE + FOOT),  # the session went on
        (HEAD + ONE + FOOT, HEAD),
        (HEAD + ONE + FOOT, HEAD + FOOT),
        (HEAD + ONE + FOOT, HEAD + ONE[:-9]),
        (HEAD + ONE + FOOT, b"\n \n" + HEAD + ONE),
        (HEAD + ONE.replace(b"\n", b"\r\n") + FOOT, HEAD + (ONE + FOOT).replace(b"\n", b"\r\n")),
        (HEAD.replace(b'"name":"', b'"name":"a longer one of ') + ONE + FOOT, HEAD + ONE + FOOT),
        (HEAD + ONE + FOOT, b""),
        (HEAD + ONE + FOOT, bytes(99)),
    ],
)
@pytest.mark.parametrize("suffix", ["tmp", "bak"])
def test_leftover_whose_session_has_all_that_is_in_it_is_litter(
    store: RecStore, session: bytes, leftover: bytes, suffix: str
) -> None:
    store.session(session)
    store.put(f"{ID}.ndjson.{suffix}", leftover)
    assert leftovers(store) == {f"{ID}.ndjson.{suffix}": ID}
    assert store.facts().state is State.COMPLETE


@pytest.mark.parametrize(
    ("session", "leftover"),
    [
        (HEAD + ONE + FOOT, HEAD + ONE + TWO + FOOT),
        (HEAD + FOOT, HEAD + ONE),
        (HEAD + TWO + ONE + FOOT, HEAD + ONE),
        (HEAD + ONE + FOOT, HEAD + b"no record\n"),
        (HEAD + ONE + FOOT, TWO + FOOT),
        (HEAD + ONE + FOOT, HEAD + (ONE * 4000) + FOOT),
    ],
)
def test_temp_file_that_holds_what_its_session_does_not_is_kept(
    store: RecStore, session: bytes, leftover: bytes
) -> None:
    store.session(session)
    store.put(f"{ID}.ndjson.tmp", leftover)
    assert leftovers(store) == {}
    (problem,) = store.problems()
    assert "it holds what its session" in problem
    assert store.facts().state is State.UNKNOWN  # so that both are there for whoever compares them
    (store.sessions / f"{ID}.ndjson.tmp").rename(store.sessions / f"{ID}.ndjson.bak")
    assert leftovers(store) == {f"{ID}.ndjson.bak": ID}  # the session ended well, and is the later one
    assert store.facts().state is State.COMPLETE


@pytest.mark.parametrize("session", [b"", HEAD, HEAD + ONE[:-9], bytes(64), TORN, MARKED + FOOT])
@pytest.mark.parametrize("suffix", ["tmp", "bak"])
def test_session_that_is_less_than_what_lies_beside_it_is_nobodys_to_decide_about(
    store: RecStore, session: bytes, suffix: str
) -> None:
    store.session(session)
    store.put(f"{ID}.ndjson.{suffix}", HEAD + ONE + FOOT)
    assert (store.facts().state, leftovers(store)) == (State.UNKNOWN, {})


def test_temp_file_of_a_killed_import_is_kept(store: RecStore) -> None:
    store.put(f"{ID}.ndjson.tmp", HEAD + ONE + FOOT)
    assert leftovers(store) == {}
    assert "give it that name to have one" in store.problems()[0]
    store.put(f"{ID}.ndjson.tmp", HEAD + ONE[:-9])
    assert leftovers(store) == {f"{ID}.ndjson.tmp": ID}


def test_temp_file_of_the_aliases_is_litter(store: RecStore) -> None:
    store.put("aliases.json.tmp", b"{", within=store.data)
    store.put("aliases.json", b"{}", within=store.data)
    (found,) = store.listing().leftovers
    assert (found.id, found.members[0].root, found.session) == ("aliases.json.tmp", "data", None)


@pytest.mark.parametrize(
    "name",
    [
        "notes.ndjson.bak",
        f"{ID}.ndjson.bak.bak",
        f"{ID}.ndjson.old",
        f"{ID.upper()}.ndjson.tmp",
        f"{ID}.tmp",
        "aliases.json.tmp",
        f"{ID}.ndjson.bak~",
    ],
)
def test_file_that_only_looks_like_a_leftover_is_nobodys(store: RecStore, name: str) -> None:
    store.put(name, b"mine")
    assert leftovers(store) == {}


@pytest.mark.parametrize("suffix", ["tmp", "bak"])
def test_leftover_that_is_a_link_is_reported_and_left_alone(store: RecStore, suffix: str) -> None:
    (store.sessions / f"{ID}.ndjson.{suffix}").symlink_to("/etc/hostname")
    assert leftovers(store) == {}
    assert len(store.problems()) == 1


def test_link_among_the_aliases_is_left_alone(store: RecStore) -> None:
    (store.data / "aliases.json.tmp").symlink_to("/etc/hostname")
    assert leftovers(store) == {}


def test_records_are_told_as_lines(store: RecStore) -> None:
    told = [LAYOUT.describe("sessions", f"{ID}.ndjson", line) for line in (HEAD, ONE, FOOT, b"\x1b[2J", TWO)]
    assert told == [
        "header   deploy",
        "      0  git pull",
        "footer   completed, 2 commands",
        r"no record of rec's: \x1b[2J",
        "      0  make test",
    ]
