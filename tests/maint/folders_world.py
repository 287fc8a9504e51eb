"""A kind of store whose sessions lie in folders of their own: no more of it than bringing one back needs."""

import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from store import layouts, names, opening
from store.change import RootFds, move_to_trash
from store.facts import Listing, Member, Place, Problem, Session
from store.layout import Layout, Mend, Moment, Specimen, Unmendable, known_kinds, layout_of

KIND, MODULE = "test-folders", "test_folders"
RUN = names.new_run_id(1_770_000_000.0, b"abc")
OLD = 1_700_000_000.0


class FoldersLayout(Layout):
    """Sessions are folders with a ``record`` and whatever else; ``ID.link`` beside one leads to it."""

    kind = KIND
    paths: ClassVar[Mapping[str, str]] = {"path": "the folder"}

    def default_roots(
        self, env: Mapping[str, str], home: str, platform: str
    ) -> Mapping[str, Mapping[str, str]]:
        return {}

    def roots(self, paths: Mapping[str, str], env: Mapping[str, str], home: str) -> Mapping[str, str]:
        return {"sessions": paths["path"]}

    def discover(self, place: Place, moment: Moment) -> Listing:
        return Listing([], None)

    def read(self, place: Place, context: Any, entries: Iterable[str]) -> Iterator[Session | Problem]:
        return iter(())

    def mend(self, session: str, members: tuple[Member, ...], name: str | None, changed: float) -> Mend:
        raise Unmendable("it is none of a test's business")

    def knows(self, root: str, path: str) -> bool:
        return True

    def session_of(self, root: str, path: str) -> str | None:
        return path.split("/", 1)[0].removesuffix(".link")

    def owns_folder(self, root: str, path: str) -> bool:
        return True

    def describe(self, root: str, path: str, record: bytes) -> str | None:
        return None

    def specimens(self, now: float) -> tuple[Specimen, ...]:
        return ()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A store of that kind, which is found as every kind is: by a module in one of the folders of layouts."""
    plugs = tmp_path / "plugs"
    plugs.mkdir()
    (plugs / f"{MODULE}.py").write_text(
        "from folders_world import FoldersLayout\n\nLAYOUT = FoldersLayout()\n"
    )
    monkeypatch.setattr(layouts, "__path__", [*layouts.__path__, str(plugs)])
    importlib.invalidate_caches()
    known_kinds.cache_clear()
    layout_of.cache_clear()
    (tmp_path / "sessions").mkdir()
    yield Place("mine", KIND, {"sessions": str(tmp_path / "sessions")})
    known_kinds.cache_clear()
    layout_of.cache_clear()
    sys.modules.pop(f"{layouts.__name__}.{MODULE}", None)


def put(
    place: Place, files: Mapping[str, bytes], links: Mapping[str, str] | None = None
) -> tuple[Member, ...]:
    """Files and links of a session, as a plan has them."""
    top = Path(place.path)
    for name, data in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
        os.utime(top / name, (OLD, OLD))
    for name, target in (links or {}).items():
        (top / name).symlink_to(target)
    return tuple(
        Member("sessions", name, opening.fingerprint((top / name).lstat()))
        for name in (*files, *(links or {}))
    )


def remove(place: Place, members: tuple[Member, ...], run: str = RUN) -> None:
    """Move the files of a session to the trash, as a sweep does."""
    with RootFds(place.roots) as roots:
        move_to_trash(roots, members, run, owned=FoldersLayout().owns_folder)
        roots.moves.remove_emptied()


def there(folder: Path) -> dict[str, bytes | str]:
    """Files and links below a folder but what is ours."""
    return {
        str(each.relative_to(folder)): os.readlink(each) if each.is_symlink() else each.read_bytes()
        for each in sorted(folder.rglob("*"))
        if (each.is_symlink() or each.is_file()) and names.FOLDER not in each.relative_to(folder).parts
    }
