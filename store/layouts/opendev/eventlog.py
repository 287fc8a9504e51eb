"""An event log by itself: what a session was before its first save, or after its deletion.

The program appends events from its first moment on, and writes the record and the transcript when a turn is complete;
its own delete removes record, transcript and payloads, and forgets the log.
So a log that is alone speaks either of a crash before the first save, or of a session that its owner did not want
any more, and must not come back.
What tells them apart: behind a completed turn there was a save.

The events are applied as the program's own projector applies them; what it would refuse makes a log unmendable.
"""

import msgspec

from store.layout import Unmendable
from store.layouts.opendev import records
from store.layouts.opendev.records import Envelope
from store.layouts.opendev.times import instant_of, normalised

RECOVERED_KEY = "recovered"
"""The key of metadata that marks what was made whole, in the record and in the log."""

_SAVED_BEHIND = frozenset({"SessionArchived", "SessionUnarchived", "SessionForked"})
"""Events of changes that are saved at once, so that there was a record."""

_SAYS_NOTHING = frozenset({"SessionArchived", "SessionUnarchived"})
"""Events that no person and no program has to say or do anything for; titles are made from what was said."""

_SETTINGS = frozenset({"mode", "thinking_level", "autonomy_level", "session_model", RECOVERED_KEY})
"""Keys of metadata that are set for a session in which nothing was said, too."""

_created = records.decoder(records.Created)
_added = records.decoder(records.MessageAdded)
_edited = records.decoder(records.MessageEdited)
_titled = records.decoder(records.TitleChanged)
_archived = records.decoder(records.SessionArchived)
_changed_file = records.decoder(records.FileChangeRecorded)
_file_change = records.decoder(records.FileChange)
_updated = records.decoder(records.MetadataUpdated)
_undone = records.decoder(records.Tombstone)


class Log(msgspec.Struct):
    """A log taken apart.

    ``events`` are its whole ones in their order, and ``whole`` is where the bytes end that hold them; ``torn`` counts
    those behind, of which ``untold`` are no zeros.
    ``foreign`` says of the first line that is no event what is wrong with it.
    """

    events: list[Envelope]
    whole: int
    torn: int = 0
    untold: bool = False
    foreign: str | None = None

    @property
    def tells(self) -> bool:
        """Whether it tells that something was said or done; of an event that nobody knows it must be assumed."""
        return any(map(_tells, self.events))

    @property
    def was_recovered(self) -> bool:
        """Whether this log was made whole once, so that there was a record since."""
        return any(map(is_mark, self.events))

    @property
    def was_saved(self) -> bool:
        """Whether something is in it behind which the program saves: a completed turn, as a rule."""
        return any(event.event_type in _SAVED_BEHIND or _completes(event) for event in self.events)


def parse(data: bytes, session: str) -> Log:
    """The whole log of this session, from its bytes."""
    events: list[Envelope] = []
    log = Log(events, 0)
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        line = data[start:] if end < 0 else data[start:end]
        event = records.decode_envelope(line) if line.strip() else None
        if event is not None:
            events.append(event)
            if event.aggregate_id != session and log.foreign is None:
                log.foreign = f"the event at byte {start} is of another session"
        elif end < 0:
            if not line.strip():
                log.whole = len(data)
            else:
                log.torn, log.untold = len(line), bool(line.strip(b"\0 \t\r"))
            return log
        elif line.strip() and log.foreign is None:
            log.foreign = f"the line at byte {start} is no event"
        start = len(data) if end < 0 else end + 1
        log.whole = start
    return log


def tells(lines: bytes) -> bool:
    """The same of the lines of a log that is not taken apart; one that is no event may tell of anything, but for zeros."""
    for line in lines.split(b"\n"):
        if line.strip(b"\0 \t\r"):
            event = records.decode_envelope(line)
            if event is None or _tells(event):
                return True
    return False


def _tells(event: Envelope) -> bool:
    match event.event_type:
        case "SessionCreated":
            created = _created(event.data)
            return created is None or created.title is not None or not created.metadata.keys() <= _SETTINGS
        case "MetadataUpdated":
            update = _updated(event.data)
            return update is None or update.key not in _SETTINGS
        case other:
            return other not in _SAYS_NOTHING


def is_mark(event: Envelope) -> bool:
    """Whether this is the event that says that the session was made whole."""
    if event.event_type != "MetadataUpdated":
        return False
    update = _updated(event.data)
    return update is not None and update.key == RECOVERED_KEY and bytes(update.value) == b"true"


class Projected(msgspec.Struct):
    """The session that a log adds up to; messages and values keep their bytes."""

    created: records.Created
    created_at: str
    updated_at: str
    next_seq: int
    messages: list[dict[str, msgspec.Raw]] = []
    metadata: dict[str, msgspec.Raw] = {}
    file_changes: list[msgspec.Raw] = []
    time_archived: str | None = None


def project(log: Log) -> Projected:
    """The session as the program would replay it; raises `Unmendable` for what it would refuse."""
    if log.foreign is not None:
        raise Unmendable(log.foreign)
    if not log.events:
        raise Unmendable("it holds no complete event")
    first, *rest = _effective(log.events)
    created = _created(first.data) if first.event_type == "SessionCreated" else None
    if created is None:
        raise Unmendable("its first event does not create a session")
    last = log.events[-1]
    for event in (first, last):
        if instant_of(event.timestamp) is None:
            raise Unmendable(f"event {event.seq} carries no time")
    metadata = dict(created.metadata)
    if created.title is not None:
        metadata["title"] = msgspec.Raw(msgspec.json.encode(created.title))
    highest = max(event.seq for event in log.events)
    session = Projected(created, first.timestamp, last.timestamp, highest + 1, metadata=metadata)
    for event in rest:
        _apply(session, event)
    return session


def _effective(events: list[Envelope]) -> list[Envelope]:
    """The events that the last undoing left."""
    tombs = [event for event in events if event.event_type == "Tombstone"]
    if not tombs:
        return events
    if len({event.seq for event in events}) != len(events):
        raise Unmendable("it undoes events by numbers that repeat")
    last = max(tombs, key=lambda event: event.seq)
    undone = _undone(last.data)
    if undone is None:
        raise Unmendable(f"event {last.seq} undoes nothing that is known")
    left = [
        event
        for event in events
        if event.event_type != "Tombstone" and (event.seq <= undone.undo_to_seq or event.seq > last.seq)
    ]
    if not left:
        raise Unmendable("all of it was undone")
    return left


def _apply(session: Projected, event: Envelope) -> None:
    match event.event_type:
        case "MessageAdded" if (message := _added(event.data)) is not None:
            line = _line_of(message)
            # Whatever the program could not read as a message, it would pass over and not save again.
            if records.decode_message(msgspec.json.encode(line)) is None:
                raise Unmendable(f"event {event.seq} holds no message")
            session.messages.append(line)
        case "MessageEdited" if (edit := _edited(event.data)) is not None and edit.seq < len(
            session.messages
        ):
            session.messages[edit.seq]["content"] = msgspec.Raw(msgspec.json.encode(edit.content))
        case "TitleChanged" if (title := _titled(event.data)) is not None:
            session.metadata["title"] = msgspec.Raw(msgspec.json.encode(title.title))
        case "MetadataUpdated" if (update := _updated(event.data)) is not None:
            session.metadata[update.key] = update.value
        case "FileChangeRecorded" if (change := _changed_file(event.data)) is not None:
            # With one that is none the program could read neither the record nor its list of sessions.
            if _file_change(change.file_change) is None:
                raise Unmendable(f"event {event.seq} holds no change of a file")
            session.file_changes.append(change.file_change)
        case "SessionArchived" if (archived := _archived(event.data)) is not None:
            session.time_archived = normalised(archived.time_archived)
        case "SessionUnarchived":
            session.time_archived = None
        case other:
            raise Unmendable(f"event {event.seq} cannot be replayed ({other[:40]!r})")


def _line_of(message: records.MessageAdded) -> dict[str, msgspec.Raw]:
    """A message as a line of the transcript, in the program's own order and without what it leaves out."""
    fields = {
        "role": msgspec.Raw(msgspec.json.encode(message.role)),
        "content": message.content,
        "timestamp": message.timestamp,
        "metadata": msgspec.Raw(b"{}"),
        "tool_calls": message.tool_calls,
    }
    for name in ("tokens", "thinking_trace", "reasoning_content"):
        value = getattr(message, name)
        if bytes(value) != b"null":
            fields[name] = value
    return fields


def _completes(event: Envelope) -> bool:
    """Whether an answer stands here that waits for no tool: then its turn was over, and was saved."""
    if event.event_type != "MessageAdded":
        return False
    message = _added(event.data)
    calls = records.decode_call_list(message.tool_calls) if message is not None else None
    if message is None or message.role != "assistant" or calls is None:
        return False
    return all(
        bytes(call.result) != b"null" or call.error is not None or call.name == "task_complete"
        for call in calls
    )
