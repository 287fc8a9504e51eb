"""`maint verify` and `maint salvage`: what they find, say, remember, and leave alone."""

import json
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from archive_world import forge_last_line
from maint_world import Answer, World, ids, run_all
from test_cli_terminal import at_terminal

from maint import salvaging, verifying
from maint.run import Listener
from maint.verification import Verified
from store import frames, manifest, marks, names, opening
from store.archives import with_archives
from store.frames import Span
from store.layouts.rec.specimens import session_id
from store.locks import StoreLock
from store.marks import Mark, Why
from store.roots import RootFds

NOBODY = 65534
VERIFIED = {
    "type",
    "store",
    "pack",
    "path",
    "sessions",
    "bytes",
    "packed",
    "result",
    "detail",
    "damaged",
    "seconds",
}
SUMMARY = {
    "type",
    "packs",
    "sound",
    "damaged",
    "unreadable",
    "left",
    "sessions",
    "bytes",
    "seconds",
}


def pack_up(world: World, *numbers: int, into: Path | None = None) -> Path:
    """A pack with sessions of these numbers."""
    folder = into or world.ours / "archive"
    before = set(folder.rglob("*.tar.zst"))
    world.add_many("complete", numbers, 60)
    elsewhere = ("--into", str(into)) if into is not None else ()
    answer = world.maint("archive", "--older-than", "30d", *elsewhere)
    assert (answer.code, answer.err) == (0, "")
    (pack,) = set(folder.rglob("*.tar.zst")) - before
    return pack


@pytest.fixture
def pack(world: World) -> Path:
    """A store with a pack of three sessions."""
    return pack_up(world, 1, 2, 3)


def spans(pack: Path) -> list[Span]:
    """The frames of a pack, that of the manifest last."""
    data = pack.read_bytes()
    return frames.parse_seek_table(data[-frames.table_size(data[-frames.FOOTER_SIZE :]) :])[:-1]  # the note


def flip(pack: Path, at: int) -> None:
    data = bytearray(pack.read_bytes())
    data[at] ^= 1
    pack.write_bytes(data)


def spoil(pack: Path, frame: int = 0) -> None:
    """Flip a bit in the middle of a frame."""
    span = spans(pack)[frame]
    flip(pack, span.offset + span.packed // 2)


def quiet(answer: Answer) -> bool:
    return (answer.code, answer.out, answer.err) == (0, "", "")


def order(answer: Answer) -> list[str]:
    return [line["pack"] for line in answer.lines[:-1]]


def remembered(world: World) -> dict[str, float]:
    path = world.sessions / names.VERIFIED
    found: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    return found


def remember(world: World, moments: dict[str, float]) -> None:
    (world.sessions / names.VERIFIED).write_text(json.dumps(moments))


# Sound.


def test_sound_packs_are_nothing_to_speak_of(world: World, pack: Path) -> None:
    before = {path: path.read_bytes() for path in pack.parent.iterdir()}
    assert quiet(world.exec("verify"))
    assert {path: path.read_bytes() for path in pack.parent.iterdir()} == before


def test_store_without_packs_is_nothing_to_speak_of_and_nothing_is_made_in_it(world: World) -> None:
    world.add("complete", 1)
    assert quiet(world.maint("verify"))
    assert not world.ours.exists()


def test_scripts_are_told_of_each_pack(world: World, pack: Path) -> None:
    answer = world.maint("verify", "--json")
    (line, summary) = answer.lines
    assert (line.keys() >= VERIFIED, summary.keys() >= SUMMARY) == (True, True)
    assert line | {"type": "verified", "store": "rec", "pack": pack.name, "path": str(pack)} == line
    assert line | {"sessions": 3, "packed": pack.stat().st_size, "result": "sound", "damaged": []} == line
    assert summary | {"packs": 1, "sound": 1, "damaged": 0, "unreadable": 0, "left": 0} == summary
    assert (answer.code, summary["sessions"], summary["bytes"]) == (0, 3, line["bytes"])


def test_person_is_told_what_was_read(world: World, pack: Path) -> None:
    code, text = at_terminal(world, "verify")
    assert (code, "1 packs read" in text, "all sound: 3 sessions" in text) == (0, True, True)
    assert "all packs were found sound within the last 0 s" in text


def test_person_is_told_that_there_are_no_packs(world: World) -> None:
    assert "there are no packs" in at_terminal(world, "verify")[1]


def test_more_jobs_find_the_same(world: World) -> None:
    packs = [pack_up(world, number) for number in range(1, 5)]
    spoil(packs[2])
    answers = [world.maint("verify", "--json", "--jobs", jobs) for jobs in ("1", "3")]
    found = [[(line["pack"], line["result"]) for line in answer.lines[:-1]] for answer in answers]
    assert sorted(found[0]) == sorted(found[1])
    assert [answer.code for answer in answers] == [1, 1]


# Damaged.


def test_damaged_session_is_told_by_store_pack_and_id_and_what_to_do(world: World, pack: Path) -> None:
    spoil(pack)
    answer = world.exec("verify")
    assert (answer.code, answer.out) == (1, "")
    *sessions, last = sorted(answer.err.splitlines())
    assert [line.partition(" (session-")[0] for line in sessions] == [
        f"maint: rec: pack {pack.name}: session {id_}" for id_ in ids(1, 2, 3)
    ]
    assert last == f"maint: what is whole in it is saved by: maint salvage {pack} --to DIR"


def test_damage_is_told_to_scripts(world: World, pack: Path) -> None:
    spoil(pack)
    answer = world.maint("verify", "--json")
    line, summary = answer.lines
    assert (answer.code, answer.err, line["result"], summary["damaged"]) == (1, "", "damaged", 1)
    assert sorted(each["session"] for each in line["damaged"]) == ids(1, 2, 3)
    assert {each["detail"] for each in line["damaged"]} == {"frame 0 is not what was written"}


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda pack: spoil(pack, -1), "the frame of its manifest is not what was written"),
        (lambda pack: flip(pack, -1), "it does not end with a seek table"),
        (lambda pack: flip(pack, spans(pack)[-1].end + 12), "the frame of its manifest is not what was"),
        (lambda pack: os.truncate(pack, 700), "it does not end with a seek table"),
        (lambda pack: os.truncate(pack, 0), "it is shorter than a seek table"),
        (lambda pack: pack.write_bytes(b"mine" * 1000), "it does not end with a seek table"),
        (lambda pack: pack.write_bytes(pack.read_bytes() * 2), "its seek table says"),
    ],
    ids=["manifest", "table", "note", "truncated", "empty", "foreign", "doubled"],
)
def test_pack_that_cannot_be_opened_is_told(
    world: World, pack: Path, harm: Callable[[Path], object], told: str
) -> None:
    harm(pack)
    answer = world.maint("verify")
    assert (answer.code, answer.out) == (1, "")
    assert f"rec: pack {pack.name} is damaged: " in answer.err
    assert told in answer.err


def test_pack_under_the_name_of_another_is_told(world: World, pack: Path) -> None:
    other = pack.with_name(pack.name.replace("0000.", "0001."))
    pack.rename(other)
    answer = world.maint("verify")
    assert (answer.code, f"its manifest is that of {pack.name}" in answer.err) == (1, True)


def test_other_packs_are_read_all_the_same(world: World, pack: Path) -> None:
    other = pack_up(world, 4)
    os.truncate(pack, 10)
    answer = world.maint("verify", "--json")
    assert {line["pack"]: line["result"] for line in answer.lines[:-1]} == {
        pack.name: "damaged",
        other.name: "sound",
    }


def test_damaged_session_that_did_not_count_is_told_to_be_so(world: World, pack: Path) -> None:
    folder = opening.open_folder(str(pack.parent))
    run = names.parse_pack_name(pack.name)
    assert run is not None
    marks.add(folder, pack.name, [Mark(session=session_id(2), why=Why.EXPIRED, run=run[0], at=world.now)])
    os.close(folder)
    spoil(pack)
    told = {each["session"]: each["marked"] for each in world.maint("verify", "--json").lines[0]["damaged"]}
    assert told == {session_id(1): None, session_id(2): "expired", session_id(3): None}
    assert "it did not count any more: expired" in world.maint("verify").err


def test_marks_that_cannot_be_read_are_told(world: World, pack: Path) -> None:
    (pack.parent / names.marks_name(pack.name)).write_text('{"session":"x"}\n')
    answer = world.maint("verify")
    assert (answer.code, "its marks have 1 lines that are none" in answer.err) == (1, True)
    assert "salvage" not in answer.err


# Unreadable.


def test_pack_that_is_a_folder_or_a_link_is_unreadable(world: World, pack: Path) -> None:
    moved = pack.rename(world.folder / "moved")
    pack.symlink_to(moved)
    pack.with_name(pack.name.replace("0000.", "0001.")).mkdir()
    answer = world.maint("verify", "--json")
    assert (answer.code, answer.summary["packs"], answer.summary["sound"]) == (74, 2, 0)
    assert "cannot be read" in world.maint("verify").err


def test_folder_of_packs_that_is_not_there_is_told(world: World) -> None:
    into = world.folder / "disk"
    into.mkdir()
    pack = pack_up(world, 1, into=into)
    assert quiet(world.maint("verify"))
    into.rename(world.folder / "unplugged")
    answer = world.maint("verify")
    assert (answer.code, f"packs may be in {pack.parent}, but it cannot be opened" in answer.err) == (
        74,
        True,
    )
    assert list(remembered(world)) == [pack.name]


def test_store_that_is_not_there_is_told(world: World, pack: Path) -> None:
    world.policy_file.write_text(
        f"version: 1\nstores:\n  gone: {{kind: rec, path: {world.folder}/gone}}\npasses: []\n"
    )
    answer = world.maint("verify", "--json")
    assert (answer.code, answer.summary["unread"][0]["store"]) == (74, "gone")


# Budget and order.


def test_without_time_no_pack_is_begun_and_that_is_no_failure(world: World, pack: Path) -> None:
    result = verifying.verify([with_archives(world.place)], max_duration=0.0)
    assert (result.packs, result.left, result.is_sound) == ([], 1, True)
    assert remembered(world) == {}


def test_budget_is_a_duration_of_the_policy_language(world: World, pack: Path) -> None:
    assert quiet(world.maint("verify", "--max-duration", "1h"))
    assert world.maint("verify", "--max-duration", "5m").code == 2


def test_never_verified_packs_come_first_and_then_those_that_waited_longest(world: World) -> None:
    packs = [pack_up(world, number).name for number in range(1, 5)]
    remember(world, {packs[0]: world.now - 5, packs[2]: world.now - 9})
    assert order(world.maint("verify", "--json")) == [packs[1], packs[3], packs[2], packs[0]]


def test_order_holds_over_all_stores(world: World) -> None:
    packs = [pack_up(world, 1), pack_up(world, 2)]
    other = World(world.folder / "other")
    packs += [pack_up(other, 3), pack_up(other, 4)]
    names_ = [pack.name for pack in packs]
    remember(world, {names_[0]: world.now - 9, names_[1]: world.now - 5})
    remember(other, {names_[2]: world.now - 7})
    world.policy_file.write_text(
        "version: 1\nstores:\n"
        f"  a: {{kind: rec, path: {world.sessions}, state: {world.state}}}\n"
        f"  b: {{kind: rec, path: {other.sessions}, state: {other.state}}}\npasses: []\n"
    )
    assert order(world.maint("verify", "--json")) == [names_[3], names_[0], names_[2], names_[1]]


def test_moment_of_verification_is_remembered_for_sound_packs_only(world: World, pack: Path) -> None:
    other = pack_up(world, 4)
    spoil(pack)
    world.maint("verify")
    (moment,) = remembered(world).values()
    assert (list(remembered(world)), moment >= world.now) == ([other.name], True)


def test_packs_that_are_gone_are_forgotten(world: World, pack: Path) -> None:
    world.maint("verify")
    other = pack_up(world, 4)
    pack.unlink()
    world.maint("verify")
    assert list(remembered(world)) == [other.name]


def test_held_store_is_verified_but_not_remembered(world: World, pack: Path) -> None:
    with RootFds({"sessions": str(world.sessions)}) as roots, StoreLock(roots["sessions"]) as lock:
        assert lock.acquire()
        assert world.maint("verify", "--json").summary["sound"] == 1
    assert remembered(world) == {}


def test_signal_ends_it_and_what_was_read_is_remembered(world: World) -> None:
    packs = [pack_up(world, number) for number in range(1, 4)]
    read: list[Verified] = []
    result = verifying.verify(
        [with_archives(world.place)],
        jobs=1,
        listener=Listener(stop=lambda: bool(read)),
        told=read.append,
    )
    assert (len(result.packs), result.left, result.stopped) == (1, 2, True)
    assert list(remembered(world)) == [packs[0].name]


def test_signal_is_the_exit_code_and_what_is_left_is_told(world: World, pack: Path) -> None:
    run, _ = names.parse_pack_name(pack.name) or ("", 0)
    for number in range(1, 500):
        pack.with_name(names.pack_name(run, number)).write_bytes(b"")
    process = world.start("verify", "--json", "--jobs", "1", bufsize=0)
    assert process.stdout is not None
    first = process.stdout.read(1)  # from here on it fills the pipe, which takes fewer than all of the lines
    process.send_signal(signal.SIGTERM)
    (answer,) = run_all([process])
    summary = json.loads((first.decode() + answer.out).splitlines()[-1])
    assert (answer.code, summary["stopped"]) == (128 + signal.SIGTERM, True)
    assert 0 < summary["left"] == 500 - summary["packs"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_store_that_cannot_be_written_is_verified_all_the_same() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own ones are closed to others
        os.chmod(folder, 0o755)
        world = World(Path(folder, "world"))
        pack = pack_up(world, 1)
        for each in (pack, *pack.parents[:2]):
            each.chmod(0o755)
        assert quiet(world.maint("verify", user=NOBODY))
        assert remembered(world) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_pack_that_may_not_be_read_is_unreadable_and_not_damaged() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        world = World(Path(folder, "world"))
        pack = pack_up(world, 1)
        for each in pack.parents[:2]:
            each.chmod(0o755)
        pack.chmod(0o600)
        answer = world.maint("verify", user=NOBODY)
        assert (answer.code, "permission denied" in answer.err) == (74, True)
        assert "salvage" not in answer.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_root_remembers_belongs_to_the_owner_of_the_store() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        world = World(Path(folder, "world"))
        pack = pack_up(world, 1)
        for each in (world.sessions, *world.sessions.rglob("*")):
            os.chown(each, NOBODY, NOBODY)
        assert quiet(world.exec("verify"))
        assert list(remembered(world)) == [pack.name]
        assert (world.sessions / names.VERIFIED).stat().st_uid == NOBODY


def test_pack_that_goes_while_others_are_read_is_none_of_our_business(world: World) -> None:
    last = [pack_up(world, number) for number in range(1, 4)][-1]
    result = verifying.verify(
        [with_archives(world.place)], jobs=1, told=lambda _: last.unlink(missing_ok=True)
    )
    assert (len(result.packs), result.left, result.is_sound) == (2, 0, True)


def test_forged_manifest_costs_neither_memory_nor_a_traceback(world: World, pack: Path) -> None:
    def far_away(line: bytes) -> bytes:
        forged = msgspec.structs.replace(manifest.decode_entry(line), frame=10**12)
        return manifest.encode_entry(forged)[:-1]

    forge_last_line(pack, far_away)
    answer = world.maint("verify")
    assert (answer.code, "a session where none can be" in answer.err) == (1, True)
    saved = world.maint("salvage", pack.name, "--to", "saved")
    assert (saved.code, "2 saved, 1 refused" in saved.out) == (1, True)


# Some packs only.


def test_packs_are_chosen_by_name_and_by_path(world: World, pack: Path) -> None:
    other = pack_up(world, 4)
    assert order(world.maint("verify", "--json", other.name)) == [other.name]
    assert order(world.maint("verify", "--json", str(pack), str(pack))) == [pack.name]
    assert sorted(remembered(world)) == sorted([other.name, pack.name])


def test_pack_of_no_store_is_verified_by_its_path(world: World, pack: Path) -> None:
    folder = world.folder / "elsewhere"
    folder.mkdir()
    moved = pack.rename(folder / pack.name)
    answer = world.maint("verify", "--json", str(moved))
    assert (answer.code, answer.lines[0]["store"], answer.lines[0]["result"]) == (0, None, "sound")
    spoil(moved)
    assert world.maint("verify", f"elsewhere/{pack.name}").code == 1


def test_unknown_pack_is_a_mistake(world: World, pack: Path) -> None:
    answer = world.maint("verify", "nothing.tar.zst")
    assert (answer.code, "there is no pack 'nothing.tar.zst' in rec" in answer.err) == (2, True)


# Salvage.


def test_salvage_saves_what_is_whole_by_name_or_path(world: World, pack: Path) -> None:
    for number, called in enumerate((pack.name, str(pack))):
        saved = world.folder / f"saved-{number}"
        answer = world.maint("salvage", called, "--to", str(saved))
        assert (answer.code, answer.err) == (0, "")
        assert sorted(path.stem for path in saved.iterdir()) == ids(1, 2, 3)
        assert "3 saved" in answer.out


def test_salvage_says_by_id_what_is_lost(world: World, pack: Path) -> None:
    spoil(pack)
    answer = world.maint("salvage", pack.name, "--to", "saved")
    assert (answer.code, answer.err) == (1, "")
    assert f"lost     {session_id(1)} (session-" in answer.out
    assert f"{pack} is as it was" in answer.out


def test_salvage_without_a_manifest_says_what_that_means(world: World, pack: Path) -> None:
    spoil(pack, -1)
    answer = world.maint("salvage", pack.name, "--to", "saved")
    assert (answer.code, "3 unproven" in answer.out) == (1, True)
    assert "vouched for by the checksums of its frames" in answer.out


def test_salvage_tells_scripts(world: World, pack: Path) -> None:
    spoil(pack)
    *lines, summary = world.maint("salvage", pack.name, "--to", "saved", "--json").lines
    assert [(line["type"], line["session"], line["result"]) for line in lines] == [
        ("salvaged", id_, "lost") for id_ in [line["session"] for line in lines]
    ]
    assert (
        summary | {"type": "summary", "manifest": True, "lost": 3, "saved": 0, "complete": False} == summary
    )


def test_salvage_of_what_cannot_be_read_or_written_says_so(world: World, pack: Path) -> None:
    (world.folder / "file").write_text("mine")
    codes = [
        world.maint("salvage", "./nothing", "--to", "saved").code,
        world.maint("salvage", str(pack.parent), "--to", "saved").code,
        world.maint("salvage", pack.name, "--to", "file").code,
        world.maint("salvage", pack.name, "--to", "file/below").code,
    ]
    assert codes == [74, 74, 74, 74]
    assert (world.folder / "file").read_text() == "mine"


def test_salvage_without_a_folder_or_of_an_unknown_pack_is_a_mistake(world: World, pack: Path) -> None:
    assert world.maint("salvage", pack.name).code == 2
    answer = world.maint("salvage", "nothing.tar.zst", "--to", "saved")
    assert (answer.code, "there is no pack" in answer.err) == (2, True)
    assert not (world.folder / "saved").exists()


def test_salvage_of_what_never_was_a_pack_says_that_nothing_was_found(world: World) -> None:
    (world.folder / "foreign").write_bytes(b"mine")
    (world.folder / "empty").touch()
    for name in ("foreign", "empty"):
        answer = world.maint("salvage", name, "--to", "saved")
        assert (answer.code, "Traceback" in answer.err) == (1, False)
    assert list((world.folder / "saved").iterdir()) == []


def test_salvage_writes_over_nothing(world: World, pack: Path) -> None:
    saved = world.folder / "saved"
    saved.mkdir()
    mine = saved / f"{session_id(1)}.ndjson"
    mine.write_bytes(b"mine")
    answer = world.maint("salvage", pack.name, "--to", "saved")
    assert (answer.code, mine.read_bytes()) == (1, b"mine")
    assert f"refused  {session_id(1)}" in answer.out


def test_what_was_salvaged_is_what_was_recorded(world: World) -> None:
    recorded = world.add("complete", 1, 60).read_bytes()
    pack = pack_up(world, 2)
    world.maint("salvage", pack.name, "--to", "saved")
    assert (world.folder / "saved" / f"{session_id(1)}.ndjson").read_bytes() == recorded


def test_stopped_salvage_says_so(world: World, pack: Path) -> None:
    told: list[object] = []
    done = salvaging.salvage(
        str(pack), str(world.folder / "saved"), told=told.append, stop=lambda: bool(told)
    )
    assert (done.stopped, done.is_complete, len(told)) == (True, False, 1)
    assert len(list((world.folder / "saved").iterdir())) == 1
