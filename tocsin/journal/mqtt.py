"""Makes the server's MQTT side keep what it acknowledges.

nats-server passes a publish on to NATS streams without waiting for them, then stores it in its own `$MQTT_msgs` with an
fsync, then acknowledges. But `$MQTT_msgs` keeps only what somebody is waiting for. So every feed gets a durable consumer
there; with it an acknowledged publish (quality 1 or 2) survives a kill, without it some are lost (measured: 5 of 1,881 in
12 kills).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable
from typing import Any

from tocsin.kernel.fault import Fatal

from .endpoint import MqttLogin
from .link import Link
from .nats_conf import subject_token
from .streams import ApiRefused, api

MQTT_STREAM = "$MQTT_msgs"
PREFIX = "ingest-"
ACK_WAIT = 60.0  # seconds until an unconfirmed message is delivered again
MAX_PENDING = 1024
_NO_STREAM, _NO_CONSUMER = 10059, 10014


async def wake(port: int, login: MqttLogin) -> None:
    """Connects once as a device (MQTT 3.1.1, section 3.1), which makes the server create its MQTT streams."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        variable = _text("MQTT") + bytes([4, 0b1100_0010]) + struct.pack(">H", 30)
        body = variable + _text("tocsin-setup") + _text(login.user) + _text(login.password)
        writer.write(b"\x10" + bytes([len(body)]) + body)
        async with asyncio.timeout(30):
            answer = await reader.readexactly(4)
        if answer[0] != 0x20 or answer[3]:
            raise Fatal(f"the MQTT listener refuses its own login: CONNACK {answer.hex()}")
        writer.write(b"\xe0\x00")
        await writer.drain()
    finally:
        writer.close()


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


async def keep_feeds(link: Link, feeds: Iterable[str]) -> None:
    """A durable consumer for each feed; those of feeds that are gone are removed, because they would hold messages for ever."""
    wanted = {PREFIX + subject_token(feed): feed for feed in feeds}
    listed = await api(link, f"CONSUMER.NAMES.{MQTT_STREAM}")
    for name in listed.get("consumers") or ():
        if name.startswith(PREFIX) and name not in wanted:
            await api(link, f"CONSUMER.DELETE.{MQTT_STREAM}.{name}")
    for feed in wanted.values():
        await keep_feed(link, feed)


def durable(feed: str, subject: str) -> dict[str, Any]:
    """The consumer of a feed's messages on `subject`: what is not confirmed within `ACK_WAIT` is delivered again, for ever."""
    return {
        "durable_name": PREFIX + subject_token(feed),
        "name": PREFIX + subject_token(feed),
        "filter_subject": subject,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(ACK_WAIT * 1e9),
        "max_ack_pending": MAX_PENDING,
        "max_deliver": -1,
    }


async def keep_feed(link: Link, feed: str) -> str | None:
    """The moment (RFC 3339) since which the feed's acknowledged publishes are kept; None when the server speaks no MQTT."""
    subject = f"$MQTT.msgs.in.{subject_token(feed)}.>"
    config = durable(feed, subject)
    name = config["durable_name"]
    try:
        info = await api(link, f"CONSUMER.CREATE.{MQTT_STREAM}.{name}.{subject}", {"stream_name": MQTT_STREAM, "config": config})
    except ApiRefused as refused:
        if refused.code in {_NO_STREAM, _NO_CONSUMER}:
            return None
        raise
    return str(info["created"])
