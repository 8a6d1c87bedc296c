"""Fetches Kafka's jars once per user, so that every later start of the broker needs no network.

Maven does it where it is installed, since it knows the user's mirrors; else jgo, which needs nothing but Python.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jgo

from schemas.errors import Retryable

# Not 4.3.0 or 4.3.1: a broker that comes back with a transaction open may leave out its markers (KAFKA-20734), and then
# readers of committed messages wait for ever. tests/kill/test_open_transaction.py fails on them each time.
KAFKA_VERSION = "4.2.2"
_COORDINATES = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    # Kafka compiles against the 1.7 line of slf4j; a binding of the 2.x line is silently ignored.
    ("org.slf4j", "slf4j-simple", "1.7.36"),
)
_MAVEN_SECONDS_MAX = 600


def kafka_classpath() -> str:
    """Kafka's class path, from the cache where it is whole, else resolved anew.

    Raises Retryable where neither Maven nor jgo can fetch the jars.
    """
    return cached_classpath(_cache_file(), _resolve)


def classpath_is_cached() -> bool:
    """Whether `kafka_classpath` needs no network."""
    return _whole(_cache_file()) is not None


def _cache_file() -> Path:
    return cache_folder() / f"kafka-{KAFKA_VERSION}.classpath"


def cache_folder() -> Path:
    """Per-user folder of things that can be fetched again (XDG base directory specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xinliu"


def cached_classpath(cache_file: Path, resolve: Callable[[], list[Path]]) -> str:
    """The class path in `cache_file` (one jar a line); `resolve` fills it when it is absent or a jar is gone.

    Processes that come at once wait for the first one, and then read what it found.
    """
    jars = _whole(cache_file)
    if jars is None:
        with _locked(cache_file.with_suffix(".lock")):
            jars = _whole(cache_file)
            if jars is None:
                jars = [str(jar) for jar in resolve()]
                _write_atomically(cache_file, "".join(f"{jar}\n" for jar in jars))
    return os.pathsep.join(jars)


def _whole(cache_file: Path) -> list[str] | None:
    try:
        jars = cache_file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    return jars if jars and all(Path(jar).is_file() for jar in jars) else None


def _resolve() -> list[Path]:
    maven = shutil.which("mvn")
    problems: list[str] = []
    if maven is not None:
        try:
            return _resolve_with_maven(maven)
        except (OSError, subprocess.SubprocessError) as error:
            problems.append(f"mvn: {_first_line(error)}")
    try:
        endpoint = "+".join(":".join(coordinate) for coordinate in _COORDINATES)
        return [Path(artifact.resolve()) for artifact in jgo.resolve(endpoint)]
    except Exception as error:  # jgo raises whatever its HTTP and XML layers raise
        problems.append(f"jgo: {error}")
    raise Retryable(
        f"fetching the jars of Apache Kafka {KAFKA_VERSION} failed ({'; '.join(problems)}); "
        "check the network and run the same command again, or point XINLIU_BOOTSTRAP_SERVERS to a running Kafka"
    )


def _resolve_with_maven(maven: str) -> list[Path]:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        for group, artifact, version in _COORDINATES
    )
    with tempfile.TemporaryDirectory(prefix="xinliu-maven-") as folder:
        pom, answer = Path(folder, "pom.xml"), Path(folder, "classpath")
        pom.write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>xinliu</groupId><artifactId>local-broker</artifactId><version>1</version>"
            f"<dependencies>{dependencies}</dependencies></project>",
            encoding="utf-8",
        )
        goal = ["dependency:build-classpath", "-DincludeScope=runtime", f"-Dmdep.outputFile={answer}"]
        subprocess.run(
            [maven, "--batch-mode", "--quiet", "--file", str(pom), *goal],
            capture_output=True,
            text=True,
            timeout=_MAVEN_SECONDS_MAX,
            check=True,
        )
        return [Path(jar) for jar in answer.read_text(encoding="utf-8").strip().split(os.pathsep)]


def _first_line(error: Exception) -> str:
    output = error.stdout if isinstance(error, subprocess.CalledProcessError) else None
    lines = [line for line in str(output or error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def _locked(lock_file: Path) -> Iterator[None]:
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # the kernel drops it with the process, however that ends
        yield


def _write_atomically(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as handle:
        handle.write(text)
    os.replace(handle.name, path)
