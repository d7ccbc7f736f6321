"""Who asks, for what, and the answer: the nouns of the one access function (DESIGN law 6)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `address`: the peer's IP address, empty when unknown. `relayed`: the request says that a proxy passed it on,
    so `address` is the proxy's and says nothing about who is behind it."""

    name: str
    address: str
    relayed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason`: one sentence for the person who asked and for the audit."""

    allowed: bool
    reason: str
