"""Disks that are full, or nearly: so many blocks are free, or so many inodes, and no more.

In memory both are limits that can be set at any time; on an image a file takes what is not to be free, or many do.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest
from blocks import Kept
from file_systems import MIB, FileSystem
from hindered import Disk
from images import Image, require, run
from stories import Story, World, alone

BLOCK = 4096


class SmallDisk(Disk, Protocol):
    """One that can be filled."""

    def leave(self, blocks: int | None, inodes: int | None) -> None:
        """Have so many blocks free, or so many inodes."""

    def make_room(self) -> None:
        """Have room for everything again."""


class InMemory:
    def __init__(self, story: Story, top: Path) -> None:
        self._story = story
        self._top = top

    @classmethod
    @contextmanager
    def new(cls, story: Story, folder: Path) -> Iterator["InMemory"]:
        require("mount")
        top = folder / "small"
        top.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=64k,mode=755", "tmpfs", str(top)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no disk in memory can be mounted here: {done.stderr.strip()}")
        try:
            yield cls(story, top)
        finally:
            run("umount", "--lazy", str(top))

    def fresh(self) -> World:
        self.make_room()
        for path in self._top.iterdir():
            shutil.rmtree(path)
        with alone():
            return self._story.build(self._top / "world")

    def leave(self, blocks: int | None, inodes: int | None) -> None:
        now = os.statvfs(self._top)
        if blocks is not None:
            used = now.f_blocks - now.f_bfree
            self._limit(f"size={(used + blocks) * now.f_frsize}")
        if inodes is not None:
            self._limit(f"nr_inodes={now.f_files - now.f_ffree + inodes}")

    def make_room(self) -> None:
        self._limit("size=64m,nr_inodes=64k")
        now = os.statvfs(self._top)
        assert (now.f_blocks * now.f_frsize, now.f_files) == (64 * MIB, 64 << 10)

    def _limit(self, limits: str) -> None:
        run("mount", "-o", f"remount,{limits}", str(self._top))


class OnImage:
    def __init__(self, image: Image, world: World, start: Kept) -> None:
        self.image = image
        self._world = world
        self._start = start
        self._ballast = image.top / "ballast"

    @classmethod
    @contextmanager
    def new(cls, story: Story, file_system: FileSystem, folder: Path) -> Iterator["OnImage"]:
        with Image.new(file_system, folder) as image:
            with alone():
                world = story.build(image.top / "world")
            yield cls(image, world, image.settled())

    def fresh(self) -> World:
        self.image.unmount()
        self.image.put_back(self._start)
        self.image.mount()
        self._ballast.mkdir()
        return self._world

    def leave(self, blocks: int | None, inodes: int | None) -> None:
        if blocks is not None:
            with (self._ballast / "blocks").open("wb") as file:
                self._fill(file.fileno(), blocks)
            self._settle()
        if inodes is not None:
            for number in range(os.statvfs(self._ballast).f_ffree - inodes):
                (self._ballast / str(number)).touch()

    def make_room(self) -> None:
        shutil.rmtree(self._ballast)
        self._settle()

    def _settle(self) -> None:
        """Have the file system count what is free, which some put off."""
        run("sync", "--file-system", str(self.image.top))

    def _fill(self, fd: int, blocks: int) -> None:
        """Take all blocks but so many."""
        size = 0
        for step in (MIB, 64 << 10, BLOCK):
            with suppress(OSError):
                while True:
                    os.posix_fallocate(fd, size, step)
                    size += step
        os.ftruncate(fd, max(0, size - blocks * BLOCK))
