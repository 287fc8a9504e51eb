"""Stores that may be used up: fresh copies of a corpus, and what the program does to them."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import corpora, whole
from benchmarks.corpora import Corpus


class CannotTell(Exception):
    """What was to be measured did not happen."""


class Stand(NamedTuple):
    """A store that may be changed; the policy to name it by lies beside it."""

    corpus: Corpus

    @property
    def policy(self) -> Path:
        return self.corpus.folder.with_suffix(".yaml")

    @property
    def sessions(self) -> Path:
        return Path(self.corpus.paths["path"])

    def verb(self, verb: str, *more: str) -> tuple[str, ...]:
        """The arguments of a verb over this store."""
        return (whole.PROGRAM, verb, *more, "--store", "bench", "--policy", str(self.policy))

    def archive(self) -> tuple[str, ...]:
        return self.verb("archive", "--older-than", "1d")

    def restore_all(self) -> tuple[str, ...]:
        return self.verb("restore", "--older-than", "1s")

    def packs(self) -> list[Path]:
        """The packs of the store, of which there is at least one."""
        found = sorted((self.sessions / ".maint" / "archive").glob("*.tar.zst"))
        if not found:
            raise CannotTell(f"there is no pack in {self.sessions}")
        return found

    def files(self) -> set[str]:
        """The names of what is in the store itself, and not in a pack."""
        return {each.name for each in os.scandir(self.sessions) if each.name != ".maint"}

    def ids(self) -> list[str]:
        """The ids of all archived sessions."""
        listed = subprocess.run(
            self.verb("list", "--archived", "--json"),
            check=True,
            capture_output=True,
            env=whole.environment(),
        )
        return [json.loads(line)["session"] for line in listed.stdout.splitlines()]

    def plan(self) -> list[dict[str, Any]]:
        """What a sweep would do now: the lines of a plan, of which the last is the summary."""
        said = subprocess.run(
            self.verb("plan", "--json"), check=True, capture_output=True, env=whole.environment()
        )
        return [json.loads(line) for line in said.stdout.splitlines()]

    def planned(self, verb: str) -> int:
        """How often a sweep would do this now."""
        return int(self.plan()[-1]["planned"].get(verb, 0))

    def forgotten(self) -> "Stand":
        """The same store as if nothing of ours had ever seen it: what was kept of it is gone, and it lies elsewhere."""
        for folder in self.corpus.paths.values():
            shutil.rmtree(Path(folder, ".maint"), ignore_errors=True)
        moved = Stand(self.corpus._replace(folder=unused(self.corpus.folder.parent, "forgotten")))
        self.corpus.folder.rename(moved.corpus.folder)
        self.policy.rename(moved.policy)
        moved.follow(*whole.TIDYING)
        return moved

    def follow(self, *passes: str) -> None:
        """Write a policy with these passes, each a line of YAML."""
        whole.policy_file(self.policy, self.corpus, passes)

    def gone(self) -> None:
        shutil.rmtree(self.corpus.folder)
        self.policy.unlink()


class Anew:
    """A store that is made anew before every round, from a corpus that nobody changes, with these passes."""

    def __init__(self, pristine: Corpus, folder: Path, passes: Sequence[str] = whole.TIDYING) -> None:
        self.stand = Stand(pristine._replace(folder=folder / "anew"))
        self._pristine = pristine
        self.stand.follow(*passes)

    def fresh(self) -> None:
        shutil.rmtree(self.stand.corpus.folder, ignore_errors=True)
        corpora.copied(self._pristine, self.stand.corpus.folder)


def spread(scratch: Path) -> None:
    """Ask that the folders made in this one lie far apart on the disk, where the file system knows how.

    Before it makes a file, ext4 looks at every inode near by that was freed within the last minutes, only to leave it
    alone: where a large folder has just been removed, the next one takes ten times as long to fill, ours or theirs.
    """
    if shutil.which("chattr") is not None:
        subprocess.run(("chattr", "+T", str(scratch)), check=False, capture_output=True)


def unused(scratch: Path, name: str) -> Path:
    """A folder that never was, since ext4 chooses a folder's place by its name."""
    return scratch / f"{name}-{secrets.token_hex(4)}"


def copied(corpus: Corpus, scratch: Path, name: str, passes: Sequence[str] = whole.TIDYING) -> Stand:
    """A fresh copy below a scratch folder, all of it on the disk."""
    stand = Stand(corpora.copied(corpus, unused(scratch, name)))
    stand.follow(*passes)
    os.sync()
    return stand
