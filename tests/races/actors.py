"""The actors: what others may do to a session at any moment of a run.

Each is a generator, in a process of its own: what comes before its first ``yield`` is done before the run begins;
then it waits until the run has been stopped, and acts; if it yields again, the rest is done when the run has ended.
It gives what it has done; FileNotFoundError says that there was nothing to act upon.
"""

import mmap
import os
import stat
from collections.abc import Callable, Generator

from deeds import LATE, Deed
from scene import Scene

Acting = Generator[None, None, Deed]
Actor = Callable[[Scene], Acting]

APPENDING = os.O_WRONLY | os.O_APPEND


def append(scene: Scene) -> Acting:
    """A recorder that opens the file for each record, and makes it if it is not there."""
    yield
    with scene.open(APPENDING | os.O_CREAT) as fd:
        os.write(fd, LATE)
    return Deed(fresh={scene.key: LATE})


def append_as_ever(scene: Scene) -> Acting:
    """A recorder that has had the file open all along, wherever that lies now."""
    with scene.open(APPENDING, scene.wherever()) as fd:
        yield
        os.write(fd, LATE)
    return Deed(fresh={scene.key: LATE})


def write_by_memory(scene: Scene) -> Acting:
    """A recorder that has mapped the file."""
    with scene.open(os.O_RDWR, scene.wherever()) as fd:
        yield
        size = os.fstat(fd).st_size
        os.ftruncate(fd, size + len(LATE))
        with mmap.mmap(fd, size + len(LATE)) as memory:
            memory[size:] = LATE
            memory.flush()
    return Deed(fresh={scene.key: LATE})


def replace(scene: Scene) -> Acting:
    """A program that saves beside the file and renames over it."""
    yield
    new = scene.path.with_name(".being-saved")
    with scene.seen() as taken:
        scene.write(new, scene.longer())
        new.rename(scene.path)
        yield
        return Deed(took=taken(), fresh={scene.key: scene.longer()})


def remove(scene: Scene) -> Acting:
    """An owner who has enough of it."""
    yield
    with scene.seen() as taken:
        scene.path.unlink()
        yield
        return Deed(took=taken())


def link(scene: Scene) -> Acting:
    """A backup that links files."""
    yield
    os.link(scene.path, scene.aside)
    return Deed(apart={str(scene.aside): (scene.key, scene.aside.stat().st_ino)})


def rename_and_begin_anew(scene: Scene) -> Acting:
    """A rotation: the file goes elsewhere, and another one gets its name."""
    yield
    deed = _carried_away(scene)
    scene.write(scene.path, LATE)
    deed.fresh[scene.key] = LATE
    return deed


def begin_anew_in_place(scene: Scene) -> Acting:
    """A program that truncates and writes, and gives the file the time that it had."""
    yield
    times = os.stat(scene.path)
    with scene.open(os.O_RDWR) as fd:
        old = os.pread(fd, 1 << 24, 0)
        os.ftruncate(fd, 0)
        os.pwrite(fd, LATE, 0)
        os.utime(fd, ns=(times.st_atime_ns, times.st_mtime_ns))
    return Deed(took={scene.key: old}, changed={scene.key: LATE})


def change_in_place(scene: Scene) -> Acting:
    """An editor that changes letters, and gives the file the time that it had."""
    yield
    times = os.stat(scene.path)
    with scene.open(os.O_RDWR) as fd:
        old = os.pread(fd, 1 << 24, 0)
        os.pwrite(fd, scene.altered(old), 0)
        os.utime(fd, ns=(times.st_atime_ns, times.st_mtime_ns))
    return Deed(took={scene.key: old}, changed={scene.key: scene.altered(old)})


def lead_elsewhere(scene: Scene) -> Acting:
    """Somebody who lets the folder lead elsewhere for a while, where files of the same names are.

    What a root leads to is the store, until a run holds the lock of the folder that it found there.
    """
    yield
    folder = scene.path.parent
    if folder == scene.top and not scene.is_held:
        raise FileNotFoundError
    folder.rename(scene.aside)
    folder.symlink_to(scene.outside)
    yield
    deed = Deed()
    if folder.is_symlink() and folder.readlink() == scene.outside:
        folder.unlink()
        scene.aside.rename(folder)
    else:
        deed.wrong = "his link is not there any more"
    return deed


def put_a_fifo(scene: Scene) -> Acting:
    """A pipe in the place of the file."""
    yield
    deed = _carried_away(scene)
    os.mkfifo(scene.path)
    deed.odd[str(scene.path)] = stat.S_IFIFO
    return deed


def put_a_folder(scene: Scene) -> Acting:
    """A folder in the place of the file, with something in it."""
    yield
    deed = _carried_away(scene)
    scene.path.mkdir()
    scene.write(scene.path / "KEEP_ME", LATE)
    deed.odd[str(scene.path)] = stat.S_IFDIR
    deed.anywhere.append(LATE)
    return deed


def _carried_away(scene: Scene) -> Deed:
    """The file moved beside the store, if it is there."""
    deed = Deed()
    if scene.path.exists():
        scene.path.rename(scene.aside)
        deed.apart[str(scene.aside)] = (scene.key, scene.aside.stat().st_ino)
    return deed


def sweep(scene: Scene) -> Acting:
    """Another maintainer, who must not work on a store at the same time."""
    yield
    answer = scene.world.maint("sweep")
    is_right = answer.code in {0, 75} and "Traceback" not in answer.err
    return Deed(wrong="" if is_right else f"the sweep beside it: {answer}")


def put_in_trash(scene: Scene) -> Acting:
    """A file of somebody's where the run would put the session."""
    return _put_in(scene, "trash")


def put_in_backup(scene: Scene) -> Acting:
    """A file of somebody's where the run would keep the old session."""
    return _put_in(scene, "backup")


def put_among_packs(scene: Scene) -> Acting:
    """A file of somebody's that has the name of the pack which the run would make next."""
    yield
    folder = scene.world.ours / "archive"
    if scene.run is None:
        raise FileNotFoundError
    folder.mkdir(exist_ok=True)
    number = len(list(folder.glob(f"{scene.run}-*.tar.zst")))
    scene.write(folder / f"{scene.run}-{number:04}.tar.zst", LATE)
    return Deed(anywhere=[LATE])


def _put_in(scene: Scene, top: str) -> Acting:
    yield
    if scene.run is None:
        raise FileNotFoundError
    path = scene.world.ours / top / scene.run / scene.key[0] / scene.key[1]
    if path.exists():
        raise FileNotFoundError
    path.parent.mkdir(parents=True, exist_ok=True)
    scene.write(path, LATE)
    return Deed(anywhere=[LATE])


ACTORS: dict[str, Actor] = {
    each.__name__.replace("_", " "): each
    for each in (
        append,
        append_as_ever,
        write_by_memory,
        replace,
        remove,
        link,
        rename_and_begin_anew,
        begin_anew_in_place,
        change_in_place,
        lead_elsewhere,
        put_a_fifo,
        put_a_folder,
        sweep,
        put_in_trash,
        put_in_backup,
        put_among_packs,
    )
}
