"""Many outrig sessions in one sweep: each is a folder with folders, more than are kept open at a time."""

import os
import resource
from collections import Counter
from pathlib import Path

import pytest

from maint import engine, interface, selection
from maint.run import Listener, Run
from policies import Policy
from store import targets
from store.archives import with_archives
from store.facts import Place
from store.layouts.outrig import LAYOUT
from store.layouts.outrig.specimens import finished, record, written

MANY, NOW, DAY = 100, 1_790_000_000.0, 86_400.0


POLICY = "version: 1\npasses:\n  - recover: {idle_for: 24h}\n"


@pytest.mark.parametrize("where", ["plain", "elsewhere", "mixed"])
def test_all_crashed_sessions_are_recovered_in_one_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Some dozens are rewritten side by side, and their folders come and go among those that are kept open."""
    monkeypatch.setenv("PATH", str(tmp_path))  # no podman is asked
    sessions = tmp_path / "sessions"
    sessions.mkdir()
    old = NOW - 400 * DAY
    for number in range(MANY):
        id_ = f"20151212T175000-{number:04x}"
        here = where == "plain" or (where == "mixed" and number % 2)
        folder = sessions / id_ if here else tmp_path / "elsewhere" / str(number)
        (folder / "logs").mkdir(parents=True)
        (folder / "session.json").write_bytes(written(record(id_, old - 3600)))
        (folder / "logs/fs.stderr").write_bytes(b"said\n")
        for path in (folder / "session.json", folder / "logs/fs.stderr"):
            os.utime(path, (old, old))
        if not here:
            (sessions / id_).symlink_to(folder)
            os.utime(sessions / id_, (old, old), follow_symlinks=False)
    alone = Place("runs", "outrig", LAYOUT.roots({"path": str(sessions)}, {}, "/nonexistent"))
    place = targets.with_targets(alone, LAYOUT.targets(alone))
    (tmp_path / "policy.yaml").write_text(POLICY)
    policy = selection.load(str(tmp_path / "policy.yaml"))
    first, second = sweep(policy, place), sweep(policy, place)
    assert counts(first) == (Counter({"recover": MANY}), 0, 0)
    assert counts(second) == (Counter(), 0, 0)


def test_few_descriptors_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some systems allow a process 256, which sixty rewrites side by side would not leave anything of."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(128, len(os.listdir("/proc/self/fd")) + 80), hard))
    try:
        test_all_crashed_sessions_are_recovered_in_one_sweep(tmp_path, monkeypatch, "plain")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_sessions_of_many_files_come_back_with_few_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file waits for the disk with its folder open, and those of the next sessions are written meanwhile."""
    monkeypatch.setenv("PATH", str(tmp_path))
    logs = [f"logs/{number}.stderr" for number in range(40)]
    old = NOW - 400 * DAY
    for number in range(12):
        id_ = f"20151212T175000-{number:04x}"
        folder = tmp_path / "sessions" / id_
        (folder / "logs").mkdir(parents=True)
        (folder / "session.json").write_bytes(finished(id_, old - 3600))
        for name in logs:
            (folder / name).write_text(f"{name} of {id_}\n")
        for path in (folder / "session.json", *folder.glob("logs/*")):
            os.utime(path, (old, old))
    known = {path: path.read_bytes() for path in tmp_path.glob("sessions/*/**/*") if path.is_file()}
    place = Place("runs", "outrig", LAYOUT.roots({"path": str(tmp_path / "sessions")}, {}, "/nonexistent"))
    (tmp_path / "policy.yaml").write_text("version: 1\npasses:\n  - archive: {older_than: 30d}\n")
    archived = sweep(selection.load(str(tmp_path / "policy.yaml")), place)
    assert counts(archived) == (Counter({"archive": 12}), 0, 0)
    assert [path for path in known if path.exists()] == []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(256, len(os.listdir("/proc/self/fd")) + 192), hard))
    try:
        back = interface.restore_all([], [with_archives(place)], jobs=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert counts(back) == (Counter({"restore": 12}), 0, 0)
    assert {path: path.read_bytes() for path in known} == known


def sweep(policy: Policy, place: Place) -> Run:
    return engine.sweep(policy, [place], now=NOW, jobs=1, expire=True, wait=0.0, listener=Listener())


def counts(run: Run) -> tuple[Counter[str], int, int]:
    summary = run.summary
    return (
        Counter({str(verb): count for verb, count in summary.done.items()}),
        summary.skipped,
        summary.failed,
    )
