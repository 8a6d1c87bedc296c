"""A real single-node Apache Kafka (KRaft) on loopback: `python -m deploy.local.broker --data-dir D --port P ...`.

The process prepares jars, configuration and data folder, then becomes Java itself, so that its process id is the
broker's. Not for production: one node, one copy of the data, no authentication.
"""

import argparse
import base64
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.java import java_executable
from deploy.local.kafka_jars import classpath_is_cached, kafka_classpath
from deploy.local.parts import Part
from deploy.local.processes import LOOPBACK, port_answers
from deploy.local.tether import tethered
from schemas.errors import ConfigurationError, XinliuError

MESSAGE_BYTES_MAX = 8 << 20
"""Largest message that the broker takes; topics may ask for less. The product bounds what it publishes itself."""

SESSION_TIMEOUT_MS = 9_000
SESSION_TIMEOUT_MS_TEST = 3_000
"""After kill -9 the controller holds the old registration for this long. Short is for tests: a stalled disk would
then fence the broker (measured: ready again 5.7 s after a kill instead of 12.6 s)."""

_PROMPT_CLIENT = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 50, "log_level": 0}
"""A client's own back-off (10 s at most by default) would be measured instead of the broker's readiness."""


@dataclass(frozen=True)
class BrokerConfig:
    """Where the broker keeps its data and listens; all on loopback."""

    data_dir: Path
    port: int
    controller_port: int
    heap_mb: int = 512
    session_timeout_ms: int = SESSION_TIMEOUT_MS

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def log_dir(self) -> Path:
        """Kafka's own folder, apart from what we write beside it."""
        return self.data_dir.resolve() / "log"


def broker_part(config: BrokerConfig) -> Part:
    """The broker as a part of the stack; ready once it answers a metadata request."""
    argv = [sys.executable, "-m", "deploy.local.broker", "--data-dir", str(config.data_dir.resolve())]
    for flag, value in (
        ("--port", config.port),
        ("--controller-port", config.controller_port),
        ("--heap-mb", config.heap_mb),
        ("--session-timeout-ms", config.session_timeout_ms),
    ):
        argv += [flag, str(value)]
    return Part(
        name="broker",
        argv=argv,
        ready=lambda: broker_answers(config.port),
        ports=(config.port, config.controller_port),
        url=config.bootstrap,
        note="" if classpath_is_cached() else "the first start fetches 45 MB of jars",
        ready_seconds_max=300.0,
    )


def broker_answers(port: int) -> bool:
    """Whether the broker on this loopback port answers a metadata request."""
    if not port_answers(port):
        return False
    client = AdminClient({"bootstrap.servers": f"{LOOPBACK}:{port}", **_PROMPT_CLIENT})
    try:
        client.list_topics(timeout=2.0)
    except KafkaException:
        return False
    return True


def server_properties(config: BrokerConfig) -> str:
    """Kafka's configuration file. Retention of data is each topic's own business (`schemas.topics`)."""
    properties: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{config.controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{config.port},CONTROLLER://{LOOPBACK}:{config.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{config.port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(config.log_dir),
        # A mistyped topic name must fail, not make a topic with the wrong partition count.
        "auto.create.topics.enable": "false",
        "log.retention.ms": -1,
        # A stack that was down for long must not find its positions gone: intake would send everything again.
        "offsets.retention.minutes": 10 * 365 * 24 * 60,
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "replica.fetch.max.bytes": MESSAGE_BYTES_MAX,
        # One node: every internal topic has one copy.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # The default reserves 128 MB of the heap for the cleaner.
        "log.cleaner.dedupe.buffer.size": 4 << 20,
        # Default 10 s: a transaction whose process died keeps readers waiting that much beyond its own time-out.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
        "broker.session.timeout.ms": config.session_timeout_ms,
        "broker.heartbeat.interval.ms": min(2_000, config.session_timeout_ms // 6),
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def prepare(config: BrokerConfig) -> list[str]:
    """Fetch what is missing, write the configuration, format a new data folder; returns the command of the broker."""
    java, classpath = str(java_executable()), kafka_classpath()
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"making the data folder of the local broker {config.data_dir} failed ({error.strerror}); "
            "set XINLIU_HOME to a folder that can be written"
        ) from error
    properties_file = config.data_dir.resolve() / "server.properties"
    properties_file.write_text(server_properties(config), encoding="utf-8")
    if not (config.log_dir / "meta.properties").exists():
        _format(java, classpath, properties_file)
    return [
        java,
        f"-Xms{min(128, config.heap_mb)}m",
        f"-Xmx{config.heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={properties_file.parent}/java-crash-%p.log",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "-cp",
        classpath,
        "kafka.Kafka",
        str(properties_file),
    ]


def _format(java: str, classpath: str, properties_file: Path) -> None:
    # `--ignore-formatted`: a format that was cut short is simply done again.
    command = [java, "-cp", classpath, "kafka.tools.StorageTool", "format", "--ignore-formatted"]
    command += ["--cluster-id", _new_cluster_id(), "--config", str(properties_file)]
    answer = subprocess.run(
        tethered(command),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        output = " ".join((answer.stdout + answer.stderr).split())
        raise XinliuError(f"formatting the data folder of the local broker {properties_file.parent} failed: {output}")


def _new_cluster_id() -> str:
    """16 random bytes as 22 characters of base64url, as Kafka writes them; never with a leading dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not text.startswith("-"):
            return text


def main() -> None:
    """Become the broker."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.broker", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--controller-port", type=int, required=True)
    parser.add_argument("--heap-mb", type=int, default=512)
    parser.add_argument("--session-timeout-ms", type=int, default=SESSION_TIMEOUT_MS)
    config = BrokerConfig(**vars(parser.parse_args()))
    try:
        command = prepare(config)
    except XinliuError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    os.chdir(config.data_dir)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
