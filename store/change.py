"""The changes to sessions: all there are, by the names that callers use.

What is guarded: a session's bytes are reachable at every moment, before, during and after each change, for every
reader and after every crash; a file that is not the planned one is left as it is; what a live writer appends
meanwhile is kept.
For that every change looks through a descriptor, acts on names relative to folder descriptors, and looks again
through the same descriptor at what it acted on; where it was another file, it gives that one back without
replacing anything.
The orders of steps are those of the design notes on reliability, and none of them is for speed.

A change that was killed can be asked for again with the same arguments: it ends in the same state.

Not guarded: one name of a session removed by its owner on purpose, and appends through a descriptor that
outlives the grace period on a system without leases.
"""

from store.carrying import carry_over
from store.copying import copy_out
from store.ending import expire, let_go
from store.looking import Skip, Stranded
from store.making import make, make_new
from store.removing import move_to_trash, put_back, remove_empty_folders
from store.reverting import revert
from store.rewriting import Rewritten, rewrite, rewriting
from store.roots import RootFds

__all__ = [
    "Rewritten",
    "RootFds",
    "Skip",
    "Stranded",
    "carry_over",
    "copy_out",
    "expire",
    "let_go",
    "make",
    "make_new",
    "move_to_trash",
    "put_back",
    "remove_empty_folders",
    "revert",
    "rewrite",
    "rewriting",
]
