"""Sources that are asked instead of sent in: tables and views of a database, and feeds of a web service.

A pull reads what is new, maps it at once, keeps on disk only the events that go to the topic anyway, and moves its
watermark when all of them are acknowledged. Non-goals: deletions in the source are not seen (a full list published as
a snapshot says them), and nothing is ever written to the source.
"""
