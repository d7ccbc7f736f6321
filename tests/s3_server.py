"""A storage server with an S3 interface for tests: OpenStack Swift in a process of its own, and a door to it that can cut, hold and spoil what passes."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import select
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tocsin.archive.mirror.bucket import Bucket
from tocsin.kernel.ports import free_port
from tocsin.model.mirror import Address, parse

PYTHON = Path(os.environ.get("TOCSIN_SWIFT") or Path(__file__).parents[1] / ".servers" / "swift") / "bin" / "python"
#: Keys by the name of who has them; the guest may see nothing.
KEYS = {"node": ("city:node", "node-secret"), "guest": ("city:guest", "guest-secret")}


def environment(who: str = "node", secret: str | None = None) -> dict[str, str]:
    """What a process needs to be let in: nothing else of the machine's settings counts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    key, own = KEYS[who]
    return kept | {
        "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": own if secret is None else secret, "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }  # fmt: skip


class Swift:
    """`start`, `kill` (-9, as a crash; what it holds stays). `port`: of its S3 interface on 127.0.0.1."""

    def __init__(self) -> None:
        assert PYTHON.exists(), f"{PYTHON} is missing; 'make test-tools' installs the storage server that these tests talk to"
        self._closing = contextlib.ExitStack()
        self.folder = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-swift-", ignore_cleanup_errors=True)))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = Path(__file__).parent / "archive" / "swift_node.py"
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PYTHON, program, self.folder, str(self.port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder / "server.log").read_text()[-3000:]
        assert json.loads(line) == {"port": self.port}

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self._closing.close()

    def keep_versions(self, bucket: str) -> None:
        """As whoever runs the storage switches it on: a request of the S3 interface, signed (Signature Version 4)."""
        body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        now, (key, secret) = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), KEYS["node"]
        headers = {"host": f"127.0.0.1:{self.port}", "x-amz-content-sha256": hashlib.sha256(body).hexdigest(), "x-amz-date": now}
        lines = [f"{name}:{value}" for name, value in headers.items()]
        request = "\n".join(["PUT", f"/{bucket}", "versioning=", *lines, "", ";".join(headers), headers["x-amz-content-sha256"]])
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        signed = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        code = f"AWS4{secret}".encode()
        for word in (*scope.split("/"), signed):
            code = hmac.digest(code, word.encode(), "sha256")
        said = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={';'.join(headers)}, Signature={code.hex()}"
        answer = httpx.put(
            f"http://127.0.0.1:{self.port}/{bucket}?versioning=", headers=headers | {"authorization": said}, content=body, timeout=60
        )
        assert answer.status_code == 200, answer.text

    def address(self, bucket: str, prefix: str = "", port: int | None = None) -> Address:
        return parse(f"s3://{bucket}/{prefix}?endpoint=http://127.0.0.1:{port or self.port}")


def make_bucket(address: Address) -> None:
    """What whoever runs the storage does; the product makes none."""
    from pyarrow import fs

    endpoint = address.endpoint.removeprefix("http://")
    key, secret = KEYS["node"]
    made = fs.S3FileSystem(
        access_key=key, secret_key=secret, endpoint_override=endpoint, scheme="http", region="us-east-1", allow_bucket_creation=True
    )
    made.create_dir(address.bucket)


class Door:
    """Passes bytes on to a server. `left`: bytes that the server is still sent, None for all; then every connection is cut, as when a cable is pulled.
    `hold`: nothing passes any more, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.left: int | None = None
        self.hold = threading.Event()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            if not select.select([self._socket], [], [], 0.05)[0]:
                continue
            client, _ = self._socket.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                client.close()
                continue
            self._run(self._pass, client, server)

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, contextlib.suppress(OSError):
            while not self._over.is_set():
                for one in select.select([client, server], [], [], 0.05)[0]:
                    while self.hold.is_set() and not self._over.wait(0.05):
                        pass
                    data = one.recv(1 << 16)
                    if not data or (one is client and not self._take(len(data))):
                        return
                    (server if one is client else client).sendall(data)

    def _take(self, count: int) -> bool:
        with self._lock:
            if self.left is None:
                return True
            self.left = max(0, self.left - count)
            return self.left > 0

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()


@contextlib.contextmanager
def door(swift: Swift) -> Iterator[Door]:
    made = Door(swift.port)
    try:
        yield made
    finally:
        made.close()


def bucket_of(address: Address, silent: float = 60.0) -> Bucket:
    """`silent`: little where the test is about a server that says nothing."""
    return Bucket(address, silent, attempts=2)
