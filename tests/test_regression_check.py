"""The regression check of the benchmarks, by value: what it names, and what it does not; nothing here takes a time."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import contained, counts
from benchmarks.check import accepting, before, judging, telling
from benchmarks.check.__main__ import SHORT
from benchmarks.check.asking import ROOT
from benchmarks.check.judging import Accepted, Asked, Judged, Word

FLOOR, OTHER = "the same calls in C", "by hand"
WAS = Accepted(FLOOR, 2.0, 0.02)
HERE = {"processors": 2, "model": "M", "kernel": "6.1", "python": "3.11.7", "scratch": "memory"}


def asked(ratio: float, *, noise: float = 0.02, processes: int = 5, seed: int = 1) -> Asked:
    rng = random.Random(seed)
    medians = [ratio * rng.gauss(1, noise) for _ in range(processes)]
    return Asked(
        "file::test", {FLOOR: medians, OTHER: [each / 9 for each in medians]}, {FLOOR: ratio, OTHER: ratio}
    )


def word(was: Accepted | None, now: Asked, *, elsewhere: bool = False) -> Word:
    return judging.judge("work", was, now, elsewhere=elsewhere).word


def told(*words: Word) -> list[Judged]:
    return [Judged(f"work {number}", each) for number, each in enumerate(words)]


def test_ratio_that_is_as_it_was_is_not_named() -> None:
    assert word(WAS, asked(2.0)) is Word.SAME


def test_fifteen_per_cent_beyond_the_noise_that_was_seen_are_named() -> None:
    assert all(word(WAS, asked(2.3, noise=0.015, seed=seed)) is Word.SLOWER for seed in range(200))


def test_noise_alone_is_not_named() -> None:
    assert not any(word(WAS, asked(2.0, noise=0.03, seed=seed)) is Word.SLOWER for seed in range(2000))


def test_one_process_that_was_disturbed_does_not_matter() -> None:
    now = asked(2.0, noise=0.0)
    assert word(WAS, now._replace(medians={FLOOR: [2.0, 2.0, 2.0, 2.0, 20.0]})) is Word.SAME


def test_slower_is_only_what_is_slower_in_all_of_its_interval() -> None:
    now = asked(2.0)._replace(medians={FLOOR: [2.02, 2.5, 2.5, 2.5, 2.5]})
    assert word(WAS, now) is Word.SAME


def test_what_is_faster_beyond_the_noise_is_told() -> None:
    assert word(WAS, asked(1.5)) is Word.FASTER


def test_what_was_noisy_when_it_was_accepted_is_tolerated_more_and_in_the_end_not_judged() -> None:
    assert word(WAS._replace(noise=0.06), asked(2.3)) is Word.SAME
    assert word(WAS._replace(noise=0.2), asked(4.0)) is Word.NOISY


def test_subject_without_an_accepted_ratio_is_new() -> None:
    assert word(None, asked(2.0)) is Word.NEW


def test_subject_whose_reference_cannot_be_measured_is_not_compared_with_another() -> None:
    assert word(WAS._replace(beside="a tool that is not installed"), asked(2.0)) is Word.ALONE


def test_ratio_of_another_machine_is_told_and_not_judged() -> None:
    judged = judging.judge("work", WAS, asked(4.0), elsewhere=True)
    assert (judged.word, judged.was) == (Word.ELSEWHERE, WAS)
    said = judging.answer([judged, *told(Word.SAME)], strict=False)
    assert said == (
        judging.FINE,
        (
            "Nothing is slower than what was accepted; 1 subjects were compared; "
            "told beside another machine's, and not compared: 1 ratios."
        ),
    )
    assert judging.answer([judged], strict=False).code == judging.UNTOLD


def test_what_looks_slower_is_named_only_if_it_is_slower_than_the_accepted_code_is_now() -> None:
    looks_slower = judging.judge("work", WAS, asked(2.4), elsewhere=False)
    assert looks_slower.word is Word.SLOWER
    same, quick = (judging.beside_before(looks_slower, asked(each, seed=2)) for each in (2.35, 2.0))
    assert (same.word, quick.word) == (Word.BEFORE, Word.SLOWER)
    assert judging.answer([same], strict=False) == (
        judging.FINE,
        (
            "Nothing is slower than what was accepted; 1 subjects were compared; slower than it was, and no slower "
            "than what was accepted is on this machine now: work."
        ),
    )
    assert judging.beside_before(looks_slower, Asked("", {"another reference": [2.4]}, {})) == looks_slower


def test_accepted_code_is_that_of_the_commit_that_accepted_last(tmp_path: Path) -> None:
    known = before.unpacked(accepting.FILE, tmp_path / "before")
    if known is None:
        pytest.skip("this is no checkout of git")  # then what looks slower is named without this
    there = (known / "benchmarks" / "accepted.json").read_bytes()
    git = ("git", "log", "-1", "--format=%H", "--", "benchmarks/accepted.json")
    commit = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    shown = ("git", "show", f"{commit}:benchmarks/accepted.json")
    assert there == subprocess.run(shown, cwd=ROOT, check=True, capture_output=True).stdout
    assert (known / "maint").is_dir()
    assert before.unpacked(tmp_path / "nobody accepted this", tmp_path / "none") is None


def test_first_reference_is_judged_by_unless_another_is_far_less_noisy() -> None:
    calm, wild = [2.0, 2.01, 2.0, 1.99, 2.0], [1.6, 2.4, 2.0, 1.7, 2.3]
    assert judging.quietest(Asked("", {FLOOR: wild, OTHER: calm}, {})) == OTHER
    assert judging.quietest(Asked("", {FLOOR: calm, OTHER: calm}, {})) == FLOOR
    assert judging.quietest(Asked("", {FLOOR: wild, OTHER: wild}, {})) == FLOOR


@pytest.mark.parametrize(
    ("processes", "confidence", "low"),
    [(3, 0.875, 1), (5, 0.96875, 1), (8, 0.96484375, 2), (9, 0.98046875, 2)],
)
def test_interval_is_the_narrowest_pair_of_processes_that_is_sure_enough(
    processes: int, confidence: float, low: int
) -> None:
    found = judging.interval([float(each) for each in range(1, processes + 1)])
    assert (found.low, found.high) == (low, processes + 1 - low)
    assert found.confidence == confidence


def test_one_call_a_session_more_is_named_and_told_by_name() -> None:
    was = {"calls": 4.25, "bytes": 4289.0, "openat": 1.0, "fstat": 1.0}
    found = judging.count("plan", was, was | {"calls": 5.25, "fstat": 2.0}, elsewhere=False)
    assert found.word is Word.MORE
    assert any("fstat 1 -> 2" in line for line in telling.counts([found]))


def test_call_that_takes_the_place_of_another_is_no_regression() -> None:
    was = {"calls": 2.0, "bytes": 1.0, "stat": 1.0}
    assert (
        judging.count("plan", was, {"calls": 2.0, "bytes": 1.0, "statx": 1.0}, elsewhere=False).word
        is Word.SAME
    )


@pytest.mark.parametrize(
    ("now", "expected"), [(14, Word.SAME), (15, Word.SAME), (16, Word.MORE), (9, Word.FEWER)]
)
def test_batch_that_is_made_durable_more_often_is_named(now: int, expected: Word) -> None:
    assert judging.count("sweep", {"syncs": 14}, {"syncs": now}, elsewhere=False).word is expected


def test_counts_of_a_start_are_only_judged_where_they_were_accepted_and_the_others_everywhere() -> None:
    more = {"calls": 9.0}, {"calls": 12.0}
    assert judging.count(f"{judging.START}maint", *more, elsewhere=True).word is Word.SAME
    assert judging.count(f"{judging.START}maint", *more, elsewhere=False).word is Word.MORE
    assert judging.count("plan", *more, elsewhere=True).word is Word.MORE


@pytest.mark.parametrize(
    ("words", "strict", "code"),
    [
        ([Word.SAME, Word.FASTER, Word.NEW, Word.GONE, Word.NOISY], False, judging.FINE),
        ([Word.SAME, Word.NEW], True, judging.UNTOLD),
        ([Word.SAME, Word.SLOWER, Word.ALONE], False, judging.REGRESSION),
        ([Word.SAME, Word.ALONE], False, judging.UNTOLD),
        ([Word.NEW, Word.NEW], False, judging.UNTOLD),
        ([Word.SAME], True, judging.FINE),
    ],
)
def test_exit_code_says_fine_or_slower_or_that_it_cannot_be_told(
    words: list[Word], strict: bool, code: int
) -> None:
    assert judging.answer(told(*words), strict=strict).code == code


def test_answer_names_what_is_slower_and_what_is_beside_it() -> None:
    said = judging.answer(told(Word.SLOWER, Word.FASTER, Word.GONE, Word.NEW), strict=False).sentence
    assert said == (
        "Slower than what was accepted: work 0; 2 subjects were compared; "
        "better: work 1; no more there: work 2; not compared: work 3."
    )


def test_accepting_changes_the_lines_of_what_changed_and_no_others() -> None:
    before = [judging.judge(name, None, asked(2.0), elsewhere=False) for name in ("kept", "moved", "gone")]
    section = accepting.accept_ratios({}, before, HERE)
    known = accepting.ratios(section)
    after = [
        judging.judge("kept", known["kept"], asked(2.04), elsewhere=False),
        judging.judge("moved", known["moved"], asked(1.5), elsewhere=False),
        judging.judge("new", None, asked(3.0), elsewhere=False),
        Judged("gone", Word.GONE, known["gone"]),
    ]
    old, new = (
        set(accepting.written({"short": each}).splitlines())
        for each in (section, accepting.accept_ratios(section, after, HERE))
    )
    assert {line.split('"')[1] for line in old - new} == {"moved", "gone"}
    assert {line.split('"')[1] for line in new - old} == {"moved", "new"}


def test_ratios_are_accepted_for_each_machine_by_itself() -> None:
    there = HERE | {"model": "N"}
    sections = {accepting.title(SHORT, HERE): accepting.accept_ratios({}, [], HERE)}
    assert accepting.title(SHORT, HERE) == "short, 1000 sessions, 2 x M, Python 3.11, memory"
    assert accepting.title(SHORT, there) not in sections
    assert accepting.title(SHORT, HERE | {"kernel": "7.0", "python": "3.11.9"}) in sections
    assert accepting.elsewhere(sections, SHORT)["machine"] == HERE
    assert accepting.elsewhere(sections, SHORT._replace(sessions=100)) == {}
    judged = judging.judge("work", WAS, asked(4.0), elsewhere=True)
    assert set(accepting.accept_ratios({}, [judged], there)["ratios"]) == {"work"}


def test_accepted_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    section = accepting.accept_ratios({}, [judging.judge("µ", None, asked(2.0), elsewhere=False)], HERE)
    (tmp_path / "accepted.json").write_text(accepting.written({"short": section}))
    assert accepting.load(tmp_path / "accepted.json") == {"short": section}
    assert accepting.load(tmp_path / "none.json") == {}


def test_machine_is_another_one_for_its_processor_or_python_but_not_for_its_kernel() -> None:
    assert accepting.differs(HERE, HERE | {"kernel": "7.0", "python": "3.11.9"}) == []
    assert accepting.differs(HERE, HERE | {"python": "3.12.1"}) == ["python 3.11.7 -> 3.12.1"]
    assert accepting.differs(HERE, HERE | {"model": "N"}) == ["model M -> N"]
    assert "NO MACHINE" in telling.head(SHORT, HERE, ["model M -> N"], None)[-1]


def test_nothing_accepted_is_said_at_once() -> None:
    assert "NOTHING IS ACCEPTED" in telling.head(SHORT, HERE, [], Path("accepted.json"))[-1]


def test_answer_for_programs_is_json_whatever_is_missing() -> None:
    subjects = [judging.judge("work", None, asked(2.0), elsewhere=False), Judged("gone", Word.GONE, WAS)]
    counted = [judging.count("plan", None, {"calls": 4.0}, elsewhere=False)]
    answer = judging.answer([*subjects, *counted], strict=False)
    found = json.loads(telling.for_programs(SHORT, HERE, [*subjects, *counted], answer))
    assert [each["word"] for each in found["subjects"]] == ["new", "gone", "new"]
    assert len(telling.table(subjects)) == 3


def test_trace_counts_calls_once_and_the_bytes_that_reads_returned() -> None:
    trace = (
        '7  openat(AT_FDCWD, "x = 3", O_RDONLY) = 3\n'
        "7  read(3,  <unfinished ...>\n"
        '8  pread64(4, ""..., 4096, 0) = 20\n'
        '7  <... read resumed>""..., 4096) = 100\n'
        "8  read(4, 0x7f, 10) = -1 EAGAIN (Resource temporarily unavailable)\n"
        "8  exit_group(0) = ?\n"
        "8  +++ exited with 0 +++\n"
    )
    assert counts.parsed(trace) == {"openat": 1, "read": 2, "pread64": 1, "exit_group": 1, "bytes": 120}


def test_session_costs_the_difference_of_two_stores_without_what_starting_costs() -> None:
    few = {"openat": 500 + counts.FEW, "brk": 9, "bytes": 7 + 100 * counts.FEW}
    many = {"openat": 500 + counts.MANY, "brk": 10, "bytes": 7 + 100 * counts.MANY}
    assert counts.marginal(few, many) == {"calls": 1.0, "bytes": 100, "openat": 1.0}


def test_command_that_is_interrupted_takes_all_that_it_started_with_it(tmp_path: Path) -> None:
    started = (
        "import os, signal, sys; from benchmarks import contained;"
        # Whoever runs the tests in the background may have it ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"contained.run(['sh', '-c', 'sleep 600 & echo $! > {tmp_path}/pid; mv {tmp_path}/pid {tmp_path}/known; wait'],"
        " os.environ)"
    )
    with subprocess.Popen((sys.executable, "-c", started), stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "known").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait()
    assert not is_running(int((tmp_path / "known").read_text()))


def is_running(pid: int) -> bool:
    """Whether it is a process that does anything; nobody need have asked yet how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_scratch_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with contained.scratch(tmp_path) as folder:
        (folder / "x").touch()
    assert not folder.exists()
