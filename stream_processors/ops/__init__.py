"""What follows a transition of a case outside the platform: webhooks, notices, commands, reminders. Faust agents.

Faust's agents lose events on several paths (a body that raises, a kill in the middle, a failed send), so nothing
rests on them: an agent only rings. What was told to whom is in the ledger, a small file, and what happened is in
`credit.measures`, which is kept for ever: at each ring, at each start and every few seconds the two are compared, and
what is missing is delivered. See `follow.py` first, then `sender.py`.
"""
