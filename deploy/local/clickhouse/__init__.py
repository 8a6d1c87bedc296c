"""The ClickHouse engine (chDB) behind ClickHouse's own HTTP protocol, for one machine.

Several processes share one store through it, and the product's code for a real server is the only code path.
Where to read: `server.py` (HTTP), `statement.py` (what was asked), `engine.py` (chDB), `sessions.py`, `bodies.py`.

It is not a server: no clusters, no replication, no users beyond one, no `query_log`, no native TCP protocol, no
`client_protocol_version`, no external data, no progress headers; replies are never compressed (loopback). An
acknowledged insert survives the death of the process, not a power cut (the engine does not fsync).
"""
