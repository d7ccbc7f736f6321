"""Alerts and transitions as JSON: the dataclasses of `model.alert`, field by field, severity as its number."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tocsin.kernel.fault import Skippable
from tocsin.model.alert import Alert, Transition

T = TypeVar("T")


def encode(value: Alert | Transition) -> bytes:
    """Fields in the order of the dataclass, so equal values give equal bytes."""
    return msgspec.json.encode(value)


def decode_alert(data: bytes) -> Alert:
    """Raises Skippable naming the field that is wrong."""
    return _decode(data, Alert)


def decode_transition(data: bytes) -> Transition:
    """Raises Skippable naming the field that is wrong."""
    return _decode(data, Transition)


def decode_object(data: bytes) -> dict[str, Any]:
    """Any JSON object. Raises Skippable."""
    value: dict[str, Any] = _decode(data, dict)
    return value


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise Skippable(f"this is no {kind.__name__.lower()}: {error}") from None
