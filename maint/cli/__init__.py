"""The command line: arguments in, exit code out; everything else is one floor below.

Exit codes: 0 done, 1 some actions failed or were lost, 2 usage, 3 refused by a limit, 70 a defect of ours, 74 a
store could not be read or written, 75 a store is held by another maintainer, 78 the policy is invalid, 128+N ended
by signal N.
"""

import gc


def main() -> None:
    """The program."""
    gc.disable()  # a run makes very many objects and hardly a cycle, and then it ends
    from maint.cli.program import run  # noqa: PLC0415  imports make most of the objects of a short run

    try:
        run()
    finally:
        gc.freeze()  # else Python would look through all of it once more before it ends
