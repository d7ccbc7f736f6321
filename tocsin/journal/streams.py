"""The streams of the journal: made when missing, checked when present."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from tocsin.kernel.fault import Misconfigured, Problem, Retriable

from .link import Link

DUPLICATE_WINDOW = 120 * 10**9  # ns
EVENTS, ALERTS, INBOX, MATCHES = "EVENTS", "ALERTS", "INBOX", "MATCHES"
#: `lost.*` carries the markers that stand for entries the server has lost (`epoch.py`), `fence.*` who may publish (`fence.py`). MATCHES is
#: there only where the matching is shared out among shards. `exercise.*` is handed out only to those who ask for it (`exercises.py`).
SUBJECTS = {
    EVENTS: ("ev.>", "tick", "config", "learnt", "lost.events", "exercise.begin", "exercise.end", "exercise.ev.>"),
    ALERTS: ("alert.>", "transition.>", "lost.alerts", "fence.alerts", "exercise.alert.>", "exercise.transition.>"),
    INBOX: ("in.>",),
    MATCHES: ("match.*", "fence.match.*"),
}
EPOCH_KEY = "tocsin-epoch"
LAPSED_KEY = "tocsin-lapsed"
NO_STREAM = 10059
#: JetStream cannot keep so many copies: the server is in no cluster; the cluster has too few servers with room (now).
NO_CLUSTER, TOO_FEW = 10074, (10005, 10023)


class ApiRefused(Exception):
    """JetStream's API said no. `code`: the server's err_code."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{description} (JetStream error {code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class StreamState:
    """`first`, `last`: sequence numbers kept; `last` is `first - 1` when empty. `epoch`: 1, raised by every rewind. `created`: when the stream
    was made, as the server says it; tells one journal from another."""

    messages: int
    bytes: int
    first: int
    last: int
    epoch: int
    config: dict[str, Any] = field(default_factory=dict)
    created: str = ""

    @property
    def lapsed(self) -> int:
        """Entries with lower numbers may be missing on purpose: their feed's retention was over (`lapse.py`)."""
        return int((self.config.get("metadata") or {}).get(LAPSED_KEY, "0"))


async def api(link: Link, call: str, body: Any = None, within: float = 10.0) -> dict[str, Any]:
    """One JetStream API request. Raises Lost, ApiRefused, or Retriable when JetStream is not (yet) there."""
    reply = await link.request(f"$JS.API.{call}", orjson.dumps(body) if body is not None else b"", within=within)
    if reply.headers.get("Status") == "503":
        raise Retriable("JetStream does not answer; the server is starting or has switched it off for lack of disk space", after=1.0)
    answer: dict[str, Any] = orjson.loads(reply.data)
    error = answer.get("error")
    if error:
        if error.get("code") == 503:
            raise Retriable(f"JetStream: {error.get('description')}", after=1.0)
        raise ApiRefused(int(error.get("err_code", 0)), str(error.get("description", "")))
    return answer


async def state(link: Link, stream: str) -> StreamState | None:
    """What the stream holds now; None when it does not exist."""
    try:
        info = await api(link, f"STREAM.INFO.{stream}")
    except ApiRefused as refused:
        if refused.code == NO_STREAM:
            return None
        raise
    return _state(info)


def _state(info: dict[str, Any]) -> StreamState:
    counts, config = info["state"], info["config"]
    epoch = int((config.get("metadata") or {}).get(EPOCH_KEY, "1"))
    return StreamState(
        counts["messages"], counts["bytes"], counts["first_seq"], counts["last_seq"], epoch, config, str(info.get("created", ""))
    )


async def ensure(link: Link, stream: str, replicas: int = 1) -> StreamState:
    """The stream with our settings. Raises Misconfigured when one of that name exists that would not keep our promises."""
    found = await state(link, stream)
    if found is None:
        return await _change(link, "CREATE", _wanted(stream, replicas))
    wanted = _wanted(stream, replicas)
    for key in ("storage", "retention", "no_ack", "mirror", "sources"):
        if (found.config.get(key) or None) != (wanted.get(key) or None):
            message = f"stream {stream} has {key} {found.config.get(key)!r}, needed is {wanted.get(key)!r}; rename or remove that stream"
            raise Misconfigured([Problem("journal", 0, message)])
    changed = {
        key: wanted[key] for key in ("subjects", "allow_direct", "duplicate_window", "discard") if found.config.get(key) != wanted[key]
    }
    if found.config.get("num_replicas", 1) < replicas:  # never fewer: who has made more of them by hand keeps them
        changed["num_replicas"] = replicas
    return await _change(link, "UPDATE", found.config | changed) if changed else found


async def _change(link: Link, how: str, config: dict[str, Any]) -> StreamState:
    """Makes or changes a stream. Raises Misconfigured when this server can never keep so many copies, Retriable when it cannot now."""
    stream, copies = config["name"], config["num_replicas"]
    try:
        return _state(await api(link, f"STREAM.{how}.{stream}", config))
    except ApiRefused as refused:
        if refused.code == NO_CLUSTER:
            words = f"journal.replicas: {copies} copies of stream {stream} need a NATS cluster, and this server is in none; write 1, or name a cluster"
            raise Misconfigured([Problem("city.yaml", 0, words)]) from None
        if refused.code in TOO_FEW and copies > 1:
            words = f"the NATS cluster cannot keep {copies} copies of stream {stream} (journal.replicas): that takes {copies} servers with JetStream and room; {refused}"
            raise Retriable(words, after=1.0) from None
        raise


async def set_epoch(link: Link, stream: str, config: dict[str, Any], epoch: int) -> None:
    await note(link, stream, config, EPOCH_KEY, str(epoch))


async def note(link: Link, stream: str, config: dict[str, Any], key: str, value: str) -> None:
    """Writes something beside a stream's settings."""
    metadata = (config.get("metadata") or {}) | {key: value}
    await api(link, f"STREAM.UPDATE.{stream}", config | {"metadata": metadata})


async def remove(link: Link, stream: str) -> None:
    """With all it holds; one that is not there is none to remove."""
    try:
        await api(link, f"STREAM.DELETE.{stream}")
    except ApiRefused as refused:
        if refused.code != NO_STREAM:
            raise


def _wanted(stream: str, replicas: int) -> dict[str, Any]:
    return {
        "name": stream,
        "subjects": list(SUBJECTS[stream]),
        "retention": "workqueue" if stream == INBOX else "limits",
        "storage": "file",
        "discard": "new",
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msg_size": -1,
        "num_replicas": replicas,
        "duplicate_window": DUPLICATE_WINDOW,
        "allow_direct": True,
        "no_ack": False,
    }
