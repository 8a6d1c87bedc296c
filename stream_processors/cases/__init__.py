"""The life of a measure, from draft to automatic end. Read `judge.py` first: the state of a case, and why."""
