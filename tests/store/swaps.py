"""What somebody may put in the place of a file between a look and an act."""

import os
from pathlib import Path


def replaced(file: Path) -> None:
    file.with_name("new").write_bytes(file.read_bytes())
    file.with_name("new").replace(file)


def linked(file: Path) -> None:
    os.link(file, file.with_name("second"))


def given_away(file: Path) -> None:
    os.chown(file, 12345, -1)


def made_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def made_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def made_link(file: Path) -> None:
    file.rename(file.with_name("real"))
    file.symlink_to("real")
