"""The journal: events in one durable order, the only truth and the only clock (DESIGN law 1)."""

from .alerts import publish_alert, publish_transition, read_alerts
from .connection import Ack, Journal, Unsettled, connect
from .encode import Entry
from .endpoint import Credentials, Endpoint, MqttLogin, read_credentials
from .epoch import HighWater, Rewind
from .reader import DamagedEntry, fetch, last_seq, read, tail
from .server import EmbeddedServer
from .writer import EventWriter

__all__ = [
    "Ack",
    "Credentials",
    "DamagedEntry",
    "EmbeddedServer",
    "Endpoint",
    "Entry",
    "EventWriter",
    "HighWater",
    "Journal",
    "MqttLogin",
    "Rewind",
    "Unsettled",
    "connect",
    "fetch",
    "last_seq",
    "publish_alert",
    "publish_transition",
    "read",
    "read_alerts",
    "read_credentials",
    "tail",
]
