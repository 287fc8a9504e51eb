"""Whatever the owner, the clock and the program do, in whatever order: nothing is lost, and what is told is true."""

import shutil
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sessions_machine import Sessions
from stories import alone
from tried import FAULTS, LONG, Tally

EXAMPLES = int(FAULTS) if FAULTS.isdecimal() else 800 if LONG else 6
STEPS = 30 if LONG else 14
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=not LONG,
    deadline=None,
    database=None,
    phases=(Phase.generate,),  # a step takes a tenth of a second: to make a case small would take an hour
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

pytestmark = pytest.mark.skipif(
    any(shutil.which(each) is None for each in ("zstd", "tar")),
    reason="there is no zstd or tar to look into packs with",
)


def test_nothing_is_lost_whatever_is_done_in_whatever_order(tally: Tally) -> None:
    Sessions.runs = Counter()
    try:
        with alone():
            run_state_machine_as_test(Sessions, settings=SETTINGS)
    finally:
        for verb, count in Sessions.runs.items():
            tally("state machine", f"rec: {verb}", count)
