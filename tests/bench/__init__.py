"""How fast the lanes are: `python -m tests.bench` on a broker and an engine of its own."""
