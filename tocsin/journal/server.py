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
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tocsin.kernel import durable
from tocsin.kernel.fault import Fatal, Misconfigured, Problem, Retriable
from tocsin.kernel.ports import free_port

from .endpoint import Credentials, Endpoint, MqttLogin, read_credentials, write_credentials
from .host import LogPipe, demand_free, find_binary
from .link import Link, Lost
from .mqtt import keep_feeds, wake
from .nats_conf import LIMIT_VARIABLE, SHARED_LOGIN, ServerSettings, file_limit, render
from .watchdog import Watchdog

log = logging.getLogger(__name__)
PR_SET_PDEATHSIG = 1
START_SECONDS = 60.0
STOP_SECONDS = 20.0
KILL_SECONDS = 20.0
_libc = ctypes.CDLL(None, use_errno=True)


class EmbeddedServer:
    """One nats-server on loopback over `data_dir/journal`.

    `port`, `mqtt_port`: 0 takes a free one, kept over restarts; `mqtt_port` None: no MQTT. `feeds`: names that get an MQTT
    login of their own, limited to `in/<feed>/...`, and whose acknowledged publishes are kept (`mqtt.py`). `max_file`: bytes the journal may take, by default nine tenths of the disk.
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
        self.limit = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.logged: LogPipe | None = None
        self._lock: int | None = None
        self.stopping = False

    @property
    def endpoint(self) -> Endpoint:
        """How our own processes connect; known once started."""
        if self.credentials is None:
            raise Fatal("the embedded journal server was not started")
        return self.credentials.endpoint

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def store(self) -> Path:
        return self.data_dir / "journal"

    async def start(self) -> Endpoint:
        """Writes the configuration, starts the child and returns when JetStream answers. Raises Misconfigured or Fatal."""
        binary = find_binary()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.data_dir / "log").mkdir(exist_ok=True)
        self.store.mkdir(mode=0o700, exist_ok=True)
        await self._take_lock()
        try:
            self._choose_ports()
            self.credentials = self._keep_credentials()
            self._write_conf()
            await self._launch(binary)
            await self._prepare_mqtt()
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
            demand_free(self.port, "--nats-port")
        else:
            self.port = free_port()
        if self.mqtt_port:
            demand_free(self.mqtt_port, "--mqtt-port")
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
        endpoint = Endpoint(url, "tocsin", password or secrets.token_urlsafe(32), sync_always=self.sync == "always", store=str(self.store))
        credentials = Credentials(endpoint, self.mqtt_port, logins)
        write_credentials(path, credentials)
        return credentials

    def _write_conf(self) -> None:
        credentials = self.credentials
        assert credentials is not None
        settings = ServerSettings(
            store=self.store,
            port=self.port,
            mqtt_port=self.mqtt_port,
            user=credentials.endpoint.user or "",
            password=credentials.endpoint.password or "",
            devices=credentials.devices,
            sync=self.sync,
        )
        durable.replace(self.data_dir / "nats.conf", render(settings).encode())

    async def _launch(self, binary: Path) -> None:
        lock = self._lock
        assert lock is not None
        self.limit = self.max_file or file_limit(self.store)
        self.process = subprocess.Popen(  # noqa: ASYNC220 - the fork takes a millisecond and must come from the main thread
            [str(binary), "-c", str(self.data_dir / "nats.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | {LIMIT_VARIABLE: str(self.limit)},
            pass_fds=(lock,),
            process_group=0,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, nothing that takes a lock
        )
        assert self.process.stderr is not None
        self.logged = LogPipe(self.process.stderr, self.data_dir / "log" / "nats.log")
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{self.process.pid}\n".encode(), 0)
        await self._until_ready()

    async def _prepare_mqtt(self) -> None:
        if self.mqtt_port is None or self.credentials is None:
            return
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                await wake(self.mqtt_port, self.credentials.login(SHARED_LOGIN))
                await self._keep_feeds()
            except (
                OSError,
                EOFError,
                Retriable,
            ) as error:  # where a disk is slow, the server may give up making its MQTT streams, and hang up
                if time.monotonic() > deadline or self.process is None or self.process.poll() is not None:
                    words = str(error) or type(error).__name__
                    raise Fatal(f"nats-server's MQTT side did not get ready ({words}); its log ends with:\n{self._log_tail()}") from None
                log.warning("journal server: its MQTT side is not ready (%s); trying again", error)
                await asyncio.sleep(0.1)
            else:
                return

    async def _keep_feeds(self) -> None:
        link = await Link.open(self.endpoint, "tocsin-supervisor")
        try:
            await keep_feeds(link, self.feeds)
        finally:
            await link.close()

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            process = self.process
            if process is None or process.poll() is not None:
                raise Fatal(f"nats-server ended at start; its log ends with:\n{self._log_tail()}")
            if await self.answers():
                return
            await asyncio.sleep(0.02)
        raise Fatal(f"nats-server did not get ready in {START_SECONDS:.0f} s; its log ends with:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        if self.logged is None:
            return "(no log)"
        if self.process is not None and self.process.poll() is not None:
            self.logged.join()
        return self.logged.tail()

    async def answers(self, within: float = 5.0) -> bool:
        """JetStream is up: a full disk makes the server disable it and stay alive."""
        try:
            link = await Link.open(self.endpoint, "tocsin-supervisor", within=within)
        except (OSError, Misconfigured):  # Lost is an OSError; who refuses our credentials is another server, on the port of ours
            return False
        try:
            reply = await link.request("$JS.API.INFO", b"", within=within)
            return b'"error"' not in reply.data and reply.headers.get("Status") != "503"
        except Lost:
            return False
        finally:
            await link.close()

    async def watch(self) -> None:
        """Keeps the child running until cancelled; see `watchdog.py`."""
        await Watchdog(self).run()

    async def restart(self, reason: str) -> None:
        """Ends the child and starts it on the same ports. Raises Fatal or OSError when that fails."""
        self.restarts += 1
        log.error("journal server: %s; starting it again (%d)", reason, self.restarts)
        if self.on_restart is not None:
            self.on_restart(reason)
        await self._end_child()
        if not self.stopping:
            await self._launch(find_binary())

    async def _end_child(self) -> None:
        process = self.process
        if process is None:
            return
        for sign, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            if process.poll() is not None:
                break
            process.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, patience)
        self.process = None

    async def stop(self) -> None:
        """Ends the child: asks it first, then does not ask."""
        self.stopping = True
        await self._end_child()
        self._drop_lock()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
