"""One stored message, asked of the server that leads its stream: in a cluster another one may not have it yet, and would say that there is none."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

from .link import Link, Reply
from .streams import ApiRefused, api

_NOT_FOUND: Final = 10037


async def get(link: Link, stream: str, question: Mapping[str, Any]) -> Reply | None:
    """As a direct get answers it, for `seq`, `last_by_subj` and `next_by_subj`; None when there is none. Raises as `streams.api`."""
    try:
        found = (await api(link, f"STREAM.MSG.GET.{stream}", question))["message"]
    except ApiRefused as refused:
        if refused.code == _NOT_FOUND:
            return None
        raise
    headers = _headers(b64decode(found.get("hdrs", ""))) | {"Nats-Subject": found["subject"], "Nats-Sequence": str(found["seq"])}
    return Reply(found["subject"], "", b64decode(found.get("data", "")), headers)


def _headers(block: bytes) -> dict[str, str]:
    """`NATS/1.0`, then a line for each."""
    lines = block.decode().split("\r\n")[1:]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
