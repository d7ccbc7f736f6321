"""Correlation: the plan runs over the journal, and what matches becomes alerts.

`worker.py` is the loop; `codebook.py` turns batches into the flat arrays that `engine.py` and `kernels/` match; `assemble.py`
turns their firings into alerts with evidence and reasons; `corrections.py` knows what updates and cancels take back.
"""
