"""Where outrig's stores are looked for, and which names in them are outrig's."""

import os
from pathlib import Path

import pytest

from store.layouts.outrig import LAYOUT, grammar

HOME = "/home/ana"
SID = "20260918T131320-0a1b"
TARGET = "dir-0123456789abcdef"


def root(env: dict[str, str], home: str = HOME, platform: str = "linux") -> str:
    stores = LAYOUT.default_roots(env, home, platform)
    assert list(stores) == [""]
    assert list(stores[""]) == ["sessions"]
    return stores[""]["sessions"]


def configured(tmp_path: Path, text: str | bytes) -> str:
    (tmp_path / ".outrig").mkdir()
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / ".outrig/config.toml").write_bytes(content)
    return root({}, str(tmp_path))


def test_root_is_in_the_data_folder() -> None:
    assert root({}) == "/home/ana/.local/share/outrig/sessions"
    assert root({"XDG_DATA_HOME": "/data"}) == "/data/outrig/sessions"
    assert root({"XDG_DATA_HOME": "data"}) == "/home/ana/.local/share/outrig/sessions"


def test_root_on_macos_is_where_its_crate_puts_data() -> None:
    env = {"XDG_DATA_HOME": "/data"}
    assert root(env, platform="darwin") == "/home/ana/Library/Application Support/outrig/sessions"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/srv/runs", "/srv/runs"),
        ("/srv/runs/", "/srv/runs"),
        ("runs", "{home}/.outrig/runs"),
        ("../runs", "{home}/runs"),
        ("~/runs", "{home}/runs"),
        ("~", "{home}"),
        ("~eve/runs", "{home}/.outrig/~eve/runs"),
    ],
)
def test_root_that_the_configuration_names_is_beside_it_unless_absolute(
    tmp_path: Path, written: str, meant: str
) -> None:
    assert configured(tmp_path, f'session-root = "{written}"\n') == meant.format(home=tmp_path)


def test_configuration_is_in_the_config_folder_if_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "outrig").mkdir()
    (tmp_path / "outrig/config.toml").write_text('session-root = "runs"\n')
    assert root({"XDG_CONFIG_HOME": str(tmp_path)}) == f"{tmp_path}/outrig/runs"
    assert root({"XDG_CONFIG_HOME": "relative"}) == "/home/ana/.local/share/outrig/sessions"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"default-model = 'x'\n",
        b"session-root = 7\n",
        b"session-root = ''\n",
        b'session-root = "a\\u0000b"\n',
        b"session-root = \n",
        b"session-root = '\xff'\n",
        b"a = " + b"[" * 20_000,
        b"#" * (2 << 20),
        b"session-root = '/srv'\na = " + b"9" * 5000,
    ],
    ids=range(10),
)
def test_configuration_that_says_nothing_of_the_root_or_cannot_be_read_is_ignored(
    tmp_path: Path, content: bytes
) -> None:
    assert configured(tmp_path, content) == f"{tmp_path}/.local/share/outrig/sessions"


def test_configuration_that_is_a_fifo_or_a_folder_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".outrig").mkdir()
    os.mkfifo(tmp_path / ".outrig/config.toml")
    assert root({}, str(tmp_path)) == f"{tmp_path}/.local/share/outrig/sessions"
    (tmp_path / ".outrig/config.toml").unlink()
    (tmp_path / ".outrig/config.toml").mkdir()
    assert root({}, str(tmp_path)) == f"{tmp_path}/.local/share/outrig/sessions"


def test_root_that_a_policy_names_is_taken_as_it_is() -> None:
    assert LAYOUT.roots({"path": "/srv/runs/"}, {}, HOME) == {"sessions": "/srv/runs"}
    assert LAYOUT.roots({"path": "/"}, {}, HOME) == {"sessions": "/"}
    assert set(LAYOUT.paths) == {"path"}


KNOWN = [
    ("sessions", SID),
    ("sessions", "a-hand-made.name"),
    ("sessions", f"{SID}/session.json"),
    ("sessions", f"{SID}/outrig-enter"),
    ("sessions", f"{SID}/.tmpQ3xZ9k"),
    ("sessions", f"{SID}/logs"),
    ("sessions", f"{SID}/logs/fs.stderr"),
    ("sessions", f"{SID}/logs/subagent-a/subagent b.log"),
    ("sessions", f"{SID}/logs/" + "/".join(["a"] * 32)),
    (TARGET, "session.json"),
    (TARGET, "outrig-enter"),
    (TARGET, ".tmpQ3xZ9k"),
    (TARGET, "logs"),
    (TARGET, "logs/events.jsonl"),
]
UNKNOWN = [
    ("sessions", ""),
    ("sessions", ".maint"),
    ("sessions", ".maint/lock"),
    ("sessions", "../x"),
    ("sessions", "x" * 129),
    ("sessions", f"{SID}/"),
    ("sessions", f"/{SID}"),
    ("sessions", f"{SID}/notes.md"),
    ("sessions", f"{SID}/session.json/x"),
    ("sessions", f"{SID}/.tmpQ3xZ9"),
    ("sessions", f"{SID}/.tmpQ3xZ9k~"),
    ("sessions", f"{SID}/logs/"),
    ("sessions", f"{SID}/logs/../session.json"),
    ("sessions", f"{SID}/logs//a"),
    ("sessions", f"{SID}/logs/\udcff"),
    ("sessions", f"{SID}/logs/a\nb"),
    ("sessions", f"{SID}/logs/a\0b"),
    ("sessions", f"{SID}/logs/" + "/".join(["a"] * 33)),
    ("sessions", f"{SID}\n"),
    (TARGET, ""),
    (TARGET, SID),
    (TARGET, "notes.md"),
    (TARGET, "../session.json"),
    ("dir-0123456789abcde", "session.json"),
    ("dir-0123456789ABCDEF", "session.json"),
    ("archive", "session.json"),
    ("", "session.json"),
]


@pytest.mark.parametrize(("label", "path"), KNOWN)
def test_name_that_outrig_makes_is_known(label: str, path: str) -> None:
    assert LAYOUT.knows(label, path)


@pytest.mark.parametrize(("label", "path"), UNKNOWN)
def test_name_that_outrig_does_not_make_is_not_known(label: str, path: str) -> None:
    assert not LAYOUT.knows(label, path)
    assert LAYOUT.session_of(label, path) is None


def test_member_says_whose_it_is_by_the_entry_it_lies_in() -> None:
    for inside in ("session.json", "outrig-enter", "logs/fs.stderr", "logs/a/b/c"):
        assert LAYOUT.session_of("sessions", f"{SID}/{inside}") == SID
    for litter in (SID, f"{SID}/.tmpQ3xZ9k", f"{SID}/logs"):
        assert LAYOUT.session_of("sessions", litter) is None
    assert LAYOUT.session_of(TARGET, "session.json") is None


def test_folders_of_one_session_are_its_own_but_not_the_one_that_the_user_chose() -> None:
    for path in (SID, f"{SID}/logs", f"{SID}/logs/a/b"):
        assert LAYOUT.owns_folder("sessions", path)
    for path in ("", ".maint", ".", f"{SID}/photos", f"{SID}/logs/../.."):
        assert not LAYOUT.owns_folder("sessions", path)
    assert LAYOUT.owns_folder(TARGET, "logs")
    assert LAYOUT.owns_folder(TARGET, "logs/a")
    assert not LAYOUT.owns_folder(TARGET, "")
    assert not LAYOUT.owns_folder(TARGET, "photos")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (SID, True),
        ("20260918T131320-0A1B", False),
        ("20261318T131320-0a1b", False),
        ("20260918T251320-0a1b", False),
        ("20260918T131320-0a1", False),
        (f"{SID}\n", False),
        ("\uff120260918T131320-0a1b", False),
    ],
)
def test_names_of_outrigs_own_are_told_from_others(name: str, is_one: bool) -> None:
    assert (grammar.is_sid(name) is not None) is is_one
