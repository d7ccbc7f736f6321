"""A NATS cluster of our own for tests: servers with JetStream in a temporary directory, on loopback and free ports, with passwords."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tocsin.journal.endpoint import Endpoint
from tocsin.journal.host import find_binary
from tocsin.kernel.ports import free_port

USER, PASSWORD = "operator", "secret"
CONF = """
server_name: n{number}
listen: "127.0.0.1:{port}"
max_payload: 8388608
jetstream {{ store_dir: "{store}", sync_interval: always, max_mem: 67108864, max_file: 1073741824 }}
authorization {{ users: [ {{ user: {user}, password: {password} }} ] }}
cluster {{ name: tocsin, listen: "127.0.0.1:{route}", routes: [{routes}] }}
"""


class NatsCluster:
    """Started by `with`; `kill` takes one server away for good, `start` brings it back."""

    def __init__(self, folder: Path, size: int = 3) -> None:
        self.ports = [free_port() for _ in range(size)]
        self._folder = folder
        self._routes = [free_port() for _ in range(size)]
        self._servers: dict[int, subprocess.Popen[bytes]] = {}

    def endpoint(self, replicas: int = 3) -> Endpoint:
        return Endpoint(",".join(f"nats://127.0.0.1:{port}" for port in self.ports), USER, PASSWORD, replicas=replicas)

    @property
    def url(self) -> str:
        """As `--journal` takes it."""
        return ",".join(f"nats://{USER}:{PASSWORD}@127.0.0.1:{port}" for port in self.ports)

    def start(self, number: int) -> None:
        folder = self._folder / f"n{number}"
        folder.mkdir(parents=True, exist_ok=True)
        routes = ", ".join(f'"nats://127.0.0.1:{route}"' for route in self._routes)
        place = {"port": self.ports[number], "route": self._routes[number], "store": folder / "store"}
        (folder / "nats.conf").write_text(CONF.format(number=number, user=USER, password=PASSWORD, routes=routes, **place))
        with (folder / "nats.log").open("ab") as log:
            self._servers[number] = subprocess.Popen([find_binary(), "-c", folder / "nats.conf"], stdout=log, stderr=log)

    def kill(self, number: int) -> None:
        """kill -9; returns when it is gone."""
        server = self._servers.pop(number)
        server.kill()
        server.wait()

    def __enter__(self) -> Self:
        for number in range(len(self.ports)):
            self.start(number)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number in list(self._servers):
            self.kill(number)
