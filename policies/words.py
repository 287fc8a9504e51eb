"""Kinds of words in a policy that are plain strings, counts and sizes to a program; each is checked in its own way."""

from typing import Annotated, TypeAlias

from policies.sizes import Size

# A pattern as the shell knows it: `*`, `?` and `[abc]`, over the whole text.
Glob: TypeAlias = Annotated[str, "glob"]

# The name of a store of the same policy.
Place: TypeAlias = Annotated[str, "place"]

# A kind of store.
Kind: TypeAlias = Annotated[str, "kind"]

# A folder, absolute or below `~/`, as it is written.
Folder: TypeAlias = Annotated[str, "folder"]

# The same, or the word `default`, which is read as None.
FolderOrDefault: TypeAlias = Annotated[str | None, "folder or default"]

# A kind of file system, as the system calls it: `nfs4`, `fuse.sshfs`.
FileSystem: TypeAlias = Annotated[str, "file system"]

# How hard zstd tries.
Level: TypeAlias = Annotated[int, "level"]

# How much a pack holds.
PackSize: TypeAlias = Annotated[Size, "pack size"]
