"""With whose rights the program calls the system, told from what `strace` writes down."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

TRACED = "trace=%file,setresuid,setreuid,setresgid,setregid,setgroups,getdents64,clone,clone3,fork,vfork"
_LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(.*)")
_BORN = re.compile(r"= (\d+)(?:<.*)?$")
_USER = re.compile(r"\((?:-1|\d+), (\d+)")
_BIRTHS = frozenset({"clone", "clone3", "fork", "vfork"})


class Call(NamedTuple):
    """One call of the system, with the user in whose name it was made, and what is known of it as `strace` has it."""

    user: int
    name: str
    text: str

    def looks(self) -> bool:
        """Whether it only asks whose a file or a folder is, or where a link leads, and opens no file."""
        if self.name == "openat":
            return "O_PATH" in self.text or "O_DIRECTORY" in self.text
        return self.name in {
            "newfstatat",
            "statx",
            "lstat",
            "stat",
            "readlink",
            "readlinkat",
            "access",
            "faccessat2",
        }


def calls(lines: Iterable[str]) -> Iterator[Call]:
    """The calls of all processes, the first of which begins as root."""
    users: dict[str, int] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        pid, name, rest = match.groups()
        user = users.setdefault(pid, 0)
        if "resumed>" not in rest:
            yield Call(user, name, rest)
        if name in {"setresuid", "setreuid"} and (told := _USER.search(rest)):
            users[pid] = int(told[1])
        if name in _BIRTHS and (born := _BORN.search(rest)):
            users[born[1]] = users[pid]
