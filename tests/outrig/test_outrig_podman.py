"""Asking podman: whatever is no plain answer is no answer."""

import os
import time
from pathlib import Path

import pytest
from outrig_world import ENDED, ID, OTHER, OutrigStore

from store.facts import State
from store.layouts.outrig import podman
from store.layouts.outrig.podman import Containers
from store.layouts.outrig.specimens import record, written


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutrigStore:
    return OutrigStore(tmp_path, monkeypatch)


def ask() -> Containers:
    return podman.ask(os.getuid())


def test_podman_is_asked_once_for_a_whole_store_without_a_shell_or_input(store: OutrigStore) -> None:
    store.podman("/bin/cat; echo '[]'")
    for number in range(20):
        id_ = f"20260918T131320-{number:04x}"
        store.session(written(record(id_, store.now)), id_=id_)
    store.survey()
    assert store.asked.read_text() == "ps -a --format json\n"


def test_podman_is_not_asked_about_a_store_with_nothing_in_it(store: OutrigStore) -> None:
    store.containers()
    store.put("notes.txt", b"")
    store.listing()
    assert not store.asked.exists()


def test_podman_is_not_asked_about_another_users_store(
    store: OutrigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.runs(f"outrig-{ID}")
    store.session(ENDED)
    monkeypatch.setattr(os, "getuid", lambda: store.sessions.stat().st_uid + 1)
    assert store.facts().state is State.COMPLETE
    assert not store.asked.exists()
    assert "another user" in podman.ask(os.getuid() + 1).why


def test_every_name_of_a_container_that_runs_counts(store: OutrigStore) -> None:
    store.containers(
        every=[
            {"Names": ["a", "b"], "State": "Running", "Labels": None, "Created": 1},
            {"Names": ["c"], "State": "exited"},
        ]
    )
    assert ask().running == frozenset({"a", "b"})


@pytest.mark.parametrize("state", [*sorted(podman.GONE), "Exited", "CREATED"])
def test_container_that_has_ended_or_not_begun_does_not_run(store: OutrigStore, state: str) -> None:
    store.runs("a", state=state)
    assert ask().running == frozenset()


@pytest.mark.parametrize(
    "state", ["running", "RUNNING", "paused", "stopping", "restarting", "unknown", "", "new"]
)
def test_container_in_any_other_state_may_run(store: OutrigStore, state: str) -> None:
    store.runs("a", state=state)
    assert ask().running == frozenset({"a"})


def test_container_without_a_state_may_run(store: OutrigStore) -> None:
    store.containers(every=[{"Names": ["a"]}])
    assert ask().running == frozenset({"a"})


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 0", "cannot be understood"),
        ("echo not json", "cannot be understood"),
        ("echo null", "cannot be understood"),
        ("echo '{}'", "cannot be understood"),
        ("echo '[1]'", "cannot be understood"),
        ("echo '[{}]'", "cannot be understood"),
        ("""echo '[{"Names":"a","State":"exited"}]'""", "cannot be understood"),
        ("""echo '[{"Names":["a"],"State":1}]'""", "cannot be understood"),
        ("""echo '[{"Names":[],"State":"exited"}]'""", "without a name"),
        ("echo '[]'; exit 125", "podman fails with 125"),
        ("echo '[]'; kill -9 $$", "podman fails with -9"),
        ("printf '[\"\\377\"]'", "cannot be understood"),
    ],
)
def test_answer_that_is_none_is_none(store: OutrigStore, script: str, why: str) -> None:
    store.podman(script)
    found = ask()
    assert found.running is None
    assert why in found.why


def test_answer_nested_without_end_is_none(store: OutrigStore) -> None:
    assert podman.read(b"[" * 1_000_000).running is None


def test_no_podman_is_no_answer(store: OutrigStore) -> None:
    assert ask() == Containers(None, "there is no podman")


def test_podman_in_the_working_folder_is_not_run(store: OutrigStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.containers()
    monkeypatch.chdir(store.bin)
    monkeypatch.setenv("PATH", ".")
    assert ask() == Containers(None, "there is no podman")
    assert not store.asked.exists()


def test_podman_that_cannot_be_run_is_no_answer(store: OutrigStore) -> None:
    (store.bin / "podman").write_bytes(b"\x7fELF no program")
    (store.bin / "podman").chmod(0o755)
    assert ask().running is None
    assert "cannot be run" in ask().why


def test_podman_that_does_not_answer_is_ended_with_all_it_started(
    store: OutrigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podman, "TIMEOUT", 0.3)
    pid = store.folder / "pid"
    store.podman(f'/bin/sleep 600 & echo $! > "{pid}"; wait')
    began = time.monotonic()
    assert "did not answer" in ask().why
    assert time.monotonic() - began < 10
    if pid.exists() and pid.read_text().strip():
        stat = Path(f"/proc/{int(pid.read_text())}/stat")
        deadline = time.monotonic() + 30
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline


def test_podman_that_closes_its_mouth_and_stays_is_ended(
    store: OutrigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podman, "TIMEOUT", 0.3)
    store.podman("exec /bin/sleep 600 >&-")
    assert "did not answer" in ask().why


def test_podman_that_says_too_much_is_not_listened_to(
    store: OutrigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podman, "LIMIT", 1 << 20)
    store.podman("exec /bin/cat /dev/zero")
    assert "more than can be read" in ask().why


def test_no_process_is_left_behind(store: OutrigStore) -> None:
    store.containers()
    for _ in range(3):
        ask()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_podman_that_fails_leaves_finished_sessions_complete_and_the_others_unknown(
    store: OutrigStore,
) -> None:
    store.podman("exit 1")
    store.now = time.time() + 3 * 86_400
    store.session(ENDED)
    store.session(written(record(OTHER, store.now - 3 * 86_400)), id_=OTHER, age=2 * 86_400)
    assert store.facts().state is State.COMPLETE
    assert store.facts(OTHER).state is State.UNKNOWN
    assert "podman fails with 1" in store.facts(OTHER).evidence
