"""A crew that is asked again and again: what it was told to do for one must never be an answer for another."""

from contextlib import closing

import pytest

from maint.workers import Crew

TASKS = [[1], [2], [3], [4], [5]]
JOBS = pytest.mark.parametrize("jobs", [1, 2])


def doubled(items: list[int]) -> int:
    return 2 * items[0]


@JOBS
def test_crew_whose_answers_were_left_lying_takes_no_more_work(jobs: int) -> None:
    with Crew(jobs, doubled, lambda: False) as crew:
        answers = crew.run(TASKS)
        assert next(answers) == ([1], 2)
        with pytest.raises(RuntimeError, match="neither taken nor given up"):
            next(crew.run(TASKS))
        answers.close()


@JOBS
def test_crew_whose_answers_were_given_up_answers_the_next_alone(jobs: int) -> None:
    with Crew(jobs, doubled, lambda: False) as crew:
        for _ in range(3):
            with closing(crew.run(TASKS)) as answers:
                assert next(answers) == ([1], 2)
            assert list(crew.run([[10], [20], [30]])) == [([10], 20), ([20], 40), ([30], 60)]
