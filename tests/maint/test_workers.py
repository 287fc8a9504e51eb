"""A crew that is asked again and again: what it was told to do for one must never be an answer for another."""

import itertools
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

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


@JOBS
def test_task_that_was_taken_is_done_though_somebody_says_stop(jobs: int) -> None:
    taken: list[int] = []

    def tasks() -> Iterator[list[int]]:
        for number in itertools.count():
            taken.append(number)
            yield [number]

    done: list[int] = []
    for (number,), answer in Crew(jobs, doubled, lambda: len(done) >= 5).run(tasks()):
        assert answer == 2 * number
        done.append(number)
    assert done == taken


def test_next_task_is_done_while_an_answer_is_taken_in(tmp_path: Path) -> None:
    def noted(items: list[int]) -> int:
        (tmp_path / str(items[0])).touch()
        return doubled(items)

    answers = Crew(2, noted, lambda: False).run(TASKS)
    assert next(answers) == ([1], 2)
    until = time.monotonic() + 30
    while not (tmp_path / "3").exists():
        assert time.monotonic() < until, "nobody works while whoever asked does"
        time.sleep(0.01)
    assert [answer for _, answer in answers] == [4, 6, 8, 10]
