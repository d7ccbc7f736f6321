"""A Spark session as this house uses it, and what is missing when there can be none."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tocsin.kernel.fault import Fatal, Misconfigured, Problem

#: Two cores of this machine.
HERE: Final = "local[2]"
_PYTHON: Final = "PYSPARK_PYTHON"
INSTALL: Final = "pip install 'tocsin[spark]' (in a checkout: .venv/bin/pip install --require-hashes -r requirements/spark.lock)"


def settings(master: str, given: Sequence[str]) -> dict[str, str]:
    """What the session is set to. `given`: `KEY=VALUE` each; they come last. Raises Misconfigured."""
    made = {
        "spark.app.name": "tocsin",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.log.level": "ERROR",
    }
    if master.startswith("local"):  # nobody else has a say in it, and nobody outside can reach it
        made |= {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": "2",
            "spark.driver.memory": "1g",
        }
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.startswith("spark."):
            raise Misconfigured([Problem("--spark-conf", 0, f"found {text!r}; valid is KEY=VALUE, as in spark.executor.memory=4g")])
        made[key] = value
    return made


@contextmanager
def session(master: str = HERE, given: Sequence[str] = ()) -> Iterator[Any]:
    """A `pyspark.sql.SparkSession` while the block lasts. Raises Fatal that says what is missing, Misconfigured."""
    wanted = settings(master, given)
    try:
        from pyspark.errors import PySparkException, PySparkRuntimeError
        from pyspark.sql import SparkSession
    except ImportError:
        raise Fatal(f"--on spark needs PySpark 4, which is not installed: {INSTALL}") from None
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        raise Fatal("--on spark needs Java 17 or newer, and there is no 'java'. On Debian: apt-get install openjdk-17-jre-headless")
    builder = SparkSession.builder.master(master)
    for key, value in wanted.items():
        builder = builder.config(key, value)
    with _python(master):
        try:
            made = builder.getOrCreate()
        except (PySparkException, PySparkRuntimeError, OSError, java_error()) as fault:
            raise Fatal(f"Spark does not start with --master {master}: {first_line(fault)}") from None
        try:
            yield made
        finally:
            made.stop()


@contextmanager
def _python(master: str) -> Iterator[None]:
    """On this machine the tasks run in this Python; elsewhere in the one that `PYSPARK_PYTHON` names."""
    before = os.environ.get(_PYTHON)
    if master.startswith("local"):
        os.environ[_PYTHON] = sys.executable
    try:
        yield
    finally:
        os.environ.pop(_PYTHON, None)
        if before is not None:
            os.environ[_PYTHON] = before


def spread(made: Any, run: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
    """`run` once for every task, each as a Spark task of its own; the answers in order. Raises Fatal when Spark gives one up."""
    from pyspark.errors import PySparkException

    try:
        answers: list[Any] = made.sparkContext.parallelize(tasks, max(1, len(tasks))).map(run).collect()
    except (PySparkException, java_error()) as fault:
        raise Fatal(f"Spark gave a task up: {last_line(fault)}") from None
    return answers


def java_error() -> type[Exception]:
    """What the Java side raises."""
    from py4j.protocol import Py4JError

    found: type[Exception] = Py4JError
    return found


def first_line(fault: BaseException) -> str:
    """What a fault says, without the stack of another language."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return lines[0] if lines else type(fault).__name__


def last_line(fault: BaseException) -> str:
    """The line of a Python traceback that says what happened, inside what Spark says about it."""
    lines = [line.strip() for line in str(fault).splitlines()]
    named = [
        line
        for line in lines
        if line and not line.startswith(("at ", "File ", "^", "...", "Caused by", "Driver stacktrace")) and "Error" in line
    ]
    return named[-1] if named else first_line(fault)
