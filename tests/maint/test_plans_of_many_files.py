"""Plans for sessions of very many files, whose lines are longer than all others."""

import os
from pathlib import Path

from maint_world import DAY, World

from store.layouts.outrig.specimens import finished

ID = "20260918T131320-0a1b"


def test_plan_for_a_session_of_very_many_files_can_be_saved_and_carried_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    sessions = world.folder / "data/outrig/sessions"
    logs = sessions / f"{ID}/logs"
    logs.mkdir(parents=True)
    old = world.now - 40 * DAY
    (sessions / f"{ID}/session.json").write_bytes(finished(ID, old - 3600))
    for number in range(8000):
        (logs / f"{'x' * 60}-{number:04}.stderr").touch()
    for path in (*logs.iterdir(), logs, sessions / f"{ID}/session.json"):
        os.utime(path, (old, old))
    world.env["PATH"] = str(tmp_path)  # no podman is asked
    world.rules("  - prune: {older_than: 30d}\n", "limits: {max_removed: unlimited}\n")
    assert world.maint("plan", "-o", "saved").code == 0
    assert max(map(len, (tmp_path / "saved").read_bytes().split(b"\n"))) > 1 << 20
    applied = world.maint("apply", "saved")
    assert (applied.code, applied.err, (sessions / ID).exists()) == (0, "", False)
