"""Subscribes to an MQTT broker somebody else runs (3.1.1 and 5).

QoS 1 with a persistent session and manual acknowledgement: PUBACK is sent after the events are durable, so what we did not
journal the broker sends again, after our crash as well as after its own. QoS 2 is not used: its handshake moves the message
out of the broker before we could journal it, and records are idempotent by id anyway.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tocsin.feeds.catalog import Context
from tocsin.feeds.contract import Message, Receipt, Sink
from tocsin.feeds.options import Option
from tocsin.feeds.sealing import private_file
from tocsin.kernel.fault import Misconfigured, Problem, Retriable
from tocsin.model.feed import FeedSpec
from tocsin.model.time import SECOND

from .delivery import deliver_in_order, deliver_patiently

OPTIONS: Final[Mapping[str, Option]] = {
    "host": Option("text", "name or address of the broker", required=True),
    "port": Option("count", "1883, with TLS usually 8883", default=1883),
    "topics": Option("texts", "topic filters, as in 'stations/+/level'", required=True),
    "version": Option("text", "'3.1.1' or '5'", default="3.1.1"),
    "client_id": Option("text", "name of our session at the broker; unique there", default=None),
    "username": Option("text", "who we are", default=None),
    "password_file": Option("text", "file that holds the password", default=None),
    "tls": Option("flag", "connect with TLS", default=False),
    "ca_file": Option("text", "certificate authority of the broker, PEM", default=None),
    "session": Option("span", "how long the broker keeps messages for us while we are away (MQTT 5)", default=86_400 * SECOND),
    "in_flight": Option("count", "messages on their way to the journal at the same time", default=200),
}
VERSIONS: Final = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}
#: Messages sent with QoS 0 have no back-pressure in the protocol; beyond this many waiting they are shed and counted.
MAX_WAITING: Final = 10_000
REFUSED: Final = 0x80  # SUBACK codes from here on are refusals, in both versions


class _Client(aiomqtt.Client):
    """aiomqtt with two things it does not offer itself: paho's manual acknowledgement, and shedding of QoS 0 only."""

    def __init__(self, shed: Callable[[int], None], **options: Any) -> None:
        class Waiting(asyncio.Queue[aiomqtt.Message]):
            """Messages read from the socket. QoS 1 is bounded by the in-flight window of the protocol, QoS 0 here."""

            def put_nowait(self, item: aiomqtt.Message) -> None:
                if item.qos == 0 and self.qsize() >= MAX_WAITING:
                    shed(1)
                else:
                    super().put_nowait(item)

        super().__init__(queue_type=Waiting, **options)
        self._client.manual_ack_set(True)

    async def confirm(self, message: aiomqtt.Message) -> None:
        if message.qos:
            self._client.ack(message.mid, message.qos)


class MqttBroker:
    def __init__(self, spec: FeedSpec, options: Mapping[str, Any], context: Context) -> None:
        if options["version"] not in VERSIONS:
            words = f"feed {spec.name}: version: found {options['version']!r}; write one of {', '.join(map(repr, VERSIONS))}"
            raise Misconfigured([Problem(spec.file, spec.line, words)])
        self._spec = spec
        self._options = options
        self._context = context

    async def run(self, sink: Sink) -> None:
        """Raises `Retriable` when the broker cannot be reached, refuses us or goes away."""

        async def deliver(message: aiomqtt.Message) -> Receipt:
            return await deliver_patiently(sink, Message(message.payload, self._context.clock.now(), f"topic {message.topic}"))

        options = self._options
        try:
            async with self._client() as client:
                for topic in options["topics"]:
                    granted = await client.subscribe(topic, qos=1)
                    if any(_code(answer) >= REFUSED for answer in granted):
                        raise Retriable(f"broker {options['host']}:{options['port']}: refuses the topic {topic!r}")
                sink.heard()
                await deliver_in_order(client.messages, deliver, client.confirm, options["in_flight"])
        except (aiomqtt.MqttError, OSError) as error:
            raise Retriable(f"broker {options['host']}:{options['port']}: {error}") from error

    def _client(self) -> _Client:
        """A new client for every connection: an acknowledgement that comes late must not reach the next one."""
        options = self._options
        version = VERSIONS[options["version"]]
        identifier = options["client_id"] or f"tocsin-{self._spec.name}-{self._node()}"
        session: dict[str, Any] = {"clean_session": False}
        if version is aiomqtt.ProtocolVersion.V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = options["session"] // SECOND
            properties.ReceiveMaximum = options["in_flight"]
            session = {"clean_start": False, "properties": properties}
        return _Client(
            lambda count: self._context.shed(self._spec.name, count),
            hostname=options["host"],
            port=options["port"],
            identifier=identifier,
            protocol=version,
            username=options["username"],
            password=self._password(),
            tls_context=ssl.create_default_context(cafile=options["ca_file"]) if options["tls"] else None,
            **session,
        )

    def _node(self) -> str:
        """Tells our session from that of another node that runs the same city; kept, because the session is."""
        return private_file(self._context.data / "mqtt.client", secrets.token_hex(4).encode()).decode()

    def _password(self) -> str | None:
        path = self._options["password_file"]
        return None if path is None else (self._context.root / path).read_text().strip()


def _code(answer: Any) -> int:
    """A granted QoS: an int in MQTT 3.1.1, a reason code object in MQTT 5."""
    return int(getattr(answer, "value", answer))
