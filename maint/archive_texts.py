"""What is said of packs that were verified or salvaged: text for people, NDJSON for scripts.

Every name is made printable on the way out, as in `maint.report`.
"""

from collections.abc import Iterator

import msgspec

from maint.report import ago, shortened, size
from maint.salvaging import Report
from maint.verification import Soundness, Verification, Verified
from store.names import printable
from store.salvaged import Fate, Salvaged

_SHOWN_PARTS = 3

_encode = msgspec.json.Encoder().encode


def verified_line(found: Verified) -> bytes:
    """A pack that was verified, for scripts."""
    record = {
        "type": "verified",
        "store": found.store,
        "form": found.form,
        "pack": found.pack,
        "path": found.path,
        "sessions": found.sessions,
        "bytes": found.bytes,
        "packed": found.packed,
        "result": found.result,
        "detail": found.detail,
        "damaged": [
            {"session": bad.session, "name": bad.name, "detail": bad.detail, "marked": bad.marked}
            for bad in found.damaged
        ],
        "marks": found.marks,
        "seconds": round(found.seconds, 3),
    }
    return _encode(record) + b"\n"


def verification_line(result: Verification) -> bytes:
    """The last line, always."""
    record = {
        "type": "summary",
        "packs": len(result.packs),
        **{str(each): result.count(each) for each in Soundness},
        "marks": result.marks,
        "left": result.left,
        "sessions": result.sessions,
        "bytes": result.bytes,
        "oldest": result.oldest,
        "unread": [{"store": each.store, "path": each.path, "detail": each.why} for each in result.unread],
        "stopped": result.stopped,
        "seconds": round(result.seconds, 3),
    }
    return _encode(record) + b"\n"


def bad_pack_text(found: Verified) -> Iterator[str]:
    """What a person should know of a pack that is not sound: what is wrong with what in it, and what to do."""
    where = f"{found.store}: " if found.store else ""
    called = f"{where}{found.form} {printable(found.pack)}"
    if found.detail is not None:
        verb = "is damaged" if found.result is Soundness.DAMAGED else "cannot be read"
        yield f"{called} {verb}: {printable(found.detail)}"
    lines = []
    for each in found.damaged:
        name = f" ({printable(each.name)})" if each.name else ""
        marked = f"; it did not count any more: {each.marked}" if each.marked else ""
        lines.append(f"{called}: session {printable(each.session)}{name} is damaged: {each.detail}{marked}")
    yield from shortened(lines)
    bad = found.result is Soundness.DAMAGED or (found.result is Soundness.UNREADABLE and found.sessions > 0)
    if bad and found.form == "pack":
        yield f"what is whole in it is saved by: maint salvage {printable(found.path)} --to DIR"
    if found.marks is not None:
        yield f"{called}: its marks {found.marks}"


def unread_text(result: Verification) -> Iterator[str]:
    """The stores and folders of packs that could not be looked into."""
    for each in result.unread:
        yield f"{each.store}: packs may be in {printable(each.path)}, but {each.why}"


def verification_text(result: Verification, now: float) -> Iterator[str]:
    """What verifying came to, for a person."""
    read = len(result.packs)
    bad = read - result.count(Soundness.SOUND)
    if not read and not result.left:
        yield "no packs were verified" if result.unread else "there are no packs"
        return
    what = "packs and files" if any(each.form == "file" for each in result.packs) else "packs"
    sound = f"{bad:,} of them not sound" if bad else "all sound"
    yield (
        f"{read:,} {what} read in {result.seconds:.1f} s, {sound}: "
        f"{result.sessions:,} sessions, {size(result.bytes)}"
        if read
        else f"no {what} were read"
    )
    if result.left:
        yield f"{result.left:,} {what} are left for the next time"
    if result.oldest is None:
        yield f"some {what} were never found sound yet"
    else:
        yield f"all {what} were found sound within the last {ago(now - result.oldest)}"


def salvaged_line(found: Salvaged) -> bytes:
    """What became of one session of a damaged pack, for scripts."""
    record = {
        "type": "salvaged",
        "session": found.session,
        "name": found.name,
        "path": found.path,
        "result": found.fate,
        "detail": found.detail,
        "bytes": found.bytes,
        "files": [
            {"path": part.path, "from": part.start, "bytes": part.bytes, "whole": part.whole}
            for part in found.parts
        ],
    }
    return _encode(record) + b"\n"


def salvage_line(done: Report) -> bytes:
    """The last line, always."""
    record = {
        "type": "summary",
        "pack": done.pack,
        "to": done.folder,
        "manifest": done.manifest,
        **{str(fate): done.fates[fate] for fate in Fate},
        "bytes": done.bytes,
        "complete": done.is_complete,
        "stopped": done.stopped,
        "seconds": round(done.seconds, 3),
    }
    return _encode(record) + b"\n"


def salvaged_text(found: Salvaged) -> str:
    """What became of one session of a damaged pack, as a line for a person."""
    called = found.session or found.path
    words = [f"{found.fate:<8}"]
    if called is not None:
        words.append(printable(called))
    if found.name:
        words.append(f"({printable(found.name)})")
    parts = [part for part in found.parts if not part.whole]
    if parts:
        stretches = ", ".join(f"{printable(part.path)} ({size(part.bytes)})" for part in parts[:_SHOWN_PARTS])
        more = f" and {len(parts) - _SHOWN_PARTS:,} more" if len(parts) > _SHOWN_PARTS else ""
        words.append(f"as {stretches}{more}")
    if found.detail:
        if len(words) > 1:
            words[-1] += ":"
        words.append(printable(found.detail))
    return " ".join(words)


def salvage_text(done: Report) -> Iterator[str]:
    """What a salvage came to, for a person."""
    counts = ", ".join(f"{done.fates[fate]:,} {fate}" for fate in Fate if done.fates[fate])
    yield f"{counts or 'no session was found'}; {size(done.bytes)} in {printable(done.folder)}"
    if not done.manifest:
        yield (
            "the manifest of this pack is lost: what was saved is vouched for by the checksums of its frames, "
            "and nobody knows what else was in it"
        )
    if done.stopped:
        yield "stopped early: there may be more to be saved"
    yield f"{printable(done.pack)} is as it was"
