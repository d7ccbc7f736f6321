"""JSON bytes to plain Python values, strictly (RFC 8259), with reasons a person can use."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tocsin.kernel.fault import Skippable

from .paths import Path

_DECODER: Final = msgspec.json.Decoder()
#: Numbers beyond a float become infinite and are refused where they are used, as the typed reader does.
_LENIENT: Final = msgspec.json.Decoder(float_hook=float)
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)
_SPACE: Final = b" \t\r\n"


def load(text: bytes) -> Any:
    """One JSON value. Raises Skippable."""
    try:
        try:
            return _DECODER.decode(text)
        except msgspec.ValidationError:
            return _LENIENT.decode(text)
    except UnicodeDecodeError as error:
        raise Skippable(f"not UTF-8: {error.reason}") from None
    except RecursionError:
        raise Skippable("nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise Skippable(f"not JSON: {error}") from None


def elements(text: bytes, path: Path = ()) -> list[bytes]:
    """The bytes of every element of the array at `path` (of the one record there, when it is an object). Raises Skippable."""
    for depth, segment in enumerate(path):
        text = _step(text, segment, ".".join(path[: depth + 1]))
    place = ".".join(path) or "the message"
    start = text.lstrip(_SPACE)[:1]
    if start == b"{":
        check(text)
        return [text]
    if start != b"[":
        raise Skippable("an array of records (or one record) is expected here", place)
    return [bytes(raw) for raw in _part(_ARRAY, text, place)]


def wrap(text: bytes, path: Path) -> bytes:
    """The smallest message in which `elements` finds just this element at `path`."""
    if not path:
        return text
    for segment in reversed(path):
        text = b"[%s%s]" % (b"null," * int(segment), text) if segment.isdecimal() else b"{%s:%s}" % (msgspec.json.encode(segment), text)
    return text


def member(text: bytes, name: str) -> bytes | None:
    """The bytes of one member of the object, None when it has none. Raises Skippable."""
    found = _part(_OBJECT, text, name).get(name)
    return None if found is None else bytes(found)


def check(text: bytes) -> None:
    """Raises Skippable when the text is not one whole JSON value."""
    _part(_ANY, text, "the message")


def _step(text: bytes, segment: str, place: str) -> bytes:
    if text.lstrip(_SPACE)[:1] == b"[" and segment.isdecimal():
        parts = _part(_ARRAY, text, place)
        found = parts[int(segment)] if int(segment) < len(parts) else None
    else:
        found = _part(_OBJECT, text, place).get(segment)
    if found is None:
        raise Skippable("nothing there: the message has no such member", place)
    return bytes(found)


def _part(decoder: msgspec.json.Decoder[Any], text: bytes, place: str) -> Any:
    try:
        return decoder.decode(text)
    except UnicodeDecodeError as error:
        raise Skippable(f"not UTF-8: {error.reason}", place) from None
    except RecursionError:
        raise Skippable("nested too deeply", place) from None
    except msgspec.MsgspecError as error:
        raise Skippable(f"not JSON as expected: {error}", place) from None
