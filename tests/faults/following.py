"""Following a run call by call: which file each call was about, and what it changed, as steps of a `Recording`.

A call that changes a file system in a way that is not known here ends the recording with a ValueError, and so does
a second process: a recording that lacks something would prove nothing.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

import calls
from calls import Call
from places import CWD, Opened, Places
from recording import Change, Recording, Sync

_BY_PATH = frozenset({"open", "mkdir", "unlink", "rename", "link"})
"""Calls that are others by name alone; what they are told is a path."""


def record(before: Recording, log: Path) -> Recording:
    """What a run did, by its calls, to the folder that was looked at before."""
    follower = _Follower(before)
    for call in calls.read(log):
        follower.follow(call)
    return follower.recording


class _Follower(Places):
    """The calls one by one, each by its own name."""

    def follow(self, call: Call) -> None:
        known = getattr(self, f"_{call.name}", None)
        if known is not None:
            known(call)
        elif call.name in _BY_PATH:
            one, *more = call.arguments
            two = more if call.name not in {"rename", "link"} else [CWD, *more]
            self.follow(call._replace(name=f"{call.name}at", arguments=(CWD, one, *two)))
        elif self.is_here(call):
            raise ValueError(f"{call.name} is not known here: {call.arguments}")

    def _openat(self, call: Call) -> None:
        path, flags = call.text(1), set(call.arguments[2].split("|"))
        mode = int(call.arguments[3], 8) if len(call.arguments) > 3 else 0
        if "O_TMPFILE" in flags:
            if self.node(call.arguments[0], path) is None:
                return
            self.open[call.result] = Opened(self.new(call, stat.S_IFREG, mode), append=False)
            return
        node = self.node(call.arguments[0], path, follow="O_NOFOLLOW" not in flags)
        if node is None:
            place = self.place(call.arguments[0], path) if "O_CREAT" in flags else None
            if place is None:
                self.open.pop(call.result, None)
                return
            node = self.new(call, stat.S_IFREG, mode)
            gives = ((*place, node),)
            self.do(Change(self.say(call, path), call.at_ns, gives, moved=frozenset({node})))
        elif "O_TRUNC" in flags and self.sizes[node]:
            self.do(Change(self.say(call, path), call.at_ns, node=node, offset=0, cuts=True))
        self.open[call.result] = Opened(node, "O_APPEND" in flags)

    def _close(self, call: Call) -> None:
        self.open.pop(int(call.arguments[0]), None)

    def _close_range(self, call: Call) -> None:
        for fd in range(int(call.arguments[0]), int(call.arguments[1]) + 1):
            self.open.pop(fd, None)

    def _dup(self, call: Call) -> None:
        opened = self.fd(call.arguments[0])
        self.open.pop(call.result, None)
        if opened is not None:
            self.open[call.result] = opened

    _dup2 = _dup3 = _dup

    def _fcntl(self, call: Call) -> None:
        if call.arguments[1].startswith("F_DUPFD"):
            self._dup(call)

    def _lseek(self, call: Call) -> None:
        if (opened := self.fd(call.arguments[0])) is not None:
            opened.position = call.result

    def _read(self, call: Call) -> None:
        if (opened := self.fd(call.arguments[0])) is not None:
            opened.position += call.result

    def _write(self, call: Call) -> None:
        if (opened := self.fd(call.arguments[0])) is not None:
            if opened.append:
                opened.position = self.sizes[opened.node]
            self._write_at(call, opened.node, opened.position)
            opened.position += call.result

    def _pwrite64(self, call: Call) -> None:
        if (opened := self.fd(call.arguments[0])) is not None:
            self._write_at(call, opened.node, int(call.arguments[3]))

    def _write_at(self, call: Call, node: int, offset: int) -> None:
        data = call.data(1)[: call.result]
        text = self.say(call, self.path(node))
        self.do(Change(text, call.at_ns, node=node, offset=offset, data=data))

    def _ftruncate(self, call: Call) -> None:
        if (opened := self.fd(call.arguments[0])) is not None:
            size = int(call.arguments[1])
            grown = max(0, size - self.sizes[opened.node])
            text = self.say(call, self.path(opened.node))
            change = Change(text, call.at_ns, node=opened.node, offset=size - grown, cuts=True)
            change.data = bytes(grown)
            self.do(change)

    def _mmap(self, call: Call) -> None:
        if self.fd(call.arguments[4]) is not None and "MAP_SHARED" in call.arguments[3]:
            raise ValueError("what is written by way of memory is not seen")

    def _mkdirat(self, call: Call) -> None:
        if (place := self.place(call.arguments[0], call.text(1))) is not None:
            node = self.new(call, stat.S_IFDIR, int(call.arguments[2], 8))
            gives = ((*place, node),)
            self.do(Change(self.say(call, call.text(1)), call.at_ns, gives, moved=frozenset({node})))

    def _symlinkat(self, call: Call) -> None:
        if (place := self.place(call.arguments[1], call.text(2))) is not None:
            node = self.new(call, stat.S_IFLNK, 0o777, call.data(0))
            gives = ((*place, node),)
            self.do(Change(self.say(call, call.text(2)), call.at_ns, gives, moved=frozenset({node})))

    def _linkat(self, call: Call) -> None:
        node = self.node(call.arguments[0], call.text(1))
        place = self.place(call.arguments[2], call.text(3))
        if node is not None and place is not None:
            text = self.say(call, call.text(1), call.text(3))
            self.do(Change(text, call.at_ns, ((*place, node),), moved=frozenset({node})))

    def _unlinkat(self, call: Call) -> None:
        self._take_away(call, self.place(call.arguments[0], call.text(1)), call.text(1))

    def _rmdir(self, call: Call) -> None:
        self._take_away(call, self.place(CWD, call.text(0)), call.text(0))

    def _take_away(self, call: Call, place: tuple[int, str] | None, path: str) -> None:
        if place is not None:
            node = self.entries[place[0]][place[1]]
            takes = ((*place, None),)
            self.do(Change(self.say(call, path), call.at_ns, takes=takes, moved=frozenset({node})))

    def _renameat(self, call: Call) -> None:
        source = self.place(call.arguments[0], call.text(1))
        target = self.place(call.arguments[2], call.text(3))
        if source is None or target is None:
            return
        one = self.entries[source[0]][source[1]]
        other = self.entries[target[0]].get(target[1])
        text = self.say(call, call.text(1), call.text(3))
        moved = frozenset({one} if other is None else {one, other})
        if call.arguments[-1] == "RENAME_EXCHANGE":
            both = ((*target, one), (*source, other))
            self.do(Change(f"{text} exchange", call.at_ns, both, moved=moved))
        else:
            gives, takes = ((*target, one),), ((*source, None),)
            self.do(Change(text, call.at_ns, gives, takes, moved=moved))

    _renameat2 = _renameat

    def _fchmod(self, call: Call) -> None:
        if (opened := self.fd(call.arguments[0])) is not None:
            text = self.say(call, self.path(opened.node))
            self.do(Change(text, call.at_ns, node=opened.node, mode=int(call.arguments[1], 8)))

    def _fchown(self, call: Call) -> None:
        """All is of one owner here, so that nothing changes but the time at which something did."""
        if (opened := self.fd(call.arguments[0])) is not None:
            text = self.say(call, self.path(opened.node))
            self.do(Change(text, call.at_ns, node=opened.node))

    def _utimensat(self, call: Call) -> None:
        path = call.text(1) if call.arguments[1] != "NULL" else ""
        node = self.node(call.arguments[0], path)
        if node is not None:
            second = call.arguments[2].split("tv_sec=")[2]
            when = int(second.split(",")[0]) * 1_000_000_000 + int(second.split("tv_nsec=")[1].split("}")[0])
            self.do(Change(self.say(call, self.path(node)), call.at_ns, node=node, mtime_ns=when))

    def _fsync(self, call: Call) -> None:
        if (opened := self.fd(call.arguments[0])) is not None:
            self.recording.steps.append(Sync(self.say(call, self.path(opened.node)), opened.node))

    _fdatasync = _fsync

    def _syncfs(self, call: Call) -> None:
        self.recording.steps.append(Sync(self.say(call), None))

    _sync = _syncfs

    def _sync_file_range(self, call: Call) -> None:
        """It asks for writing to begin, as the kernel does by itself sooner or later, and makes nothing durable."""

    # What the program saw: its numbers and times, by which it will know a file again.

    def _fstat(self, call: Call) -> None:
        self._see(self.node(call.arguments[0], ""), call.arguments[1])

    def _newfstatat(self, call: Call) -> None:
        follow = "AT_SYMLINK_NOFOLLOW" not in call.arguments[3]
        self._see(self.node(call.arguments[0], call.text(1), follow=follow), call.arguments[2])

    def _see(self, number: int | None, shown: str) -> None:
        if number is None:
            return
        node = self.recording.nodes[number]
        node.real = calls.field(shown, "st_ino")
        changed, modified = (
            calls.field(shown, f"st_{which}time") * 1_000_000_000 + calls.field(shown, f"st_{which}time_nsec")
            for which in "cm"
        )
        last = self.last.get(number, -1)
        self.recording.seen.setdefault((node.real, changed), last)
        # The kernel's clock is a little behind that of the tracer, and its word counts.
        if last >= 0:
            self._correct(number, last, modified)

    def _correct(self, number: int, last: int, modified: int) -> None:
        for step in self._touching(number, last):
            if step.node == number and (step.is_data or step.mtime_ns is not None):
                if step.is_data:
                    step.at_ns = modified
                return
            if number in step.folders:
                return  # folders have the tracer's time, for more than one may have changed
        self.recording.nodes[number].mtime_ns = modified

    def _touching(self, number: int, last: int) -> Iterator[Change]:
        for step in reversed(self.recording.steps[: last + 1]):
            if isinstance(step, Change) and number in step.touches:
                yield step
