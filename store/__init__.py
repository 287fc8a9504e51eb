"""The ground: bytes on disk. Facts of sessions, atomic change, locks, and the layouts of the stores we know.

Knows files and no policy; see `store.layout` for what a kind of store is, and `store.change` for what may be done
to one.
"""
