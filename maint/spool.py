"""Lines of a plan that wait until it is whole, in bounded memory."""

import tempfile

IN_MEMORY = 8 * 1024 * 1024
"""Bytes of a spool that are kept in memory; beyond that they wait in a temporary file."""


class Spool(tempfile.SpooledTemporaryFile[bytes]):
    """Lines that wait in memory, and beyond a size in a file without a name; they go with the plan they are of."""

    def __init__(self) -> None:
        super().__init__(max_size=IN_MEMORY)

    def __del__(self) -> None:
        self.close()
