"""Kinds of text in a policy: all are plain strings to a program, and each is checked in its own way."""

from typing import Annotated, TypeAlias

# A pattern as the shell knows it: `*`, `?` and `[abc]`, over the whole text.
Glob: TypeAlias = Annotated[str, "glob"]

# The name of a store of the same policy.
Place: TypeAlias = Annotated[str, "place"]

# A kind of store.
Kind: TypeAlias = Annotated[str, "kind"]
