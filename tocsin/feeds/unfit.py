"""Why one value cannot become an event field, without deciding yet whether the value may be shown."""

from __future__ import annotations

from typing import Any, Final

SAID: Final = object()  #: for `Unfit.value`: `expected` is the whole reason and quotes nothing
_SHOWN: Final = 60  # characters of a found value that a reason quotes


class Unfit(ValueError):
    """`value` was found where `expected` would be valid. The feed decides whether the reason may quote the value."""

    def __init__(self, value: Any, expected: str) -> None:
        super().__init__(expected)
        self.value = value
        self.expected = expected

    def reason(self, quote: bool) -> str:
        """`'abc' is not a number`; without quoting, `a text of 3 characters is not a number`: a feed with personal fields may
        have shifted a name into this field, and reasons are kept in clear."""
        return self.expected if self.value is SAID else f"{show(self.value, quote)} is not {self.expected}"


def show(value: Any, quote: bool = True) -> str:
    """A value for people, cut short."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if value is None:
        return "nothing"
    if not quote:
        return f"a text of {len(value)} characters" if isinstance(value, str) else "what was found"
    if isinstance(value, int) and value.bit_length() > 200:
        return "an endless number"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
