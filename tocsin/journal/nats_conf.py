"""The configuration text of the embedded nats-server: loopback, JetStream with fsync before every ack, MQTT for devices."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .endpoint import MqttLogin

MAX_PAYLOAD = 8 << 20
#: The login for devices of every feed; a feed's own login may only publish below `in.<feed>`.
SHARED_LOGIN = "devices"
MEMORY = 64 << 20
#: Left free on the disk for the server's own index and state files.
RESERVE = 16 << 20
#: The limit in bytes comes from the environment, because on a full disk no new configuration can be written.
LIMIT_VARIABLE = "TOCSIN_JOURNAL_BYTES"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What one start of the server needs. `sync`: `always`, or a span (tests only)."""

    store: Path
    port: int
    mqtt_port: int | None
    user: str
    password: str
    devices: Sequence[MqttLogin]
    sync: str = "always"


def render(settings: ServerSettings) -> str:
    """The text of `nats.conf`. Strings are written as JSON strings, which the format accepts."""
    limits = f"store_dir: {json.dumps(str(settings.store))}, max_mem: {MEMORY}, max_file: ${LIMIT_VARIABLE}, sync_interval: {settings.sync}"
    parts = [
        "# Written by tocsin at every start; changes are lost.",
        f'listen: "127.0.0.1:{settings.port}"',
        "server_name: tocsin-journal",
        f"max_payload: {MAX_PAYLOAD}",
        f"jetstream {{ {limits} }}",
        "authorization { users: [",
        f"  {{ user: {json.dumps(settings.user)}, password: {json.dumps(settings.password)}, allowed_connection_types: [STANDARD] }}",
        *(_device(login, settings.devices) for login in settings.devices if settings.mqtt_port is not None),
        "] }",
    ]
    if settings.mqtt_port is not None:
        parts.append(f'mqtt {{ listen: "127.0.0.1:{settings.mqtt_port}", ack_wait: "30s", max_ack_pending: 1024 }}')
    return "\n".join(parts) + "\n"


def _device(login: MqttLogin, all_logins: Sequence[MqttLogin]) -> str:
    """The shared login may publish for every declared feed; for any name only where none is declared."""
    feeds = [login.user] if login.user != SHARED_LOGIN else [other.user for other in all_logins if other.user != SHARED_LOGIN]
    allowed = json.dumps([f"in.{subject_token(feed)}.>" for feed in feeds] or ["in.>"])
    return (
        f"  {{ user: {json.dumps(login.user)}, password: {json.dumps(login.password)}, allowed_connection_types: [MQTT], "
        f'permissions: {{ publish: {{ allow: {allowed} }}, subscribe: {{ deny: [">"] }} }} }}'
    )


def subject_token(name: str) -> str:
    """A name as one subject token: what NATS (or MQTT) gives a meaning, and everything not ASCII, becomes `_`."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in name) or "_"


def file_limit(store: Path) -> int:
    """Bytes the journal may take by default: what it has, and nine tenths of what is free beyond a reserve.

    When the disk is full this is less than what it has: the server then refuses every entry at once and in words, where a
    failed write would make it fall silent.
    """
    room = os.statvfs(store)
    return max(1, used_bytes(store) + (room.f_bavail * room.f_frsize - RESERVE) * 9 // 10)


def used_bytes(store: Path) -> int:
    """Bytes of the files below `store`; files that vanish meanwhile count nothing."""
    total = 0
    for folder, _, names in os.walk(store):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(folder) / name).stat().st_size
    return total
