"""What a hostile owner puts into his own store, and leaves for root to read: each by the name of what it forges."""

import io
import json
import os
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from forged_intents import RED, RUN, intents, outside
from robbed_world import Robbed, in_vault
from thief import as_thief


def journal(world: Robbed) -> None:
    actions = intents(world, "team")
    head = {
        "type": "run", "run": RUN, "command": f"sweep{RED}", "at": "2026-01-01T00:00:00+00:00", "store": "team",
        "kind": "rec", "roots": {"sessions": str(world.vault)}, "policy": RED, "policy_sha256": "", "version": RED,
        "host": RED, "user": 0, "pid": 1,
    }  # fmt: skip
    lines: list[object] = [head, *actions, {"type": "begin"}]
    lines += [
        {"type": "outcome", "n": n, "verb": "prune", "session": RED, "path": action["path"], "result": "done",
         "detail": RED, "bytes": 1}
        for n, action in enumerate(actions) if n % 2
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (world.ours / f"journal/{RUN}.ndjson").write_text(text)
    for path in outside(world):
        kept = world.ours / f"trash/{RUN}/sessions"
        kept.mkdir(parents=True, exist_ok=True)
        (kept / path.name).symlink_to(path)


def names_and_contents(world: Robbed) -> None:
    sessions = sorted(world.sessions.glob("*.ndjson"))
    for path in sessions:
        told = path.read_bytes()
        path.unlink()
        path.write_bytes(told.replace(b'"name":"', b'"name":"' + json.dumps(RED)[1:-1].encode()))
        os.utime(path, (world.now - 300_000, world.now - 300_000))
    text = json.dumps({"type": "command", "index": 0, "command": RED, "cwd": RED, "exit_code": 0}).encode()
    with sessions[0].open("ab") as file:
        file.write(text + b"\n" + RED.encode() + b"\n")
    for name in (f"{RED}.ndjson", f"a{RED}\nmaint: all is well.ndjson.tmp", f"{RED}.ndjson.bak"):
        (world.sessions / name).write_bytes(b"")
    (world.ours / f"trash/{RUN}/sessions").mkdir(parents=True)
    (world.ours / f"trash/{RUN}/sessions/{RED}.ndjson").write_bytes(b"x")


def tar(world: Robbed) -> None:
    """A pack without a manifest, whose members lead out, are links, or are devices."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, kind, target in (
            (f"../../{world.vault.name}/new", tarfile.REGTYPE, ""),
            (f"{world.vault}/new", tarfile.REGTYPE, ""),
            ("in", tarfile.SYMTYPE, str(world.vault)),
            ("in/new", tarfile.REGTYPE, ""),
            ("hard", tarfile.LNKTYPE, f"{world.vault}/new"),
            ("null", tarfile.CHRTYPE, ""),
            ("fifo", tarfile.FIFOTYPE, ""),
            (f"{RED}.ndjson", tarfile.REGTYPE, ""),
            (".maint/trash/x", tarfile.REGTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode, member.uid = kind, target, 0o6777, 0
            data = b"forged\n" if kind == tarfile.REGTYPE else b""
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    packed = subprocess.run(["zstd", "-cq"], input=made.getvalue(), capture_output=True, check=True).stdout
    pack = world.ours / "archive" / world.pack
    pack.unlink()
    pack.write_bytes(packed)


def catalogue(world: Robbed) -> None:
    """A database with more in it than ours has, and one that is to write to a file beside it."""
    path = world.ours / "catalogue.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TRIGGER one AFTER DELETE ON packs BEGIN DELETE FROM sessions; END")
        db.execute("CREATE VIEW two AS SELECT * FROM packs")
        db.execute("UPDATE packs SET label = '../../..', name = ?", (str(world.vault),))
    db.close()


def catalogue_with_a_log(world: Robbed) -> None:
    path = world.ours / "catalogue.sqlite"
    data = bytearray(path.read_bytes())
    data[18:20] = b"\x02\x02"  # it is to be written ahead of
    path.write_bytes(data)
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").symlink_to(next(outside(world)))


def rows_of_others(world: Robbed) -> None:
    path = world.ours / "catalogue.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE packs SET first = ?, problem = ?", (RED, RED))
        db.execute("UPDATE sessions SET id = ?, name = ?, line = ?", (RED, RED, RED.encode()))
    db.close()


def folders_elsewhere(world: Robbed) -> None:
    """Records that name folders of others as the store's own."""
    vault = in_vault(world, world.ours)
    archives = [
        {"label": f"archive-00000{n}", "path": path}
        for n, path in enumerate((f"{vault}/archive", "/", "/root", str(world.folder), str(world.vault)))
    ]
    (world.ours / "archives").write_text(json.dumps(archives))
    (world.ours / "targets").unlink(missing_ok=True)
    (world.ours / "targets").write_text(json.dumps({"dir-0123456789abcdef": str(world.vault)}))


def holder(world: Robbed) -> None:
    told = {
        "pid": os.getpid(), "start_time": 0.0, "boot_id": RED, "host": RED, "command": RED, "since": 0.0,
    }  # fmt: skip
    (world.ours / "holder.json").write_text(json.dumps(told))
    for name in ("recording.lock", "recording.json"):
        (world.thief / "store/state" / name).unlink(missing_ok=True)
    (world.thief / "store/state/recording.lock").write_text(str(os.getpid()))
    state = {"id": RED, "name": RED, "session_path": str(world.vault), "started_at": 1.0, "pid": os.getpid()}
    (world.thief / "store/state/recording.json").write_text(json.dumps(state))


def our_folder_is_closed(world: Robbed) -> None:
    world.ours.chmod(0)


def our_folder_is_a_fifo(world: Robbed) -> None:
    world.ours.rename(world.thief / "away")
    os.mkfifo(world.ours)


def files_of_ours_are_fifos(world: Robbed) -> None:
    for path in [path for path in world.ours.rglob("*") if path.is_file()]:
        path.unlink()
        os.mkfifo(path)


def files_of_ours_are_noise(world: Robbed) -> None:
    noise = RED.encode() + bytes(range(256)) + b"[" * 100_000
    for path in [path for path in world.ours.rglob("*") if path.is_file() and path.suffix != ".zst"]:
        path.unlink()
        path.write_bytes(noise)
    for name in ("reported", "facts", "verified", "skips", "archives", "targets"):
        (world.ours / name).unlink(missing_ok=True)
        (world.ours / name).write_bytes(noise)


FORGERIES: tuple[Callable[[Robbed], None], ...] = (
    journal,
    names_and_contents,
    tar,
    catalogue,
    catalogue_with_a_log,
    rows_of_others,
    folders_elsewhere,
    holder,
    our_folder_is_closed,
    our_folder_is_a_fifo,
    files_of_ours_are_fifos,
    files_of_ours_are_noise,
)


def forge(world: Robbed, forgery: Callable[[Robbed], None]) -> None:
    with as_thief():
        forgery(world)
