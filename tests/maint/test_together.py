"""Several maintainers at once, and workers and leaders that die."""

import os
import random
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from maint_world import Answer, World, run_all

from maint.workers import Crew, Died
from store.layouts.rec.specimens import session_id


def filled(world: World, count: int) -> World:
    """Crashed and empty sessions, half of each."""
    world.rules(rest="limits: {max_removed: unlimited}\n")
    for first, kind in ((2, "empty"), (1, "crashed")):
        made = world.add(kind, 1).read_bytes()
        for number in range(first, count + 1, 2):
            id_ = session_id(number)
            world.put(f"{id_}.ndjson", made.replace(session_id(1).encode(), id_.encode()))
    return world


def states(world: World) -> set[str]:
    return {each["state"] for each in world.maint("list", "--json").lines}


# Maintainers.


@pytest.mark.parametrize("count", [2, 10])
def test_sweeps_at_once_do_the_work_once(world: World, count: int) -> None:
    treasure = filled(world, 200).treasure()
    answers = run_all([world.start("sweep", "--json") for _ in range(count)])
    assert {answer.code for answer in answers} <= {0, 75}
    done = [answer.summary["done"] for answer in answers if answer.code == 0]
    assert sum(each.get("recover", 0) for each in done) == 100
    assert sum(each.get("delete-empty", 0) for each in done) == 100
    assert [answer.err for answer in answers if answer.code == 0 or "Traceback" in answer.err] == [""] * len(
        done
    )
    assert (world.lost(treasure), world.is_free(), len(world.waiting())) == ([], True, 100)


def test_sweeps_that_wait_all_have_their_turn(world: World) -> None:
    treasure = filled(world, 60).treasure()
    answers = run_all([world.start("sweep", "--wait", "50s") for _ in range(4)])
    assert [(answer.code, answer.out, answer.err) for answer in answers] == [(0, "", "")] * 4
    assert (world.lost(treasure), len(world.journals())) == ([], 4)


def test_looking_is_never_kept_waiting(world: World) -> None:
    filled(world, 20)
    holder = subprocess.Popen(
        ["flock", str(world.sessions), "sh", "-c", "echo; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    codes = [
        world.maint(*verb).code for verb in (["status"], ["plan"], ["list"], ["log"], ["show", session_id(1)])
    ]
    held = [world.maint(*verb).code for verb in (["sweep"],)]
    holder.communicate(b"\n")
    assert (codes, held) == ([0] * 5, [75])


# Workers.


def double(task: list[int]) -> list[int]:
    return [2 * each for each in task]


def fatal(task: list[int]) -> list[int]:
    """Dies over a seven."""
    if 7 in task:
        os.kill(os.getpid(), signal.SIGKILL)
    return double(task)


def raising(task: list[int]) -> list[int]:
    if 7 in task:
        raise RuntimeError(lambda: None)  # which no pickle can carry
    return double(task)


def leaving(task: list[int]) -> list[int]:
    if 7 in task:
        os._exit(3)
    return double(task)


def never() -> bool:
    return False


def tasks(count: int, size: int = 3) -> Iterator[list[int]]:
    for start in range(0, count, size):
        yield list(range(start, start + size))


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_answers_come_in_the_order_of_the_tasks(jobs: int) -> None:
    crew: Crew[int, list[int]] = Crew(jobs, double, never)
    assert list(crew.run(tasks(30))) == [(task, double(task)) for task in tasks(30)]


@pytest.mark.parametrize(
    ("work", "how"), [(fatal, "SIGKILL"), (raising, "RuntimeError"), (leaving, "ended with 3")]
)
def test_worker_that_dies_costs_one_item_and_says_how(work: type, how: str) -> None:
    crew: Crew[int, list[int]] = Crew(2, work, never)
    answers = list(crew.run(tasks(30)))
    died = [(task, answer.how) for task, answer in answers if isinstance(answer, Died)]
    assert [(task, how in text) for task, text in died] == [([7], True)]
    done = [item for task, answer in answers if not isinstance(answer, Died) for item in task]
    assert done == [each for each in range(30) if each != 7]


def test_stop_ends_with_the_tasks_in_flight() -> None:
    asked = iter([False] * 4 + [True] * 1000)
    crew: Crew[int, list[int]] = Crew(2, double, lambda: next(asked))
    answers = list(crew.run(tasks(300)))
    assert 0 < len(answers) < 100
    assert answers == [(task, double(task)) for task, _ in answers]


def children(pid: int) -> list[int]:
    """The processes that this one has started, threads aside."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in found.read_text().split()] if found.exists() else []


def a_child_of(process: subprocess.Popen[bytes]) -> int:
    """One worker of a program, once it has one."""
    while not (found := children(process.pid)):
        assert process.poll() is None, "it ended before it had a worker"
        os.sched_yield()
    return found[-1]


def test_worker_killed_during_the_survey_costs_nothing(world: World) -> None:
    filled(world, 4500)
    process = world.start("status", "--json", "--jobs", "2")
    os.kill(a_child_of(process), signal.SIGKILL)
    (answer,) = run_all([process])
    assert (answer.code, answer.summary["sessions"], answer.summary["problems"]) == (0, 4500, [])


def test_worker_killed_while_it_acts_costs_nothing(world: World) -> None:
    treasure = filled(world, 800).treasure()
    process = world.start("sweep", "--jobs", "2")
    os.kill(a_child_of(process), signal.SIGKILL)
    (answer,) = run_all([process])
    end = world.maint("log", "--json").lines[-1]
    assert (answer.code, answer.err, end["done"]) == (0, "", {"recover": 400, "delete-empty": 400})
    assert (world.lost(treasure), states(world)) == ([], {"recovered"})


# Leaders.


def killed_after(world: World, outcomes: int) -> None:
    """Kill a sweep when it has told so many outcomes."""
    process = world.start("sweep", "--json", "--jobs", "2", bufsize=0)
    assert process.stdout is not None
    while outcomes and (line := process.stdout.readline()):
        outcomes -= b'"type":"outcome"' in line
    process.kill()
    run_all([process])


@pytest.mark.parametrize("outcomes", [0, 1, 300])
def test_leader_killed_is_found_and_finished_by_the_next(world: World, outcomes: int) -> None:
    treasure = filled(world, 600).treasure()
    killed_after(world, outcomes)
    answer = world.maint("sweep", "--wait", "30s")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert (world.lost(treasure), states(world), world.is_free()) == ([], {"recovered"}, True)
    assert world.waiting("tmp") == []


def test_leaders_killed_again_and_again_lose_nothing(world: World) -> None:
    treasure = filled(world, 300).treasure()
    dice = random.Random(7)
    for _ in range(6):
        killed_after(world, dice.randrange(40))
    assert world.maint("sweep", "--wait", "30s").code == 0
    assert (world.lost(treasure), states(world), world.is_free()) == ([], {"recovered"}, True)


def test_workers_do_not_outlive_their_leader(world: World) -> None:
    filled(world, 3000)
    process = world.start("sweep", "--jobs", "2")
    worker = os.pidfd_open(a_child_of(process))
    process.kill()
    run_all([process])
    with open(worker, closefd=True) as handle:
        assert ended(handle.fileno())


def ended(pidfd: int) -> bool:
    """Whether a process ends within ten seconds."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(10_000))


def test_demo_and_sweep_do_not_meet(world: World) -> None:
    answers: list[Answer] = run_all([world.start("demo"), world.start("sweep")])
    assert [answer.code for answer in answers] == [0, 0]
