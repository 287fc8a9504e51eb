"""The state machine can fail: what is planted is found, by the machine itself or by one course of it."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from maint_world import World
from sessions_machine import KEEP_FOR, Sessions
from stories import alone

from maint import undoing
from policies import Duration
from store import syscalls
from store.roots import RootFds

LATER = KEEP_FOR / 2


@pytest.fixture
def machine() -> Iterator[Sessions]:
    """One that has swept: an empty session waits in the trash."""
    made = Sessions()
    with alone():
        try:
            made.begin()
            made.sweep()
            yield made
        finally:
            made.teardown()


def checked(machine: Sessions) -> None:
    machine.whatever_was_recorded_is_somewhere()


def test_course_of_a_sound_program_is_found_sound(machine: Sessions) -> None:
    machine.time_goes_by(LATER)
    machine.sweep()
    machine.undo(1)
    machine.restore_all()
    machine.verify()
    checked(machine)


def test_undo_that_forgets_an_action_is_found(machine: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    real = undoing.undo_of
    (waiting,) = machine.world.waiting()

    def forgetful(roots: RootFds, *rest: Any) -> Any:
        found = real(roots, *rest)
        assert found is not None
        found.actions = [each for each in found.actions if each.session not in waiting]
        return found

    monkeypatch.setattr(undoing, "undo_of", forgetful)
    with pytest.raises(AssertionError, match="ended with 0, and has left"):
        machine.undo(0)


def test_expiry_that_is_early_is_found(machine: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Duration.before

    def early(self: Duration, now: float, zone: Any) -> float:
        return now if self.text == f"{KEEP_FOR:.0f}d" else real(self, now, zone)

    monkeypatch.setattr(Duration, "before", early)
    machine.time_goes_by(LATER)
    with pytest.raises(AssertionError, match="lost by"):
        machine.sweep()


def test_session_restored_over_another_is_found(machine: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    def over(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        os.rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def link_over(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int, **_: Any) -> None:
        os.rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    waiting = next(name for name in machine.world.waiting() if name.endswith(".ndjson"))
    machine._write(waiting.removesuffix(".ndjson"), "complete", 0.01)
    monkeypatch.setattr(syscalls, "rename_noreplace", over)
    monkeypatch.setattr(os, "link", link_over)
    with pytest.raises(AssertionError, match="lost by"):
        machine.restore(0)


def test_session_that_is_cut_short_is_found(machine: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(self: World, *_: str) -> Any:
        path = next(self.sessions.glob("*.ndjson"))
        path.write_bytes(path.read_bytes()[:-5])
        return type("Answer", (), {"code": 0, "err": ""})

    monkeypatch.setattr(World, "maint", cut)
    with pytest.raises(AssertionError, match=r"lost by|mixture"):
        machine.archive()
