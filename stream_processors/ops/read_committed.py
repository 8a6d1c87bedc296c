"""Makes Faust's consumer read committed messages only; Faust itself has no setting for it outside of transactions.

An agent on a topic that a lane writes would else see what a transaction took back. Pinned to faust-streaming 0.15.3 and
aiokafka 0.14; `tests/stream_processors/test_ops_app.py` sees it fail where the fetcher's level is another.
"""

from __future__ import annotations

from typing import Any

from faust.transport.drivers import aiokafka as driver

LEVEL = "read_committed"


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:  # pyrefly: ignore[missing-override-decorator]
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = LEVEL  # read when the fetcher is made, at the consumer's start
        return consumer


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> Any:  # pyrefly: ignore[missing-override-decorator]
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class Transport(driver.Transport):
    """Faust's transport, with that consumer."""

    Consumer = _Consumer
