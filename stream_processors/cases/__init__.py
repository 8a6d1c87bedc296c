"""The life of a measure, from draft to automatic end. Read `judge.py` first: it says in what state a case is, and why."""
