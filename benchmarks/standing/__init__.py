"""The table of bars: everything that is promised about speed and memory, row by row: `python -m benchmarks.standing`.

All are whole processes, ours and theirs turn by turn; what counts is the median of the quotients, or of the
differences.
Beside the time by the clock stands the time of the processors, of all processes together: other people's work on the
machine changes it far less.
Rows that change a store work on fresh copies, in a scratch folder beside the corpora; copying, and settling the disk
after it, is not measured.
What archiving and restoring promise is measured by `python -m benchmarks.archiving`.
"""
