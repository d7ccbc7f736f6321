"""Where a journal is reached and with what credentials; the file by which the processes of a node find it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from tocsin.kernel import durable
from tocsin.kernel.fault import Misconfigured, Problem

FULL_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A NATS server or cluster.

    `url`: `nats://host:port`, several separated by commas. Either `user` and `password`, or `creds`, the path of a NATS
    credentials file. `monitor`: HTTP monitoring address of the server; with it `sync_interval: always` can be checked.
    `sync_always`: we wrote the server's configuration ourselves and know. `replicas`: copies of each stream (1, 3 or 5).
    `store`: folder of an embedded server's data, to say so when its disk is full.
    """

    url: str
    user: str | None = None
    password: str | None = None
    creds: str | None = None
    monitor: str | None = None
    sync_always: bool = False
    replicas: int = 1
    store: str | None = None

    def disk_words(self) -> str:
        """`; its disk is full (...)` or the like, when that explains why an embedded server is away."""
        if self.store is None:
            return ""
        try:
            room = os.statvfs(self.store)
        except OSError as error:
            return f"; its disk does not answer ({error})"
        free = room.f_bavail * room.f_frsize
        return f"; its disk is full ({free >> 20} MB free below {self.store}): free some space" if free < FULL_BYTES else ""

    @property
    def servers(self) -> list[str]:
        return [part.strip() for part in self.url.split(",") if part.strip()]


@dataclass(frozen=True, slots=True)
class MqttLogin:
    """What a device needs to publish: only `in/#` (or `in/<feed>/#`), nothing may be read."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """Content of `nats.creds.json` (0600): the endpoint for our processes, the MQTT listener and its logins."""

    endpoint: Endpoint
    mqtt_port: int | None
    devices: tuple[MqttLogin, ...]

    def login(self, user: str) -> MqttLogin:
        """The login of a feed (or `devices`). Raises KeyError when there is none."""
        for found in self.devices:
            if found.user == user:
                return found
        raise KeyError(user)


def read_credentials(path: Path) -> Credentials:
    """`nats.creds.json` -> Credentials. Raises Misconfigured when it is missing or not ours."""
    try:
        data = orjson.loads(path.read_bytes())
        logins = tuple(MqttLogin(**one) for one in data["devices"])
        return Credentials(Endpoint(**data["endpoint"]), data["mqtt_port"], logins)
    except FileNotFoundError:
        raise Misconfigured(
            [Problem(str(path), 0, "no credentials here: is the journal of this node started with this data directory?")]
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(
            [Problem(str(path), 0, f"not a credentials file of this program ({error}); delete it and start again")]
        ) from None


def write_credentials(path: Path, credentials: Credentials) -> None:
    """Atomically, readable by the owner only."""
    durable.replace(path, orjson.dumps(asdict(credentials), option=orjson.OPT_INDENT_2))
