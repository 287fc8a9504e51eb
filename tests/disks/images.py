"""File systems in images: made, mounted, cut off from the power as real ones are, and mounted again.

An image is a sparse file behind a loop device. What a file system has handed to its device is in the image, and
nothing else is; so there are two ways to cut the power:

- `ext4` and `xfs` can be told to write nothing any more (`_SHUT_DOWN`), with their journal written first or not;
- of any other the image is taken as it is, and put back when it is unmounted.

Each image has two devices, of which one is used at a time: a machine that starts again may give a disk another number.
Whatever was mounted or attached is undone when the image is closed.
"""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import pytest
from blocks import Kept
from file_systems import FileSystem

_SHUT_DOWN = 0x8004587D
_COMMIT, _WAIT = 0x80089418, 0x40089416  # of btrfs: begin to write all names, and wait for that


class Loss(Enum):
    """What a power cut takes: all that was not waited for, or of that only bytes, while every name is there."""

    ALL = "all that was not synced"
    BYTES = "bytes that were not synced"


class Image:
    """An image of one file system that is mounted on ``top``."""

    def __init__(self, of: FileSystem, folder: Path) -> None:
        self.of = of
        self.top = folder / "mounted"
        self._file = folder / "image"
        self._loops: list[str] = []
        self._mounted = False

    @classmethod
    @contextmanager
    def new(cls, of: FileSystem, folder: Path) -> Iterator["Image"]:
        """A new one, mounted; the test is skipped where that cannot be had."""
        require(of.make[0], "losetup", "mount", *(["e2fsck"] if of.check else []))
        image = cls(of, folder)
        image.top.mkdir()
        try:
            with image._file.open("wb") as file:
                file.truncate(of.size)
            run(*of.make, str(image._file))
            image._first()
            yield image
        finally:
            image.close()

    def mount(self, number: int = 0) -> None:
        """Mount it by one of its two devices."""
        if self.of.check:
            self._check(number)
        run(*self._mount(number))
        self._mounted = True

    def remount(self, options: str) -> None:
        run("mount", "-o", f"remount,{options}", str(self.top))

    def unmount(self) -> None:
        run("umount", str(self.top))
        self._mounted = False

    def close(self) -> None:
        if self._mounted:
            run("umount", "--lazy", str(self.top))
            self._mounted = False
        while self._loops:
            run("losetup", "--detach", self._loops.pop())

    # States of the disk.

    def kept(self) -> "Kept":
        """The disk as it is now, which no mounted file system must be writing to."""
        return Kept.of(self._file)

    def settled(self) -> "Kept":
        """The mounted disk when all is on it that was written, to be put back; it goes on as a disk does that was just mounted."""
        self.unmount()
        kept = self.kept()
        self.mount()
        return kept

    def put_back(self, kept: "Kept") -> None:
        """Have the disk, which is not mounted, as it was."""
        kept.write(self._file)
        for loop in self._loops:
            run("blockdev", "--flushbufs", loop)

    def cut(self, loss: Loss, number: int = 0) -> None:
        """Cut the power and start again, with that device for the disk."""
        if self.of.shuts_down:
            self.shut_down(loss)
            self.unmount()
        else:
            if loss is Loss.BYTES:
                self._write_names()
            left = self.kept()
            self.unmount()
            self.put_back(left)
        self.mount(number)

    def shut_down(self, loss: Loss = Loss.ALL) -> None:
        """Have the file system write nothing any more, and answer everybody that its disk does not."""
        _control(self.top, _SHUT_DOWN, struct.pack("I", 2 if loss is Loss.ALL else 1))

    def break_down(self) -> None:
        """Have an ext4 find itself broken, upon which it lets nobody write any more."""
        run("mount", "-o", "remount,errors=remount-ro", str(self.top))
        Path("/sys/fs/ext4", Path(self._loops[0]).name, "trigger_fs_error").write_text("1")

    def start_again(self) -> None:
        """Mount it once more, after a look through it, as a machine does that finds its disk broken."""
        self.unmount()
        if self.of.kind == "ext4":
            self._check(0)
        self.mount()

    def _check(self, number: int) -> None:
        done = subprocess.run(["e2fsck", "-fy", self._loops[number]], capture_output=True, check=False)
        assert done.returncode in {0, 1}, done

    def _write_names(self) -> None:
        """Have every name reach the disk, and no bytes."""
        if self.of.kind == "btrfs":
            begun = _control(self.top, _COMMIT, struct.pack("Q", 0))
            _control(self.top, _WAIT, begun)
            return
        for loop in self._loops:
            device = os.open(loop, os.O_RDWR)
            try:
                os.fsync(device)
            finally:
                os.close(device)

    def _first(self) -> None:
        for _ in range(2):
            done = subprocess.run(
                ["losetup", "--find", "--show", str(self._file)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                pytest.skip(f"there are no loop devices here: {done.stderr.strip()}")
            self._loops.append(done.stdout.strip())
        done = subprocess.run(self._mount(0), capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no {self.of.name} can be mounted here: {done.stderr.strip()}")
        self._mounted = True

    def _mount(self, number: int) -> list[str]:
        return ["mount", "-t", self.of.kind, "-o", self.of.options, self._loops[number], str(self.top)]


def require(*programs: str) -> None:
    """Skip a test where this is not root's machine, or one of the programs is missing."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount file systems")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} here")


def run(*command: str) -> str:
    """Run a command that must succeed; what it says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout


def _control(top: Path, request: int, argument: bytes) -> bytes:
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return fcntl.ioctl(fd, request, argument)
    finally:
        os.close(fd)
