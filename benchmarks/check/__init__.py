"""The regression check, `python -m benchmarks.check`: is what stands here slower than what was accepted?

`asking` measures in fresh processes, `judging` compares (by value, so that it is tested without measuring),
`accepting` keeps what is accepted, and `benchmarks.counts` is what does not wobble.
`benchmarks.proving` shows that the check names what is slower, and nothing else.
"""
