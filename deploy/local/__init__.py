"""The local stack: a real Kafka broker, the ClickHouse engine and the lanes, from Python packages alone.

Commands: `python -m deploy.local up | down | status`. Not for production: one node, one copy, loopback only.
"""
