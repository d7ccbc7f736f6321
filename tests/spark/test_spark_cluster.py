"""A real Spark cluster on this machine: a master and two workers as processes of their own, which share no folder, only a bucket; one is killed at work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from city import made
from test_backtest_parts import SPAN, UNANSWERED, plain

sys.path.insert(0, str(Path(__file__).parents[1]))

from s3_server import Swift, bucket_of, environment, make_bucket

from tocsin.archive.catalog import Catalog
from tocsin.archive.mirror.mirrored import FOLDER
from tocsin.archive.mirror.sending import Sender
from tocsin.kernel.ports import free_port
from tocsin.model.mirror import parse

pytestmark = pytest.mark.spark
#: Seconds for what is sure to come: only a test that fails waits so long.
PATIENCE = 1200.0


def eventually(what: str, condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.05)


class Cluster:
    """`address`: for `--master`. `workers`: process and folder of each."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        import pyspark

        self._program = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
        self._folder, self._closing = folder, closing
        self.port = free_port()
        self.address = f"spark://127.0.0.1:{self.port}"
        at = ["--host", "127.0.0.1", "--port", str(self.port), "--webui-port", str(free_port())]
        self._start("master", {}, "org.apache.spark.deploy.master.Master", *at)
        self.workers: list[tuple[subprocess.Popen[bytes], Path]] = []
        for name in ("one", "two"):
            cache = folder / name / "cache"
            at = ["--host", "127.0.0.1", "--port", str(free_port()), "--webui-port", str(free_port()), "--cores", "1", "--memory", "1g"]
            more = ["--work-dir", str(folder / name / "spark"), self.address]
            self.workers.append((self._start(name, {FOLDER: str(cache)}, "org.apache.spark.deploy.worker.Worker", *at, *more), cache))
        log = folder / "master" / "log"
        eventually("both workers are known", lambda: log.read_text().count("Registering worker") == 2)

    def _start(self, name: str, more: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
        place = self._folder / name
        place.mkdir()
        said = environment() | more | {"SPARK_NO_DAEMONIZE": "1", "PYSPARK_PYTHON": sys.executable}
        with (place / "log").open("wb") as log:
            process = subprocess.Popen([self._program, *words], cwd=place, env=said, stdout=log, stderr=log, start_new_session=True)
        self._closing.callback(end, process)
        return process


def end(process: subprocess.Popen[bytes]) -> None:
    """It and everything it has started, as when a machine goes."""
    try:
        everybody = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        everybody = []
    for one in everybody:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    with ExitStack() as closing:
        yield Cluster(folder, closing)


def test_two_workers_that_share_only_a_bucket_and_one_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    city, data, _ = made(tmp_path / "home")
    (city / "rules" / "unanswered.yaml").write_text(UNANSWERED)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with ExitStack() as closing:
        server = Swift()
        closing.callback(server.close)
        address = server.address("history", "testville")
        make_bucket(address)
        catalog = Catalog(data / "archive", write=True)
        Sender(catalog, bucket_of(address)).run()
        catalog.close()
        command = [sys.executable, "-m", "tocsin.cli", "backtest", str(city), "smoke-unanswered", *SPAN, "--near", "0", "--json"]
        alone = json.loads(subprocess.run([*command, "--data", str(data)], capture_output=True, check=True).stdout)
        work = parse(address.text.replace("testville", "work"))
        made_cluster = closing.enter_context(cluster(tmp_path))
        driver = closing.enter_context(
            subprocess.Popen(
                [
                    *command, "--archive", address.text, "--cache", str(tmp_path / "driver"), "--on", "spark", "--master", made_cluster.address,
                    "--work", work.text, "--parts", "12", "--spark-conf", "spark.driver.host=127.0.0.1",
                    "--spark-conf", "spark.driver.bindAddress=127.0.0.1", "--spark-conf", "spark.ui.enabled=false",
                    "--spark-conf", "spark.executor.memory=512m", "--spark-conf", "spark.executor.memoryOverhead=384m",
                ],
                env=environment() | {"PYSPARK_PYTHON": sys.executable}, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        closing.callback(end, driver)
        bucket = bucket_of(work)

        def both_at_work() -> bool:
            assert driver.poll() is None, driver.stderr and driver.stderr.read().decode()
            done = [name for name in bucket.sizes() if "/part-" in name and name.endswith("done.json")]
            return len(done) >= 2 and all(list(cache.rglob("*.parquet")) for _, cache in made_cluster.workers)

        eventually("both workers have done something", both_at_work)
        victim, _ = made_cluster.workers[0]
        end(victim)
        assert victim.returncode == -signal.SIGKILL
        out, wrong = driver.communicate(timeout=PATIENCE)
        assert driver.returncode == 0, wrong.decode()[-3000:]
        found = json.loads(out)
        assert found["spark"]["master"] == made_cluster.address and found["spark"]["parts"] == 12
        assert plain(found) == plain(alone) and found["summary"]["alerts"] > 2
        assert not [name for name in bucket.sizes() if "/part-" in name], "what was kept is removed with the answer"
    assert os.environ["AWS_ACCESS_KEY_ID"] and not (data / "work").exists()
